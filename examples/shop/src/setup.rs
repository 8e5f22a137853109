//! The shop of one data directory, put together.
//!
//! Owns what every program that runs the shop does alike: journal, services, engine, the threads they run on,
//! their order and their end. Promises that what `amends bench` measures is what `amends demo` serves. Does
//! not bind a port, talk to people or end the process. Start reading at [`Setup::open`].

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use amends_engine::{Clock, EngineBuilder, Options, RegisterError, StartUpError};
use amends_http::{HttpOptions, HttpOptionsError, HttpParticipants, Loopback, Override};
use amends_journal::Journal;
use amends_journal_sqlite::{OpenError, SqliteJournal, SqliteOptions};
use amends_server::serve::Server;
use tokio::runtime::{Builder, Runtime};

use crate::apart::{Addresses, Apart};
use crate::http::{Records, Shop, router, service};
use crate::operation::ServiceName;
use crate::saga::{self, PLACE_ORDER, PLACE_ORDER_DOCUMENT};
use crate::service::Service;
use crate::services::{Services, ServicesError};
use crate::stock::Stock;
use crate::surroundings::{Machine, Surroundings};

/// How long sagas that are under way may take to end when the process is asked to stop. What has not ended by
/// then goes on at the next start.
const GRACE: Duration = Duration::from_secs(10);

/// Threads for reads that block. Each has a stack and a share of the allocator; the readers' pools are
/// smaller still.
const BLOCKING_THREADS_MAX: usize = 8;

/// How long a service waits for the process that had its directory before: that one ends as soon as it notices
/// that it was left alone.
const LOCK_TIME_MAX: Duration = Duration::from_secs(10);
/// How often it looks.
const LOCK_REST: Duration = Duration::from_millis(10);

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
impl std::fmt::Display for Sabotage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::EarlyEffects => "early-effects",
            Self::NoBarrier => "no-barrier",
        })
    }
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

/// A shop whose journal is open, and whose services are processes of their own.
pub struct Coordinator {
    journal: Arc<dyn Journal>,
    options: Options,
}

/// What one service of a shop is opened with, when it is a process of its own.
pub struct ServiceSetup<'a> {
    name: ServiceName,
    data: &'a Path,
    stock: &'a Stock,
    on_fatal: OnFatal,
    #[cfg(feature = "sabotage")]
    sabotage: Option<Sabotage>,
}

/// An open service, to be served.
pub struct OpenService {
    service: Service,
    /// Held until the database is closed: the next process waits for it.
    lock: File,
}

/// Why a service was not opened.
#[derive(Debug, thiserror::Error)]
pub enum ServiceSetupError {
    /// Its database cannot be opened.
    #[error(transparent)]
    Service(#[from] ServicesError),
    /// Another process has it.
    #[error("{} is used by another process: stop that one first, or choose another directory with --data", .0.display())]
    InUse(PathBuf),
    /// Its directory cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An open shop: its sagas run from here on.
pub struct OpenShop {
    shop: Shop,
    /// The services of this process, if they are in it.
    services: Option<Arc<Services>>,
}

/// How often a shop waited for its disk while it was open.
#[derive(Debug, Default)]
pub struct Flushes {
    /// The journal.
    pub journal: u64,
    /// The four services' databases, if they are in this process.
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
    /// The saga cannot be registered.
    #[error("the saga {PLACE_ORDER} cannot be registered: {0}")]
    Register(#[from] RegisterError),
    /// The services cannot be called.
    #[error("the services cannot be called: {0}")]
    Participants(#[from] HttpOptionsError),
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
        let (journal, options) = (self.journal()?, self.options());
        // One clock for the whole program: what the services note has the engine's time.
        let clock = Clock::system();
        let directory = services_in(self.data);
        let services = Services::open(&directory, self.stock, surroundings(&clock), self.on_fatal)?;
        #[cfg(feature = "sabotage")]
        let services = match self.sabotage {
            Some(Sabotage::NoBarrier) => services.without_barrier(),
            Some(Sabotage::EarlyEffects) | None => services,
        };
        let services = Arc::new(services);
        let engine = EngineBuilder::new(journal).options(options).clock(clock);
        let engine = saga::register(engine, &services).open()?;
        let records = Records::Here(services.clone());
        Ok(OpenShop { shop: Shop { engine, records }, services: Some(services) })
    }

    /// Opens the journal alone, for a shop whose services are processes of their own: whoever has the journal
    /// has the directory, and starts the services then.
    ///
    /// # Errors
    /// When the journal cannot be opened.
    pub fn coordinator(self) -> Result<Coordinator, SetupError> {
        Ok(Coordinator { journal: self.journal()?, options: self.options() })
    }

    fn journal(&self) -> Result<Arc<dyn Journal>, OpenError> {
        let on_fatal = self.on_fatal.clone();
        let on_fatal = Box::new(move |message: String| on_fatal(&message));
        Ok(Arc::new(SqliteJournal::open(self.data, SqliteOptions::default(), on_fatal)?))
    }

    fn options(&self) -> Options {
        Options {
            #[cfg(feature = "sabotage")]
            sabotage_early_effects: self.sabotage == Some(Sabotage::EarlyEffects),
            ..Options::default()
        }
    }
}

impl Coordinator {
    /// Opens the shop over services at these addresses: its sagas run from here on, by
    /// [the definition that is data](PLACE_ORDER_DOCUMENT).
    ///
    /// # Errors
    /// When the engine does not start, or the saga cannot be registered.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(self, addresses: Addresses) -> Result<OpenShop, SetupError> {
        let overrides = ServiceName::ALL.map(|name| {
            let url = Some(format!("http://{}", addresses.of(name)));
            (name.as_str().to_owned(), Override { url, ..Override::default() })
        });
        let participants = HttpParticipants::new(HttpOptions {
            overrides: overrides.into(),
            loopback: Loopback::Allowed,
            ..HttpOptions::default()
        })?;
        let engine = EngineBuilder::new(self.journal).options(self.options);
        let engine = engine.clock(Clock::system()).connect(Arc::new(participants)).open()?;
        engine.register(PLACE_ORDER_DOCUMENT, Some(PLACE_ORDER)).await?;
        let records = Records::Apart(Arc::new(Apart::new(addresses)));
        Ok(OpenShop { shop: Shop { engine, records }, services: None })
    }
}

/// The services' place in the directory of a shop.
fn services_in(data: &Path) -> PathBuf {
    data.join("services")
}

/// What the services take from the world: they note the engine's time, where they are in its process.
fn surroundings(clock: &Clock) -> Arc<dyn Surroundings> {
    let time = clock.clone();
    Arc::new(Machine(move || i64::try_from(time.now().milliseconds()).unwrap_or(i64::MAX)))
}

impl<'a> ServiceSetup<'a> {
    /// A service of the shop whose directory is `data`, in which it has one of its own; `stock` counts only at
    /// the first start of the inventory service. `on_fatal` is given the reason when it is unknown what is on
    /// the disk, and must end the process.
    pub fn new(
        name: ServiceName,
        data: &'a Path,
        stock: &'a Stock,
        on_fatal: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
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

    /// Opens the service, or creates it. Waits a while for a process that had it before and is about to end.
    ///
    /// # Errors
    /// When its directory cannot be used, or its database is damaged.
    pub fn open(self) -> Result<OpenService, ServiceSetupError> {
        let directory = services_in(self.data).join(self.name.as_str());
        let lock = lock(&directory)?;
        let surroundings = surroundings(&Clock::system());
        let service = Services::open_alone(self.name, &directory, self.stock, surroundings, self.on_fatal)?;
        #[cfg(feature = "sabotage")]
        let service = match self.sabotage {
            Some(Sabotage::NoBarrier) => service.without_barrier(),
            Some(Sabotage::EarlyEffects) | None => service,
        };
        Ok(OpenService { service, lock })
    }
}

impl OpenService {
    /// Serves until `stop` resolves, and closes the database in good order.
    pub async fn serve(self, server: Server, stop: impl Future<Output = ()>) {
        // There is nothing to wait for: a call that is under way is repeated by whoever made it.
        server.run(service::router(self.service), stop, std::future::ready(())).await;
        drop(self.lock);
    }
}

/// Takes the directory of a service for this process.
fn lock(directory: &Path) -> Result<File, ServiceSetupError> {
    let io = |source| ServiceSetupError::Io { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(io)?;
    let file = File::create(directory.join("service.lock")).map_err(io)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_TIME_MAX => std::thread::sleep(LOCK_REST),
            Err(TryLockError::WouldBlock) => return Err(ServiceSetupError::InUse(directory.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
    }
}

impl OpenShop {
    /// Serves until `stop` resolves, and ends in good order.
    pub async fn serve(self, server: Server, stop: impl Future<Output = ()>) -> Flushes {
        let engine = self.shop.engine.clone();
        server.run(router(self.shop), stop, engine.stop(GRACE)).await;
        // When nothing was under way at the server, the engine has not been stopped yet.
        engine.stop(GRACE).await;
        let commits = |services: Arc<Services>| -> u64 {
            ServiceName::ALL.iter().map(|name| services.service(*name).database().commits()).sum()
        };
        Flushes { journal: engine.journal_stats().flushes, services: self.services.map_or(0, commits) }
    }
}
