//! The engine's handle: what programs and servers call.
//!
//! Owns the shards' tasks, admission and shutdown. Promises that what it answers is durable, and that a full engine
//! says so instead of growing. Does not speak HTTP. Start reading at [`EngineBuilder::open`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use amends_core::{
    By, Definition, DefinitionName, Partition, Partitions, Rejected, Saga, TransactionId, Verb,
};
use amends_journal::{
    Cursor, Filter, Fingerprint, Journal, JournalError, Page, PutDefinition, StartKey, Stats, Summary,
};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::warn;

use crate::call::Participant;
use crate::clock::Clock;
use crate::leases::Leases;
use crate::limits::{
    CALLS_PER_PARTICIPANT_MAX, INPUT_BYTES_MAX, KEY_BYTES_MAX, LIVE_SAGAS_MAX, QUESTIONS_MAX, SHARDS_MAX,
};
use crate::registry::{Plan, Registered, Registry};
use crate::shard::Shard;
use crate::shard::input::{Input, Reply, Start, Until};
use crate::shell::{Mailbox, Message, Population, Shared, Shell};
use crate::sleeper::{Alarm, Sleeper};
use crate::{fingerprint, recovery, retention};

/// A running engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    mailboxes: Vec<Mailbox>,
    populations: Vec<Arc<Population>>,
    questions: AtomicUsize,
    closing: AtomicBool,
    stopped: AtomicBool,
    recovered: Arc<AtomicBool>,
    options: Options,
    tasks: Mutex<JoinSet<()>>,
}

/// What can be set.
#[derive(Debug, Clone)]
pub struct Options {
    /// Live sagas held in memory; further starts are turned away.
    pub live_sagas_max: usize,
    /// Shards, each with a task of its own: a processor each, up to a few.
    pub shards: usize,
    /// How long ended sagas are kept; `None`: for ever.
    pub retention: Option<Duration>,
    /// Releases calls before their records are durable, for the crash campaign to catch.
    #[cfg(feature = "sabotage")]
    pub sabotage_early_effects: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            live_sagas_max: LIVE_SAGAS_MAX,
            shards: thread::available_parallelism().map_or(1, |cores| cores.get().min(SHARDS_MAX)),
            retention: None,
            #[cfg(feature = "sabotage")]
            sabotage_early_effects: false,
        }
    }
}

/// What an engine is made of.
pub struct EngineBuilder {
    journal: Arc<dyn Journal>,
    definitions: Vec<Definition>,
    participants: Vec<Registered>,
    options: Options,
}

/// A saga's durable state.
#[derive(Debug, Clone)]
pub struct SagaView {
    /// The state.
    pub saga: Box<Saga>,
    /// How many records it has.
    pub sequence: u64,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The definition's name; its newest version runs.
    pub definition: DefinitionName,
    /// What to start it with: JSON.
    pub input: Bytes,
    /// The id, if the caller chooses it.
    pub id: Option<TransactionId>,
    /// The caller's idempotency key.
    pub key: Option<String>,
    /// When to answer.
    pub wait: Wait,
}

/// When a start is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// When the saga is durable.
    Accepted,
    /// When it has ended or is parked.
    Rest,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartUpError {
    /// A step's participant is not there.
    #[error("the step {step:?} calls the participant {participant:?}, which is not registered")]
    NoParticipant {
        /// The step.
        step: String,
        /// The participant.
        participant: String,
    },
    /// A definition's version has other content than when it was first registered.
    #[error(
        "the definition {name} version {version} differs from the one stored: give the changed one the next version"
    )]
    DefinitionChanged {
        /// The definition.
        name: DefinitionName,
        /// Its version.
        version: u32,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a saga was not started, or its answer is not known.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nobody registered the definition.
    #[error("the definition {0} is not registered")]
    UnknownDefinition(DefinitionName),
    /// The input is no JSON.
    #[error("the input is not JSON")]
    InputNotJson,
    /// The input is too large.
    #[error("the input has {0} bytes; {INPUT_BYTES_MAX} are allowed")]
    InputTooLarge(usize),
    /// The key is empty or too long.
    #[error("an idempotency key has 1 to {KEY_BYTES_MAX} bytes")]
    BadKey,
    /// The id or key belongs to a saga with another definition or input.
    #[error(
        "this key or id was used before, for the saga {saga} and with another definition or input: use a new one"
    )]
    KeyReused {
        /// That saga.
        saga: TransactionId,
    },
    /// Too many sagas are live.
    #[error("the engine is full: {0} sagas are under way; try again shortly")]
    Full(usize),
    /// The disk is nearly full.
    #[error("the disk is nearly full: no new sagas are started, those under way go on; free some space")]
    DiskLow,
    /// The engine is being stopped.
    #[error("the engine is stopping; the saga, if it was started, goes on when it runs again")]
    Stopping,
    /// The saga is parked because its records cannot be read.
    #[error("the saga {saga} cannot be read: {why}")]
    Unreadable {
        /// The saga.
        saga: TransactionId,
        /// What is wrong.
        why: String,
    },
    /// The journal failed; the saga may have been started.
    #[error("nobody knows whether the saga was started ({0}): repeat with the same key")]
    Unknown(String),
}

/// Why a saga could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its records cannot be read; it is parked.
    #[error("the saga {saga} cannot be read: {why}")]
    Unreadable {
        /// The saga.
        saga: TransactionId,
        /// What is wrong.
        why: String,
    },
    /// Too many questions at once.
    #[error("too many questions at once: try again shortly")]
    Full,
    /// The engine is being stopped.
    #[error("the engine is stopping")]
    Stopping,
    /// The journal failed.
    #[error("the journal could not be read: {0}")]
    Journal(String),
}

/// Why an operator's verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// No such saga.
    #[error("no saga has this id")]
    NotFound,
    /// The saga's state forbids it.
    #[error(transparent)]
    Rejected(Rejected),
    /// The saga could not be read.
    #[error(transparent)]
    Read(ReadError),
}

impl EngineBuilder {
    /// An engine over this journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, definitions: Vec::new(), participants: Vec::new(), options: Options::default() }
    }

    /// Adds a definition.
    #[must_use]
    pub fn definition(mut self, definition: Definition) -> Self {
        self.definitions.push(definition);
        self
    }

    /// Adds a participant with the default limit of calls at once.
    #[must_use]
    pub fn participant(self, name: &str, participant: Arc<dyn Participant>) -> Self {
        self.limited_participant(name, participant, CALLS_PER_PARTICIPANT_MAX)
    }

    /// Adds a participant that takes at most `calls_max` calls at once.
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
        assert!(calls_max > 0, "a participant takes at least one call at once");
        self.participants.push(Registered { name: name.to_owned(), participant, calls_max });
        self
    }

    /// Sets what can be set.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Starts the engine on the current tokio runtime, and with it the recovery of what was under way.
    ///
    /// # Errors
    /// When a definition does not fit what is stored or registered, or the journal fails.
    ///
    /// # Panics
    /// Outside a tokio runtime, or with zero shards.
    pub fn open(self) -> Result<Engine, StartUpError> {
        let Self { journal, definitions, participants, options } = self;
        assert!(options.shards > 0, "an engine has at least one shard");
        let mut registry = Registry::new(definitions, participants)
            .map_err(|(step, participant)| StartUpError::NoParticipant { step, participant })?;
        for plan in registry.plans() {
            let spec = plan.definition.spec();
            match journal.put_definition(spec)? {
                PutDefinition::New | PutDefinition::Unchanged => {}
                PutDefinition::Different => {
                    return Err(StartUpError::DefinitionChanged {
                        name: spec.name.clone(),
                        version: spec.version,
                    });
                }
            }
        }
        for spec in journal.definitions()? {
            let (name, version) = (spec.name.clone(), spec.version);
            let is_staffed = Definition::check(spec).is_ok_and(|definition| registry.remember(definition));
            if !is_staffed {
                warn!(%name, version, "sagas of this definition rest: this program lacks a participant of it");
            }
        }
        let shared = Arc::new(Shared {
            leases: Arc::new(Leases::new(&journal.acquire(&Partitions::ALL)?)),
            journal,
            registry,
            clock: Clock::new(),
            alarm: Alarm::default(),
            population_changed: Notify::new(),
        });
        Ok(spawn(&shared, options))
    }
}

fn spawn(shared: &Arc<Shared>, options: Options) -> Engine {
    let mut tasks = JoinSet::new();
    let mut mailboxes = Vec::new();
    let mut populations = Vec::new();
    for _ in 0..options.shards {
        let (mailbox, messages) = mpsc::unbounded_channel();
        let population = Arc::new(Population::default());
        let shard = Shard::new(shared.registry.gates(options.shards), shared.leases.clone());
        #[cfg(feature = "sabotage")]
        let shard = {
            let mut shard = shard;
            shard.sabotage_early_effects = options.sabotage_early_effects;
            shard
        };
        let shell = Shell {
            shard,
            shared: shared.clone(),
            population: population.clone(),
            mailbox: mailbox.downgrade(),
            messages,
            tasks: JoinSet::new(),
        };
        tasks.spawn(shell.run());
        mailboxes.push(mailbox);
        populations.push(population);
    }
    let recovered = Arc::new(AtomicBool::new(false));
    tasks.spawn(recovery::run(shared.clone(), mailboxes.clone(), recovered.clone()));
    let sleeper = Sleeper {
        shared: shared.clone(),
        mailboxes: mailboxes.clone(),
        populations: populations.clone(),
        live_sagas_max: options.live_sagas_max,
    };
    tasks.spawn(sleeper.run());
    if let Some(keep) = options.retention {
        tasks.spawn(retention::run(shared.clone(), keep));
    }
    Engine {
        inner: Arc::new(Inner {
            shared: shared.clone(),
            mailboxes,
            populations,
            questions: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            recovered,
            options,
            tasks: Mutex::new(tasks),
        }),
    }
}

impl Engine {
    /// Starts a saga, or finds the one that this id or key started before.
    ///
    /// # Errors
    /// See [`StartError`]; only [`StartError::Unknown`] and [`StartError::Stopping`] leave open whether it was started.
    pub async fn start(&self, request: StartRequest) -> Result<SagaView, StartError> {
        let plan = self.judge(&request)?;
        let until = match request.wait {
            Wait::Accepted => Until::Now,
            Wait::Rest => Until::Rest,
        };
        let is_named = request.id.is_some() || request.key.is_some();
        let fingerprint = if is_named {
            fingerprint::of_start(&request.definition, &request.input).map(Some)
        } else {
            // Nobody can repeat this start: its input is judged, and compared with nothing.
            fingerprint::is_json(&request.input).then_some(None)
        };
        let fingerprint = fingerprint.ok_or(StartError::InputNotJson)?;
        let id = request.id.unwrap_or_else(|| self.inner.shared.clock.new_id());
        if let Err(full) = self.admit(id) {
            return self.find_started(&request, fingerprint, until).await?.ok_or(full);
        }
        let (ticket, reply) = oneshot::channel();
        let start = Start {
            ticket,
            until,
            id,
            id_given: request.id.is_some(),
            plan,
            input: request.input,
            key: request.key.map(StartKey),
            fingerprint,
        };
        if self.mailbox(id).send(Message::Input(Input::Start(start))).is_err() {
            return Err(StartError::Stopping);
        }
        match reply.await {
            Ok(Reply::State { saga, sequence }) => Ok(SagaView { saga, sequence }),
            Ok(Reply::Exists { saga }) => self.ask_started(saga, until).await,
            Ok(Reply::KeyReused { saga }) => Err(StartError::KeyReused { saga }),
            Ok(Reply::NoSpace) => Err(StartError::DiskLow),
            Ok(Reply::Unreadable { saga, why }) => Err(StartError::Unreadable { saga, why }),
            Ok(Reply::Failed { why }) => Err(StartError::Unknown(why)),
            // The journal did not say whether it wrote the saga, and does not have it as of now.
            Ok(Reply::NotFound) => Err(StartError::Unknown("the journal did not say".to_owned())),
            Ok(Reply::Rejected(_)) => unreachable!("a start is no verb"),
            Err(_) => Err(StartError::Stopping),
        }
    }

    fn judge(&self, request: &StartRequest) -> Result<Arc<Plan>, StartError> {
        let plan = self.inner.shared.registry.newest(&request.definition).cloned();
        let plan = plan.ok_or_else(|| StartError::UnknownDefinition(request.definition.clone()))?;
        if request.input.len() > INPUT_BYTES_MAX {
            return Err(StartError::InputTooLarge(request.input.len()));
        }
        if request.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            return Err(StartError::BadKey);
        }
        Ok(plan)
    }

    /// Counts a start in, if there is room.
    fn admit(&self, id: TransactionId) -> Result<(), StartError> {
        if self.inner.closing.load(Ordering::Acquire) {
            return Err(StartError::Stopping);
        }
        if self.inner.shared.journal.is_disk_low() {
            return Err(StartError::DiskLow);
        }
        let live = self.live();
        if live >= self.inner.options.live_sagas_max {
            return Err(StartError::Full(live));
        }
        self.inner.populations[Partition::of(id).share(self.inner.populations.len())]
            .queued
            .fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A repeat of a start needs no room: it is answered even when no new saga can be started.
    async fn find_started(
        &self,
        request: &StartRequest,
        fingerprint: Option<Fingerprint>,
        until: Until,
    ) -> Result<Option<SagaView>, StartError> {
        if let Some(key) = request.key.clone() {
            let journal = self.inner.shared.journal.clone();
            let entry = match tokio::task::spawn_blocking(move || journal.by_key(&key)).await {
                Ok(Ok(entry)) => entry,
                Ok(Err(error)) => return Err(StartError::Unknown(error.to_string())),
                Err(error) => return Err(StartError::Unknown(error.to_string())),
            };
            if let Some(entry) = entry {
                let same = entry.fingerprint.is_some() && entry.fingerprint == fingerprint;
                return self.repeated(entry.id, same, until).await.map(Some);
            }
        }
        let Some(id) = request.id else { return Ok(None) };
        let Ok(Some(SagaView { saga, .. })) = self.saga(id).await else { return Ok(None) };
        let same = fingerprint::of_start(saga.definition().name(), saga.input()) == fingerprint;
        self.repeated(id, same, until).await.map(Some)
    }

    async fn repeated(&self, saga: TransactionId, same: bool, until: Until) -> Result<SagaView, StartError> {
        if same { self.ask_started(saga, until).await } else { Err(StartError::KeyReused { saga }) }
    }

    async fn ask_started(&self, saga: TransactionId, until: Until) -> Result<SagaView, StartError> {
        match self.ask(saga, until).await {
            Ok(Some(view)) => Ok(view),
            Ok(None) => Err(StartError::Unknown(format!("the saga {saga} is reserved but was removed"))),
            Err(ReadError::Unreadable { saga, why }) => Err(StartError::Unreadable { saga, why }),
            Err(ReadError::Full) => Err(StartError::Full(QUESTIONS_MAX)),
            Err(ReadError::Stopping) => Err(StartError::Stopping),
            Err(ReadError::Journal(why)) => Err(StartError::Unknown(why)),
        }
    }

    /// A saga's durable state; `None` if there is no such saga.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn saga(&self, id: TransactionId) -> Result<Option<SagaView>, ReadError> {
        self.ask(id, Until::Now).await
    }

    /// A saga's state once it has ended or is parked; `None` if there is no such saga.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn rest(&self, id: TransactionId) -> Result<Option<SagaView>, ReadError> {
        self.ask(id, Until::Rest).await
    }

    async fn ask(&self, saga: TransactionId, until: Until) -> Result<Option<SagaView>, ReadError> {
        let _place = self.question()?;
        let (ticket, reply) = oneshot::channel();
        if self.mailbox(saga).send(Message::Input(Input::Ask { ticket, saga, until })).is_err() {
            return Err(ReadError::Stopping);
        }
        read(reply.await)
    }

    /// Does what an operator wants; the state after it is durable.
    ///
    /// # Errors
    /// See [`OperateError`].
    pub async fn operate(&self, saga: TransactionId, verb: Verb, by: By) -> Result<SagaView, OperateError> {
        let _place = self.question().map_err(OperateError::Read)?;
        let (ticket, reply) = oneshot::channel();
        if self.mailbox(saga).send(Message::Input(Input::Operate { ticket, saga, verb, by })).is_err() {
            return Err(OperateError::Read(ReadError::Stopping));
        }
        match reply.await {
            Ok(Reply::Rejected(rejected)) => Err(OperateError::Rejected(rejected)),
            other => read(other).map_err(OperateError::Read)?.ok_or(OperateError::NotFound),
        }
    }

    /// How many sagas match.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn count(&self, filter: Filter) -> Result<u64, ReadError> {
        self.read(move |journal| journal.count(&filter)).await
    }

    /// Sagas that match, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn list(
        &self,
        filter: Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Summary>, ReadError> {
        self.read(move |journal| journal.list(&filter, cursor, limit)).await
    }

    async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Journal) -> Result<R, JournalError> + Send + 'static,
    ) -> Result<R, ReadError> {
        let _place = self.question()?;
        let journal = self.inner.shared.journal.clone();
        match tokio::task::spawn_blocking(move || read(&*journal)).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(ReadError::Journal(error.to_string())),
            Err(error) => Err(ReadError::Journal(error.to_string())),
        }
    }

    /// Sagas in memory.
    #[must_use]
    pub fn live(&self) -> usize {
        let count = |population: &Arc<Population>| {
            // In the order opposite to the shard's, which counts a start in before it counts it out of the queue: one
            // that is just being taken in is counted twice rather than not at all.
            population.queued.load(Ordering::Acquire) + population.settled.load(Ordering::Relaxed)
        };
        self.inner.populations.iter().map(count).sum()
    }

    /// Whether every saga that was under way at the start has been taken up.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.inner.recovered.load(Ordering::Acquire)
    }

    /// What the journal did since it was opened.
    #[must_use]
    pub fn journal_stats(&self) -> Stats {
        self.inner.shared.journal.stats()
    }

    /// Stops: no new sagas, up to `grace` for those under way to end, then everything is left as it is on the disk,
    /// to be taken up at the next start. May be called again, also when an earlier call was given up half-way.
    pub async fn stop(&self, grace: Duration) {
        if self.inner.stopped.load(Ordering::Acquire) {
            return;
        }
        self.inner.closing.store(true, Ordering::Release);
        let drained = async {
            loop {
                let changed = self.inner.shared.population_changed.notified();
                if self.live() == 0 {
                    return;
                }
                changed.await;
            }
        };
        // Whether all ended or the grace did, what follows is the same.
        let _ = tokio::time::timeout(grace, drained).await;
        for mailbox in &self.inner.mailboxes {
            // A shard that is gone already needs no word.
            drop(mailbox.send(Message::Stop));
        }
        let mut tasks =
            std::mem::take(&mut *self.inner.tasks.lock().expect("no task panics while it holds the lock"));
        tasks.shutdown().await;
        self.inner.stopped.store(true, Ordering::Release);
    }

    fn mailbox(&self, saga: TransactionId) -> &Mailbox {
        &self.inner.mailboxes[Partition::of(saga).share(self.inner.mailboxes.len())]
    }

    fn question(&self) -> Result<Place<'_>, ReadError> {
        let place = Place(&self.inner.questions);
        if self.inner.questions.fetch_add(1, Ordering::Relaxed) >= QUESTIONS_MAX {
            return Err(ReadError::Full);
        }
        Ok(place)
    }
}

/// A counted question; gives its place back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn read(reply: Result<Reply, oneshot::error::RecvError>) -> Result<Option<SagaView>, ReadError> {
    match reply {
        Ok(Reply::State { saga, sequence }) => Ok(Some(SagaView { saga, sequence })),
        Ok(Reply::NotFound) => Ok(None),
        Ok(Reply::Unreadable { saga, why }) => Err(ReadError::Unreadable { saga, why }),
        Ok(Reply::Failed { why }) => Err(ReadError::Journal(why)),
        Ok(Reply::Exists { .. } | Reply::KeyReused { .. } | Reply::Rejected(_) | Reply::NoSpace) => {
            unreachable!("a question is not answered like a start")
        }
        Err(_) => Err(ReadError::Stopping),
    }
}
