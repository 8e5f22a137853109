//! What the committer remembers of sagas.
//!
//! Owns the sagas that are under way or whose last records the database does not have yet. Promises that an entry, while
//! there, is what the log says, which may be ahead of the database; and that whatever is not here is in the database as
//! the database says. Does not write. Start reading at [`Known`].

use std::collections::HashMap;
use std::sync::Arc;

use amends_core::{DefinitionName, Status, TransactionId};
use amends_journal::IdHash;
use amends_journal::{Append, Expected, Fingerprint, KeyEntry, SagaSummary, Wake};
use amends_log::BatchNumber;
use bytes::Bytes;

use super::ahead::Unsettled;
use super::schema::{Nonsense, time_code, time_of};

/// Sagas by id.
pub(super) type Sagas = HashMap<TransactionId, Box<Known>, IdHash>;

/// What a saga has from its start, and never changes.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) id: TransactionId,
    pub(super) no: i64,
    pub(super) definition: DefinitionName,
    pub(super) version: u32,
    pub(super) started_at: i64,
    pub(super) id_given: bool,
    /// Apart, so that those who chose nothing keep no room for it.
    pub(super) chosen: Option<Box<Chosen>>,
}

/// What the caller chose.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) key: Option<String>,
    pub(super) fingerprint: Option<Fingerprint>,
}

impl Chosen {
    pub(super) fn of(key: Option<String>, fingerprint: Option<Fingerprint>) -> Option<Box<Self>> {
        (key.is_some() || fingerprint.is_some()).then(|| Box::new(Self { key, fingerprint }))
    }
}

impl Origin {
    pub(super) fn key(&self) -> Option<&str> {
        self.chosen.as_ref()?.key.as_deref()
    }

    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.chosen.as_ref()?.fingerprint
    }
}

/// A saga.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) origin: Arc<Origin>,
    pub(super) status: Status,
    /// Of effect only for an ended saga.
    pub(super) ended_at: i64,
    pub(super) wake_at: Option<i64>,
    pub(super) is_unreadable: bool,
    /// Whether the database is still to be told that it can be read after all.
    pub(super) clears_mark: bool,
    /// How many records it has.
    pub(super) sequence: u64,
    /// What the database has of it, once it did what it was told; `None`: nothing.
    pub(super) stored: Option<Stored>,
    /// The records after those.
    pub(super) tail: Vec<Bytes>,
    /// What the database was told last, until it has done it.
    pub(super) settling: Option<Arc<Row>>,
    /// The batch of the first record in the tail, if there is one.
    pub(super) dirty_since: Option<BatchNumber>,
}

/// What the database has of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) status: Status,
    pub(super) wake_at: Option<i64>,
    pub(super) sequence: u64,
}

/// A saga as the database is to have it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) origin: Arc<Origin>,
    pub(super) status: Status,
    pub(super) ended_at: i64,
    pub(super) wake_at: Option<i64>,
    pub(super) clears_mark: bool,
    /// What it has before.
    pub(super) before: Option<Stored>,
    /// The records after those.
    pub(super) tail: Vec<Bytes>,
}

impl Known {
    /// The saga that this append starts.
    pub(super) fn start(append: &Append, no: i64) -> Self {
        let Expected::New(new) = &append.expected else { unreachable!("only starts get here") };
        let status = append.status.unwrap_or(Status::Pending);
        Self {
            origin: Arc::new(Origin {
                id: append.saga,
                no,
                definition: new.definition.clone(),
                version: new.version,
                started_at: time_code(append.at),
                id_given: new.id_given,
                chosen: Chosen::of(new.key.as_ref().map(|key| key.0.clone()), new.fingerprint),
            }),
            status,
            ended_at: time_code(append.at),
            wake_at: wake_code(append.wake, status),
            is_unreadable: false,
            clears_mark: false,
            sequence: 1,
            stored: None,
            // Most sagas are short; growing step by step would cost more than the room.
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
        if let Some(status) = append.status {
            self.status = status;
            self.ended_at = time_code(append.at);
        }
        self.wake_at = wake_code(append.wake, self.status);
        self.tail.push(append.record);
        // Whoever changes the status has read the saga.
        if self.is_unreadable && append.status.is_some() {
            self.is_unreadable = false;
            self.clears_mark = true;
        }
    }

    /// Of a saga that the log knows: what the database has may be nonsense.
    pub(super) fn wake(&self) -> Wake {
        let time = |code| time_of(code).expect("the append that the log has was at a moment");
        self.wake_at.map_or(Wake::Awake, |code| Wake::At(time(code)))
    }

    pub(super) fn entry(&self) -> KeyEntry {
        KeyEntry { saga: self.origin.id, fingerprint: self.origin.fingerprint() }
    }

    /// Whether somebody in memory is likely to go on with it soon.
    pub(super) fn is_awake(&self) -> bool {
        !self.status.is_ended() && self.status != Status::Failed && self.wake_at.is_none()
    }

    /// Whether it may be forgotten: the database has all of it, and nobody is likely to go on with it soon.
    pub(super) fn rests_in_database(&self) -> bool {
        self.is_in_database() && !self.is_awake()
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
            status: self.status,
            ended_at: self.ended_at,
            wake_at: self.wake_at,
            clears_mark: std::mem::take(&mut self.clears_mark),
            before: self.stored,
            tail: std::mem::take(&mut self.tail),
        });
        self.stored = Some(Stored { status: self.status, wake_at: self.wake_at, sequence: self.sequence });
        self.dirty_since = None;
        self.settling = Some(Arc::clone(&row));
        row
    }

    /// What a list or count has to know of it, beside the database.
    pub(super) fn unsettled(&self) -> Result<Unsettled, Nonsense> {
        let Origin { id, no, definition, version, started_at, .. } = &*self.origin;
        Ok(Unsettled {
            no: *no,
            wake_at: self.wake_at.map(time_of).transpose()?,
            summary: SagaSummary {
                id: *id,
                definition: definition.clone(),
                version: *version,
                status: self.status,
                started_at: time_of(*started_at)?,
                ended_at: self.status.is_ended().then(|| time_of(self.ended_at)).transpose()?,
            },
        })
    }

    /// The records that the database may not have yet, and how many it has for certain.
    pub(super) fn ahead(&self) -> (u64, Vec<Bytes>) {
        let before = |stored: Option<Stored>| stored.map_or(0, |stored| stored.sequence);
        match &self.settling {
            Some(row) => (before(row.before), row.tail.iter().chain(&self.tail).cloned().collect()),
            None => (before(self.stored), self.tail.clone()),
        }
    }
}

/// An ended saga has no timer, whatever its last append says.
fn wake_code(wake: Wake, status: Status) -> Option<i64> {
    match wake {
        Wake::At(time) if !status.is_ended() => Some(time_code(time)),
        Wake::At(_) | Wake::Awake => None,
    }
}
