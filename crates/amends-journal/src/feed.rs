//! What was committed, in order.
//!
//! Owns the shapes of the feed: skeletons of committed records, store-wide, each fact with a position of its
//! own. Promises that positions grow with commits, that no fact gets two and no two facts get one, in whatever
//! life of the process. Does not hold records: whoever follows the feed loads them.

use amends_core::TransactionId;

/// A fact's place among all facts of the store, counted from one; zero is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FeedPosition(pub u64);

/// A record that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedEntry {
    /// Its transaction.
    pub id: TransactionId,
    /// Its number in the transaction, counted from one.
    pub record: u64,
    /// How many facts it states.
    pub facts: u32,
    /// The position of the first of them; the others follow.
    pub first: FeedPosition,
}

impl FeedEntry {
    /// The position of its last fact.
    #[must_use]
    pub fn last(&self) -> FeedPosition {
        FeedPosition(self.first.0 + u64::from(self.facts) - 1)
    }
}

/// What the feed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// What came after the place that was asked for.
    Page {
        /// In the order of positions. The first may state facts that lie before the place as well; those of
        /// removed transactions are left out.
        entries: Vec<FeedEntry>,
        /// Where to go on.
        next: FeedPosition,
        /// The position of the newest fact.
        newest: FeedPosition,
    },
    /// What came after that place is not kept any more.
    Expired {
        /// The first place after which everything is kept.
        oldest: FeedPosition,
    },
    /// No fact ever had that position.
    Unknown {
        /// The position of the newest fact.
        newest: FeedPosition,
    },
    /// This journal was opened without a feed.
    Off,
}

/// Called whenever something came to the feed, with the newest position, on a thread of the journal's: it must
/// not wait.
pub type OnFeed = Box<dyn Fn(FeedPosition) + Send + Sync>;
