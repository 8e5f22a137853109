//! The shop of one data directory, put together.
//!
//! Owns what every program that runs the shop does alike: journal, services, engine, the threads they run on,
//! their order and their end. Promises that what `amends bench` measures is what `amends demo` serves. Does
//! not bind a port, talk to people or end the process. Start reading at [`Setup::open`].

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::{Clock, EngineBuilder, Options, StartUpError};
use amends_journal::Journal;
use amends_journal_sqlite::{OpenError, SqliteJournal, SqliteOptions};
use amends_server::serve::Server;
use tokio::runtime::{Builder, Runtime};

use crate::http::{Shop, router};
use crate::operation::ServiceName;
use crate::saga;
use crate::services::{Services, ServicesError};
use crate::stock::Stock;
use crate::surroundings::Machine;

/// How long sagas that are under way may take to end when the process is asked to stop. What has not ended by
/// then goes on at the next start.
const GRACE: Duration = Duration::from_secs(10);

/// Threads for reads that block. Each has a stack and a share of the allocator; the readers' pools are
/// smaller still.
const BLOCKING_THREADS_MAX: usize = 8;

/// What a shop is opened with.
pub struct Setup<'a> {
    data: &'a Path,
    stock: &'a Stock,
    on_fatal: OnFatal,
    #[cfg(feature = "sabotage")]
    sabotage: Option<Sabotage>,
}

/// What ends the process when a commit fails.
type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// A promise that can be broken on purpose.
#[cfg(feature = "sabotage")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Effects leave before their events are durable.
    EarlyEffects,
    /// The services act on every call, a repeated one too.
    NoBarrier,
}

#[cfg(feature = "sabotage")]
impl std::str::FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "early-effects" => Ok(Self::EarlyEffects),
            "no-barrier" => Ok(Self::NoBarrier),
            _ => Err("there are early-effects and no-barrier".to_owned()),
        }
    }
}

/// An open shop: its sagas run from here on.
pub struct OpenShop {
    shop: Shop,
}

/// How often a shop waited for its disk while it was open.
#[derive(Debug, Default)]
pub struct Flushes {
    /// The journal.
    pub journal: u64,
    /// The four services' databases.
    pub services: u64,
}

/// Why a shop was not opened.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
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
///
/// # Errors
/// When they cannot be started.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()
}

impl<'a> Setup<'a> {
    /// A shop of the directory `data`, which is made if it is not there; `stock` counts only at its first
    /// start.
    ///
    /// When a commit fails nobody knows what is on the disk: `on_fatal` is given the reason, and must end the
    /// process.
    pub fn new(data: &'a Path, stock: &'a Stock, on_fatal: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            data,
            stock,
            on_fatal: Arc::new(on_fatal),
            #[cfg(feature = "sabotage")]
            sabotage: None,
        }
    }

    /// Breaks a promise on purpose.
    #[cfg(feature = "sabotage")]
    #[must_use]
    pub fn sabotage(self, promise: Option<Sabotage>) -> Self {
        Self { sabotage: promise, ..self }
    }

    /// Opens the shop, or creates it. Its sagas run from here on.
    ///
    /// # Errors
    /// When the journal or a service cannot be opened, or the engine does not start.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(self) -> Result<OpenShop, SetupError> {
        let on_fatal = self.on_fatal.clone();
        let on_fatal = Box::new(move |message: String| on_fatal(&message));
        let journal: Arc<dyn Journal> =
            Arc::new(SqliteJournal::open(self.data, SqliteOptions::default(), on_fatal)?);
        let directory = self.data.join("services");
        // One clock for the whole program: what the services note has the engine's time.
        let clock = Clock::system();
        let time = clock.clone();
        let now_ms = move || i64::try_from(time.now().milliseconds()).unwrap_or(i64::MAX);
        let surroundings = Arc::new(Machine(now_ms));
        let services = Services::open(&directory, self.stock, surroundings, self.on_fatal)?;
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
        let engine = EngineBuilder::new(journal).options(options).clock(clock);
        let engine = saga::register(engine, &services).open()?;
        Ok(OpenShop { shop: Shop { engine, services } })
    }
}

impl OpenShop {
    /// Serves until `stop` resolves, and ends in good order.
    pub async fn serve(self, server: Server, stop: impl Future<Output = ()>) -> Flushes {
        let Shop { engine, services } = self.shop.clone();
        server.run(router(self.shop), stop, engine.stop(GRACE)).await;
        // When nothing was under way at the server, the engine has not been stopped yet.
        engine.stop(GRACE).await;
        let commits = ServiceName::ALL.map(|name| services.service(name).database().commits());
        Flushes { journal: engine.journal_stats().flushes, services: commits.iter().sum() }
    }
}
