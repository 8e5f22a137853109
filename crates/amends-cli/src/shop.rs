//! The shop of one data directory, put together.
//!
//! Owns what every command that runs the shop does alike: journal, services, engine, the threads they run on, their
//! order and their end. Promises that what `amends bench` measures is what `amends demo` serves. Does not take a port or
//! talk to people. Start reading at [`Setup::open`].

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::{EngineBuilder, Options, StartUpError};
use amends_journal::Journal;
use amends_journal_sqlite::{OpenError, SqliteJournal, SqliteOptions};
use amends_server::serve::Server;
use amends_shop::http::{Shop, router};
use amends_shop::operation::ServiceName;
use amends_shop::saga;
use amends_shop::services::{Services, ServicesError};
use amends_shop::stock::Stock;
use tokio::runtime::{Builder, Runtime};

use crate::process::end_fatally;

/// How long sagas that are under way may take to end when the process is asked to stop. What has not ended by then is
/// taken up at the next start.
const GRACE: Duration = Duration::from_secs(10);

/// Threads for reads that block. Each has a stack and a share of the allocator; the readers' pools are smaller still.
const BLOCKING_THREADS_MAX: usize = 8;

/// What a shop is opened with.
pub(crate) struct Setup<'a> {
    /// The directory of its data; made if it is not there.
    pub(crate) data: &'a Path,
    /// Counts only at the first start of a data directory.
    pub(crate) stock: &'a Stock,
    /// The promise to break.
    #[cfg(feature = "sabotage")]
    pub(crate) sabotage: Option<Sabotage>,
}

/// A promise that can be broken on purpose.
#[cfg(feature = "sabotage")]
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sabotage {
    EarlyEffects,
    NoBarrier,
}

/// An open shop: its sagas run from here on.
pub(crate) struct OpenShop {
    shop: Shop,
}

/// How often a shop waited for its disk while it was open.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    /// The journal.
    pub(crate) journal: u64,
    /// The four services' databases.
    pub(crate) services: u64,
}

/// Why a shop was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The services cannot be opened.
    #[error(transparent)]
    Services(#[from] ServicesError),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] StartUpError),
}

/// The threads a shop runs on.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()
}

impl Setup<'_> {
    /// Opens the shop, or creates it. An I/O error on commit ends the process from here on.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn open(self) -> Result<OpenShop, SetupError> {
        let on_fatal = Box::new(|message: String| end_fatally(&message));
        let journal: Arc<dyn Journal> =
            Arc::new(SqliteJournal::open(self.data, SqliteOptions::default(), on_fatal)?);
        let directory = self.data.join("services");
        let services =
            Services::open(&directory, self.stock, Arc::new(|message: &str| end_fatally(message)))?;
        #[cfg(feature = "sabotage")]
        let services = match self.sabotage {
            Some(Sabotage::NoBarrier) => services.without_barrier(),
            Some(Sabotage::EarlyEffects) | None => services,
        };
        let services = Arc::new(services);
        let options = Options {
            #[cfg(feature = "sabotage")]
            sabotage_early_effects: self.sabotage == Some(Sabotage::EarlyEffects),
            ..Options::default()
        };
        let engine = saga::register(EngineBuilder::new(journal).options(options), &services).open()?;
        Ok(OpenShop { shop: Shop { engine, services } })
    }
}

impl OpenShop {
    /// Serves until `stop` resolves, and ends in good order.
    pub(crate) async fn serve(self, server: Server, stop: impl Future<Output = ()>) -> Flushes {
        let Shop { engine, services } = self.shop.clone();
        server.run(router(self.shop), stop, engine.stop(GRACE)).await;
        // When nothing was under way at the server, the engine has not been told yet.
        engine.stop(GRACE).await;
        let commits = ServiceName::ALL.map(|name| services.service(name).database().commits());
        Flushes { journal: engine.journal_stats().log_flushes, services: commits.iter().sum() }
    }
}
