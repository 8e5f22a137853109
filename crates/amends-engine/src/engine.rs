//! The engine's handle: what programs and servers call.
//!
//! Owns the way in: starts, questions, verbs and signals, and the stop. Promises that what it answers is
//! durable, and that a full engine says so instead of growing. Does not speak HTTP. Start reading at
//! [`Engine::start`]; for how it comes to be, at [`crate::EngineBuilder::open`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use amends_core::limits::SIGNAL_KEY_BYTES_MAX;
use amends_core::{
    By, Command, DefinitionName, Origin, Outcome, Partition, Saga, Signal, Transaction, TransactionId, Verb,
};
use amends_journal::{
    Backup, Count, Cursor, Erase, Feed, FeedPosition, Filter, Fingerprint, Journal, JournalError, Loaded,
    Page, Presence, StartKey, Stats, Stored, Summary,
};
use bytes::Bytes;
use tokio::sync::{Mutex, oneshot, watch};

use crate::admission::{Place, Questions};
use crate::callback::CallbackKey;
use crate::clock::Clock;
use crate::definitions::{self, DefinitionView, Registration};
use crate::errors::{
    CallbackError, EraseError, OperateError, ReadError, RegisterError, RetireError, SignalError, StartError,
};
use crate::fingerprint;
use crate::json::{Flaw, judge};
use crate::limits::{ERASE_TRIES_MAX, INPUT_BYTES_MAX, KEY_BYTES_MAX, QUESTIONS_MAX};
use crate::mailbox::{Mailbox, Message};
use crate::metrics::EngineMeters;
use crate::options::Options;
use crate::participant::{ParticipantIndex, ParticipantView};
use crate::registry::{Entry, Gateway, Runnable};
use crate::scope::{self, Scope};
use crate::shard::input::{Input, Reply, Start, Until};
use crate::shell::Shared;

/// A running engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    mailboxes: Vec<Mailbox>,
    questions: Questions,
    closing: AtomicBool,
    stopped: AtomicBool,
    recovered: Arc<AtomicBool>,
    options: Options,
    scope: Mutex<Scope>,
    callback_key: OnceLock<CallbackKey>,
}

/// A transaction's durable state.
#[derive(Debug, Clone)]
pub struct View {
    /// The state.
    pub transaction: Box<Transaction>,
    /// How many records it has.
    pub sequence: u64,
}

impl View {
    /// The saga, if it is one.
    #[must_use]
    pub fn saga(&self) -> Option<&Saga> {
        self.transaction.as_saga()
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The definition's name.
    pub definition: DefinitionName,
    /// The definition's version; `None`: the newest that is not retired.
    pub version: Option<u32>,
    /// What to start it with: JSON.
    pub input: Bytes,
    /// The id, if the caller chooses it.
    pub id: Option<TransactionId>,
    /// The caller's idempotency key.
    pub key: Option<String>,
    /// What it is to be found by, besides id and key.
    pub tags: BTreeMap<String, String>,
    /// The caller's W3C `traceparent`: spans of the transaction belong to it.
    pub trace: Option<String>,
    /// When to answer.
    pub wait: Wait,
}

impl StartRequest {
    /// A start of the definition's newest version, answered when the transaction rests.
    #[must_use]
    pub fn new(definition: DefinitionName, input: impl Into<Bytes>) -> Self {
        Self {
            definition,
            version: None,
            input: input.into(),
            id: None,
            key: None,
            tags: BTreeMap::new(),
            trace: None,
            wait: Wait::Rest,
        }
    }
}

/// When a start is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// When the transaction is durable.
    Accepted,
    /// When it has ended or is parked.
    Rest,
}

impl Engine {
    pub(crate) fn new(
        shared: Arc<Shared>,
        mailboxes: Vec<Mailbox>,
        recovered: Arc<AtomicBool>,
        options: Options,
        scope: Scope,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                shared,
                mailboxes,
                questions: Questions::default(),
                closing: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
                recovered,
                options,
                scope: Mutex::new(scope),
                callback_key: OnceLock::new(),
            }),
        }
    }

    /// Starts a transaction, or finds the one that this id or key started before.
    ///
    /// # Errors
    /// See [`StartError`]; only [`StartError::Unknown`] and [`StartError::Stopping`] leave open whether it
    /// was started.
    pub async fn start(&self, request: StartRequest) -> Result<View, StartError> {
        let runnable = self.judge(&request);
        let until = match request.wait {
            Wait::Accepted => Until::Now,
            Wait::Rest => Until::Rest,
        };
        let is_named = request.id.is_some() || request.key.is_some();
        let fingerprint = if is_named {
            fingerprint::of(request.definition.as_str(), &request.input).map(Some)
        } else {
            // Nobody can repeat this start: its input is judged, and compared with nothing.
            judge(&request.input).map(|()| None)
        };
        let fingerprint = fingerprint.map_err(|flaw| match flaw {
            Flaw::NotJson => StartError::InputNotJson,
            Flaw::DuplicateName(name) => StartError::DuplicateName(name),
        })?;
        let id = request.id.unwrap_or_else(|| self.inner.shared.clock.new_id());
        let admitted = runnable.and_then(|runnable| self.admit(id).map(|()| runnable));
        let runnable = match admitted {
            Ok(runnable) => runnable,
            // A repeat is answered whatever is the matter with new ones by now.
            Err(why) if is_named => {
                return self.find_started(&request, fingerprint, until).await?.ok_or(why);
            }
            Err(why) => return Err(why),
        };
        let origin = Origin { tags: request.tags, parent: None, trace: request.trace };
        let (ticket, reply) = oneshot::channel();
        let start = Start {
            ticket: Some(ticket),
            until,
            id,
            id_given: request.id.is_some(),
            runnable,
            input: request.input,
            origin: (!origin.is_empty()).then(|| Box::new(origin)),
            key: request.key.map(StartKey),
            fingerprint,
            order: None,
        };
        if self.mailbox(id).send(Message::Input(Input::Start(start))).is_err() {
            return Err(StartError::Stopping);
        }
        match reply.await {
            Ok(Reply::State { transaction, sequence }) => Ok(View { transaction, sequence }),
            Ok(Reply::Exists { id }) => self.ask_started(id, until).await,
            Ok(Reply::KeyReused { id }) => Err(StartError::KeyReused { id }),
            Ok(Reply::Removed { id }) => Err(StartError::Removed { id }),
            Ok(Reply::NoSpace) => Err(StartError::DiskLow),
            Ok(Reply::Fenced) => Err(StartError::NotOwner),
            Ok(Reply::Unreadable { id, why }) => Err(StartError::Unreadable { id, why }),
            Ok(Reply::Failed { why }) => Err(StartError::Unknown(why)),
            // The journal did not say whether it wrote the transaction, and does not have it as of now.
            Ok(Reply::NotFound) => Err(StartError::Unknown("the journal did not say".to_owned())),
            Ok(Reply::Rejected(_)) => unreachable!("a start is not a command"),
            Err(_) => Err(StartError::Stopping),
        }
    }

    fn judge(&self, request: &StartRequest) -> Result<Arc<Runnable>, StartError> {
        let known = self.inner.shared.registry.known();
        let name = &request.definition;
        let runnable = match request.version {
            None => known.newest(name).ok_or_else(|| StartError::UnknownDefinition(name.clone()))?,
            Some(version) => match known.entry(name, version) {
                Some(Entry { runnable, starts: true, .. }) => runnable,
                Some(_) => return Err(StartError::Retired { name: name.clone(), version }),
                None if known.last(name).is_some() => {
                    return Err(StartError::UnknownVersion { name: name.clone(), version });
                }
                None => return Err(StartError::UnknownDefinition(name.clone())),
            },
        };
        if request.input.len() > INPUT_BYTES_MAX {
            return Err(StartError::InputTooLarge(request.input.len()));
        }
        if let Some(document) = &runnable.document {
            document.judge_input(&request.input).map_err(StartError::InputInvalid)?;
        }
        if request.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            return Err(StartError::BadKey);
        }
        Ok(runnable.clone())
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
        if live >= self.inner.options.live_max {
            return Err(StartError::Full(live));
        }
        let populations = &self.inner.shared.populations.of_shards;
        populations[Partition::of(id).share(populations.len())].queue();
        Ok(())
    }

    /// A repeat of a start needs no room: it is answered even when nothing new can be started.
    async fn find_started(
        &self,
        request: &StartRequest,
        fingerprint: Option<Fingerprint>,
        until: Until,
    ) -> Result<Option<View>, StartError> {
        if let Some(key) = request.key.clone() {
            let journal = self.inner.shared.journal.clone();
            let entry = match self.inner.shared.blocking.spawn(move || journal.by_key(&key)).await {
                Ok(Ok(entry)) => entry,
                Ok(Err(error)) => return Err(StartError::Unknown(error.to_string())),
                Err(error) => return Err(StartError::Unknown(error.to_string())),
            };
            if let Some(entry) = entry {
                let is_same = entry.fingerprint.is_some() && entry.fingerprint == fingerprint;
                return match entry.presence {
                    _ if !is_same => Err(StartError::KeyReused { id: entry.id }),
                    Presence::Removed => Err(StartError::Removed { id: entry.id }),
                    Presence::Kept => self.ask_started(entry.id, until).await.map(Some),
                };
            }
        }
        let Some(id) = request.id else { return Ok(None) };
        let view = match self.look(id).await {
            Ok(Some(view)) => view,
            Ok(None) => return Ok(None),
            Err(error) => return Err(started(error)),
        };
        let name = view.transaction.definition();
        let is_same = fingerprint::of(name.name().as_str(), view.transaction.input()).ok() == fingerprint;
        if is_same { self.ask_started(id, until).await.map(Some) } else { Err(StartError::KeyReused { id }) }
    }

    async fn ask_started(&self, id: TransactionId, until: Until) -> Result<View, StartError> {
        match self.ask(id, until).await {
            Ok(Some(view)) => Ok(view),
            Ok(None) => Err(StartError::Unknown(format!("{id} was there a moment ago, and is not any more"))),
            Err(error) => Err(started(error)),
        }
    }

    /// A transaction's durable state; `None` if there is none of this id.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn look(&self, id: TransactionId) -> Result<Option<View>, ReadError> {
        self.ask(id, Until::Now).await
    }

    /// A transaction's state once it has ended or is parked; `None` if there is none of this id.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn rest(&self, id: TransactionId) -> Result<Option<View>, ReadError> {
        self.ask(id, Until::Rest).await
    }

    async fn ask(&self, id: TransactionId, until: Until) -> Result<Option<View>, ReadError> {
        let _place = self.question()?;
        let (ticket, reply) = oneshot::channel();
        if self.mailbox(id).send(Message::Input(Input::Ask { ticket, id, until })).is_err() {
            return Err(ReadError::Stopping);
        }
        read(reply.await)
    }

    /// Does what an operator wants; the state after it is durable.
    ///
    /// # Errors
    /// See [`OperateError`].
    pub async fn operate(&self, id: TransactionId, verb: Verb, by: By) -> Result<View, OperateError> {
        self.operate_expecting(id, verb, by, None).await
    }

    /// As [`Engine::operate`], but only if there are as many facts about it as `expected`.
    ///
    /// # Errors
    /// See [`OperateError`].
    pub async fn operate_expecting(
        &self,
        id: TransactionId,
        verb: Verb,
        by: By,
        expected: Option<u64>,
    ) -> Result<View, OperateError> {
        if let Verb::Skip { output, .. } = &verb {
            judge(output).map_err(|flaw| match flaw {
                Flaw::NotJson => OperateError::OutputNotJson,
                Flaw::DuplicateName(name) => OperateError::DuplicateName(name),
            })?;
        }
        // Nothing can be undone without the payloads. Should it be erased after this look, the journal takes no
        // more records for it.
        if verb == Verb::Reverse
            && self
                .stored(id)
                .await
                .map_err(OperateError::Read)?
                .is_some_and(|stored| stored.erased_at.is_some())
        {
            return Err(OperateError::Erased);
        }
        let reply =
            self.command(id, Command::Operate { verb, by, expected }).await.map_err(OperateError::Read)?;
        match reply {
            Ok(Reply::Rejected(rejected)) => Err(OperateError::Rejected(rejected)),
            other => read(other).map_err(OperateError::Read)?.ok_or(OperateError::NotFound),
        }
    }

    /// Sends a signal; it is durable, and a step that waits for it has it. A repeat with the same key and
    /// body changes nothing.
    ///
    /// # Errors
    /// See [`SignalError`].
    pub async fn signal(
        &self,
        id: TransactionId,
        name: &str,
        key: &str,
        body: Bytes,
    ) -> Result<View, SignalError> {
        if key.is_empty() || key.len() > SIGNAL_KEY_BYTES_MAX {
            return Err(SignalError::BadKey);
        }
        let Fingerprint(fingerprint) = fingerprint::of(name, &body).map_err(|flaw| match flaw {
            Flaw::NotJson => SignalError::BodyNotJson,
            Flaw::DuplicateName(name) => SignalError::DuplicateName(name),
        })?;
        let signal = Signal { name: name.to_owned(), key: key.to_owned(), body, fingerprint };
        let reply = self.command(id, Command::Signal(Box::new(signal))).await.map_err(SignalError::Read)?;
        match reply {
            Ok(Reply::Rejected(rejected)) => Err(SignalError::Rejected(rejected)),
            other => read(other).map_err(SignalError::Read)?.ok_or(SignalError::NotFound),
        }
    }

    /// Takes a participant's report in: it is durable then. The token is that of the call
    /// ([`CallbackKey::token`]), the outcome completed, refused or working.
    ///
    /// # Errors
    /// See [`CallbackError`].
    pub async fn call_back(&self, token: &str, outcome: Outcome) -> Result<View, CallbackError> {
        let key = self.callback_key().await.map_err(CallbackError::Read)?;
        let (id, call) = key.read(token).ok_or(CallbackError::UnknownToken)?;
        let reply =
            self.command(id, Command::Callback { call, outcome }).await.map_err(CallbackError::Read)?;
        match reply {
            Ok(Reply::Rejected(rejected)) => Err(CallbackError::Rejected(rejected)),
            other => read(other).map_err(CallbackError::Read)?.ok_or(CallbackError::NotFound),
        }
    }

    /// The journal's key, read when the first participant calls back.
    async fn callback_key(&self) -> Result<CallbackKey, ReadError> {
        if let Some(key) = self.inner.callback_key.get() {
            return Ok(key.clone());
        }
        let shared = self.inner.shared.clone();
        let read = self.inner.shared.blocking.spawn(move || CallbackKey::of(&*shared.journal)).await;
        let key = read
            .map_err(|error| ReadError::Journal(error.to_string()))?
            .map_err(|error| ReadError::Journal(error.to_string()))?;
        Ok(self.inner.callback_key.get_or_init(|| key).clone())
    }

    async fn command(&self, id: TransactionId, command: Command) -> Result<Answered, ReadError> {
        let _place = self.question()?;
        let (ticket, reply) = oneshot::channel();
        if self.mailbox(id).send(Message::Input(Input::Command { ticket, id, command })).is_err() {
            return Err(ReadError::Stopping);
        }
        Ok(reply.await)
    }

    /// Takes in a definition that is data: a new version, unless the newest one has this text. With `expected`
    /// the text must define that name.
    ///
    /// # Errors
    /// See [`RegisterError`]; nothing is registered then.
    pub async fn register(
        &self,
        source: &str,
        expected: Option<&str>,
    ) -> Result<Registration, RegisterError> {
        if self.inner.closing.load(Ordering::Acquire) {
            return Err(RegisterError::Stopping);
        }
        let (shared, mailboxes) = (self.inner.shared.clone(), self.inner.mailboxes.clone());
        let (source, expected) = (source.to_owned(), expected.map(str::to_owned));
        let register = move || definitions::register(&shared, &mailboxes, &source, expected.as_deref());
        let registered = self.inner.shared.blocking.spawn(register).await;
        registered.map_err(|error| RegisterError::Journal(error.to_string()))?
    }

    /// Lets a version start nothing more; says how many of its transactions are live.
    ///
    /// # Errors
    /// See [`RetireError`].
    pub async fn retire(&self, name: &str, version: u32) -> Result<u64, RetireError> {
        if self.inner.closing.load(Ordering::Acquire) {
            return Err(RetireError::Stopping);
        }
        let (shared, name) = (self.inner.shared.clone(), DefinitionName::new(name));
        let retired =
            self.inner.shared.blocking.spawn(move || definitions::retire(&shared, &name, version)).await;
        retired.map_err(|error| RetireError::Journal(error.to_string()))?
    }

    /// Every definition that is known here, by name and version.
    #[must_use]
    pub fn definitions(&self) -> Vec<DefinitionView> {
        self.inner.shared.registry.known().entries().map(DefinitionView::from).collect()
    }

    /// Every participant outside this program, by name and origin.
    #[must_use]
    pub fn participants(&self) -> Vec<ParticipantView> {
        let known = self.inner.shared.registry.known();
        let mut views: Vec<_> = known
            .participants()
            .iter()
            .filter_map(|known| match &known.gateway {
                Gateway::Shared(gate) => Some(ParticipantView::of(&known.name, &known.origin, gate)),
                Gateway::Own(_) => None,
            })
            .collect();
        views.sort_by(|a, b| (&a.name, &a.origin).cmp(&(&b.name, &b.origin)));
        views
    }

    /// Has participants of this name called again though their breakers are open: calls double from one. How many
    /// there are of this name.
    pub fn reset_participant(&self, name: &str) -> usize {
        let known = self.inner.shared.registry.known();
        let mut reset = 0;
        for (at, participant) in known.participants().iter().enumerate() {
            match &participant.gateway {
                Gateway::Shared(gate) if participant.name == name => {
                    reset += 1;
                    gate.reset();
                    for mailbox in &self.inner.mailboxes {
                        // A shard that is gone has nothing to send.
                        drop(mailbox.send(Message::Input(Input::LookAtGate(ParticipantIndex(at)))));
                    }
                }
                Gateway::Shared(_) | Gateway::Own(_) => {}
            }
        }
        reset
    }

    /// One version of a definition; without a version the newest, retired or not.
    #[must_use]
    pub fn definition(&self, name: &str, version: Option<u32>) -> Option<DefinitionView> {
        let (known, name) = (self.inner.shared.registry.known(), DefinitionName::new(name));
        match version {
            Some(version) => known.entry(&name, version).map(DefinitionView::from),
            None => known.last(&name).map(DefinitionView::from),
        }
    }

    /// How many transactions match.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn count(&self, filter: Filter) -> Result<Count, ReadError> {
        self.read(move |journal| journal.count(&filter)).await
    }

    /// Transactions that match, newest first.
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

    /// What was committed after that place, of everything there is, at most `limit` records; `None`: after the
    /// newest.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn feed(&self, after: Option<FeedPosition>, limit: usize) -> Result<Feed, ReadError> {
        self.read(move |journal| journal.feed(after, limit)).await
    }

    /// How far the feed has come: changes whenever something is committed.
    #[must_use]
    pub fn fed_to(&self) -> watch::Receiver<FeedPosition> {
        self.inner.shared.fed_to.clone()
    }

    /// A transaction as the journal has it, with its records; `None`: it is not there.
    ///
    /// # Errors
    /// When the journal cannot be read, or the transaction was removed.
    pub async fn stored(&self, id: TransactionId) -> Result<Option<Stored>, ReadError> {
        match self.read(move |journal| journal.load(id)).await? {
            Loaded::Stored(stored) => Ok(Some(stored)),
            Loaded::Removed => Err(ReadError::Removed { id }),
            Loaded::Nothing => Ok(None),
        }
    }

    /// Writes everything that was answered to a new file on the engine's machine, whole and as of one moment,
    /// while everything goes on.
    ///
    /// # Errors
    /// When the file is there already or cannot be written, or the journal cannot be read.
    pub async fn backup(&self, to: PathBuf) -> Result<Backup, ReadError> {
        self.read(move |journal| journal.backup(&to)).await
    }

    /// Takes the payloads of a transaction that has ended out of the journal, for good. Its children are
    /// others, to be erased by themselves.
    ///
    /// # Errors
    /// See [`EraseError`].
    pub async fn erase(&self, id: TransactionId) -> Result<(), EraseError> {
        // Again only if it has moved on in between.
        for _ in 0..ERASE_TRIES_MAX {
            let stored = self.stored(id).await?.ok_or(EraseError::NotFound)?;
            let epoch = self.inner.shared.leases.epoch(id).ok_or(ReadError::NotOwner)?;
            let (records, now) = (stored.records.len() as u64, self.inner.shared.clock.now());
            match self.read(move |journal| journal.erase(id, records, epoch, now)).await? {
                Erase::Erased | Erase::Unchanged => return Ok(()),
                Erase::MovedOn(None) => return Err(EraseError::NotFound),
                // It ended meanwhile, or came back to life.
                Erase::MovedOn(Some(_)) => {}
                Erase::Live => return Err(EraseError::Live),
                Erase::ChildOfLive { ancestor } => return Err(EraseError::ChildOfLive { ancestor }),
                Erase::Fenced => return Err(ReadError::NotOwner.into()),
            }
        }
        Err(EraseError::Live)
    }

    pub(crate) async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Journal) -> Result<R, JournalError> + Send + 'static,
    ) -> Result<R, ReadError> {
        let _place = self.question()?;
        let journal = self.inner.shared.journal.clone();
        match self.inner.shared.blocking.spawn(move || read(&*journal)).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(ReadError::Journal(error.to_string())),
            Err(error) => Err(ReadError::Journal(error.to_string())),
        }
    }

    /// Transactions in memory.
    #[must_use]
    pub fn live(&self) -> usize {
        self.inner.shared.populations.live()
    }

    /// Whether everything that was under way at the start goes on.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.inner.recovered.load(Ordering::Acquire)
    }

    /// Whether it starts nothing any more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner.closing.load(Ordering::Acquire)
    }

    /// The engine's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.shared.clock
    }

    /// What engine and journal have done since they were opened, for whoever watches them.
    #[must_use]
    pub fn meters(&self) -> EngineMeters {
        self.inner.shared.counters.read(self.inner.shared.journal.meters())
    }

    /// What the journal did since it was opened.
    #[must_use]
    pub fn journal_stats(&self) -> Stats {
        self.inner.shared.journal.stats()
    }

    /// Stops: nothing new, up to `grace` for what is under way to end, then everything is left as it is on
    /// the disk, and goes on at the next start. May be called again, also when an earlier call was given up
    /// half-way.
    pub async fn stop(&self, grace: Duration) {
        if self.inner.stopped.load(Ordering::Acquire) {
            return;
        }
        self.inner.closing.store(true, Ordering::Release);
        let drained = async {
            loop {
                let changed = self.inner.shared.populations.became_empty.notified();
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
        scope::shut_down(&self.inner.scope).await;
        self.inner.shared.blocking.none_left().await;
        self.inner.stopped.store(true, Ordering::Release);
    }

    /// Has the engine stop immediately, without grace, when this resolves: whoever waits is answered *stopping*. For a journal
    /// that has failed: nothing more can be made durable, and so nothing more may be done.
    ///
    /// # Panics
    /// Once the engine is being stopped.
    pub fn halt_when(&self, failed: impl Future<Output = ()> + Send + 'static) {
        let inner = Arc::downgrade(&self.inner);
        let watch = async move {
            failed.await;
            if let Some(inner) = inner.upgrade() {
                inner.closing.store(true, Ordering::Release);
                // Whoever has the lock ends everything already.
                if let Ok(mut scope) = inner.scope.try_lock() {
                    scope.abort();
                }
            }
        };
        let mut scope = self.inner.scope.try_lock().expect("nobody stops an engine that is being set up");
        scope.spawn("halt", watch);
    }

    fn mailbox(&self, id: TransactionId) -> &Mailbox {
        &self.inner.mailboxes[Partition::of(id).share(self.inner.mailboxes.len())]
    }

    fn question(&self) -> Result<Place<'_>, ReadError> {
        self.inner.questions.admit().ok_or(ReadError::Full)
    }
}

type Answered = Result<Reply, oneshot::error::RecvError>;

fn read(reply: Answered) -> Result<Option<View>, ReadError> {
    match reply {
        Ok(Reply::State { transaction, sequence }) => Ok(Some(View { transaction, sequence })),
        Ok(Reply::NotFound) => Ok(None),
        Ok(Reply::Removed { id }) => Err(ReadError::Removed { id }),
        Ok(Reply::Unreadable { id, why }) => Err(ReadError::Unreadable { id, why }),
        Ok(Reply::Failed { why }) => Err(ReadError::Journal(why)),
        Ok(Reply::Fenced) => Err(ReadError::NotOwner),
        Ok(Reply::Exists { .. } | Reply::KeyReused { .. } | Reply::Rejected(_) | Reply::NoSpace) => {
            unreachable!("a question is not answered like a start")
        }
        Err(_) => Err(ReadError::Stopping),
    }
}

/// Why what a start has led to cannot be told.
fn started(error: ReadError) -> StartError {
    match error {
        ReadError::Removed { id } => StartError::Removed { id },
        ReadError::Unreadable { id, why } => StartError::Unreadable { id, why },
        ReadError::Full => StartError::Full(QUESTIONS_MAX),
        ReadError::NotOwner => StartError::NotOwner,
        ReadError::Stopping => StartError::Stopping,
        ReadError::Journal(why) => StartError::Unknown(why),
    }
}
