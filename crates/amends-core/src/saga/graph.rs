//! Who may go next.
//!
//! Owns the questions about a saga's steps and their order: which may start, which are to be undone, whether
//! there is a way back. Promises to look at each step once for each question: the paths through a graph of
//! steps can be more than there is time for. Does not change anything.

use super::Saga;
use super::definition::Role;
use super::step_state::StepState;
use crate::attempt::StepIndex;
use crate::step_set::StepSet;

impl Saga {
    /// Whether the step may have taken effect, has an undo, and is not being undone.
    pub(super) fn is_owed_undo(&self, step: StepIndex) -> bool {
        self.steps[step.at()].state.is_undoable() && self.definition.has_undo(step)
    }

    /// Whether the step needs no further work on the way back, whatever follows it.
    pub(super) fn is_clear(&self, step: StepIndex) -> bool {
        match &self.steps[step.at()].state {
            StepState::Pending | StepState::Compensated { .. } => true,
            // A compensation that failed holds up no other, unless it is about to be asked again.
            StepState::CompensationFailed { again, .. } => !again,
            StepState::InProgress { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. } => false,
            StepState::Completed { .. } | StepState::Failed { .. } | StepState::Skipped { .. } => {
                !self.is_owed_undo(step)
            }
        }
    }

    /// Whether a further signal of this name would never be taken: each step that may still wait for one has one already.
    pub(super) fn is_overheard(&self, signal: &str) -> bool {
        let may_wait = |step: &&StepIndex| {
            let is_ahead =
                matches!(self.steps[step.at()].state, StepState::Pending | StepState::Waiting { .. });
            is_ahead && self.definition.wait(**step).is_some_and(|wait| wait.signal == signal)
        };
        let waits = self.definition.order().iter().filter(may_wait).count();
        self.kept_signals().iter().filter(|kept| kept.name == signal).count() >= waits
    }

    /// Whether nothing is left to do on the way back.
    pub(super) fn is_all_clear(&self) -> bool {
        self.definition.order().iter().all(|step| self.is_clear(*step))
    }

    /// The steps that have not started although everything before them, directly or not, is done. Not only
    /// directly: a step may be skipped ahead of its turn, and lets nothing through before that.
    pub(super) fn startable(&self) -> StepSet {
        let mut is_through = StepSet::default();
        let mut startable = StepSet::default();
        for step in self.definition.order() {
            if self.definition.step(*step).predecessors.iter().all(|before| is_through.contains(*before)) {
                let state = &self.steps[step.at()].state;
                if state.is_done() {
                    is_through.insert(*step);
                }
                if *state == StepState::Pending {
                    startable.insert(*step);
                }
            }
        }
        startable
    }

    /// The steps behind which everything, directly or not, is clear.
    pub(super) fn clear_behind(&self) -> StepSet {
        let mut behind = StepSet::default();
        for step in self.definition.order().iter().rev() {
            let is_clear = self.definition.step(*step).successors.iter().all(|next| {
                // What was never started has nothing started behind it.
                self.steps[next.at()].state == StepState::Pending
                    || self.is_clear(*next) && behind.contains(*next)
            });
            if is_clear {
                behind.insert(*step);
            }
        }
        behind
    }

    /// The steps whose undo is the next thing to do for them.
    pub(super) fn undo_due(&self) -> StepSet {
        let behind = self.clear_behind();
        let mut due = StepSet::default();
        for step in self.definition.order() {
            if self.is_owed_undo(*step) && behind.contains(*step) {
                due.insert(*step);
            }
        }
        due
    }

    /// Whether the pivot was ever sent: then neither limits nor `cancel` turn the saga back. A pivot that was
    /// skipped ahead of its turn counts from when its turn has come: what follows it may have been sent
    /// since.
    pub(super) fn is_past_return(&self) -> bool {
        let is_before = |step: &StepIndex| self.definition.step(*step).role == Role::BeforePivot;
        self.definition.pivot().is_some_and(|pivot| match &self.steps[pivot.at()].state {
            StepState::Pending => false,
            StepState::Skipped { acted: None, .. } => {
                let mut before = self.definition.order().iter().filter(|step| is_before(step));
                before.all(|step| self.steps[step.at()].state.is_done())
            }
            StepState::InProgress { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::Completed { .. }
            | StepState::Failed { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Compensated { .. }
            | StepState::Skipped { acted: Some(_), .. } => true,
        })
    }
}
