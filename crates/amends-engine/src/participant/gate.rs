//! How many calls one participant has under way together.
//!
//! Owns the count of calls under way and the queue of those that wait for a place. Promises that they leave
//! in the order they came. An attempt that was given up meanwhile stays in the queue until its turn. Does not
//! send anything.

use std::collections::VecDeque;

use amends_core::{AttemptId, TransactionId};

/// The gate before one participant.
#[derive(Debug)]
pub struct Gate {
    places: usize,
    taken: usize,
    queue: VecDeque<(TransactionId, AttemptId)>,
}

impl Gate {
    /// A gate that lets `places` calls through together.
    #[must_use]
    pub fn new(places: usize) -> Self {
        assert!(places > 0, "a participant takes at least one call");
        Self { places, taken: 0, queue: VecDeque::new() }
    }

    /// Changes how many calls it lets through together. Those that are through stay through.
    pub(crate) fn set_places(&mut self, places: usize) {
        assert!(places > 0, "a participant takes at least one call");
        self.places = places;
    }

    /// Whether nobody has a place.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Whether somebody may enter.
    pub(crate) const fn has_place(&self) -> bool {
        self.taken < self.places
    }

    /// Takes a place.
    pub(crate) fn enter(&mut self) {
        assert!(self.has_place(), "whoever enters has found a place");
        self.taken += 1;
    }

    /// Has an attempt wait for a place.
    pub(crate) fn queue(&mut self, transaction: TransactionId, attempt: AttemptId) {
        self.queue.push_back((transaction, attempt));
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self) {
        assert!(self.taken > 0, "only a call that was let through leaves");
        self.taken -= 1;
    }

    /// The next attempt to try with a free place. It has no place yet: it may have become pointless while it
    /// waited.
    pub(crate) fn next(&mut self) -> Option<(TransactionId, AttemptId)> {
        if self.has_place() { self.queue.pop_front() } else { None }
    }
}
