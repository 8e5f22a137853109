//! One saga's state, and how events change it.
//!
//! Owns [`Saga`] and [`Saga::apply`]. Promises that the state is a function of the events alone, that every move is in
//! the tables of [`crate::transition`], and that the invariants hold after every event. Does not choose events: that
//! is `decide.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::definition::{CompensationSpec, Definition, Role, StepIndex};
use crate::event::{Cause, Direction, Event, GivenUp, ParkReason};
use crate::id::TransactionId;
use crate::outcome::Reason;
use crate::retry::RetryPolicy;
use crate::step_set::StepSet;
use crate::time::Time;
use crate::transition::{Status, StepStatus};

/// One run of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saga {
    pub(crate) id: TransactionId,
    pub(crate) definition: Arc<Definition>,
    pub(crate) input: Bytes,
    pub(crate) status: Status,
    pub(crate) turned_back: Option<Cause>,
    pub(crate) parked: Option<Parked>,
    pub(crate) paused_since: Option<Time>,
    pub(crate) deadline: Time,
    pub(crate) started_at: Time,
    pub(crate) ended_at: Option<Time>,
    pub(crate) steps: Vec<StepRun>,
}

/// Why and since when a saga waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Since when.
    pub since: Time,
    /// Why.
    pub because: ParkReason,
}

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
    /// When its action was decided.
    pub finished_at: Option<Time>,
    /// The last thing that went wrong with the action.
    pub error: Option<Box<Reason>>,
    /// The last thing that went wrong with the compensation.
    pub compensation_error: Option<Box<Reason>>,
}

/// Where a step stands; each variant holds just what that state has.
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
    /// The effect took place.
    Completed {
        /// What the participant returned.
        output: Bytes,
    },
    /// Refused, or given up.
    Failed {
        /// Whether the effect may have taken place all the same.
        in_doubt: bool,
    },
    /// The action is asked again for the output that the undo needs.
    Seeking {
        /// The call.
        asking: Asking,
    },
    /// The undo is asked.
    Compensating {
        /// The action's output, if it ever came.
        output: Option<Bytes>,
        /// The call; apart, so that steps that are not being undone keep no room for both.
        asking: Box<Asking>,
    },
    /// The undo, or the search for the output it needs, failed for good.
    CompensationFailed {
        /// The action's output, if it ever came.
        output: Option<Bytes>,
        /// Whether an operator wants it asked again: it then waits until what followed it is settled once more.
        again: bool,
    },
    /// Undone.
    Compensated {
        /// The action's output, if it ever came: whoever started the saga may be told.
        output: Option<Bytes>,
    },
    /// An operator supplied the output.
    Skipped {
        /// What following steps see.
        output: Bytes,
        /// Whether the step had been sent before: then it is still owed its undo if the saga turns back.
        owes_undo: bool,
    },
}

/// A call that is repeated until its answer is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Failed calls since patience began (an operator's `retry` starts it anew).
    pub failures: u32,
    /// Whether some attempt's outcome is unknown.
    pub unknown: bool,
    /// When to stop waiting for a participant that said *pending*, counted from the first time it did.
    pub pending_until: Option<Time>,
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
    Pending {
        /// When to ask again.
        ask_at: Time,
        /// When to stop waiting.
        expires_at: Time,
    },
}

/// The event does not fit the state: the journal is damaged, or written under another definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not fit a saga that is {status}: {because}")]
pub struct ApplyError {
    /// The event.
    pub event: String,
    /// The saga's status.
    pub status: Status,
    /// What would have to be otherwise.
    pub because: &'static str,
}

impl Asking {
    pub(crate) const FIRST: Self =
        Self { failures: 0, unknown: false, pending_until: None, phase: Phase::Calling };
}

impl StepState {
    /// The status that people see.
    #[must_use]
    pub const fn status(&self) -> StepStatus {
        match self {
            Self::Pending => StepStatus::Pending,
            Self::InProgress { .. } => StepStatus::InProgress,
            Self::Completed { .. } => StepStatus::Completed,
            Self::Failed { .. } => StepStatus::Failed,
            Self::Seeking { .. } | Self::Compensating { .. } | Self::CompensationFailed { .. } => {
                StepStatus::Compensating
            }
            Self::Compensated { .. } => StepStatus::Compensated,
            Self::Skipped { .. } => StepStatus::Skipped,
        }
    }

    /// The call that is being made, and its direction.
    #[must_use]
    pub const fn asking(&self) -> Option<(Direction, &Asking)> {
        match self {
            Self::InProgress { asking, .. } | Self::Seeking { asking } => Some((Direction::Action, asking)),
            Self::Compensating { asking, .. } => Some((Direction::Compensation, asking)),
            Self::Pending
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. }
            | Self::Skipped { .. } => None,
        }
    }

    /// Whether what follows may start.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Skipped { .. })
    }

    fn asking_mut(&mut self) -> Option<(Direction, &mut Asking)> {
        match self {
            Self::InProgress { asking, .. } | Self::Seeking { asking } => Some((Direction::Action, asking)),
            Self::Compensating { asking, .. } => Some((Direction::Compensation, asking)),
            Self::Pending
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::CompensationFailed { .. }
            | Self::Compensated { .. }
            | Self::Skipped { .. } => None,
        }
    }
}

impl StepRun {
    const PENDING: Self = Self {
        state: StepState::Pending,
        attempts: 0,
        compensation_attempts: 0,
        started_at: None,
        finished_at: None,
        error: None,
        compensation_error: None,
    };

    /// How many attempts of `direction` became durable.
    #[must_use]
    pub const fn attempts_of(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Action => self.attempts,
            Direction::Compensation => self.compensation_attempts,
        }
    }

    /// The action's output, wherever the step stands.
    #[must_use]
    pub const fn output(&self) -> Option<&Bytes> {
        match &self.state {
            StepState::Completed { output } | StepState::Skipped { output, .. } => Some(output),
            StepState::Compensating { output, .. }
            | StepState::CompensationFailed { output, .. }
            | StepState::Compensated { output } => output.as_ref(),
            StepState::Pending
            | StepState::InProgress { .. }
            | StepState::Failed { .. }
            | StepState::Seeking { .. } => None,
        }
    }
}

impl Saga {
    /// The saga that a first event makes.
    ///
    /// # Errors
    /// When `event` is no [`Event::SagaStarted`], or is about another definition.
    pub fn begin(
        id: TransactionId,
        definition: Arc<Definition>,
        event: &Event,
        at: Time,
    ) -> Result<Self, ApplyError> {
        let misfit = |because| ApplyError { event: format!("{event:?}"), status: Status::Pending, because };
        let Event::SagaStarted { definition: name, version, input } = event else {
            return Err(misfit("the first event of a saga is its start"));
        };
        if definition.name() != name || definition.version() != *version {
            return Err(misfit("the saga was started under another definition"));
        }
        Ok(Self {
            id,
            input: input.clone(),
            status: Status::Pending,
            turned_back: None,
            parked: None,
            paused_since: None,
            deadline: at.after(definition.spec().limit),
            started_at: at,
            ended_at: None,
            steps: vec![StepRun::PENDING; definition.spec().steps.len()],
            definition,
        })
    }

    /// Takes one fact in.
    ///
    /// # Errors
    /// When the fact does not fit; the state is then not to be used any further.
    ///
    /// # Panics
    /// When an invariant does not hold afterwards: stopping beats going on from a false state.
    pub fn apply(&mut self, event: &Event, at: Time) -> Result<(), ApplyError> {
        self.take(event, at).map_err(|because| ApplyError {
            event: format!("{event:?}"),
            status: self.status,
            because,
        })?;
        self.assert_invariants();
        Ok(())
    }

    fn take(&mut self, event: &Event, at: Time) -> Result<(), &'static str> {
        match event {
            Event::SagaStarted { .. } => Err("a saga starts once"),
            Event::StepStarted { step } => self.start_step(*step, at),
            Event::AttemptStarted { step, direction, attempt } => {
                self.start_attempt(*step, *direction, *attempt)
            }
            Event::AttemptFailed { step, direction, attempt, reason, retry_at } => {
                let run = self.run_mut(*step)?;
                let is_current = run.attempts_of(*direction) == *attempt;
                let asking = asking_of(run, *direction)?;
                if !is_current {
                    return Err("only the current attempt fails");
                }
                asking.failures = asking.failures.saturating_add(1);
                asking.unknown = true;
                asking.phase = Phase::Resting { until: *retry_at };
                match direction {
                    Direction::Action => run.error = Some(Box::new(reason.clone())),
                    Direction::Compensation => run.compensation_error = Some(Box::new(reason.clone())),
                }
                Ok(())
            }
            Event::AttemptPending { step, direction, attempt, ask_at, expires_at } => {
                let run = self.run_mut(*step)?;
                let is_current = run.attempts_of(*direction) == *attempt;
                let asking = asking_of(run, *direction)?;
                if !is_current {
                    return Err("only the current attempt is pending");
                }
                asking.pending_until = Some(*expires_at);
                asking.phase = Phase::Pending { ask_at: *ask_at, expires_at: *expires_at };
                Ok(())
            }
            Event::StepCompleted { step, output } => {
                self.finish_step(*step, StepState::Completed { output: output.clone() }, None, at)
            }
            Event::StepRefused { step, refusal } => {
                let StepState::InProgress { asking, .. } = &self.run(*step)?.state else {
                    return Err("only a step in progress is refused");
                };
                let state = StepState::Failed { in_doubt: asking.unknown };
                self.finish_step(*step, state, Some(refusal.reason()), at)
            }
            Event::StepGivenUp { step, why } => {
                self.finish_step(*step, StepState::Failed { in_doubt: true }, why.reason(), at)
            }
            Event::TurnedBack { cause } => {
                if self.turned_back.is_some() {
                    return Err("a saga turns back once");
                }
                self.turned_back = Some(cause.clone());
                self.parked = None;
                self.move_to(Status::Compensating)
            }
            Event::OutputSought { step } => {
                // The attempt belongs to the action, and its number goes on.
                if self.known_output(*step).is_some() || !self.is_owed_undo(*step)? {
                    return Err("an output is sought for a step in doubt");
                }
                let run = self.run_mut(*step)?;
                run.attempts = run.attempts.checked_add(1).ok_or("attempts are counted in 32 bits")?;
                self.move_step(
                    *step,
                    StepState::Seeking { asking: Asking { unknown: true, ..Asking::FIRST } },
                )
            }
            Event::OutputFound { step, output } => {
                if !matches!(self.run(*step)?.state, StepState::Seeking { .. }) {
                    return Err("an output is found where it was sought");
                }
                self.start_compensation(*step, Some(output.clone()))
            }
            Event::NothingToUndo { step } => {
                if !matches!(self.run(*step)?.state, StepState::Seeking { .. }) {
                    return Err("only a step whose output was sought turns out to need no undo");
                }
                self.move_step(*step, StepState::Failed { in_doubt: false })
            }
            Event::CompensationStarted { step } => {
                if !self.is_owed_undo(*step)? {
                    return Err("only a step that may have taken effect is undone");
                }
                let output = self.known_output(*step).cloned();
                self.start_compensation(*step, output)
            }
            Event::CompensationCompleted { step } => {
                let StepState::Compensating { output, .. } = &self.run(*step)?.state else {
                    return Err("only a step being undone is undone");
                };
                let output = output.clone();
                self.move_step(*step, StepState::Compensated { output })
            }
            Event::CompensationFailed { step, reason } => {
                let output = match &self.run(*step)?.state {
                    StepState::Compensating { output, .. } => output.clone(),
                    StepState::Seeking { .. } => None,
                    _ => return Err("only a step being undone fails to be undone"),
                };
                self.run_mut(*step)?.compensation_error = Some(Box::new(reason.clone()));
                self.move_step(*step, StepState::CompensationFailed { output, again: false })
            }
            Event::SagaCompleted => self.end(Status::Completed, at),
            Event::SagaCompensated => self.end(Status::Compensated, at),
            Event::SagaParked { because } => {
                self.parked = Some(Parked { since: at, because: because.clone() });
                self.move_to(Status::Failed)
            }
            Event::CancelRequested { .. } => Ok(()),
            Event::SagaRetried { .. } => {
                if self.status == Status::Failed {
                    self.unpark(at)
                } else {
                    Ok(())
                }
            }
            Event::StepRetried { step } => self.retry_step(*step, at),
            Event::StepSkipped { step, output, .. } => self.skip_step(*step, output, at),
            Event::CompensationResolved { step, .. } => {
                let StepState::CompensationFailed { output, .. } = &self.run(*step)?.state else {
                    return Err("only a compensation that failed is resolved by hand");
                };
                let output = output.clone();
                self.move_step(*step, StepState::Compensated { output })?;
                if self.status == Status::Failed { self.unpark(at) } else { Ok(()) }
            }
            Event::SagaPaused { .. } => {
                if self.paused_since.replace(at).is_some() {
                    return Err("a paused saga is not paused again");
                }
                Ok(())
            }
            Event::SagaResumed { .. } => self.resume(at),
            Event::SagaReversed { .. } => {
                if self.status != Status::Completed {
                    return Err("only a completed saga is reversed");
                }
                self.turned_back = Some(Cause::Reversed);
                self.ended_at = None;
                self.move_to(Status::Compensating)
            }
            Event::SagaAbandoned { .. } => {
                self.parked = None;
                self.end(Status::Abandoned, at)
            }
        }
    }

    fn start_step(&mut self, step: StepIndex, at: Time) -> Result<(), &'static str> {
        if self.turned_back.is_some() {
            return Err("nothing is started on the way back");
        }
        if !matches!(self.run(step)?.state, StepState::Pending) {
            return Err("a step starts once");
        }
        if !self.startable().contains(step) {
            return Err("a step starts when all before it are done");
        }
        let deadline = at.after(self.definition.step(step).limit);
        let run = self.run_mut(step)?;
        run.attempts = 1;
        run.started_at = Some(at);
        self.move_step(step, StepState::InProgress { asking: Asking::FIRST, deadline })?;
        if self.status == Status::Pending { self.move_to(Status::InProgress) } else { Ok(()) }
    }

    fn start_attempt(
        &mut self,
        step: StepIndex,
        direction: Direction,
        attempt: u32,
    ) -> Result<(), &'static str> {
        let run = self.run_mut(step)?;
        let expected = run.attempts_of(direction).checked_add(1).ok_or("attempts are counted in 32 bits")?;
        let asking = asking_of(run, direction)?;
        if asking.phase == Phase::Calling {
            return Err("one attempt is under way at a time");
        }
        if attempt != expected {
            return Err("attempts are numbered without gaps");
        }
        asking.phase = Phase::Calling;
        match direction {
            Direction::Action => run.attempts = attempt,
            Direction::Compensation => run.compensation_attempts = attempt,
        }
        Ok(())
    }

    fn finish_step(
        &mut self,
        step: StepIndex,
        state: StepState,
        error: Option<Reason>,
        at: Time,
    ) -> Result<(), &'static str> {
        let run = self.run_mut(step)?;
        if !matches!(run.state, StepState::InProgress { .. }) {
            return Err("only a step in progress is decided");
        }
        run.finished_at = Some(at);
        // Without a reason of its own the last attempt's stays: it says more.
        if error.is_some() {
            run.error = error.map(Box::new);
        }
        self.move_step(step, state)
    }

    fn start_compensation(&mut self, step: StepIndex, output: Option<Bytes>) -> Result<(), &'static str> {
        if self.turned_back.is_none() {
            return Err("nothing is undone on the way forward");
        }
        self.run(step)?;
        if !self.settled_behind().contains(step) {
            return Err("a step is undone after everything that followed it");
        }
        let run = self.run_mut(step)?;
        run.compensation_attempts =
            run.compensation_attempts.checked_add(1).ok_or("attempts are counted in 32 bits")?;
        self.move_step(step, StepState::Compensating { output, asking: Box::new(Asking::FIRST) })
    }

    fn retry_step(&mut self, step: StepIndex, at: Time) -> Result<(), &'static str> {
        let limit = self.definition.has(step).then(|| self.definition.step(step).limit);
        let rested = Asking { unknown: true, phase: Phase::Resting { until: at }, ..Asking::FIRST };
        let run = self.run_mut(step)?;
        let state = match &run.state {
            StepState::InProgress { asking, deadline } => StepState::InProgress {
                asking: Asking { unknown: asking.unknown, ..rested },
                deadline: *deadline,
            },
            StepState::Seeking { .. } => StepState::Seeking { asking: rested },
            StepState::Compensating { output, .. } => {
                StepState::Compensating { output: output.clone(), asking: Box::new(rested) }
            }
            StepState::Failed { in_doubt } => StepState::InProgress {
                asking: Asking { unknown: *in_doubt, ..rested },
                deadline: at.after(limit.ok_or("the definition has no such step")?),
            },
            StepState::CompensationFailed { output, .. } => {
                StepState::CompensationFailed { output: output.clone(), again: true }
            }
            StepState::Pending
            | StepState::Completed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => return Err("there is nothing to ask again"),
        };
        run.finished_at = None;
        self.move_step(step, state)
    }

    fn skip_step(&mut self, step: StepIndex, output: &Bytes, at: Time) -> Result<(), &'static str> {
        if self.turned_back.is_some() {
            return Err("nothing is skipped on the way back");
        }
        let run = self.run_mut(step)?;
        let owes_undo = match run.state {
            StepState::Pending => false,
            StepState::Failed { .. } => true,
            _ => return Err("only a step that failed or has not started is skipped"),
        };
        run.finished_at = Some(at);
        self.move_step(step, StepState::Skipped { output: output.clone(), owes_undo })?;
        if self.status == Status::Failed { self.unpark(at) } else { Ok(()) }
    }

    fn resume(&mut self, at: Time) -> Result<(), &'static str> {
        let since = self.paused_since.take().ok_or("only a paused saga is resumed")?;
        // What passes after it was parked is not the pause's to give back.
        let until = self.parked.as_ref().map_or(at, |parked| parked.since);
        self.put_off_limits(until.since(since));
        Ok(())
    }

    /// Limits stood still for so long.
    fn put_off_limits(&mut self, pause: Duration) {
        self.deadline = self.deadline.after(pause);
        for run in &mut self.steps {
            if let StepState::InProgress { deadline, .. } = &mut run.state {
                *deadline = deadline.after(pause);
            }
            if let Some((_, asking)) = run.state.asking_mut() {
                asking.pending_until = asking.pending_until.map(|until| until.after(pause));
                if let Phase::Pending { expires_at, .. } = &mut asking.phase {
                    *expires_at = expires_at.after(pause);
                }
            }
        }
    }

    /// Sends a parked saga on, or back. It waited for a person, which is nothing that limits are about: else the verb
    /// `retry` would find the saga's limit passed, and turn back what it was to send on.
    fn unpark(&mut self, at: Time) -> Result<(), &'static str> {
        let parked = self.parked.take();
        if let (Some(Parked { since, .. }), None) = (parked, self.paused_since) {
            self.put_off_limits(at.since(since));
        }
        let back = self.turned_back.is_some();
        self.move_to(if back { Status::Compensating } else { Status::InProgress })
    }

    fn end(&mut self, status: Status, at: Time) -> Result<(), &'static str> {
        self.ended_at = Some(at);
        self.paused_since = None;
        self.move_to(status)
    }

    fn move_to(&mut self, next: Status) -> Result<(), &'static str> {
        if !self.status.may_become(next) {
            return Err("the table of saga transitions forbids it");
        }
        self.status = next;
        Ok(())
    }

    fn move_step(&mut self, step: StepIndex, next: StepState) -> Result<(), &'static str> {
        let run = self.run_mut(step)?;
        if !run.state.status().may_become(next.status()) {
            return Err("the table of step transitions forbids it");
        }
        run.state = next;
        Ok(())
    }

    fn run(&self, step: StepIndex) -> Result<&StepRun, &'static str> {
        self.steps.get(step.at()).ok_or("the definition has no such step")
    }

    fn run_mut(&mut self, step: StepIndex) -> Result<&mut StepRun, &'static str> {
        self.steps.get_mut(step.at()).ok_or("the definition has no such step")
    }

    fn is_owed_undo(&self, step: StepIndex) -> Result<bool, &'static str> {
        let effective = match self.run(step)?.state {
            StepState::Completed { .. } | StepState::Failed { in_doubt: true } => true,
            StepState::Skipped { owes_undo, .. } => owes_undo,
            StepState::CompensationFailed { again, .. } => again,
            _ => false,
        };
        Ok(effective && self.definition.has_undo(step))
    }

    /// The output that the participant itself returned: an operator's stand-in is nothing to undo by.
    pub(crate) fn known_output(&self, step: StepIndex) -> Option<&Bytes> {
        match &self.steps[step.at()].state {
            StepState::Completed { output } => Some(output),
            StepState::Compensating { output, .. } | StepState::CompensationFailed { output, .. } => {
                output.as_ref()
            }
            StepState::Pending
            | StepState::InProgress { .. }
            | StepState::Failed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => None,
        }
    }

    /// Whether the step needs no further work on the way back, whatever follows it.
    fn is_settled(&self, step: StepIndex) -> bool {
        match &self.steps[step.at()].state {
            StepState::Pending | StepState::Compensated { .. } => true,
            // A compensation that failed holds up no other, unless it is about to be asked again.
            StepState::CompensationFailed { again, .. } => !again,
            StepState::InProgress { .. } | StepState::Seeking { .. } | StepState::Compensating { .. } => {
                false
            }
            StepState::Completed { .. } | StepState::Failed { .. } | StepState::Skipped { .. } => {
                !self.is_owed_undo(step).expect("the step exists")
            }
        }
    }

    /// The steps that have not started although everything before them, directly or not, is done. Not only directly: a
    /// step may be skipped ahead of its turn, and lets nothing through before that.
    pub(crate) fn startable(&self) -> StepSet {
        let mut is_through = StepSet::default();
        let mut startable = StepSet::default();
        for step in self.definition.order() {
            if self.definition.step(*step).predecessors.iter().all(|before| is_through.contains(*before)) {
                let state = &self.steps[step.at()].state;
                if state.is_done() {
                    is_through.insert(*step);
                }
                if matches!(state, StepState::Pending) {
                    startable.insert(*step);
                }
            }
        }
        startable
    }

    /// The steps behind which everything, directly or not, is settled. All at once and each step once: the paths through
    /// a graph of steps can be more than there is time for.
    pub(crate) fn settled_behind(&self) -> StepSet {
        let mut behind = StepSet::default();
        for step in self.definition.order().iter().rev() {
            let is_settled = self.definition.step(*step).successors.iter().all(|next| {
                // What was never started has nothing started behind it.
                matches!(self.steps[next.at()].state, StepState::Pending)
                    || self.is_settled(*next) && behind.contains(*next)
            });
            if is_settled {
                behind.insert(*step);
            }
        }
        behind
    }

    /// The steps whose undo is the next thing to do for them.
    pub(crate) fn undo_due(&self) -> StepSet {
        let behind = self.settled_behind();
        let mut due = StepSet::default();
        for step in self.definition.order() {
            if self.is_owed_undo(*step).expect("the step exists") && behind.contains(*step) {
                due.insert(*step);
            }
        }
        due
    }

    /// Whether nothing is left to do on the way back.
    pub(crate) fn is_all_settled(&self) -> bool {
        self.definition.order().iter().all(|step| self.is_settled(*step))
    }

    /// Whether the pivot was ever sent: then neither limits nor `cancel` turn the saga back. A pivot that was skipped
    /// ahead of its turn counts from when its turn has come: what follows it may have been sent since.
    pub(crate) fn is_past_return(&self) -> bool {
        let is_before = |step: &StepIndex| self.definition.step(*step).role == Role::BeforePivot;
        self.definition.pivot().is_some_and(|pivot| match &self.steps[pivot.at()].state {
            StepState::Pending => false,
            StepState::Skipped { owes_undo: false, .. } => {
                let mut before = self.definition.order().iter().filter(|step| is_before(step));
                before.all(|step| self.steps[step.at()].state.is_done())
            }
            StepState::InProgress { .. }
            | StepState::Completed { .. }
            | StepState::Failed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { owes_undo: true, .. } => true,
        })
    }

    /// How the call of this direction is repeated.
    pub(crate) fn retry_policy(&self, step: StepIndex, direction: Direction) -> &RetryPolicy {
        let seeking = matches!(self.steps[step.at()].state, StepState::Seeking { .. });
        match (&self.definition.written(step).compensation, direction) {
            (CompensationSpec::Call { retry, .. }, Direction::Compensation) => retry,
            // The output is sought under the undo's patience.
            (CompensationSpec::Call { retry, .. }, Direction::Action) if seeking => retry,
            (_, _) => &self.definition.step(step).retry,
        }
    }

    /// How long one attempt of this direction may take.
    pub(crate) fn attempt_limit(&self, step: StepIndex, direction: Direction) -> Duration {
        let written = self.definition.written(step);
        match (&written.compensation, direction) {
            (CompensationSpec::Call { attempt_limit, .. }, Direction::Compensation) => *attempt_limit,
            (_, _) => written.attempt_limit,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The definition it runs.
    #[must_use]
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// What it was started with.
    #[must_use]
    pub fn input(&self) -> &Bytes {
        &self.input
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why it turned back, if it did.
    #[must_use]
    pub fn turned_back(&self) -> Option<&Cause> {
        self.turned_back.as_ref()
    }

    /// Why it waits for an operator, if it does.
    #[must_use]
    pub fn parked(&self) -> Option<&Parked> {
        self.parked.as_ref()
    }

    /// Whether nothing is sent for it.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// When it started.
    #[must_use]
    pub fn started_at(&self) -> Time {
        self.started_at
    }

    /// When it ended.
    #[must_use]
    pub fn ended_at(&self) -> Option<Time> {
        self.ended_at
    }

    /// What happened to each step, in the order of the definition.
    #[must_use]
    pub fn steps(&self) -> &[StepRun] {
        &self.steps
    }

    /// The step and reason to name to whoever started a saga that went back.
    #[must_use]
    pub fn failure(&self) -> Option<(Option<StepIndex>, Reason)> {
        let of_step = |step: &StepIndex, code: &str, what: &str| {
            let last = self.steps[step.at()].error.as_ref().map_or("", |reason| reason.message.as_str());
            let colon = if last.is_empty() { "" } else { ": " };
            (Some(*step), Reason::new(code, format!("{what}{colon}{last}")))
        };
        Some(match self.turned_back.as_ref()? {
            Cause::Refused(step) => (
                Some(*step),
                self.steps[step.at()].error.as_deref().cloned().expect("a refused step has its refusal"),
            ),
            Cause::Exhausted(step) => of_step(step, Reason::EXHAUSTED, "the step ran out of attempts"),
            Cause::StepTimedOut(step) => of_step(step, Reason::TIMED_OUT, "the step's limit passed"),
            Cause::SagaTimedOut => (None, Reason::new(Reason::TIMED_OUT, "the saga's limit passed")),
            Cause::Cancelled => (None, Reason::new(Reason::CANCELLED, "the saga was cancelled")),
            Cause::Reversed => (None, Reason::new("reversed", "the saga was reversed by an operator")),
        })
    }
}

impl GivenUp {
    fn reason(self) -> Option<Reason> {
        match self {
            Self::Exhausted | Self::TurnedBack => None,
            Self::TimedOut => Some(Reason::new(Reason::TIMED_OUT, "the step's limit passed")),
            Self::PendingTooLong => {
                Some(Reason::new(Reason::TIMED_OUT, "the participant was pending for too long"))
            }
            Self::PayloadConflict => Some(Reason::new(
                crate::outcome::Refusal::PAYLOAD_CONFLICT,
                "the participant knows this key with another payload",
            )),
        }
    }
}

fn asking_of(run: &mut StepRun, direction: Direction) -> Result<&mut Asking, &'static str> {
    match run.state.asking_mut() {
        Some((asked, asking)) if asked == direction => Ok(asking),
        Some(_) | None => Err("the step is not asked in this direction"),
    }
}
