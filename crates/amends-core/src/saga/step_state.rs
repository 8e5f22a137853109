//! Where a step of a saga stands.
//!
//! Owns [`StepRun`] and [`StepState`], whose variants hold just what that state has. Does not know what may
//! follow: that is `transition.rs`.

use bytes::Bytes;

use super::event::GivenUp;
use super::transition::StepStatus;
use crate::attempt::{CallId, Direction, StepId};
use crate::moment::Time;
use crate::outcome::{Reason, Refusal};

/// What happened to one step of one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRun {
    /// Where it stands.
    pub state: StepState,
    /// Attempts of the action that became durable.
    pub attempts: u32,
    /// Attempts of the compensation that became durable.
    pub compensation_attempts: u32,
    /// When it started.
    pub started_at: Option<Time>,
    /// When it was decided.
    pub finished_at: Option<Time>,
    /// The last thing that went wrong with the action.
    pub error: Option<Box<Reason>>,
    /// The last thing that went wrong with the compensation, or with the search for the output it needs.
    pub compensation_error: Option<Box<Reason>>,
    /// What most steps never have. Apart, so that they keep no room for it.
    pub(super) rare: Option<Box<Rare>>,
}

/// What few steps have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rare {
    /// What stands in place of an output: what followed the step saw it, and so must be undone by it.
    pub(super) supplied: Option<Bytes>,
    /// The bodies that an operator gave, of action and compensation, and the rounds that began with them.
    pub(super) corrected: [Option<Corrected>; 2],
    /// What a participant that called back said no with, while another attempt is out.
    pub(super) reported: Option<Refusal>,
    /// How often a participant said that it took effect although it had been refused or given up.
    pub(super) late_effects: u32,
}

/// A call with another body than its definition makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Corrected {
    /// The round that began with it, from two.
    pub(super) round: u32,
    /// The body.
    pub(super) payload: Bytes,
}

/// The runs of a step that runs once for each element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legs {
    /// The elements: JSON.
    pub elements: Vec<Bytes>,
    /// What happened to each.
    pub runs: Vec<StepRun>,
    /// Their outputs as a list, once all are done.
    pub(super) output: Option<Bytes>,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// Not started.
    Pending,
    /// The action is asked.
    InProgress {
        /// The call.
        asking: Asking,
        /// When the step's limit passes.
        deadline: Time,
    },
    /// Time passes.
    Sleeping {
        /// Until then.
        until: Time,
    },
    /// A signal is waited for.
    Waiting {
        /// When the limit passes.
        until: Time,
    },
    /// Another saga runs.
    InChild {
        /// When the step's limit passes.
        deadline: Time,
    },
    /// The other saga is being undone as a whole.
    ChildUndoing {
        /// What is known of it.
        acted: Acted,
    },
    /// It runs once for each element.
    Split(Box<Legs>),
    /// The effect took place, the time has passed, or the signal came.
    Completed {
        /// What the participant returned, or the signal said.
        output: Bytes,
    },
    /// It was not done, or nobody knows.
    Failed {
        /// Why.
        because: Failure,
    },
    /// The action is asked again for the output that the undo needs.
    Seeking {
        /// What is known of the action.
        acted: Acted,
        /// The call.
        asking: Asking,
    },
    /// The undo is asked.
    Compensating {
        /// What is known of the action.
        acted: Acted,
        /// The call; apart, so that steps that are not being undone keep no room for both.
        asking: Box<Asking>,
    },
    /// The undo, or the search for the output it needs, failed for good.
    CompensationFailed {
        /// What is known of the action.
        acted: Acted,
        /// Whether an operator wants it asked again: it then waits until what followed it needs no undo once
        /// more.
        again: bool,
        /// Whether the outcome of some attempt of the undo is unknown.
        unknown: bool,
    },
    /// Undone.
    Compensated {
        /// What is known of the action: whoever started the saga may be told its output.
        acted: Acted,
    },
    /// An operator supplied the output.
    Skipped {
        /// What following steps see.
        output: Bytes,
        /// What is known of the action if it had been sent before: it is then owed its undo if the saga turns
        /// back.
        acted: Option<Acted>,
    },
}

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The participant refused it.
    Refused {
        /// Whether the outcome of an earlier attempt is unknown: the refusal may come from elsewhere.
        in_doubt: bool,
    },
    /// It is not asked any more, and nobody knows what it did.
    GivenUp(GivenUp),
    /// The participant knows the step's key with another payload.
    Conflict,
    /// It took effect, and its output is larger than may be stored.
    OutputTooLarge {
        /// How large the output is, or would make the saga.
        bytes: u64,
        /// How large that may be.
        limit: u64,
    },
    /// An expression failed that had to be known before it could start: it did not.
    Unjudged,
    /// The payload could not be made.
    Unmade {
        /// Whether the outcome of an earlier attempt is unknown.
        in_doubt: bool,
    },
    /// Nobody sent the signal in time.
    WaitTimedOut,
    /// It slept or waited when the saga turned back.
    Dropped,
    /// Asked again for its output, it was refused: it never took effect.
    NothingToUndo,
}

/// What is known of an action that is to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It took effect and returned this.
    Returned(Bytes),
    /// It took effect; what it returned was not kept.
    Surely,
    /// It may have taken effect.
    Perhaps,
}

/// A call that is repeated until its answer is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Attempts without a certain answer since patience began (an operator's `retry` starts it anew).
    pub unanswered: u32,
    /// Whether some attempt's outcome is unknown.
    pub unknown: bool,
    /// When to stop waiting for a participant that said *working*, counted from the first time it did.
    pub working_until: Option<Time>,
    /// What the call is doing.
    pub phase: Phase,
}

/// What a call is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// An attempt is under way, or about to be.
    Calling,
    /// It rests until the next attempt.
    Resting {
        /// Until when.
        until: Time,
    },
    /// The participant works on it.
    Working {
        /// When to ask again.
        ask_at: Time,
        /// When to stop waiting.
        expires_at: Time,
    },
}

impl Failure {
    /// What is known of the action; `None` if it did not take effect, for certain.
    #[must_use]
    pub const fn acted(&self) -> Option<Acted> {
        match self {
            Self::GivenUp(_) | Self::Conflict => Some(Acted::Perhaps),
            Self::Refused { in_doubt } | Self::Unmade { in_doubt } => {
                if *in_doubt {
                    Some(Acted::Perhaps)
                } else {
                    None
                }
            }
            Self::OutputTooLarge { .. } => Some(Acted::Surely),
            Self::Unjudged | Self::WaitTimedOut | Self::Dropped | Self::NothingToUndo => None,
        }
    }
}

impl Acted {
    /// What the action returned, where that is known.
    #[must_use]
    pub const fn output(&self) -> Option<&Bytes> {
        match self {
            Self::Returned(output) => Some(output),
            Self::Surely | Self::Perhaps => None,
        }
    }
}

impl Asking {
    /// When the step's limit passes: from the first *working* on, that of the wait for the participant.
    pub(super) fn limit(&self, deadline: Time) -> Time {
        self.working_until.unwrap_or(deadline)
    }

    pub(super) const FIRST: Self =
        Self { unanswered: 0, unknown: false, working_until: None, phase: Phase::Calling };
}

impl Legs {
    /// One run for each element; none has started.
    pub(super) fn new(elements: &[Bytes]) -> Self {
        let mut legs =
            Self { elements: elements.to_vec(), runs: vec![StepRun::PENDING; elements.len()], output: None };
        legs.gather();
        legs
    }

    /// Makes the list of outputs once all are there.
    pub(super) fn gather(&mut self) {
        if self.output.is_some() || !self.runs.iter().all(|run| run.state.is_done()) {
            return;
        }
        let mut list = Vec::with_capacity(self.bytes() + 1);
        list.push(b'[');
        for (at, run) in self.runs.iter().enumerate() {
            if at > 0 {
                list.push(b',');
            }
            list.extend_from_slice(
                run.output().filter(|output| !output.is_empty()).map_or(b"null", |output| output),
            );
        }
        list.push(b']');
        self.output = Some(list.into());
    }

    /// How many bytes the list of the outputs so far has.
    pub(super) fn bytes(&self) -> usize {
        let outputs = self.runs.iter().filter_map(StepRun::output);
        outputs.map(|output| output.len().max(4) + 1).sum::<usize>() + 1
    }

    fn has(&self, status: StepStatus) -> bool {
        self.runs.iter().any(|run| run.state.status() == status)
    }

    /// The status of all together.
    fn status(&self) -> StepStatus {
        let is_undone = self.has(StepStatus::Compensated);
        let is_left = self.has(StepStatus::Completed);
        if self.has(StepStatus::Compensating) || is_undone && is_left {
            StepStatus::Compensating
        } else if self.has(StepStatus::InProgress) {
            StepStatus::InProgress
        } else if is_undone {
            StepStatus::Compensated
        } else if self.has(StepStatus::Failed) {
            StepStatus::Failed
        } else if self.output.is_some() {
            StepStatus::Completed
        } else {
            StepStatus::InProgress
        }
    }

    /// Whether something of some run is undecided.
    pub(super) fn is_asking(&self) -> bool {
        let has_child = |state: &StepState| match state {
            StepState::InChild { .. } | StepState::ChildUndoing { .. } => true,
            other => other.asking().is_some(),
        };
        self.runs.iter().any(|run| has_child(&run.state))
    }

    /// Whether some run failed.
    pub(super) fn has_failed(&self) -> bool {
        self.runs.iter().any(|run| matches!(run.state, StepState::Failed { .. }))
    }
}

impl StepState {
    /// The status that people see.
    #[must_use]
    pub fn status(&self) -> StepStatus {
        match self {
            Self::Pending => StepStatus::Pending,
            Self::InProgress { .. } | Self::InChild { .. } | Self::Sleeping { .. } | Self::Waiting { .. } => {
                StepStatus::InProgress
            }
            Self::Split(legs) => legs.status(),
            Self::Completed { .. } => StepStatus::Completed,
            Self::Failed { .. } => StepStatus::Failed,
            Self::Seeking { .. }
            | Self::Compensating { .. }
            | Self::ChildUndoing { .. }
            | Self::CompensationFailed { .. } => StepStatus::Compensating,
            Self::Compensated { .. } => StepStatus::Compensated,
            Self::Skipped { .. } => StepStatus::Skipped,
        }
    }

    /// The step's runs, if it runs once for each element.
    #[must_use]
    pub fn legs(&self) -> Option<&Legs> {
        if let Self::Split(legs) = self { Some(legs) } else { None }
    }

    pub(super) fn legs_mut(&mut self) -> Option<&mut Legs> {
        if let Self::Split(legs) = self { Some(legs) } else { None }
    }

    /// The call that is being made, and its direction.
    #[must_use]
    pub const fn asking(&self) -> Option<(Direction, &Asking)> {
        match self {
            Self::InProgress { asking, .. } | Self::Seeking { asking, .. } => {
                Some((Direction::Action, asking))
            }
            Self::Compensating { asking, .. } => Some((Direction::Compensation, asking)),
            Self::Pending
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::InChild { .. }
            | Self::ChildUndoing { .. }
            | Self::Split(_)
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. }
            | Self::Skipped { .. } => None,
        }
    }

    pub(super) fn asking_mut(&mut self) -> Option<(Direction, &mut Asking)> {
        match self {
            Self::InProgress { asking, .. } | Self::Seeking { asking, .. } => {
                Some((Direction::Action, asking))
            }
            Self::Compensating { asking, .. } => Some((Direction::Compensation, asking)),
            Self::Pending
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::InChild { .. }
            | Self::ChildUndoing { .. }
            | Self::Split(_)
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. }
            | Self::Skipped { .. } => None,
        }
    }

    /// Whether what follows may start.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Completed { .. } | Self::Skipped { .. } => true,
            Self::Split(legs) => legs.output.is_some(),
            Self::Pending
            | Self::InChild { .. }
            | Self::ChildUndoing { .. }
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Failed { .. }
            | Self::Seeking { .. }
            | Self::Compensating { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. } => false,
        }
    }

    /// Whether its undo, or the search for the output it needs, is under way.
    pub(super) fn is_being_undone(&self) -> bool {
        match self {
            Self::Seeking { .. } | Self::Compensating { .. } | Self::ChildUndoing { .. } => true,
            Self::Split(legs) => legs.runs.iter().any(|run| run.state.is_being_undone()),
            Self::Pending
            | Self::InChild { .. }
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. }
            | Self::Skipped { .. } => false,
        }
    }

    /// Whether an undo would have something to undo, as far as anybody knows.
    pub(super) fn is_undoable(&self) -> bool {
        match self {
            Self::Completed { .. } => true,
            Self::Failed { because } => because.acted().is_some(),
            Self::Skipped { acted, .. } => acted.is_some(),
            Self::CompensationFailed { again, .. } => *again,
            Self::Split(legs) => legs.runs.iter().any(|run| run.state.is_undoable()),
            Self::Pending
            | Self::InChild { .. }
            | Self::ChildUndoing { .. }
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Seeking { .. }
            | Self::Compensating { .. }
            | Self::Compensated { .. } => false,
        }
    }

    /// What the action itself returned, where that is known: an undo goes by that.
    pub(super) fn returned(&self) -> Option<&Bytes> {
        match self {
            Self::Completed { output } => Some(output),
            Self::Split(legs) => legs.output.as_ref(),
            Self::Seeking { acted, .. }
            | Self::Compensating { acted, .. }
            | Self::ChildUndoing { acted }
            | Self::CompensationFailed { acted, .. }
            | Self::Compensated { acted } => acted.output(),
            Self::Pending
            | Self::InChild { .. }
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. } => None,
        }
    }

    /// What is known of an action that may have taken effect, however far its undo is. An operator's stand-in
    /// for an output is nothing to undo by.
    pub(super) fn acted(&self) -> Option<Acted> {
        match self {
            Self::Completed { output } => Some(Acted::Returned(output.clone())),
            Self::Failed { because } => because.acted(),
            Self::Skipped { acted, .. } => acted.clone(),
            Self::Seeking { acted, .. }
            | Self::Compensating { acted, .. }
            | Self::ChildUndoing { acted }
            | Self::CompensationFailed { acted, .. }
            | Self::Compensated { acted } => Some(acted.clone()),
            Self::Pending
            | Self::InChild { .. }
            | Self::InProgress { .. }
            | Self::Sleeping { .. }
            | Self::Waiting { .. }
            | Self::Split(_) => None,
        }
    }
}

impl StepRun {
    pub(super) const PENDING: Self = Self {
        state: StepState::Pending,
        attempts: 0,
        compensation_attempts: 0,
        started_at: None,
        finished_at: None,
        error: None,
        compensation_error: None,
        rare: None,
    };

    /// How many attempts of `direction` became durable.
    #[must_use]
    pub const fn attempts_of(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Action => self.attempts,
            Direction::Compensation => self.compensation_attempts,
        }
    }

    pub(super) fn attempts_mut(&mut self, direction: Direction) -> &mut u32 {
        match direction {
            Direction::Action => &mut self.attempts,
            Direction::Compensation => &mut self.compensation_attempts,
        }
    }

    /// Where what goes wrong now is noted: with the action, or with its undo.
    pub(super) fn error_mut(&mut self) -> &mut Option<Box<Reason>> {
        if self.state.is_being_undone() { &mut self.compensation_error } else { &mut self.error }
    }

    /// The step's call of `direction`, in the round that it is in.
    #[must_use]
    pub fn call(&self, step: StepId, direction: Direction) -> CallId {
        CallId { step: step.step, occurrence: step.occurrence, direction, round: self.round(direction) }
    }

    /// Which asking anew, under another key, the call is in; an undo is in that of its action at least.
    #[must_use]
    pub fn round(&self, direction: Direction) -> u32 {
        let round_of =
            |corrected: &Option<Corrected>| corrected.as_ref().map_or(1, |corrected| corrected.round);
        match (self.rare.as_ref().map(|rare| &rare.corrected), direction) {
            (None, _) => 1,
            (Some([action, _]), Direction::Action) => round_of(action),
            (Some([action, undo]), Direction::Compensation) => round_of(action).max(round_of(undo)),
        }
    }

    /// The body that an operator gave the call.
    pub(super) fn corrected(&self, direction: Direction) -> Option<&Bytes> {
        let [action, undo] = &self.rare.as_ref()?.corrected;
        let of = match direction {
            Direction::Action => action,
            Direction::Compensation => undo,
        };
        of.as_ref().map(|corrected| &corrected.payload)
    }

    /// What a participant that called back said no with, while another attempt is out.
    pub(super) fn reported(&self) -> Option<&Refusal> {
        self.rare.as_ref().and_then(|rare| rare.reported.as_ref())
    }

    /// How often its participant said that it took effect although it had been refused or given up.
    #[must_use]
    pub fn late_effects(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.late_effects)
    }

    /// The step's output as those that follow it see it, wherever the step stands: the same for as long as they are asked or
    /// undone.
    #[must_use]
    pub fn output(&self) -> Option<&Bytes> {
        self.rare.as_ref().and_then(|rare| rare.supplied.as_ref()).or_else(|| self.state.returned())
    }
}
