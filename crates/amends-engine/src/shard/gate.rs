//! How many calls one participant has at once.
//!
//! Owns the count of calls under way and the queue of those that wait for a place. Promises that they leave in the
//! order they came. Bounded by the live sagas: each has at most one call per step. Does not send anything.

use std::collections::VecDeque;

use amends_core::{Direction, StepIndex, TransactionId};

/// A participant's place in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParticipantIndex(pub usize);

/// One attempt that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) saga: TransactionId,
    pub(crate) step: StepIndex,
    pub(crate) direction: Direction,
    pub(crate) number: u32,
}

/// The gate before one participant.
#[derive(Debug)]
pub struct Gate {
    places: usize,
    taken: usize,
    queue: VecDeque<Attempt>,
}

impl Gate {
    /// A gate that lets `places` calls through at once.
    #[must_use]
    pub fn new(places: usize) -> Self {
        assert!(places > 0, "a participant takes at least one call at once");
        Self { places, taken: 0, queue: VecDeque::new() }
    }

    /// Whether nobody has a place.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Takes a place if there is one; queues the attempt otherwise.
    pub(crate) fn enter(&mut self, attempt: Attempt) -> bool {
        let free = self.taken < self.places;
        if free {
            self.taken += 1;
        } else {
            self.queue.push_back(attempt);
        }
        free
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self) {
        assert!(self.taken > 0, "only a call that was let through leaves");
        self.taken -= 1;
    }

    /// The next attempt to try with a free place. It has no place yet: it may have become pointless while it waited.
    pub(crate) fn next(&mut self) -> Option<Attempt> {
        if self.taken < self.places { self.queue.pop_front() } else { None }
    }
}
