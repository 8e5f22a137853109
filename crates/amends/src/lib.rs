//! Durable transactions across services, inside your program: when a step fails, Amends makes amends.
//!
//! Owns the embedded engine: one directory, one journal, your handlers. Promises what the engine promises: an
//! effect leaves only after its fact is durable, and nothing is lost half-way. Does not add anything of its
//! own beyond opening, and never ends your program.
//!
//! ```
//! use std::time::Duration;
//! use amends::{Amends, Call, DefinitionName, Outcome, SagaDefinition, SagaSpec, Status, StepSpec, local};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let trip = SagaDefinition::from_spec(SagaSpec {
//!     name: DefinitionName::new("Trip"),
//!     version: 1,
//!     limit: Duration::from_secs(60),
//!     pivot: None,
//!     steps: vec![
//!         StepSpec::new("Flight", "bookings", "BookFlight").undone_by("CancelFlight"),
//!         StepSpec::new("Hotel", "bookings", "BookHotel").undone_by("CancelHotel"),
//!     ],
//! })
//! .map_err(|findings| format!("{findings:?}"))?;
//!
//! let bookings = local(|call: Call| async move {
//!     match call.operation() {
//!         "BookHotel" => Outcome::refused("fully_booked", "no room"),
//!         _ => Outcome::Completed { output: "{}".into() },
//!     }
//! });
//!
//! let data = tempfile::tempdir()?;
//! let amends = Amends::builder().definition(trip).participant("bookings", bookings).open(data.path())?;
//! let view = amends.run("Trip", r#"{"who": "ann"}"#, Some("order-17")).await?;
//! let saga = view.saga().ok_or("a trip is a saga")?;
//! assert_eq!(saga.status(), Status::Compensated); // the flight is cancelled again
//! amends.stop(Duration::from_secs(1)).await;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok(()) }
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use amends_client::{Client, ClientError};
pub use amends_core::{
    By, CallSpec, CompensationSpec, Definition, DefinitionName, Direction, Mapping, OnTimeout, Outcome,
    Payload, Reason, Refusal, Rejected, RetryPolicy, Saga, SagaDefinition, SagaSpec, Scope, Status, StepKind,
    StepSpec, StepStatus, Transaction, TransactionId, Verb,
};
pub use amends_engine::{
    Call, Clock, Connect, DefinitionView, OperateError, Options, Participant, ReadError, RegisterError,
    Registration, RetireError, SignalError, StartError, StartRequest, StartUpError, View, Wait, local,
};
use amends_engine::{Engine, EngineBuilder};
#[cfg(feature = "http")]
pub use amends_http as http;
use amends_journal::Journal;
pub use amends_journal::{Count, Cursor, Filter, Page, Summary};
use amends_journal_sqlite::SqliteJournal;
pub use amends_journal_sqlite::SqliteOptions;
pub use bytes::Bytes;
use tokio::sync::watch;

/// The engine in your program. Clones are handles to the same one.
#[derive(Clone)]
pub struct Amends {
    engine: Engine,
    fatal: watch::Receiver<Option<String>>,
}

/// What the engine is made of, before its directory is known.
#[derive(Default)]
pub struct Builder {
    definitions: Vec<Definition>,
    participants: Vec<(String, Arc<dyn Participant>, Option<usize>)>,
    mappings: Vec<(String, Arc<dyn Mapping>)>,
    options: Options,
    connect: Option<Arc<dyn Connect>>,
    journal: SqliteOptions,
    clock: Option<Clock>,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory.
    #[error(transparent)]
    Journal(#[from] amends_journal_sqlite::OpenError),
    /// The definitions, participants or mappings.
    #[error(transparent)]
    StartUp(#[from] StartUpError),
}

impl Amends {
    /// Begins an engine.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs a transaction to its end. With a key, a repeat finds the same one; a repeat after a crash finds
    /// it too.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn run(
        &self,
        definition: &str,
        input: impl Into<Bytes>,
        key: Option<&str>,
    ) -> Result<View, StartError> {
        let request = StartRequest::new(DefinitionName::new(definition), input);
        let request = StartRequest { key: key.map(str::to_owned), ..request };
        self.start(request).await
    }

    /// Starts a transaction, or finds the one that this id or key started before.
    ///
    /// # Errors
    /// See [`StartError`]; only [`StartError::Unknown`] and [`StartError::Stopping`] leave open whether it
    /// was started.
    pub async fn start(&self, request: StartRequest) -> Result<View, StartError> {
        self.engine.start(request).await
    }

    /// A transaction's durable state; `None` if there is none of this id.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn look(&self, id: TransactionId) -> Result<Option<View>, ReadError> {
        self.engine.look(id).await
    }

    /// A transaction's state once it has ended or is parked; `None` if there is none of this id.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn rest(&self, id: TransactionId) -> Result<Option<View>, ReadError> {
        self.engine.rest(id).await
    }

    /// Transactions that match, newest first.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn list(
        &self,
        filter: Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Summary>, ReadError> {
        self.engine.list(filter, cursor, limit).await
    }

    /// How many transactions match.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn count(&self, filter: Filter) -> Result<Count, ReadError> {
        self.engine.count(filter).await
    }

    /// Does what an operator wants; the state after it is durable.
    ///
    /// # Errors
    /// See [`OperateError`].
    pub async fn operate(&self, id: TransactionId, verb: Verb, by: By) -> Result<View, OperateError> {
        self.engine.operate(id, verb, by).await
    }

    /// Sends a signal to a step that waits for it, or will. A repeat with the same key and body changes
    /// nothing.
    ///
    /// # Errors
    /// See [`SignalError`].
    pub async fn signal(
        &self,
        id: TransactionId,
        name: &str,
        key: &str,
        body: impl Into<Bytes>,
    ) -> Result<View, SignalError> {
        self.engine.signal(id, name, key, body.into()).await
    }

    /// Takes in a definition that is data, YAML or JSON: a new version, unless the newest has this very text.
    ///
    /// # Errors
    /// See [`RegisterError`]; its `Display` shows every finding with its place.
    pub async fn register(&self, source: &str) -> Result<Registration, RegisterError> {
        self.engine.register(source, None).await
    }

    /// Lets a version of a definition start nothing more; says how many of its transactions are live.
    ///
    /// # Errors
    /// See [`RetireError`].
    pub async fn retire(&self, name: &str, version: u32) -> Result<u64, RetireError> {
        self.engine.retire(name, version).await
    }

    /// Every definition that is known here, by name and version.
    #[must_use]
    pub fn definitions(&self) -> Vec<DefinitionView> {
        self.engine.definitions()
    }

    /// The engine's clock, for whatever else your program notes the time of.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.engine.clock()
    }

    /// Resolves with the reason if a commit fails so that nobody knows what is on the disk. The engine has
    /// stopped then, and whoever waited for it was answered *stopping*: open the directory anew, best in a
    /// new process.
    ///
    /// # Panics
    /// Never: the journal outlives the engine.
    pub async fn failed(&self) -> String {
        let mut fatal = self.fatal.clone();
        match fatal.wait_for(Option::is_some).await {
            Ok(why) => why.clone().expect("it was waited for"),
            // The journal is gone, and with it whatever could fail.
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops: nothing new, up to `grace` for what is under way to end, then everything is left as it is on
    /// the disk, and goes on at the next start.
    pub async fn stop(&self, grace: Duration) {
        self.engine.stop(grace).await;
    }
}

impl Builder {
    /// Adds a definition.
    #[must_use]
    pub fn definition(mut self, definition: impl Into<Definition>) -> Self {
        self.definitions.push(definition.into());
        self
    }

    /// Adds whoever carries out the calls that name this participant.
    #[must_use]
    pub fn participant(mut self, name: &str, participant: Arc<dyn Participant>) -> Self {
        self.participants.push((name.to_owned(), participant, None));
        self
    }

    /// Adds a participant that takes at most `calls_max` calls together.
    ///
    /// # Panics
    /// When `calls_max` is zero.
    #[must_use]
    pub fn limited_participant(
        mut self,
        name: &str,
        participant: Arc<dyn Participant>,
        calls_max: usize,
    ) -> Self {
        assert!(calls_max > 0, "a participant takes at least one call");
        self.participants.push((name.to_owned(), participant, Some(calls_max)));
        self
    }

    /// Adds what makes the payloads that name this mapping.
    #[must_use]
    pub fn mapping(mut self, name: &str, mapping: Arc<dyn Mapping>) -> Self {
        self.mappings.push((name.to_owned(), mapping));
        self
    }

    /// Gives the engine what calls services: definitions that are data name participants by URL. For HTTP it is
    /// [`http::HttpParticipants`].
    #[must_use]
    pub fn connect(mut self, connect: Arc<dyn Connect>) -> Self {
        self.connect = Some(connect);
        self
    }

    /// Replaces the engine's default options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Replaces the journal's default options.
    #[must_use]
    pub fn journal_options(mut self, options: SqliteOptions) -> Self {
        self.journal = options;
        self
    }

    /// Shares your program's clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Opens the directory, goes on with what was under way in it, and runs on the current tokio runtime.
    ///
    /// # Errors
    /// When the directory is in use or damaged, or a definition does not fit.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(self, directory: impl AsRef<Path>) -> Result<Amends, OpenError> {
        let (failed, fatal) = watch::channel(None);
        let on_fatal = Box::new(move |why: String| {
            // Without a receiver nobody uses the engine any more.
            let _gone = failed.send(Some(why));
        });
        let journal = SqliteJournal::open(directory.as_ref(), self.journal, on_fatal)?;
        let mut engine = EngineBuilder::new(Arc::new(journal) as Arc<dyn Journal>).options(self.options);
        for definition in self.definitions {
            engine = engine.definition(definition);
        }
        for (name, participant, calls_max) in self.participants {
            engine = match calls_max {
                Some(calls_max) => engine.limited_participant(&name, participant, calls_max),
                None => engine.participant(&name, participant),
            };
        }
        for (name, mapping) in self.mappings {
            engine = engine.mapping(&name, mapping);
        }
        if let Some(connect) = self.connect {
            engine = engine.connect(connect);
        }
        if let Some(clock) = self.clock {
            engine = engine.clock(clock);
        }
        let engine = engine.open()?;
        let mut failure = fatal.clone();
        engine.halt_when(async move {
            if failure.wait_for(Option::is_some).await.is_err() {
                std::future::pending().await
            }
        });
        Ok(Amends { engine, fatal })
    }
}
