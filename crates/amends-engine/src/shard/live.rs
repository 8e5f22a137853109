//! One saga in memory.
//!
//! Owns the state, what is under way for it and who waits for it. Promises nothing by itself: the shard drives it.

use std::collections::VecDeque;
use std::sync::Arc;

use amends_core::{By, CallParticipant, Command, Saga, Standing, Status, Time, Verb};

use crate::registry::Plan;
use crate::shard::input::{Ticket, Until};

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
    /// Where it stands for the journal, as of its last durable record.
    pub(crate) standing: Standing,
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
    pub(crate) fn new(saga: Saga, plan: Arc<Plan>, sequence: u64, standing: Standing) -> Self {
        Self {
            saga,
            plan,
            sequence,
            appending: false,
            standing,
            under_way: Vec::new(),
            waiters: Vec::new(),
            on_commit: Vec::new(),
            backlog: VecDeque::new(),
            agenda_at: Time::NEVER,
        }
    }

    /// Adds one who waits for the saga to rest. Those who gave up are let go whenever the list has doubled: clients that
    /// come and go must not fill memory.
    pub(crate) fn wait(&mut self, ticket: T)
    where
        T: Ticket,
    {
        if self.waiters.len() == self.waiters.capacity() {
            self.waiters.retain(|waiter| !waiter.is_given_up());
        }
        self.waiters.push(ticket);
    }

    /// Whether somebody still waits for the saga to rest.
    pub(crate) fn is_waited_for(&self) -> bool
    where
        T: Ticket,
    {
        self.waiters.iter().any(|waiter| !waiter.is_given_up())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use amends_core::{
        Definition, DefinitionName, DefinitionSpec, Entropy, Moment, Saga, StepSpec, Time, TransactionId,
    };

    use super::*;
    use crate::shard::gate::ParticipantIndex;

    struct Waiter(bool);

    impl Ticket for Waiter {
        fn is_given_up(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn waiters_that_gave_up_do_not_pile_up() {
        let definition = Definition::check(DefinitionSpec {
            name: DefinitionName::new("One"),
            version: 1,
            limit: Duration::from_secs(1),
            pivot: None,
            steps: vec![StepSpec::new("a", "p", "a").undone_by("undo")],
        });
        let definition = Arc::new(definition.unwrap());
        let moment = Moment { now: Time::from_milliseconds(1), entropy: Entropy(1) };
        let (saga, _) =
            Saga::start(TransactionId::from_parts(1, 1), definition.clone(), bytes::Bytes::new(), moment);
        let plan = Arc::new(Plan { definition, participants: vec![ParticipantIndex(0)] });
        let standing = saga.status().standing();
        let mut live = Live::new(saga, plan, 1, standing);
        live.wait(Waiter(false));
        for _ in 0..10_000 {
            live.wait(Waiter(true));
        }
        assert!(live.waiters.len() < 100, "{} are kept", live.waiters.len());
        assert!(live.is_waited_for(), "one still waits");
    }
}
