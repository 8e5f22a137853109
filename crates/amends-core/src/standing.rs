//! Where a transaction stands, in terms that hold for every mode.
//!
//! Owns [`Standing`], what a journal indexes of each transaction, and [`Mode`], which kind it is. Promises that the words of
//! a mode follow from both: a saga that is active on its way back is *compensating*. Does not know how a transaction gets
//! from one standing to the next: its mode does.

use crate::time::Time;

/// The kind of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Steps with undo, conducted from one place.
    Saga,
}

/// Which way a transaction is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Towards its goal.
    Forward,
    /// Back to where it began.
    Back,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// It reached its goal.
    Completed,
    /// What it had done is undone.
    Compensated,
    /// An operator stopped it as it was.
    Abandoned,
}

/// Where a transaction stands: what a journal indexes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It owes something now, or waits for an answer: it must be in memory.
    Active(Way),
    /// It owes nothing before that moment ([`Time::NEVER`]: before something from outside wakes it), and may leave memory.
    Asleep {
        /// Which way it goes on then.
        way: Way,
        /// When it is to be loaded at the latest.
        until: Time,
    },
    /// It can go neither on nor back by itself and waits for an operator.
    Parked,
    /// It owes nothing any more.
    Ended(End),
}

impl Standing {
    /// Whether nothing is owed any more.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Ended(_) => true,
            Self::Active(_) | Self::Asleep { .. } | Self::Parked => false,
        }
    }

    /// Whether only an operator can move it.
    #[must_use]
    pub const fn is_at_rest(self) -> bool {
        match self {
            Self::Ended(_) | Self::Parked => true,
            Self::Active(_) | Self::Asleep { .. } => false,
        }
    }
}
