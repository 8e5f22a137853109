//! Where a transaction stands, in terms that hold for every mode.
//!
//! Owns [`Standing`], what a journal indexes of each transaction, and [`Mode`], which kind it is, and
//! [`Standings`], which of them a list is about. Promises that the words of a mode follow from both: a saga
//! that is active on its way back is *compensating*. Does not know how a transaction gets from one standing
//! to the next: its mode does.

use crate::moment::Time;

/// The kind of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Steps with undo, conducted from one place.
    Saga,
    /// One call, repeated: what tests show a second mode with.
    #[cfg(feature = "errand")]
    Errand,
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
    /// It owes nothing before that moment ([`Time::NEVER`]: before something from outside wakes it), and may
    /// leave memory.
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

    /// The standing without its moment.
    #[must_use]
    pub const fn kind(self) -> StandingKind {
        match self {
            Self::Active(way) => StandingKind::Active(way),
            Self::Asleep { way, until: _ } => StandingKind::Asleep(way),
            Self::Parked => StandingKind::Parked,
            Self::Ended(end) => StandingKind::Ended(end),
        }
    }

    /// When it is to be loaded at the latest, if it sleeps.
    #[must_use]
    pub const fn until(self) -> Option<Time> {
        match self {
            Self::Asleep { way: _, until } => Some(until),
            Self::Active(_) | Self::Parked | Self::Ended(_) => None,
        }
    }

    /// The standing as it is when nobody sleeps.
    #[must_use]
    pub const fn awake(self) -> Self {
        match self {
            Self::Asleep { way, until: _ } => Self::Active(way),
            Self::Active(_) | Self::Parked | Self::Ended(_) => self,
        }
    }
}

/// A standing without its moment: what lists and counts tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StandingKind {
    /// See [`Standing::Active`].
    Active(Way),
    /// See [`Standing::Asleep`].
    Asleep(Way),
    /// See [`Standing::Parked`].
    Parked,
    /// See [`Standing::Ended`].
    Ended(End),
}

impl StandingKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Active(Way::Forward),
        Self::Active(Way::Back),
        Self::Asleep(Way::Forward),
        Self::Asleep(Way::Back),
        Self::Parked,
        Self::Ended(End::Completed),
        Self::Ended(End::Compensated),
        Self::Ended(End::Abandoned),
    ];

    const fn bit(self) -> u8 {
        match self {
            Self::Active(Way::Forward) => 1,
            Self::Active(Way::Back) => 1 << 1,
            Self::Asleep(Way::Forward) => 1 << 2,
            Self::Asleep(Way::Back) => 1 << 3,
            Self::Parked => 1 << 4,
            Self::Ended(End::Completed) => 1 << 5,
            Self::Ended(End::Compensated) => 1 << 6,
            Self::Ended(End::Abandoned) => 1 << 7,
        }
    }
}

/// A set of kinds of standing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Standings(u8);

impl Standings {
    /// Whatever it is.
    pub const ALL: Self = Self(u8::MAX);
    /// None.
    pub const NONE: Self = Self(0);
    /// Towards the goal, asleep or not.
    pub const FORWARD: Self =
        Self::NONE.with(StandingKind::Active(Way::Forward)).with(StandingKind::Asleep(Way::Forward));
    /// Back to where it began, asleep or not.
    pub const BACK: Self =
        Self::NONE.with(StandingKind::Active(Way::Back)).with(StandingKind::Asleep(Way::Back));

    /// Whatever has not ended.
    pub const LIVE: Self = Self::FORWARD.union(Self::BACK).with(StandingKind::Parked);

    /// Those of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, kind: StandingKind) -> Self {
        Self(self.0 | kind.bit())
    }

    /// Whether this kind is in it.
    #[must_use]
    pub const fn contains(self, kind: StandingKind) -> bool {
        self.0 & kind.bit() != 0
    }
}

impl Default for Standings {
    fn default() -> Self {
        Self::ALL
    }
}

impl std::fmt::Debug for Standings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(StandingKind::ALL.into_iter().filter(|kind| self.contains(*kind))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_in_a_set_of_its_own() {
        for kind in StandingKind::ALL {
            let only = Standings::NONE.with(kind);
            let held: Vec<_> = StandingKind::ALL.into_iter().filter(|other| only.contains(*other)).collect();
            assert_eq!(held, [kind]);
            assert!(Standings::ALL.contains(kind) && !Standings::NONE.contains(kind));
            assert_eq!(Standings::LIVE.contains(kind), !matches!(kind, StandingKind::Ended(_)));
        }
    }
}
