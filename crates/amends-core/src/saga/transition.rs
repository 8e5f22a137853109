//! Every legal transition, in one place.
//!
//! Owns the statuses that people see and the two tables of what may follow what. Promises that
//! [`crate::Saga::apply`] makes no move that is not in them. Does not know why a move is made: that is
//! `decide.rs`.

use std::fmt;

use crate::standing::{End, Standing, StandingKind, Standings, Way};

/// The status of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Exists, nothing started.
    Pending,
    /// Going forward.
    InProgress,
    /// Going back.
    Compensating,
    /// Neither on nor back without an operator. People see the word `failed`.
    Parked,
    /// Ended: everything is done.
    Completed,
    /// Ended: everything that had to be is undone.
    Compensated,
    /// Ended: an operator stopped it without undo.
    Abandoned,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::InProgress,
        Self::Compensating,
        Self::Parked,
        Self::Completed,
        Self::Compensated,
        Self::Abandoned,
    ];

    /// The status's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Compensating => "compensating",
            Self::Parked => "failed",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether nothing is owed any more.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Completed | Self::Compensated | Self::Abandoned => true,
            Self::Pending | Self::InProgress | Self::Compensating | Self::Parked => false,
        }
    }

    /// Whether a saga of this status may take on status `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => {
                matches!(next, Self::InProgress | Self::Compensating | Self::Abandoned)
            }
            Self::InProgress => {
                matches!(next, Self::Compensating | Self::Parked | Self::Completed | Self::Abandoned)
            }
            Self::Compensating => matches!(next, Self::Parked | Self::Compensated | Self::Abandoned),
            // Only operators move a parked saga.
            Self::Parked => matches!(next, Self::InProgress | Self::Compensating | Self::Abandoned),
            // Only the verb `reverse` does this.
            Self::Completed => matches!(next, Self::Compensating),
            Self::Compensated | Self::Abandoned => false,
        }
    }
}

/// A saga's words for where it stands.
impl Status {
    /// Where a saga of this status stands while it does not sleep.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Pending | Self::InProgress => Standing::Active(Way::Forward),
            Self::Compensating => Standing::Active(Way::Back),
            Self::Parked => Standing::Parked,
            Self::Completed => Standing::Ended(End::Completed),
            Self::Compensated => Standing::Ended(End::Compensated),
            Self::Abandoned => Standing::Ended(End::Abandoned),
        }
    }

    /// The status of a saga that stands there. None is *pending*: the first record of a saga starts its first
    /// steps.
    #[must_use]
    pub const fn of(standing: StandingKind) -> Self {
        match standing {
            StandingKind::Active(Way::Forward) | StandingKind::Asleep(Way::Forward) => Self::InProgress,
            StandingKind::Active(Way::Back) | StandingKind::Asleep(Way::Back) => Self::Compensating,
            StandingKind::Parked => Self::Parked,
            StandingKind::Ended(End::Completed) => Self::Completed,
            StandingKind::Ended(End::Compensated) => Self::Compensated,
            StandingKind::Ended(End::Abandoned) => Self::Abandoned,
        }
    }

    /// Where the sagas of this status stand.
    #[must_use]
    pub const fn standings(self) -> Standings {
        match self {
            Self::Pending => Standings::NONE,
            Self::InProgress => Standings::FORWARD,
            Self::Compensating => Standings::BACK,
            Self::Parked | Self::Completed | Self::Compensated | Self::Abandoned => {
                Standings::NONE.with(self.standing().kind())
            }
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepStatus {
    /// Not started.
    Pending,
    /// Asked and not answered for certain, or waited for.
    InProgress,
    /// Its effect took place.
    Completed,
    /// Refused or given up.
    Failed,
    /// Its undo is under way, or has failed.
    Compensating,
    /// Undone.
    Compensated,
    /// Its guard said no, or an operator supplied its output.
    Skipped,
}

impl StepStatus {
    /// All statuses.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::InProgress,
        Self::Completed,
        Self::Failed,
        Self::Compensating,
        Self::Compensated,
        Self::Skipped,
    ];

    /// The status's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Compensating => "compensating",
            Self::Compensated => "compensated",
            Self::Skipped => "skipped",
        }
    }

    /// Whether a step of this status may take on status `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            // Failed: what had to be known before it could start could not be.
            Self::Pending => matches!(next, Self::InProgress | Self::Failed | Self::Skipped),
            // Skipped: it waits, and an operator will not.
            Self::InProgress => {
                matches!(next, Self::InProgress | Self::Completed | Self::Failed | Self::Skipped)
            }
            Self::Completed => matches!(next, Self::Compensating),
            // Back to work by an operator's `retry` or `skip`, or to be judged again; undone when in doubt.
            Self::Failed => {
                matches!(next, Self::Pending | Self::InProgress | Self::Skipped | Self::Compensating)
            }
            // Failed: the action, asked again for its output, was refused after all.
            Self::Compensating => {
                matches!(next, Self::Compensating | Self::Compensated | Self::Failed)
            }
            // A step that was sent before it was skipped is still owed its undo.
            Self::Skipped => matches!(next, Self::Compensating),
            Self::Compensated => false,
        }
    }
}

impl fmt::Display for StepStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn table<S: Copy + fmt::Display>(all: &[S], may: impl Fn(S, S) -> bool) -> String {
        let mut rows = String::new();
        for from in all {
            let next: Vec<String> =
                all.iter().filter(|to| may(*from, **to)).map(ToString::to_string).collect();
            rows += &format!("{from}: {}\n", next.join(" "));
        }
        rows
    }

    #[test]
    fn a_status_is_what_its_standings_say() {
        for status in Status::ALL {
            for kind in StandingKind::ALL {
                assert_eq!(
                    status.standings().contains(kind),
                    Status::of(kind) == status,
                    "{status} {kind:?}"
                );
            }
            assert_eq!(status.is_ended(), status.standing().is_ended());
        }
    }

    #[test]
    fn the_sagas_table_is_this() {
        expect![[r#"
            pending: in_progress compensating abandoned
            in_progress: compensating failed completed abandoned
            compensating: failed compensated abandoned
            failed: in_progress compensating abandoned
            completed: compensating
            compensated: 
            abandoned: 
        "#]]
        .assert_eq(&table(&Status::ALL, Status::may_become));
    }

    #[test]
    fn the_steps_table_is_this() {
        expect![[r#"
            pending: in_progress failed skipped
            in_progress: in_progress completed failed skipped
            completed: compensating
            failed: pending in_progress compensating skipped
            compensating: failed compensating compensated
            compensated: 
            skipped: compensating
        "#]]
        .assert_eq(&table(&StepStatus::ALL, StepStatus::may_become));
    }
}
