//! What the committer remembers of transactions.
//!
//! Owns those that are under way or whose last records the database does not have yet. Promises that an
//! entry, while there, is what the log says, which may be ahead of the database; and that whatever is not
//! here is in the database as the database says. Does not write. Start reading at [`Known`].

use std::collections::HashMap;
use std::sync::Arc;

use amends_core::{DefinitionName, Mode, Standing, Time, TransactionId};
use amends_journal::{Append, Expected, Fingerprint, IdHash, KeyEntry, Presence, Tags};
use amends_log::BatchNumber;
use bytes::Bytes;

use super::schema::time_code;

/// By id.
pub(super) type KnownTransactions = HashMap<TransactionId, Box<Known>, IdHash>;

/// What a transaction has from its start, and never changes.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) id: TransactionId,
    pub(super) no: i64,
    pub(super) mode: Mode,
    pub(super) definition: DefinitionName,
    pub(super) version: u32,
    pub(super) started_at: i64,
    pub(super) id_given: bool,
    /// Apart, so that those who chose nothing keep no room for it.
    pub(super) chosen: Option<Box<Chosen>>,
}

/// What most have not: what the caller chose, whose step it is, when it was erased.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) key: Option<String>,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) tags: Tags,
    pub(super) parent: Option<TransactionId>,
    pub(super) erased_at: Option<Time>,
}

impl Chosen {
    /// Nothing, if nothing was chosen.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        let Self { key, fingerprint, tags, parent, erased_at } = &self;
        let is_any = key.is_some()
            || fingerprint.is_some()
            || !tags.is_empty()
            || parent.is_some()
            || erased_at.is_some();
        is_any.then(|| Box::new(self))
    }
}

impl Origin {
    pub(super) fn key(&self) -> Option<&str> {
        self.chosen.as_ref()?.key.as_deref()
    }

    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.chosen.as_ref()?.fingerprint
    }

    pub(super) fn tags(&self) -> Option<&Tags> {
        Some(&self.chosen.as_ref()?.tags).filter(|tags| !tags.is_empty())
    }

    /// Whether its payloads were taken out.
    pub(super) fn is_erased(&self) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.erased_at.is_some())
    }

    pub(super) fn parent(&self) -> Option<TransactionId> {
        self.chosen.as_ref()?.parent
    }
}

/// A transaction.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) origin: Arc<Origin>,
    pub(super) standing: Standing,
    /// Of effect only for one that has ended.
    pub(super) ended_at: i64,
    pub(super) is_unreadable: bool,
    /// Whether the database is still to be told that it can be read after all.
    pub(super) clears_mark: bool,
    /// How many records it has.
    pub(super) sequence: u64,
    /// How large they are together.
    pub(super) bytes: u64,
    /// What the database has of it, once it did what it was told; `None`: nothing.
    pub(super) stored: Option<Held>,
    /// The records after those.
    pub(super) tail: Vec<Bytes>,
    /// What the database was told last, until it has done it.
    pub(super) settling: Option<Arc<Row>>,
    /// The batch of the first record in the tail, if there is one.
    pub(super) dirty_since: Option<BatchNumber>,
}

/// What the database has of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) standing: Standing,
    pub(super) sequence: u64,
}

/// A transaction as the database is to have it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) origin: Arc<Origin>,
    pub(super) standing: Standing,
    pub(super) ended_at: i64,
    pub(super) clears_mark: bool,
    /// What it has before.
    pub(super) before: Option<Held>,
    /// The records after those.
    pub(super) tail: Vec<Bytes>,
}

impl Known {
    /// The one that this append starts.
    pub(super) fn start(append: &Append, no: i64) -> Self {
        let Expected::New(new) = &append.expected else { unreachable!("only starts get here") };
        Self {
            origin: Arc::new(Origin {
                id: append.id,
                no,
                mode: new.mode,
                definition: new.definition.clone(),
                version: new.version,
                started_at: time_code(append.at),
                id_given: new.id_given,
                chosen: Chosen {
                    key: new.key.as_ref().map(|key| key.0.clone()),
                    fingerprint: new.fingerprint,
                    tags: new.tags.clone(),
                    parent: new.parent,
                    erased_at: None,
                }
                .boxed(),
            }),
            standing: append.standing,
            ended_at: time_code(append.at),
            is_unreadable: false,
            clears_mark: false,
            sequence: 1,
            bytes: append.record.len() as u64,
            stored: None,
            // Most transactions are short; growing step by step would cost more than the room.
            tail: {
                let mut tail = Vec::with_capacity(6);
                tail.push(append.record.clone());
                tail
            },
            settling: None,
            dirty_since: None,
        }
    }

    /// Adds a record; the condition was judged.
    pub(super) fn add(&mut self, append: Append) {
        self.sequence += 1;
        self.bytes += append.record.len() as u64;
        if append.standing.kind() != self.standing.kind() {
            self.ended_at = time_code(append.at);
        }
        self.standing = append.standing;
        self.tail.push(append.record);
        // Whoever appends has read it.
        self.clears_mark |= std::mem::take(&mut self.is_unreadable);
    }

    pub(super) fn entry(&self) -> KeyEntry {
        KeyEntry { id: self.origin.id, fingerprint: self.origin.fingerprint(), presence: Presence::Kept }
    }

    /// Whether somebody in memory is likely to go on with it soon.
    pub(super) fn is_active(&self) -> bool {
        match self.standing {
            Standing::Active(_) => true,
            Standing::Asleep { .. } | Standing::Parked | Standing::Ended(_) => false,
        }
    }

    /// Whether it may be forgotten: the database has all of it, and nobody is likely to go on with it soon.
    pub(super) fn rests_in_database(&self) -> bool {
        self.is_in_database() && !self.is_active()
    }

    /// Whether the database has all of it.
    pub(super) fn is_in_database(&self) -> bool {
        self.dirty_since.is_none() && self.settling.is_none()
    }

    /// Takes out what the database is to have.
    pub(super) fn take_row(&mut self) -> Arc<Row> {
        debug_assert!(self.settling.is_none(), "rounds come one after the other");
        let row = Arc::new(Row {
            origin: Arc::clone(&self.origin),
            standing: self.standing,
            ended_at: self.ended_at,
            clears_mark: std::mem::take(&mut self.clears_mark),
            before: self.stored,
            tail: std::mem::take(&mut self.tail),
        });
        self.stored = Some(Held { standing: self.standing, sequence: self.sequence });
        self.dirty_since = None;
        self.settling = Some(Arc::clone(&row));
        row
    }

    /// The records that the database may not have yet, and how many it has for certain.
    pub(super) fn ahead(&self) -> (u64, Vec<Bytes>) {
        let before = |stored: Option<Held>| stored.map_or(0, |stored| stored.sequence);
        match &self.settling {
            Some(row) => (before(row.before), row.tail.iter().chain(&self.tail).cloned().collect()),
            None => (before(self.stored), self.tail.clone()),
        }
    }
}
