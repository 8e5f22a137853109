//! Durable transactions across services, inside your program: when a step fails, Amends makes amends.
//!
//! Owns the embedded engine: one directory, one journal, your handlers. Promises what the engine promises: an effect
//! leaves only after its fact is durable, and nothing is lost half-way. Does not add anything of its own beyond opening.
//!
//! ```
//! use std::time::Duration;
//! use amends::{Amends, Call, Definition, DefinitionName, DefinitionSpec, Outcome, Status, StepSpec, local};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let trip = Definition::check(DefinitionSpec {
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
//! assert_eq!(view.saga.status(), Status::Compensated); // the flight is cancelled again
//! amends.stop(Duration::from_secs(1)).await;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok(()) }
//! ```

use std::path::Path;
use std::sync::Arc;

pub use amends_core::{
    By, CompensationSpec, Definition, DefinitionName, DefinitionSpec, Direction, Outcome, Reason, Refusal,
    RetryPolicy, Saga, Status, StepSpec, StepStatus, TransactionId, Verb,
};
pub use amends_engine::{
    Call, Engine, OperateError, Options, Participant, ReadError, SagaView, StartError, StartRequest, Wait,
    local,
};
use amends_engine::{EngineBuilder, StartUpError};
use amends_journal::Journal;
use amends_journal_sqlite::{SqliteJournal, SqliteOptions};

/// The engine in your program. Clones are handles to the same one.
#[derive(Clone)]
pub struct Amends {
    engine: Engine,
}

/// What the engine is made of, before its directory is known.
#[derive(Default)]
pub struct Builder {
    definitions: Vec<Definition>,
    participants: Vec<(String, Arc<dyn Participant>)>,
    options: Options,
    journal: SqliteOptions,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory.
    #[error(transparent)]
    Journal(#[from] amends_journal_sqlite::OpenError),
    /// The definitions or participants.
    #[error(transparent)]
    StartUp(#[from] StartUpError),
}

impl Amends {
    /// Begins an engine.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs a saga to its end. With a key, a repeat finds the same saga; a repeat after a crash finds it too.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn run(
        &self,
        definition: &str,
        input: impl Into<bytes::Bytes>,
        key: Option<&str>,
    ) -> Result<SagaView, StartError> {
        let request = StartRequest {
            definition: DefinitionName::new(definition),
            input: input.into(),
            id: None,
            key: key.map(str::to_owned),
            wait: Wait::Rest,
        };
        self.engine.start(request).await
    }
}

impl std::ops::Deref for Amends {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Builder {
    /// Adds a definition.
    #[must_use]
    pub fn definition(mut self, definition: Definition) -> Self {
        self.definitions.push(definition);
        self
    }

    /// Adds whoever carries out the steps that name this participant.
    #[must_use]
    pub fn participant(mut self, name: &str, participant: Arc<dyn Participant>) -> Self {
        self.participants.push((name.to_owned(), participant));
        self
    }

    /// Sets what can be set.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Opens the directory, takes up what was under way in it, and runs on the current tokio runtime. After an I/O error
    /// on commit nobody knows what is on the disk: the process ends with code 1 and a word on stderr.
    ///
    /// # Errors
    /// When the directory is in use or damaged, or a definition does not fit.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(self, directory: impl AsRef<Path>) -> Result<Amends, OpenError> {
        let on_fatal = Box::new(|message: String| {
            eprintln!("amends: {message}");
            std::process::exit(1);
        });
        let journal = SqliteJournal::open(directory.as_ref(), self.journal, on_fatal)?;
        let mut engine = EngineBuilder::new(Arc::new(journal) as Arc<dyn Journal>).options(self.options);
        for definition in self.definitions {
            engine = engine.definition(definition);
        }
        for (name, participant) in self.participants {
            engine = engine.participant(&name, participant);
        }
        Ok(Amends { engine: engine.open()? })
    }
}
