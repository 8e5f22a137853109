//! What an engine is made of, and how it starts.
//!
//! Owns [`EngineBuilder`] and the order of a start: definitions are stored, partitions acquired, the clock
//! compared with what the journal has, and only then anything runs. Does not decide what an engine does: see
//! [`crate::engine`].

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use amends_core::limits::CLOCK_SET_BACK_MIN;
use amends_core::{Definition, Mapping, Partitions, Time};
use amends_journal::limits::TRANSACTION_BYTES_MAX;
use amends_journal::{FeedPosition, Journal, Lease, PutDefinition};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::warn;

use crate::admission::Populations;
use crate::alarm::Alarm;
use crate::blocking::Blocking;
use crate::clock::{Clock, Jump};
use crate::definitions;
use crate::engine::Engine;
use crate::errors::StartUpError;
use crate::leases::Leases;
use crate::limits::{CALLS_PER_PARTICIPANT_MAX, CLOCK_LOOKED_AT_EVERY};
use crate::mailbox::{Mailbox, Message, Messages};
use crate::metrics::Counters;
use crate::options::Options;
use crate::participant::Participant;
use crate::participant::connect::Connect;
use crate::recovery::Recovery;
use crate::registry::{Gateway, Registered, Registry};
use crate::retention;
use crate::scope::Scope;
use crate::shard::Shard;
use crate::shell::{Shared, Shell};
use crate::sleeper::Sleeper;

/// What an engine is made of.
pub struct EngineBuilder {
    journal: Arc<dyn Journal>,
    definitions: Vec<Definition>,
    participants: Vec<Registered>,
    mappings: BTreeMap<String, Arc<dyn Mapping>>,
    connect: Option<Arc<dyn Connect>>,
    options: Options,
    clock: Option<Clock>,
}

impl EngineBuilder {
    /// An engine over this journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self {
            journal,
            definitions: Vec::new(),
            participants: Vec::new(),
            mappings: BTreeMap::new(),
            connect: None,
            options: Options::default(),
            clock: None,
        }
    }

    /// Adds a definition.
    #[must_use]
    pub fn definition(mut self, definition: impl Into<Definition>) -> Self {
        self.definitions.push(definition.into());
        self
    }

    /// Adds a participant with the default limit of calls under way together.
    #[must_use]
    pub fn participant(self, name: &str, participant: Arc<dyn Participant>) -> Self {
        self.limited_participant(name, participant, CALLS_PER_PARTICIPANT_MAX)
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
        let (name, origin) = (name.to_owned(), String::new());
        let gateway = Gateway::Own(calls_max);
        self.participants.push(Registered { name, origin, participant, gateway });
        self
    }

    /// Adds what makes the payloads that name this mapping.
    #[must_use]
    pub fn mapping(mut self, name: &str, mapping: Arc<dyn Mapping>) -> Self {
        self.mappings.insert(name.to_owned(), mapping);
        self
    }

    /// Gives it what makes participants of what definitions that are data say about them.
    #[must_use]
    pub fn connect(mut self, connect: Arc<dyn Connect>) -> Self {
        self.connect = Some(connect);
        self
    }

    /// Replaces the default options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Shares the program's clock, so that whatever else the program notes has the engine's time.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
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
        let Self { journal, definitions, participants, mappings, connect, options, clock } = self;
        assert!(options.shards > 0, "an engine has at least one shard");
        let (given, limit) = (options.sizes.saga_bytes_max, TRANSACTION_BYTES_MAX / 2);
        if given > limit {
            return Err(StartUpError::SagaBytesMax { given, limit });
        }
        let clock = clock.unwrap_or_else(Clock::system);
        let registry =
            registry(&*journal, definitions, participants, mappings, connect.as_deref(), clock.now())?;
        let leases = journal.acquire(&Partitions::ALL)?;
        let fed_to = follow(&*journal);
        let is_set_back = is_set_back(&*journal, &clock)?;
        let shared = Arc::new(Shared {
            journal,
            registry,
            connect,
            clock,
            sizes: options.sizes,
            alarm: Alarm::default(),
            populations: Populations::new(options.shards),
            fed_to,
            leases: Arc::new(Leases::new(&leases)),
            mailboxes: OnceLock::new(),
            blocking: Blocking::default(),
            counters: Counters::default(),
        });
        Ok(spawn(&shared, options, &leases, is_set_back))
    }
}

/// How far the journal's feed has come.
fn follow(journal: &dyn Journal) -> watch::Receiver<FeedPosition> {
    let (fed, fed_to) = watch::channel(FeedPosition::default());
    journal.watch_feed(Box::new(move |newest| {
        fed.send_replace(newest);
    }));
    fed_to
}

/// Everything that runs here: what this program registers, and what the journal has of earlier versions.
fn registry(
    journal: &dyn Journal,
    definitions: Vec<Definition>,
    participants: Vec<Registered>,
    mappings: BTreeMap<String, Arc<dyn Mapping>>,
    connect: Option<&dyn Connect>,
    now: Time,
) -> Result<Registry, StartUpError> {
    let registry = Registry::new(definitions, participants, mappings, now)?;
    for runnable in registry.known().runnables() {
        let spec = runnable.definition.spec();
        match journal.put_definition(&spec, now)? {
            PutDefinition::New | PutDefinition::Unchanged => {}
            PutDefinition::Different => {
                let (name, version) = (spec.name().clone(), spec.version());
                return Err(StartUpError::DefinitionChanged { name, version });
            }
        }
    }
    let mut change = registry.change();
    definitions::take_in(&mut change, connect, journal.definitions()?);
    change.show();
    Ok(registry)
}

/// Whether the clock lies before the newest record.
fn is_set_back(journal: &dyn Journal, clock: &Clock) -> Result<bool, StartUpError> {
    let Some(newest) = journal.newest_at()? else { return Ok(false) };
    let behind = clock.start_after(newest);
    if behind < CLOCK_SET_BACK_MIN {
        return Ok(false);
    }
    warn!(
        seconds = behind.as_secs(),
        "the clock was set back since the newest record: timers of what is under way move back with it; check the machine's clock"
    );
    Ok(true)
}

fn spawn(shared: &Arc<Shared>, options: Options, leases: &[Lease], is_set_back: bool) -> Engine {
    let partitions: Partitions = leases.iter().map(|lease| lease.partition).collect();
    let held = Arc::clone(&shared.leases);
    let mut scope = Scope::new();
    let places = shared.registry.known().places(options.shards);
    let mut mailboxes = Vec::new();
    for (number, population) in shared.populations.of_shards.iter().enumerate() {
        let (mailbox, messages): (Mailbox, Messages) = mpsc::unbounded_channel();
        let shard = Shard::new(&places, number, held.clone());
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
        scope.spawn("shard", shell.run());
        mailboxes.push(mailbox);
    }
    let weak = mailboxes.iter().map(Mailbox::downgrade).collect();
    assert!(shared.mailboxes.set(weak).is_ok(), "an engine has its shards once");
    let done = Arc::new(AtomicBool::new(false));
    let recovery =
        Recovery { shared: shared.clone(), mailboxes: mailboxes.clone(), partitions, done: done.clone() };
    scope.spawn("recovery", recovery.run());
    let sleeper = Sleeper {
        shared: shared.clone(),
        mailboxes: mailboxes.clone(),
        partitions,
        live_max: options.live_max,
        is_set_back,
    };
    scope.spawn("sleeper", sleeper.run());
    scope.spawn("clock", watch_clock(shared.clone(), mailboxes.clone()));
    if let Some(keep) = options.retention {
        scope.spawn("retention", retention::run(shared.clone(), partitions, keep));
    }
    let broken = scope.broken();
    let engine = Engine::new(shared.clone(), mailboxes, done, options, scope);
    engine.halt_when(broken);
    engine
}

/// Follows the system's clock, and says so when it was set.
async fn watch_clock(shared: Arc<Shared>, mailboxes: Vec<Mailbox>) {
    loop {
        tokio::time::sleep(CLOCK_LOOKED_AT_EVERY).await;
        match shared.clock.follow() {
            Jump::None => {}
            Jump::Forward(by) => {
                warn!(
                    seconds = by.as_secs(),
                    "the clock was set forward, or the machine slept: rests, sleeps and limits that end in between end now"
                );
                shared.alarm.look_again();
                for mailbox in &mailboxes {
                    // A shard that is gone waits for nothing.
                    drop(mailbox.send(Message::ClockMoved));
                }
            }
            Jump::Back(by) => warn!(
                seconds = by.as_secs(),
                "the clock was set back: this program goes on with its own until it is restarted"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use amends_core::{
        DefinitionName, End, Outcome, RetryPolicy, SagaDefinition, SagaSpec, Standing, StepSpec, Time,
    };
    use amends_journal::MemoryJournal;

    use super::*;
    use crate::engine::{StartRequest, Wait};
    use crate::participant::local;

    /// Far longer than it takes, and far shorter than an hour.
    const WITHIN: Duration = Duration::from_secs(20);

    fn open(journal: &Arc<dyn Journal>, clock: Clock, says: fn(usize) -> Outcome) -> Engine {
        let retry = RetryPolicy {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(1),
            ..RetryPolicy::action()
        };
        let definition = SagaDefinition::from_spec(SagaSpec {
            name: DefinitionName::new("One"),
            version: 1,
            limit: Duration::from_secs(60),
            pivot: None,
            steps: vec![StepSpec::new("a", "p", "a").undone_by("undo").retry(retry)],
        });
        let attempts = AtomicUsize::new(0);
        let participant = local(move |_| {
            let outcome = says(attempts.fetch_add(1, Ordering::Relaxed));
            async move { outcome }
        });
        let builder = EngineBuilder::new(journal.clone()).definition(definition.expect("it is sound"));
        builder.participant("p", participant).clock(clock).open().expect("the engine starts")
    }

    #[tokio::test]
    async fn a_clock_set_back_between_two_lives_makes_no_rest_longer_and_ids_keep_their_order() {
        fn an_hour_ahead() -> Time {
            Clock::system().now().after(Duration::from_secs(3_600))
        }
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let engine = open(&journal, Clock::reading(an_hour_ahead), |_| Outcome::unknown("reset", "reset"));
        let request = || {
            let request = StartRequest::new(DefinitionName::new("One"), "{}");
            StartRequest { wait: Wait::Accepted, ..request }
        };
        let begun = engine.start(request()).await.expect("it is started").transaction.id();
        while engine.look(begun).await.expect("it is read").expect("it is there").sequence < 2 {
            tokio::task::yield_now().await;
        }
        engine.stop(Duration::ZERO).await;

        let completed = |_| Outcome::Completed { output: "{}".into() };
        let engine = open(&journal, Clock::system(), completed);
        let rested =
            tokio::time::timeout(WITHIN, engine.rest(begun)).await.expect("it does not rest for an hour");
        let view = rested.expect("it is read").expect("it is there");
        assert_eq!(view.transaction.standing(), Standing::Ended(End::Completed));
        let later = engine.start(request()).await.expect("it is started").transaction.id();
        assert!(later > begun, "ids keep their order");
        engine.stop(Duration::ZERO).await;
    }
}
