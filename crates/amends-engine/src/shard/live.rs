//! One transaction in memory.
//!
//! Owns the state, what is under way for it and who waits for it: the shard drives it.

use std::collections::VecDeque;
use std::sync::Arc;

use amends_core::{Command, EffectId, OwedCall, Standing, Time, Transaction, TransactionId, Want};

use crate::limits::SLEEP_AT_LEAST;
use crate::participant::shared_gate::Pass;
use crate::registry::Runnable;
use crate::shard::input::{Order, Ticket, Until};

/// A transaction in memory.
#[derive(Debug)]
pub(crate) struct Live<T> {
    /// The state; ahead of the disk while `appending`.
    pub(crate) transaction: Transaction,
    pub(crate) runnable: Arc<Runnable>,
    /// How many of its records are durable.
    pub(crate) sequence: u64,
    /// Whether a record is on its way to the disk. Everything else waits in the backlog meanwhile, so at most
    /// one is, and whatever is said or sent follows from durable records.
    pub(crate) appending: bool,
    /// Where the journal has it standing, as of its last durable record.
    pub(crate) standing: Standing,
    /// Calls that are owed and were given to the gate.
    pub(crate) under_way: Vec<UnderWay>,
    /// What was wanted last of each of its children since it is in memory.
    pub(crate) told: Vec<(TransactionId, Want)>,
    /// Who waits for the transaction to rest.
    pub(crate) waiters: Vec<T>,
    /// Who asked for what is being appended.
    pub(crate) on_commit: Vec<T>,
    pub(crate) backlog: VecDeque<Backlog<T>>,
    /// The transaction's place in the agenda; [`Time::NEVER`]: none.
    pub(crate) agenda_at: Time,
}

/// A call between the gate and its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnderWay {
    pub(crate) call: OwedCall,
    /// When the attempt's limit passes; `None` while it queues at the gate, which is not the attempt's time.
    pub(crate) deadline: Option<Time>,
    /// Its place at the gate, once it has one.
    pub(crate) pass: Pass,
}

impl UnderWay {
    pub(crate) const fn id(&self) -> EffectId {
        EffectId::Call(self.call.attempt)
    }
}

/// Something to do once the state is durable.
#[derive(Debug)]
pub(crate) enum Backlog<T> {
    /// With who asked, if somebody did.
    Command {
        ticket: Option<T>,
        command: Command,
    },
    Ask {
        ticket: T,
        until: Until,
    },
    /// What its parent wants.
    Order(Box<Order>),
}

impl<T> Backlog<T> {
    /// Something that nobody in particular asked for.
    pub(crate) const fn own(command: Command) -> Self {
        Self::Command { ticket: None, command }
    }
}

impl<T> Live<T> {
    pub(crate) fn new(
        transaction: Transaction,
        runnable: Arc<Runnable>,
        sequence: u64,
        standing: Standing,
    ) -> Self {
        Self {
            transaction,
            runnable,
            sequence,
            appending: false,
            standing,
            under_way: Vec::new(),
            told: Vec::new(),
            waiters: Vec::new(),
            on_commit: Vec::new(),
            backlog: VecDeque::new(),
            agenda_at: Time::NEVER,
        }
    }

    /// Adds one who waits for the transaction to rest. Those who gave up are let go whenever the list has
    /// doubled: clients that come and go must not fill memory.
    pub(crate) fn wait(&mut self, ticket: T)
    where
        T: Ticket,
    {
        if self.waiters.len() == self.waiters.capacity() {
            self.waiters.retain(|waiter| !waiter.is_given_up());
        }
        self.waiters.push(ticket);
    }

    /// Whether somebody still waits for the transaction to rest.
    pub(crate) fn is_waited_for(&self) -> bool
    where
        T: Ticket,
    {
        self.waiters.iter().any(|waiter| !waiter.is_given_up())
    }

    /// Whether only an operator can move it.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.transaction.standing().is_at_rest()
    }

    #[cfg(any(test, feature = "sabotage"))]
    pub(crate) fn is_under_way(&self, id: EffectId) -> bool {
        self.under_way.iter().any(|other| other.id() == id)
    }

    /// Whether nothing is to be done for it before its timer.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty() && !self.transaction.owes()
    }

    /// What the journal is to know of where it stands: *asleep* if it may leave memory, because there is
    /// nothing to do for a good while. That somebody waits for its end is for memory to know, not for the
    /// journal.
    pub(crate) fn standing_from(&self, now: Time) -> Standing {
        let standing = self.transaction.standing();
        match standing {
            Standing::Active(way) if self.is_idle() => {
                let until = self.transaction.wake_at();
                if until >= now.after(SLEEP_AT_LEAST) { Standing::Asleep { way, until } } else { standing }
            }
            Standing::Active(_) | Standing::Asleep { .. } | Standing::Parked | Standing::Ended(_) => standing,
        }
    }

    /// Until when it may leave memory, as the journal has it and as the state still says.
    pub(crate) fn may_sleep_until(&self, now: Time) -> Option<Time>
    where
        T: Ticket,
    {
        let until = self.standing.until()?;
        let may_sleep =
            until > now && until <= self.transaction.wake_at() && self.is_idle() && !self.is_waited_for();
        may_sleep.then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use amends_core::{
        Definition, DefinitionName, Entropy, Moment, Origin, SagaDefinition, SagaSpec, SizeLimits, StepSpec,
        TransactionId,
    };

    use super::*;

    struct Waiter(bool);

    impl Ticket for Waiter {
        fn is_given_up(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn waiters_that_gave_up_do_not_pile_up() {
        let saga = SagaDefinition::from_spec(SagaSpec {
            name: DefinitionName::new("One"),
            version: 1,
            limit: Duration::from_secs(1),
            pivot: None,
            steps: vec![StepSpec::new("a", "p", "a").undone_by("undo")],
        });
        let definition = Definition::from(saga.unwrap());
        let now = Time::from_milliseconds(1);
        let moment = Moment { now, entropy: Entropy(1), sizes: SizeLimits::default() };
        let id = TransactionId::from_parts(1, 1);
        let (transaction, _) =
            Transaction::start(id, definition.clone(), bytes::Bytes::new(), Origin::default(), moment);
        let standing = transaction.standing();
        let mut live = Live::new(transaction, Runnable::for_tests(definition, &["p"]), 1, standing);
        live.wait(Waiter(false));
        for _ in 0..10_000 {
            live.wait(Waiter(true));
        }
        assert!(live.waiters.len() < 100, "{} are kept", live.waiters.len());
        assert!(live.is_waited_for(), "one still waits");
    }
}
