//! The names of calls and attempts.
//!
//! Owns [`CallId`], the same for all attempts of a call, and [`AttemptId`], one of them. Promises one key for
//! a call, whoever makes it and whenever: participants know it again by that. Does not know what is sent.

use std::fmt;

use crate::id::TransactionId;

/// A step's place in its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex(pub u16);

impl StepIndex {
    /// The place as a number for slices.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// A step, or one run of a step that runs more than once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId {
    /// The step.
    pub step: StepIndex,
    /// Which of several runs of the step, from zero; `None`: the step as a whole.
    pub occurrence: Option<u32>,
}

impl StepId {
    /// The step as a whole.
    #[must_use]
    pub const fn whole(step: StepIndex) -> Self {
        Self { step, occurrence: None }
    }

    /// One of its runs.
    #[must_use]
    pub const fn leg(step: StepIndex, occurrence: u32) -> Self {
        Self { step, occurrence: Some(occurrence) }
    }

    /// As people see it: `<step>`, or `<step>[<n>]`.
    #[must_use]
    pub fn named<'a>(&'a self, step_name: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| match self.occurrence {
            Some(occurrence) => write!(f, "{step_name}[{occurrence}]"),
            None => f.write_str(step_name),
        })
    }
}

impl fmt::Debug for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.step, f)?;
        self.occurrence.map_or(Ok(()), |occurrence| write!(f, "[{occurrence}]"))
    }
}

impl From<StepIndex> for StepId {
    fn from(step: StepIndex) -> Self {
        Self::whole(step)
    }
}

/// Which of a step's two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The step's effect.
    Action,
    /// Its undo.
    Compensation,
}

impl Direction {
    /// The direction's word, as in an idempotency key.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Compensation => "compensation",
        }
    }
}

/// One call of a transaction: all its attempts ask for the same thing, with the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The step.
    pub step: StepIndex,
    /// Which of several runs of the step, from zero; `None` for a step that runs once.
    pub occurrence: Option<u32>,
    /// Action or compensation.
    pub direction: Direction,
    /// From one: a step is asked anew, under another key, after its undo or with a corrected payload.
    pub round: u32,
}

impl CallId {
    /// The call of a step that runs once, in its first round.
    #[must_use]
    pub const fn first(step: StepIndex, direction: Direction) -> Self {
        Self { step, occurrence: None, direction, round: 1 }
    }

    /// The step, or the run of it.
    #[must_use]
    pub const fn of(self) -> StepId {
        StepId { step: self.step, occurrence: self.occurrence }
    }

    /// This attempt of the call, counted from one.
    #[must_use]
    pub const fn attempt(self, number: u32) -> AttemptId {
        AttemptId { call: self, number }
    }

    /// The idempotency key that every attempt carries: `<transaction>/<step>/<action|compensation>`. A step
    /// that can run more than once has its occurrence in the name (`<step>[<n>]`), and from the second round
    /// on the round stands at the end.
    #[must_use]
    pub fn key<'a>(&'a self, transaction: TransactionId, step_name: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            write!(f, "{transaction}/{step_name}")?;
            if let Some(occurrence) = self.occurrence {
                write!(f, "[{occurrence}]")?;
            }
            write!(f, "/{}", self.direction.as_str())?;
            if self.round > 1 { write!(f, "/{}", self.round) } else { Ok(()) }
        })
    }
}

/// One attempt of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The call.
    pub call: CallId,
    /// The attempt's number, from one.
    pub number: u32,
}

impl AttemptId {
    /// The step that is asked.
    #[must_use]
    pub const fn step(self) -> StepIndex {
        self.call.step
    }

    /// Action or compensation.
    #[must_use]
    pub const fn direction(self) -> Direction {
        self.call.direction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_one_key() {
        let id = TransactionId::from_parts(1, 1);
        let first = CallId::first(StepIndex(0), Direction::Action);
        let key = |call: CallId| call.key(id, "Pay").to_string().replace(&id.to_string(), "id");
        assert_eq!(key(first), "id/Pay/action");
        assert_eq!(key(CallId { direction: Direction::Compensation, ..first }), "id/Pay/compensation");
        assert_eq!(key(CallId { occurrence: Some(0), ..first }), "id/Pay[0]/action");
        assert_eq!(key(CallId { occurrence: Some(3), round: 2, ..first }), "id/Pay[3]/action/2");
    }
}
