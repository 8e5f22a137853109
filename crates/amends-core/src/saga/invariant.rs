//! What holds for every saga after every event.
//!
//! Owns the assertions that [`crate::Saga::apply`] runs, in release builds too: stopping one transaction
//! beats writing a wrong fact. Promises one condition per assertion, each saying its rule. Does not repair
//! anything.

use super::step_state::{Failure, Legs};
use super::{Saga, Status, StepRun, StepState};
use crate::attempt::{StepId, StepIndex};

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
            self.status == Status::Parked,
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
                assert!(self.is_all_clear(), "a compensated saga owes no undo");
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
            Status::InProgress | Status::Compensating | Status::Parked | Status::Abandoned => {}
        }
        if matches!(self.status, Status::Compensating | Status::Compensated) {
            assert!(self.turned_back.is_some(), "only a saga that turned back is undone");
        }
        // Only the way back pays for this walk.
        let clear_behind =
            self.steps.iter().any(|run| run.state.is_being_undone()).then(|| self.clear_behind());
        for (step, run) in self.definition.order().iter().map(|step| (*step, &self.steps[step.at()])) {
            assert_step(run);
            if let Some(legs) = run.state.legs() {
                self.assert_legs(step, legs);
            }
            if run.state.is_being_undone() {
                assert!(self.turned_back.is_some(), "nothing is undone on the way forward");
                assert!(
                    clear_behind.as_ref().is_some_and(|behind| behind.contains(step)),
                    "a step is undone after everything that followed it"
                );
            }
            if run.started_at.is_some() {
                assert!(
                    self.definition.step(step).predecessors.iter().all(|before| {
                        let before = &self.steps[before.at()];
                        before.state.is_done() || before.state.is_being_undone() || is_undone(before)
                    }),
                    "a step that was started has everything before it done"
                );
            }
        }
    }
}

impl Saga {
    /// # Panics
    /// When a rule is broken.
    fn assert_legs(&self, step: StepIndex, legs: &Legs) {
        assert_eq!(legs.runs.len(), legs.elements.len(), "a step runs once for each element");
        assert!(
            legs.runs.iter().is_sorted_by_key(is_pending),
            "the runs of a step start in the order of their elements"
        );
        let mut undone = 0;
        for (at, run) in legs.runs.iter().enumerate() {
            assert_step(run);
            if run.state.is_being_undone() {
                undone += 1;
                let id = StepId::leg(step, u32::try_from(at).expect("ELEMENTS_MAX fits in 32 bits"));
                assert!(self.is_next_leg(id), "a run is undone after every one that followed it");
            }
        }
        assert!(undone <= 1, "the runs of a step are undone one at a time");
    }
}

fn assert_step(run: &StepRun) {
    let was_sent = run.attempts > 0;
    assert!(!was_sent || run.started_at.is_some(), "a step has attempts only if it was started");
    match &run.state {
        StepState::Pending => assert!(run.started_at.is_none(), "a pending step was never started"),
        StepState::InProgress { .. }
        | StepState::InChild { .. }
        | StepState::ChildUndoing { .. }
        | StepState::Seeking { .. }
        | StepState::Compensating { .. }
        | StepState::CompensationFailed { .. }
        | StepState::Compensated { .. } => {
            assert!(was_sent, "a step without a durable attempt is neither asked nor undone");
        }
        StepState::Sleeping { .. } | StepState::Waiting { .. } => {
            assert!(!was_sent, "a step that sleeps or waits calls nobody");
            assert!(run.started_at.is_some(), "a step sleeps or waits once it was started");
        }
        StepState::Split(_) => {
            assert!(!was_sent, "what runs once for each element is asked run by run");
            assert!(run.started_at.is_some(), "a step is split when it starts");
        }
        StepState::Completed { .. } => assert!(run.started_at.is_some(), "what is done was started"),
        StepState::Failed { because } => match because {
            Failure::WaitTimedOut | Failure::Dropped | Failure::Unjudged => {
                assert!(!was_sent, "what failed before it called anybody called nobody");
            }
            // A wait too is refused.
            Failure::Refused { .. } => {}
            Failure::GivenUp(_)
            | Failure::Conflict
            | Failure::OutputTooLarge { .. }
            | Failure::Unmade { .. }
            | Failure::NothingToUndo => assert!(was_sent, "a call that failed has a durable attempt"),
        },
        StepState::Skipped { acted, .. } => {
            assert_eq!(acted.is_some(), was_sent, "a skipped step owes its undo if and only if it was sent");
        }
    }
}

fn is_pending(run: &StepRun) -> bool {
    matches!(run.state, StepState::Pending)
}

/// Whether nothing of the step stands any more, or an operator has to see to it.
fn is_undone(run: &StepRun) -> bool {
    match &run.state {
        StepState::Compensated { .. } | StepState::CompensationFailed { .. } => true,
        StepState::Failed { because } => because.acted().is_none(),
        // Its runs are looked at one by one.
        StepState::Split(legs) => legs.runs.iter().all(|run| {
            run.state.is_done() || run.state.is_being_undone() || is_undone(run) || is_pending(run)
        }),
        StepState::Pending
        | StepState::InProgress { .. }
        | StepState::InChild { .. }
        | StepState::ChildUndoing { .. }
        | StepState::Sleeping { .. }
        | StepState::Waiting { .. }
        | StepState::Completed { .. }
        | StepState::Seeking { .. }
        | StepState::Compensating { .. }
        | StepState::Skipped { .. } => false,
    }
}
