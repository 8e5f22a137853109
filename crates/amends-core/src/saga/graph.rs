//! Who may go next.
//!
//! Owns the questions about a saga's steps and their order: which may start, which are to be undone, whether
//! there is a way back. Promises to look at each step once for each question: the paths through a graph of
//! steps can be more than there is time for. Does not change anything.

use super::definition::Role;
use super::{Saga, StepRun, StepState};
use crate::attempt::{StepId, StepIndex};
use crate::step_set::StepSet;

/// A place on a walk through all steps and their runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    place: usize,
    leg: u32,
}

impl Saga {
    /// Whether the step, or some run of it, may have taken effect, has an undo, and is not being undone.
    pub(super) fn is_owed_undo(&self, step: StepIndex) -> bool {
        self.steps[step.at()].state.is_undoable() && self.definition.has_undo(step)
    }

    /// The same of one run of a step that runs more than once.
    pub(super) fn is_owed_undo_of(&self, step: StepId) -> bool {
        self.definition.has_undo(step.step) && self.run(step).is_ok_and(|run| run.state.is_undoable())
    }

    /// The run whose undo is the next thing to do for the step: one at a time, from the last to the first, once none is
    /// asked for anything.
    pub(super) fn next_undo(&self, step: StepIndex) -> Option<StepId> {
        let Some(legs) = self.steps[step.at()].state.legs() else { return Some(step.into()) };
        if legs.is_asking() {
            return None;
        }
        let last = legs.runs.iter().rposition(|run| run.state.is_undoable())?;
        Some(StepId::leg(step, u32::try_from(last).expect("ELEMENTS_MAX fits in 32 bits")))
    }

    /// Whether no run of the step after this one is left to be undone.
    pub(super) fn is_next_leg(&self, step: StepId) -> bool {
        let (Some(n), Some(legs)) = (step.occurrence, self.steps[step.step.at()].state.legs()) else {
            return true;
        };
        legs.runs.iter().skip(n as usize + 1).all(|run| self.is_run_clear(step.step, run))
    }

    /// The next step, or run of a step that runs more than once, in the order of the definition: what is decided about
    /// one may change others.
    pub(super) fn next_run(&self, cursor: &mut Cursor) -> Option<StepId> {
        loop {
            let step = *self.definition.order().get(cursor.place)?;
            match self.steps[step.at()].state.legs() {
                None if cursor.leg == 0 => {
                    cursor.place += 1;
                    return Some(step.into());
                }
                Some(legs) if (cursor.leg as usize) < legs.runs.len() => {
                    cursor.leg += 1;
                    return Some(StepId::leg(step, cursor.leg - 1));
                }
                None | Some(_) => *cursor = Cursor { place: cursor.place + 1, leg: 0 },
            }
        }
    }

    /// Whether the step needs no further work on the way back, whatever follows it.
    pub(super) fn is_clear(&self, step: StepIndex) -> bool {
        self.is_run_clear(step, &self.steps[step.at()])
    }

    fn is_run_clear(&self, step: StepIndex, run: &StepRun) -> bool {
        match &run.state {
            StepState::Pending | StepState::Compensated { .. } => true,
            StepState::Split(legs) => legs.runs.iter().all(|run| self.is_run_clear(step, run)),
            // A compensation that failed holds up no other, unless it is about to be asked again.
            StepState::CompensationFailed { again, .. } => !again,
            StepState::InProgress { .. }
            | StepState::InChild { .. }
            | StepState::ChildUndoing { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::Seeking { .. }
            | StepState::Compensating { .. } => false,
            StepState::Completed { .. } | StepState::Failed { .. } | StepState::Skipped { .. } => {
                !(run.state.is_undoable() && self.definition.has_undo(step))
            }
        }
    }

    /// Whether a further signal of this name would never be taken: each step that may still wait for one has one already.
    pub(super) fn is_overheard(&self, signal: &str) -> bool {
        let may_wait = |step: &&StepIndex| {
            let is_ahead =
                matches!(self.steps[step.at()].state, StepState::Pending | StepState::Waiting { .. });
            is_ahead && self.definition.wait(**step).is_some_and(|wait| wait.takes(signal))
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
                if matches!(state, StepState::Pending) {
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
                matches!(self.steps[next.at()].state, StepState::Pending)
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
            | StepState::InChild { .. }
            | StepState::ChildUndoing { .. }
            | StepState::Sleeping { .. }
            | StepState::Waiting { .. }
            | StepState::Split(_)
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
