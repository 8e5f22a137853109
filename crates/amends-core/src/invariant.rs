//! What holds for every saga after every event.
//!
//! Owns the assertions that [`crate::Saga::apply`] runs, in release builds too: stopping one transaction beats writing
//! a wrong fact. Promises one condition per assertion, each saying its rule. Does not repair anything.

use crate::saga::{Saga, StepRun, StepState};
use crate::transition::Status;

impl Saga {
    /// # Panics
    /// When a rule is broken.
    pub(crate) fn assert_invariants(&self) {
        assert_eq!(
            self.status.is_ended(),
            self.ended_at.is_some(),
            "a saga has an end if and only if its status says so"
        );
        assert_eq!(
            self.status == Status::Failed,
            self.parked.is_some(),
            "a saga is parked if and only if its status says so"
        );
        match self.status {
            Status::Completed => {
                assert!(
                    self.steps.iter().all(|run| run.state.is_done()),
                    "a completed saga has done every step"
                );
                assert!(self.turned_back.is_none(), "a completed saga never turned back");
            }
            Status::Compensated => {
                assert!(self.is_all_settled(), "a compensated saga owes no undo");
                assert!(
                    !self.steps.iter().any(|run| matches!(run.state, StepState::CompensationFailed { .. })),
                    "a compensated saga has no compensation that failed"
                );
            }
            Status::Pending => {
                assert!(
                    self.steps.iter().all(|run| run.started_at.is_none()),
                    "a pending saga has started nothing"
                );
            }
            Status::InProgress | Status::Compensating | Status::Failed | Status::Abandoned => {}
        }
        if matches!(self.status, Status::Compensating | Status::Compensated) {
            assert!(self.turned_back.is_some(), "only a saga that turned back is undone");
        }
        // Only the way back pays for this walk.
        let settled_behind = self.steps.iter().any(is_being_undone).then(|| self.settled_behind());
        for (step, run) in self.definition.order().iter().map(|step| (*step, &self.steps[step.at()])) {
            assert_step(run);
            if is_being_undone(run) {
                assert!(self.turned_back.is_some(), "nothing is undone on the way forward");
                assert!(
                    settled_behind.as_ref().is_some_and(|behind| behind.contains(step)),
                    "a step is undone after everything that followed it"
                );
            }
            if run.started_at.is_some() {
                assert!(
                    self.definition.step(step).predecessors.iter().all(|before| {
                        let before = &self.steps[before.at()];
                        before.state.is_done() || is_being_undone(before) || is_settled_undo(before)
                    }),
                    "a step that was started has everything before it done"
                );
            }
        }
    }
}

fn assert_step(run: &StepRun) {
    let sent = run.attempts > 0;
    assert_eq!(sent, run.started_at.is_some(), "a step has attempts if and only if it was started");
    match &run.state {
        StepState::Pending => assert!(!sent, "a pending step was never sent"),
        StepState::InProgress { .. }
        | StepState::Completed { .. }
        | StepState::Failed { .. }
        | StepState::Seeking { .. }
        | StepState::Compensating { .. }
        | StepState::CompensationFailed { .. }
        | StepState::Compensated { .. } => {
            assert!(sent, "a step without a durable start is neither asked nor undone")
        }
        StepState::Skipped { owes_undo, .. } => {
            assert_eq!(*owes_undo, sent, "a skipped step owes its undo if and only if it was sent");
        }
    }
}

fn is_being_undone(run: &StepRun) -> bool {
    matches!(run.state, StepState::Seeking { .. } | StepState::Compensating { .. })
}

fn is_settled_undo(run: &StepRun) -> bool {
    matches!(
        run.state,
        StepState::Compensated { .. }
            | StepState::CompensationFailed { .. }
            | StepState::Failed { in_doubt: false }
    )
}
