//! One shard's side of the gate before a participant.
//!
//! Owns the queue of calls that wait for a place, in the order they came. Places of a handler in this program are the
//! shard's own share, which costs nothing to count; those of a participant elsewhere are shared by all shards, with
//! its pace and its breaker ([`SharedGate`]). An attempt that was given up meanwhile stays in the queue until its
//! turn. Does not send anything.

use std::collections::VecDeque;
use std::sync::Arc;

use amends_core::{AttemptId, Outcome, Time, TransactionId};

use crate::participant::shared_gate::{Pass, SharedGate, Wakes};

/// What lets calls through to a participant.
#[derive(Debug, Clone)]
pub enum Places {
    /// So many of each shard's calls together.
    Own(usize),
    /// What all shards share.
    Shared(Arc<SharedGate>),
}

/// The gate before one participant, at one shard.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Places,
    shard: usize,
    /// Of this shard.
    taken: usize,
    queue: VecDeque<(TransactionId, AttemptId)>,
}

impl Gate {
    /// A gate of the shard with this number.
    #[must_use]
    pub(crate) fn new(places: Places, shard: usize) -> Self {
        assert!(!matches!(places, Places::Own(0)), "a participant takes at least one call");
        Self { places, shard, taken: 0, queue: VecDeque::new() }
    }

    /// Changes what it lets through. Those that are through stay through.
    pub(crate) fn set_places(&mut self, places: Places) {
        assert!(!matches!(places, Places::Own(0)), "a participant takes at least one call");
        self.places = places;
    }

    /// Whether nobody has a place.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// How many attempts are in the queue, those included that were given up.
    pub(crate) fn queue_length(&self) -> usize {
        self.queue.len()
    }

    /// An attempt wants to begin: it gets a place, or queues.
    pub(crate) fn ask(&mut self, transaction: TransactionId, attempt: AttemptId, now: Time) -> Option<Pass> {
        let pass = match &self.places {
            // Nobody is overtaken.
            Places::Own(places) => (self.taken < *places && self.queue.is_empty()).then_some(Pass::PLAIN),
            Places::Shared(gate) => gate.ask(self.shard, now),
        };
        match pass {
            Some(_) => self.taken += 1,
            None => self.queue.push_back((transaction, attempt)),
        }
        pass
    }

    /// A place for one of those that queue, if there is one.
    pub(crate) fn place_for_next(&mut self) -> Option<Pass> {
        if self.queue.is_empty() && matches!(self.places, Places::Own(_)) {
            return None;
        }
        let pass = match &self.places {
            Places::Own(places) => (self.taken < *places).then_some(Pass::PLAIN),
            Places::Shared(gate) => gate.take_granted(self.shard),
        };
        if pass.is_some() {
            self.taken += 1;
        }
        pass
    }

    /// The next attempt of the queue: it may have become pointless while it waited.
    pub(crate) fn next(&mut self) -> Option<(TransactionId, AttemptId)> {
        let next = self.queue.pop_front()?;
        if let Places::Shared(gate) = &self.places {
            gate.left_queue(self.shard, 1);
        }
        Some(next)
    }

    /// Takes attempts out of the queue that became pointless.
    pub(crate) fn keep(&mut self, is_wanted: impl Fn(TransactionId, AttemptId) -> bool) {
        let before = self.queue.len();
        self.queue.retain(|(transaction, attempt)| is_wanted(*transaction, *attempt));
        if let Places::Shared(gate) = &self.places {
            gate.left_queue(self.shard, before - self.queue.len());
        }
    }

    /// Gives a place back for which there is no call.
    pub(crate) fn give_back(&mut self, pass: Pass, now: Time) -> Wakes {
        self.gave_up_place();
        match &self.places {
            Places::Own(_) => Wakes::new(),
            Places::Shared(gate) => gate.give_back(self.shard, pass, now),
        }
    }

    /// A call that had a place has ended; without an outcome: it was given up.
    pub(crate) fn leave(&mut self, pass: Pass, outcome: Option<&Outcome>, now: Time) -> Wakes {
        self.gave_up_place();
        match &self.places {
            Places::Own(_) => Wakes::new(),
            Places::Shared(gate) => gate.leave(self.shard, pass, outcome, now),
        }
    }

    /// Looks whether some may begin by now.
    pub(crate) fn look(&self, now: Time) -> Wakes {
        match &self.places {
            Places::Shared(gate) => gate.look(self.shard, now),
            Places::Own(_) => Wakes::new(),
        }
    }

    /// When to look again, if some queue here and nothing happens before.
    pub(crate) fn opens_at(&self) -> Time {
        match &self.places {
            Places::Shared(gate) if !self.queue.is_empty() => gate.opens_at(),
            Places::Shared(_) | Places::Own(_) => Time::NEVER,
        }
    }

    fn gave_up_place(&mut self) {
        assert!(self.taken > 0, "only a call that was let through leaves");
        self.taken -= 1;
    }
}
