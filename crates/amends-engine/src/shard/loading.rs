//! Transactions that are being read.
//!
//! Owns who waits for a read, which reads are out of date, and which failed and are to be tried again.
//! Promises that what is older than what memory knew never replaces it. Does not read: the shell does, and
//! answers each read once.

use std::collections::{HashMap, HashSet};

use amends_core::{Time, TransactionId};
use amends_journal::IdHash;

use crate::shard::live::Backlog;

#[derive(Debug)]
pub(crate) struct Loads<T> {
    under_way: HashMap<TransactionId, Loading<T>, IdHash>,
    /// Transactions that left memory while recovery reads: what it brings of them is older than what memory
    /// knew.
    left_while_recovering: Option<HashSet<TransactionId, IdHash>>,
    /// Transactions that must be loaded but could not be read, and when to try them again.
    failed: Vec<TransactionId>,
    pub(crate) retry_at: Option<Time>,
}

#[derive(Debug)]
pub(crate) struct Loading<T> {
    /// Whether the transaction itself must be in memory: its timer is due, or it was there before.
    pub(crate) is_wanted: bool,
    /// Whether it has been in memory since the read was asked for: what is read may be older than what was
    /// answered.
    pub(crate) is_outdated: bool,
    pub(crate) questions: Vec<Backlog<T>>,
}

impl<T> Loads<T> {
    pub(crate) fn new() -> Self {
        Self {
            under_way: HashMap::default(),
            left_while_recovering: Some(HashSet::default()),
            failed: Vec::new(),
            retry_at: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(crate) fn is_under_way(&self, id: TransactionId) -> bool {
        self.under_way.contains_key(&id)
    }

    /// The read of a transaction; `wanted` gets its id if it is not under way yet.
    pub(crate) fn of(&mut self, id: TransactionId, wanted: &mut Vec<TransactionId>) -> &mut Loading<T> {
        self.under_way.entry(id).or_insert_with(|| {
            wanted.push(id);
            Loading { is_wanted: false, is_outdated: false, questions: Vec::new() }
        })
    }

    /// The read that was just answered.
    pub(crate) fn done(&mut self, id: TransactionId) -> Loading<T> {
        self.under_way.remove(&id).expect("each read is asked for once, and answered once")
    }

    /// What is being read of the transaction, if it is, may be older than what is there now.
    pub(crate) fn outdate(&mut self, id: TransactionId) {
        if let Some(loading) = self.under_way.get_mut(&id) {
            loading.is_outdated = true;
        }
    }

    /// The transaction has left memory.
    pub(crate) fn left(&mut self, id: TransactionId) {
        self.outdate(id);
        if let Some(left) = &mut self.left_while_recovering {
            left.insert(id);
        }
    }

    /// Whether a page of recovery may be older than what memory knew of the transaction.
    pub(crate) fn has_left(&self, id: TransactionId) -> bool {
        self.left_while_recovering.as_ref().is_some_and(|left| left.contains(&id))
    }

    pub(crate) fn recovery_done(&mut self) {
        self.left_while_recovering = None;
    }

    /// The transaction must be in memory, and the journal could not be read.
    pub(crate) fn retry(&mut self, id: TransactionId, at: Time) {
        self.failed.push(id);
        self.retry_at = Some(self.retry_at.map_or(at, |other| other.min(at)));
    }

    /// Those to be tried again, if it is time.
    pub(crate) fn due(&mut self, now: Time) -> Vec<TransactionId> {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            return std::mem::take(&mut self.failed);
        }
        Vec::new()
    }
}
