//! Sagas that run in the steps of others.
//!
//! Owns what a parent wants of its children and what they tell it, on both sides. Promises that a child is
//! named by its parent's id, its step and how often one was started there, so that nothing is started twice; and
//! that one past its own pivot goes on to its end before it is undone as a whole. Does not start anything: what
//! is wanted is an effect, what is told a command.

use bytes::Bytes;

use super::decide::Decision;
use super::definition::{ChildStep, Kind};
use super::event::{Cause, Event, ParkReason};
use super::{Saga, Status, StepRun, StepState};
use crate::attempt::{CallId, Direction, StepId};
use crate::command::{By, ChildStands};
use crate::effect::{OwedChild, Want};
use crate::id::TransactionId;
use crate::origin::{Origin, Parent};
use crate::outcome::{Reason, Refusal};

impl Saga {
    /// The id of the saga that runs, or ran, in a step: `None` if none was started there.
    #[must_use]
    pub fn child(&self, step: StepId) -> Option<TransactionId> {
        let run = self.run(step).ok()?;
        let is_child = matches!(self.definition.step(step.step).kind, Kind::Child(_));
        (is_child && run.attempts > 0).then(|| self.child_id(step, run))
    }

    fn child_id(&self, step: StepId, run: &StepRun) -> TransactionId {
        let occurrence = step.occurrence.map_or(0, |occurrence| u64::from(occurrence) + 1);
        self.id.derived(step.step.0, occurrence, run.attempts)
    }

    /// What the saga of a step is: its definition, and where it comes from.
    ///
    /// # Panics
    /// When no saga runs in the step.
    #[must_use]
    pub fn child_origin(&self, step: StepId) -> (&ChildStep, Origin) {
        let Kind::Child(child) = &self.definition.step(step.step).kind else {
            panic!("only a step that runs a saga has one");
        };
        let parent = Parent {
            id: self.id,
            step,
            step_name: step.named(&self.definition.written(step.step).name).to_string(),
            root: self.parent().map_or(self.id, |parent| parent.root),
        };
        let trace = self.trace().map(str::to_owned);
        (child, Origin { parent: Some(parent), trace, ..Origin::default() })
    }

    /// What the saga of a step is started with.
    ///
    /// # Errors
    /// When its expression fails.
    pub fn child_input(&self, step: StepId) -> Result<Bytes, String> {
        let expressions =
            self.definition.expressions().ok_or("its definition came without its expressions")?;
        let StepId { step, occurrence } = step;
        let call = CallId { occurrence, ..CallId::first(step, Direction::Action) };
        self.with_scope(call, |scope| expressions.child_input(step, scope))
    }

    /// The children that are under way, and what is wanted of them.
    pub(super) fn owed_child(&self, step: StepId, run: &StepRun) -> Option<OwedChild> {
        let undo = match &run.state {
            StepState::InChild { .. } => false,
            StepState::ChildUndoing { .. } => true,
            StepState::Pending
            | StepState::InProgress { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::Split(_)
            | StepState::Completed { .. }
            | StepState::Failed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { .. } => return None,
        };
        let want = Want { undo, pause: self.is_paused(), abandon: self.status == Status::Abandoned };
        Some(OwedChild { id: self.child_id(step, run), step, want })
    }

    /// Whether it is paused or abandoned, and children are under way that are to follow it in that.
    pub(super) fn has_children_to_pause(&self) -> bool {
        let follows = self.status == Status::Abandoned || self.is_paused() && !self.is_at_rest();
        follows && self.definition.children().next().is_some()
    }

    /// Where it stands, for the saga that it runs in.
    #[must_use]
    pub fn stands(&self) -> ChildStands {
        match self.status {
            Status::Pending | Status::InProgress | Status::Compensating => ChildStands::UnderWay,
            Status::Parked => ChildStands::Parked,
            Status::Completed => {
                let output = self.returned().cloned().unwrap_or_else(|| Bytes::from_static(b"null"));
                ChildStands::Completed { output }
            }
            Status::Compensated => {
                let reason = self.failure().map(|(_, reason)| reason);
                let reason = reason.unwrap_or_else(|| Reason::new(Reason::CANCELLED, "it was undone"));
                ChildStands::Compensated { reason }
            }
            Status::Abandoned => ChildStands::Abandoned,
        }
    }
}

impl Decision<'_> {
    /// A child says where it stands.
    pub(super) fn child_stands(&mut self, child: TransactionId, stands: ChildStands) {
        let is_child = |(step, run): &(StepId, &StepRun)| {
            self.saga.owed_child(*step, run).is_some_and(|owed| owed.id == child)
        };
        let Some((step, run)) = self.saga.runs().find(is_child) else { return };
        if self.saga.standing().is_ended() {
            return;
        }
        let is_undoing = matches!(run.state, StepState::ChildUndoing { .. });
        let waits = ParkReason::ChildParked(step);
        let is_waited_for = self.saga.parked.as_ref().is_some_and(|parked| parked.because == waits);
        match stands {
            ChildStands::Parked if self.saga.is_at_rest() => return,
            ChildStands::Parked => return self.park(waits),
            ChildStands::Abandoned => return,
            ChildStands::UnderWay | ChildStands::Completed { .. } | ChildStands::Compensated { .. } => {}
        }
        if is_waited_for {
            self.record(Event::ChildFreed { step });
        }
        match stands {
            ChildStands::Completed { output } if !is_undoing => self.completed(step, Ok(output)),
            ChildStands::Compensated { .. } if is_undoing => {
                self.record(Event::CompensationCompleted { step })
            }
            ChildStands::Compensated { reason } => {
                let Reason { code, message } = reason;
                self.refused(step, Refusal { code, message, details: None }.bounded());
            }
            ChildStands::UnderWay
            | ChildStands::Completed { .. }
            | ChildStands::Parked
            | ChildStands::Abandoned => {}
        }
    }

    /// What the parent wants of this saga.
    pub(super) fn wanted(&mut self, want: Want) {
        let by = || By::new("amends", "the saga that it runs in");
        let Want { undo, pause, abandon } = want;
        if self.saga.status.is_ended() && !(undo && self.saga.status == Status::Completed) {
            return;
        }
        if abandon {
            if !self.saga.status.is_ended() {
                self.record(Event::SagaAbandoned { by: by() });
            }
            return;
        }
        if undo && self.saga.is_forward() && !self.saga.is_recalled {
            self.record(Event::Recalled);
            self.follow_recall();
        }
        match (pause, self.saga.is_paused()) {
            (true, false) if !self.saga.is_at_rest() => self.record(Event::SagaPaused { by: by() }),
            (false, true) => {
                self.record(Event::SagaResumed { by: by() });
                self.wake();
            }
            (true, _) | (false, false) => {}
        }
    }

    /// Turns a saga back that its parent wants undone, as soon as there is a way: before its pivot, or when it has come to
    /// its end.
    pub(super) fn follow_recall(&mut self) {
        if !self.saga.is_recalled || !self.saga.is_forward() {
            return;
        }
        let has_way_back = self.saga.status == Status::Completed
            || !self.saga.status.is_ended() && !self.saga.is_past_return();
        if has_way_back {
            self.turn_back(Cause::Recalled);
        }
    }
}
