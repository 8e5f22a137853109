//! Who may come in.
//!
//! Owns the counts of transactions in memory and of questions, and their limits. Promises that a full engine
//! says so instead of growing, and that whoever has the answer of a transaction that has ended finds its
//! place free. Does not know what is admitted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::limits::QUESTIONS_MAX;

/// Transactions in memory of one shard.
#[derive(Debug, Default)]
pub(crate) struct Population {
    /// In the shard, as of its last turn.
    in_shard: AtomicUsize,
    /// Sent to the shard, which has not seen them yet.
    queued: AtomicUsize,
    /// Being read for the shard, as of its last turn.
    reading: AtomicUsize,
}

impl Population {
    /// A start is on its way to the shard.
    pub(crate) fn queue(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// A start has reached the shard. Counted in before it is counted out of the queue, in the order opposite
    /// to [`Population::live`]: one that is just arriving is counted twice rather than not at all.
    pub(crate) fn arrived(&self) {
        self.in_shard.fetch_add(1, Ordering::Relaxed);
        self.queued.fetch_sub(1, Ordering::Release);
    }

    /// The shard's own counts after a turn; whether it has just become empty.
    pub(crate) fn publish(&self, in_shard: usize, reading: usize) -> bool {
        self.reading.store(reading, Ordering::Relaxed);
        self.in_shard.swap(in_shard, Ordering::Relaxed) != in_shard && in_shard == 0
    }

    fn live(&self) -> usize {
        self.queued.load(Ordering::Acquire) + self.in_shard.load(Ordering::Relaxed)
    }
}

/// The populations of all shards.
#[derive(Debug)]
pub(crate) struct Populations {
    pub(crate) of_shards: Vec<Arc<Population>>,
    /// Somebody who drains the engine waits for this.
    pub(crate) became_empty: Notify,
}

impl Populations {
    pub(crate) fn new(shards: usize) -> Self {
        let of_shards = (0..shards).map(|_| Arc::new(Population::default())).collect();
        Self { of_shards, became_empty: Notify::new() }
    }

    /// Transactions in memory, those on their way included.
    pub(crate) fn live(&self) -> usize {
        self.of_shards.iter().map(|population| population.live()).sum()
    }

    /// Transactions that are being read.
    pub(crate) fn reading(&self) -> usize {
        self.of_shards.iter().map(|population| population.reading.load(Ordering::Relaxed)).sum()
    }
}

/// Questions that wait for an answer.
#[derive(Debug, Default)]
pub(crate) struct Questions(AtomicUsize);

/// A counted question; gives its place back when dropped.
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl Questions {
    /// A place, if there is one.
    pub(crate) fn admit(&self) -> Option<Place<'_>> {
        let place = Place(&self.0);
        (self.0.fetch_add(1, Ordering::Relaxed) < QUESTIONS_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
