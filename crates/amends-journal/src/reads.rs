//! Asking what is there.
//!
//! Owns [`Reads`] and the shapes of its answers. Promises that what was answered *committed* is seen by
//! whatever is asked afterwards. Every method blocks the calling thread.

use amends_core::{
    DefinitionName, DefinitionSpec, Mode, Partitions, Standing, StandingKind, Standings, Time, TransactionId,
};
use bytes::Bytes;

use crate::appends::KeyEntry;
use crate::error::JournalError;
use crate::feed::{Feed, FeedPosition, OnFeed};
use crate::meters::Meters;
use crate::tags::Tags;

/// The part of a journal that is asked. Each method fails when the store cannot be read.
#[expect(clippy::missing_errors_doc, reason = "all fail for the same reason, which is told once, above")]
pub trait Reads: Send + Sync {
    /// One transaction with all its records, live or ended. Records are returned unread: decoding them tells
    /// whether they are damaged.
    fn load(&self, id: TransactionId) -> Result<Loaded, JournalError>;

    /// Live transactions of these partitions that owe something now: those that are *active*. At most `limit`
    /// from after `cursor`; fewer than that does not mean that there are no more. One may come again on a
    /// later page, in a later state.
    fn recoverable(
        &self,
        partitions: &Partitions,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Stored>, JournalError>;

    /// Transactions that match, newest start first, at most `limit`, from after `cursor`. There may be fewer
    /// on a page, or none, and more on the next: a store looks at a bounded number of transactions for each.
    /// In every list a limit of zero counts as one, so that whoever pages gets on.
    fn list(
        &self,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Summary>, JournalError>;

    /// How many transactions match. Exact, however many there are, for a filter that
    /// [`Filter::is_counted`]; others are counted up to [`crate::limits::COUNTED_MAX`] at most, and fewer when
    /// most of what a store looks at does not match.
    fn count(&self, filter: &Filter) -> Result<Count, JournalError>;

    /// Sleeping transactions of these partitions whose timer comes after that place and is due at `until` or
    /// before, the earliest first, at most `limit`.
    fn timers_due(
        &self,
        partitions: &Partitions,
        after: Timer,
        until: Time,
        limit: usize,
    ) -> Result<Vec<(Timer, TransactionId)>, JournalError>;

    /// The transaction that was started with this idempotency key.
    fn by_key(&self, key: &str) -> Result<Option<KeyEntry>, JournalError>;

    /// Every stored definition, by name and version.
    fn definitions(&self) -> Result<Vec<StoredDefinition>, JournalError>;

    /// The latest time of any record that was ever committed; `None` when there was none. A clock that says
    /// less was set back.
    fn newest_at(&self) -> Result<Option<Time>, JournalError>;

    /// What was committed after that place, at most `limit` records. `None`: after the newest.
    fn feed(&self, after: Option<FeedPosition>, limit: usize) -> Result<Feed, JournalError>;

    /// Has `on_new` called whenever something came to the feed, for as long as the journal is open. Never
    /// called by one that was opened without a feed.
    fn watch_feed(&self, on_new: OnFeed);

    /// Counters since the journal was opened.
    fn stats(&self) -> Stats;

    /// What it has done since it was opened, for whoever watches it. A backend that does not count says nothing.
    fn meters(&self) -> Meters {
        Meters::default()
    }
}

/// What an id leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// This transaction.
    Stored(Stored),
    /// One that retention removed; the id stays reserved for a while. Known only of ids that a caller chose.
    Removed,
    /// Nothing.
    Nothing,
}

impl Loaded {
    /// The transaction, if it is there.
    #[must_use]
    pub fn stored(self) -> Option<Stored> {
        match self {
            Self::Stored(stored) => Some(stored),
            Self::Removed | Self::Nothing => None,
        }
    }
}

/// A transaction as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: TransactionId,
    /// Its kind.
    pub mode: Mode,
    /// The definition it runs.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: u32,
    /// Where it stands, as indexed.
    pub standing: Standing,
    /// Why it was quarantined, if it was.
    pub unreadable: Option<String>,
    /// When its payloads were erased, if they were.
    pub erased_at: Option<Time>,
    /// The encoded records; number n at place n - 1. One that is missing is empty, and does not decode.
    pub records: Vec<Bytes>,
}

/// A definition as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDefinition {
    /// The definition.
    pub spec: DefinitionSpec,
    /// When it was stored.
    pub registered_at: Time,
    /// When it was retired: it starts nothing more.
    pub retired_at: Option<Time>,
}

/// A transaction in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: TransactionId,
    /// Its kind.
    pub mode: Mode,
    /// The definition it runs.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: u32,
    /// Where it stands.
    pub standing: Standing,
    /// When it started.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Its labels.
    pub tags: Tags,
    /// Its idempotency key, if its caller gave one.
    pub key: Option<String>,
    /// The transaction whose step it is, if it is one's.
    pub parent: Option<TransactionId>,
    /// When its payloads were erased, if they were.
    pub erased_at: Option<Time>,
}

/// Which transactions a list or count is about: those for which all of it is so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this kind.
    pub mode: Option<Mode>,
    /// Only of this definition.
    pub definition: Option<DefinitionName>,
    /// Only of this version of their definition.
    pub version: Option<u32>,
    /// Only those that stand so.
    pub standings: Standings,
    /// Only those with this tag: its key and its value.
    pub tag: Option<(String, String)>,
    /// Only the one with this idempotency key.
    pub key: Option<String>,
    /// Only the children of this one.
    pub parent: Option<TransactionId>,
    /// Only those that started then or later.
    pub since: Option<Time>,
    /// Only those that started before.
    pub until: Option<Time>,
}

impl Filter {
    /// Whether a transaction like this is meant.
    #[must_use]
    pub fn matches(&self, summary: &Summary) -> bool {
        let Self { mode: _, definition: _, version: _, standings: _, tag, key, parent, since, until } = self;
        self.matches_group(summary.mode, &summary.definition, summary.version, summary.standing.kind())
            && tag.as_ref().is_none_or(|(key, value)| summary.tags.get(key) == Some(value))
            && key.as_ref().is_none_or(|key| summary.key.as_ref() == Some(key))
            && parent.is_none_or(|parent| summary.parent == Some(parent))
            && since.is_none_or(|since| since <= summary.started_at)
            && until.is_none_or(|until| summary.started_at < until)
    }

    /// Whether transactions are meant that run this and stand so, as far as that tells.
    #[must_use]
    pub fn matches_group(
        &self,
        mode: Mode,
        definition: &DefinitionName,
        version: u32,
        standing: StandingKind,
    ) -> bool {
        self.standings.contains(standing)
            && self.mode.is_none_or(|wanted| wanted == mode)
            && self.definition.as_ref().is_none_or(|wanted| wanted == definition)
            && self.version.is_none_or(|wanted| wanted == version)
    }

    /// Whether it asks for nothing but kind, definition, version and standing: of those, counts are kept.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.tag.is_none()
            && self.key.is_none()
            && self.parent.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }
}

/// How many match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// So many, at least.
    pub count: u64,
    /// Whether there are no more.
    pub exact: bool,
}

impl Count {
    /// Exactly so many.
    #[must_use]
    pub const fn exactly(count: u64) -> Self {
        Self { count, exact: true }
    }
}

/// A place in a list: the internal number of the last transaction seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next part begins; `None`: there is none.
    pub next: Option<Cursor>,
}

/// A timer's place among all timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is due.
    pub at: Time,
    /// The internal number of its transaction.
    pub number: u64,
}

impl Timer {
    /// The place before all timers that are due at that moment or later.
    #[must_use]
    pub const fn before(at: Time) -> Self {
        // No transaction has this number.
        Self { at, number: 0 }
    }
}

/// What the journal did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Appends committed.
    pub appends: u64,
    /// Bytes of their records.
    pub record_bytes: u64,
    /// Group commits.
    pub commits: u64,
    /// Flushes of the disk that answers waited for: each had come back as done when it was counted, and none
    /// began before the one before it had. None in memory.
    pub flushes: u64,
}
