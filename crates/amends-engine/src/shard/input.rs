//! What goes into a shard and what comes out.
//!
//! Owns the types at the shard's border. Promises that they hold data only: no channel, socket, clock or
//! task. `T` is whatever the caller uses to find back who asked (a reply channel in production, a number in
//! tests).

use std::sync::Arc;

use amends_core::{
    AttemptId, Child, Command, Origin, Outcome, OwedChild, Reason, Rejected, Standing, Time, Transaction,
    TransactionId, Want,
};
use amends_journal::{Append, AppendAnswer, Epoch, Fingerprint, StartKey};
use bytes::Bytes;

use crate::participant::gate::Places;
use crate::participant::{Call, ParticipantIndex};
use crate::registry::Runnable;

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
    /// Start a transaction.
    Start(Start<T>),
    /// Tell a transaction's state.
    Ask {
        /// Who asks.
        ticket: T,
        /// The transaction.
        id: TransactionId,
        /// When to answer.
        until: Until,
    },
    /// Do what a person, or a program outside, wants: an operator's verb, or a signal.
    Command {
        /// Who asks.
        ticket: T,
        /// The transaction.
        id: TransactionId,
        /// What to do.
        command: Command,
    },
    /// Do what a parent wants of its child.
    Order(Order),
    /// Something that another transaction has to say.
    Told {
        /// The transaction that it is for.
        id: TransactionId,
        /// What.
        command: Command,
    },
    /// A participant answered.
    Answered {
        /// The transaction.
        id: TransactionId,
        /// Which attempt.
        attempt: AttemptId,
        /// What it said.
        outcome: Outcome,
    },
    /// The journal decided the oldest appends that were not answered yet, in their order.
    Appended(Vec<AppendAnswer>),
    /// A transaction that [`Output::loads`] asked for was read from the journal.
    Loaded {
        /// The transaction.
        id: TransactionId,
        /// What was found.
        found: Found,
    },
    /// A live transaction was read during recovery.
    Recovered {
        /// The transaction.
        id: TransactionId,
        /// What was found.
        found: Found,
    },
    /// Recovery has read all there was.
    RecoveryDone,
    /// A sleeping transaction's timer is due: load it.
    Awaken {
        /// The transaction.
        id: TransactionId,
    },
    /// Participants came, or their limits changed: what each gate lets through from here on.
    Gates(Arc<[Places]>),
    /// Another shard, or a person, moved a gate: this one may have a place there.
    LookAtGate(ParticipantIndex),
    /// A moment named by [`crate::shard::Shard::wake_at`] has come.
    Tick,
}

/// A transaction to be started.
#[derive(Debug)]
pub struct Start<T> {
    /// Who asks; `None`: a parent, which is told.
    pub ticket: Option<T>,
    /// When to answer.
    pub until: Until,
    /// The id.
    pub id: TransactionId,
    /// Whether the caller chose the id.
    pub id_given: bool,
    /// What to run.
    pub runnable: Arc<Runnable>,
    /// What to start it with.
    pub input: Bytes,
    /// Tags, parent and trace. Apart: most starts have none.
    pub origin: Option<Box<Origin>>,
    /// The caller's idempotency key.
    pub key: Option<StartKey>,
    /// Present when the id or a key was given.
    pub fingerprint: Option<Fingerprint>,
    /// Of a child: what its parent wants.
    pub order: Option<Box<Order>>,
}

/// What a parent wants of its child.
#[derive(Debug, Clone)]
pub struct Order {
    /// The child.
    pub id: TransactionId,
    /// Its parent.
    pub parent: TransactionId,
    /// What is wanted.
    pub want: Want,
    /// How it is started if it is not there, or why it is not to be.
    pub starting: Result<Starting, Reason>,
}

/// How a child is started.
#[derive(Debug, Clone)]
pub struct Starting {
    /// What it runs.
    pub runnable: Arc<Runnable>,
    /// Where it comes from.
    pub origin: Box<Origin>,
    /// What it is started with.
    pub input: Bytes,
}

/// When a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// As soon as there is a durable state.
    Now,
    /// When the transaction has ended or is parked.
    Rest,
}

/// What the journal has of a transaction.
#[derive(Debug)]
pub enum Found {
    /// No such transaction.
    Nothing,
    /// Retention removed it; its id stays reserved.
    Removed,
    /// The transaction, as its records make it.
    Transaction {
        /// The state.
        transaction: Box<Transaction>,
        /// How many records it has.
        sequence: u64,
        /// What it runs, with everything that takes.
        runnable: Arc<Runnable>,
        /// Where the journal has it standing.
        standing: Standing,
    },
    /// Records that cannot be read.
    Unreadable {
        /// What is wrong with them.
        why: String,
        /// How many records it was judged by; `None`: it is not to be marked, or is already.
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
    /// The transaction's durable state.
    State {
        /// The state.
        transaction: Box<Transaction>,
        /// How many records it has.
        sequence: u64,
    },
    /// No such transaction.
    NotFound,
    /// Retention removed it; its id and key stay reserved.
    Removed {
        /// That transaction.
        id: TransactionId,
    },
    /// The id or key belongs to a transaction that was started with the same input: ask for that one.
    Exists {
        /// That transaction.
        id: TransactionId,
    },
    /// The id or key belongs to a transaction that was started with another input.
    KeyReused {
        /// That transaction.
        id: TransactionId,
    },
    /// The transaction's state forbids it.
    Rejected(Rejected),
    /// The transaction is parked because its records cannot be read.
    Unreadable {
        /// The transaction.
        id: TransactionId,
        /// What is wrong with them.
        why: String,
    },
    /// Another coordinator owns the transaction's partition now; nothing was written.
    Fenced,
    /// The disk was full when the transaction was to be started; nothing was written.
    NoSpace,
    /// The journal could not be read; the transaction may exist.
    Failed {
        /// What it said.
        why: String,
    },
}

/// A transaction to be marked as unreadable.
#[derive(Debug)]
pub struct Quarantine {
    /// The transaction.
    pub id: TransactionId,
    /// How many records it was judged by.
    pub records: u64,
    /// The epoch under which its partition is held.
    pub epoch: Epoch,
    /// What is wrong with it.
    pub why: String,
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
    /// What parents want of their children: for [`Input::Order`] to the shard of the child.
    pub orders: Vec<(TransactionId, OwedChild, Child)>,
    /// What children have to say to their parents: for [`Input::Told`] to the shard of the parent.
    pub told: Vec<(TransactionId, Command)>,
    /// Transactions to read, to be answered by [`Input::Loaded`].
    pub loads: Vec<TransactionId>,
    /// Live transactions to mark as unreadable.
    pub quarantines: Vec<Quarantine>,
    /// Transactions that another coordinator owns now: they were forgotten.
    pub fenced: Vec<TransactionId>,
    /// When the first of the transactions that went to sleep wakes; their timers are in the journal.
    pub sleeps_until: Option<Time>,
    /// Shards, by number, that are to look at a gate: [`Input::LookAtGate`].
    pub wakes: Vec<(usize, ParticipantIndex)>,
}

impl<T> Output<T> {
    pub(crate) const fn new() -> Self {
        Self {
            appends: Vec::new(),
            calls: Vec::new(),
            replies: Vec::new(),
            orders: Vec::new(),
            told: Vec::new(),
            loads: Vec::new(),
            quarantines: Vec::new(),
            fenced: Vec::new(),
            sleeps_until: None,
            wakes: Vec::new(),
        }
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { appends, calls, replies, orders, told, loads, quarantines, fenced, sleeps_until, wakes } =
            self;
        appends.is_empty()
            && orders.is_empty()
            && told.is_empty()
            && calls.is_empty()
            && replies.is_empty()
            && loads.is_empty()
            && quarantines.is_empty()
            && fenced.is_empty()
            && sleeps_until.is_none()
            && wakes.is_empty()
    }
}
