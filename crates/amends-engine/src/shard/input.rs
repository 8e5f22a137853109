//! What goes into a shard and what comes out.
//!
//! Owns the types at the shard's border. Promises that they hold data only: no channel, socket, clock or task. `T` is
//! whatever the caller uses to find back who asked (a reply channel in production, a number in tests).

use std::sync::Arc;

use amends_core::{By, Direction, Outcome, Rejected, Saga, Standing, StepIndex, Time, TransactionId, Verb};
use amends_journal::{Append, AppendAnswer, Fingerprint, StartKey};
use bytes::Bytes;

use crate::call::Call;
use crate::registry::Plan;
use crate::shard::gate::ParticipantIndex;

/// Who asked.
pub trait Ticket {
    /// Whether nobody waits for the answer any more.
    fn is_given_up(&self) -> bool;
}

/// Tests ask by number, and wait for ever.
#[cfg(test)]
impl Ticket for u64 {
    fn is_given_up(&self) -> bool {
        false
    }
}

/// Something that came in.
#[derive(Debug)]
pub enum Input<T> {
    /// Start a saga.
    Start(Start<T>),
    /// Tell a saga's state.
    Ask {
        /// Who asks.
        ticket: T,
        /// The saga.
        saga: TransactionId,
        /// When to answer.
        until: Until,
    },
    /// Do what an operator wants.
    Operate {
        /// Who asks.
        ticket: T,
        /// The saga.
        saga: TransactionId,
        /// What to do.
        verb: Verb,
        /// Who and why, for the journal.
        by: By,
    },
    /// A participant answered.
    Answered {
        /// The saga.
        saga: TransactionId,
        /// The step that was asked.
        step: StepIndex,
        /// Which of its two calls.
        direction: Direction,
        /// Which attempt.
        attempt: u32,
        /// What it said.
        outcome: Outcome,
    },
    /// The journal decided the oldest appends that were not answered yet, in their order.
    Appended(Vec<AppendAnswer>),
    /// A saga that [`Output::loads`] asked for was read from the journal.
    Loaded {
        /// The saga.
        saga: TransactionId,
        /// What was found.
        found: Found,
    },
    /// A live saga was read during recovery.
    Recovered {
        /// The saga.
        saga: TransactionId,
        /// What was found.
        found: Found,
    },
    /// Recovery has read all there was.
    RecoveryDone,
    /// A sleeping saga's timer is due: take it into memory.
    Awaken {
        /// The saga.
        saga: TransactionId,
    },
    /// A moment named by [`crate::shard::Shard::wake_at`] has come.
    Tick,
}

/// A saga to be started.
#[derive(Debug)]
pub struct Start<T> {
    /// Who asks.
    pub ticket: T,
    /// When to answer.
    pub until: Until,
    /// The id.
    pub id: TransactionId,
    /// Whether the caller chose the id.
    pub id_given: bool,
    /// What to run, and who carries it out.
    pub plan: Arc<Plan>,
    /// What to start it with.
    pub input: Bytes,
    /// The caller's idempotency key.
    pub key: Option<StartKey>,
    /// Present when the id or a key was given.
    pub fingerprint: Option<Fingerprint>,
}

/// When a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// As soon as there is a durable state.
    Now,
    /// When the saga has ended or is parked.
    Rest,
}

/// What the journal has of a saga.
#[derive(Debug)]
pub enum Found {
    /// No such saga.
    Nothing,
    /// The saga, as its records make it.
    Saga {
        /// The state.
        saga: Box<Saga>,
        /// How many records it has.
        sequence: u64,
        /// What it runs, and who carries it out.
        plan: Arc<Plan>,
        /// Where it stands for the journal.
        standing: Standing,
    },
    /// Records that cannot be read.
    Unreadable {
        /// What is wrong with them.
        why: String,
        /// How many records that was judged by; `None` if the journal knows already, or need not: it is then not marked.
        judged_by: Option<u64>,
    },
    /// The journal itself could not be read.
    Failed {
        /// What it said.
        why: String,
    },
}

/// An answer to a ticket.
#[derive(Debug)]
pub enum Reply {
    /// The saga's durable state.
    State {
        /// The state.
        saga: Box<Saga>,
        /// How many records it has.
        sequence: u64,
    },
    /// No such saga.
    NotFound,
    /// The id or key belongs to a saga that was started with the same input: ask for that one.
    Exists {
        /// That saga.
        saga: TransactionId,
    },
    /// The id or key belongs to a saga that was started with another input.
    KeyReused {
        /// That saga.
        saga: TransactionId,
    },
    /// The saga's state forbids the verb.
    Rejected(Rejected),
    /// The saga is parked because its records cannot be read.
    Unreadable {
        /// The saga.
        saga: TransactionId,
        /// What is wrong with them.
        why: String,
    },
    /// The disk was full when the saga was to be started; nothing was written.
    NoSpace,
    /// The journal could not be read; the saga may exist.
    Failed {
        /// What it said.
        why: String,
    },
}

/// What a shard wants done since it was last asked. The order of appends is the order of their answers.
#[derive(Debug)]
pub struct Output<T> {
    /// Records to be made durable.
    pub appends: Vec<Append>,
    /// Calls to make: the records behind them are durable.
    pub calls: Vec<(ParticipantIndex, Call)>,
    /// Answers to give: what they say is durable.
    pub replies: Vec<(T, Reply)>,
    /// Sagas to read, to be answered by [`Input::Loaded`].
    pub loads: Vec<TransactionId>,
    /// Live sagas to mark as unreadable, with how many records that was judged by.
    pub quarantines: Vec<(TransactionId, u64, String)>,
    /// When the first of the sagas that went to sleep wakes; their timers are in the journal.
    pub sleeps_until: Option<Time>,
}

impl<T> Output<T> {
    pub(crate) const fn new() -> Self {
        Self {
            appends: Vec::new(),
            calls: Vec::new(),
            replies: Vec::new(),
            loads: Vec::new(),
            quarantines: Vec::new(),
            sleeps_until: None,
        }
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty()
            && self.calls.is_empty()
            && self.replies.is_empty()
            && self.loads.is_empty()
            && self.quarantines.is_empty()
            && self.sleeps_until.is_none()
    }
}
