//! One saga in memory.
//!
//! Owns the state, what is under way for it and who waits for it. Promises nothing by itself: the shard drives it.

use std::collections::VecDeque;
use std::sync::Arc;

use amends_core::{By, CallParticipant, Command, Saga, Status, Time, Verb};

use crate::registry::Plan;
use crate::shard::input::Until;

/// A saga in memory.
#[derive(Debug)]
pub(crate) struct Live<T> {
    /// The state; ahead of the disk while `appending`.
    pub(crate) saga: Saga,
    pub(crate) plan: Arc<Plan>,
    /// How many of its records are durable.
    pub(crate) sequence: u64,
    /// Whether a record is on its way to the disk. Everything else waits in the backlog meanwhile, so at most one is,
    /// and whatever is said or sent follows from durable records.
    pub(crate) appending: bool,
    /// Whether that record put the saga to sleep.
    pub(crate) falls_asleep: bool,
    /// Calls that are owed and were given to the gate.
    pub(crate) under_way: Vec<UnderWay>,
    /// Who waits for the saga to rest.
    pub(crate) waiters: Vec<T>,
    /// Who asked for what is being appended.
    pub(crate) on_commit: Vec<T>,
    pub(crate) backlog: VecDeque<Backlog<T>>,
    /// The saga's place in the agenda; [`Time::NEVER`]: none.
    pub(crate) agenda_at: Time,
}

/// A call between the gate and its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnderWay {
    pub(crate) call: CallParticipant,
    /// When the attempt's limit passes; `None` while it queues at the gate, which is not the attempt's time.
    pub(crate) deadline: Option<Time>,
}

/// Something to do once the state is durable.
#[derive(Debug)]
pub(crate) enum Backlog<T> {
    Command(Command),
    Operate { ticket: T, verb: Verb, by: By },
    Ask { ticket: T, until: Until },
}

impl<T> Live<T> {
    pub(crate) fn new(saga: Saga, plan: Arc<Plan>, sequence: u64) -> Self {
        Self {
            saga,
            plan,
            sequence,
            appending: false,
            falls_asleep: false,
            under_way: Vec::new(),
            waiters: Vec::new(),
            on_commit: Vec::new(),
            backlog: VecDeque::new(),
            agenda_at: Time::NEVER,
        }
    }

    /// Whether only an operator can move it.
    pub(crate) fn is_at_rest(&self) -> bool {
        is_at_rest(&self.saga)
    }

    pub(crate) fn is_under_way(&self, call: &CallParticipant) -> bool {
        self.under_way.iter().any(|other| is_same_attempt(&other.call, call))
    }
}

pub(crate) fn is_at_rest(saga: &Saga) -> bool {
    saga.status().is_ended() || saga.status() == Status::Failed
}

pub(crate) fn is_same_attempt(left: &CallParticipant, right: &CallParticipant) -> bool {
    (left.step, left.direction, left.attempt) == (right.step, right.direction, right.attempt)
}
