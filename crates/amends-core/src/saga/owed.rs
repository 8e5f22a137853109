//! What a saga owes the world.
//!
//! Owns [`Saga::owed`] and [`Saga::wake_at`]: what must be under way and the moment to look again. Promises
//! that both follow from the state alone, so that a saga read back from its journal owes exactly what it owed
//! before. Does not remember what was sent: the shard does, and begins only what is owed and not under way.

use std::iter::Enumerate;
use std::slice;

use super::definition::{Calls, Patience};
use super::graph::Cursor;
use super::step_state::{Acted, Phase};
use super::{Saga, StepRun, StepState};
use crate::attempt::{CallId, Direction, StepId, StepIndex};
use crate::effect::{Effect, OwedCall};
use crate::moment::Time;
use crate::payload::{Outputs, Scope};

impl Saga {
    /// What must be under way.
    pub fn owed(&self) -> impl Iterator<Item = Effect> + '_ {
        let is_owing = self.is_owing();
        // What a paused saga wants of its children is that they pause.
        let wants_something = is_owing || self.has_children_to_pause();
        let order = if wants_something { self.definition.order() } else { &[] };
        Owed { saga: self, is_owing, order: order.iter(), legs: None }
    }

    /// What must be under way for one run of a step.
    fn owed_for(&self, step: StepId, run: &StepRun, is_owing: bool) -> Option<Effect> {
        let Some((direction, asking)) = run.state.asking() else {
            return self.owed_child(step, run).map(Effect::Child);
        };
        let call = run.call(step, direction);
        (is_owing && asking.phase == Phase::Calling).then(|| {
            Effect::Call(OwedCall {
                attempt: call.attempt(run.attempts_of(direction)),
                in_doubt: matches!(run.state, StepState::Compensating { acted: Acted::Perhaps, .. }),
                limit: self.patience(call).attempt_limit,
            })
        })
    }

    /// Whether anything must be under way: cheaper than to look at the first of it.
    pub(crate) fn owes(&self) -> bool {
        self.is_owing() && self.steps.iter().any(is_calling)
            || self.has_children_to_pause()
                && !self.is_at_rest()
                && self.runs().any(|(step, run)| self.owed_child(step, run).is_some())
    }

    /// When to send the saga a [`crate::Command::Wake`]; [`Time::NEVER`] if only an answer or an operator
    /// moves it.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        if !self.is_owing() {
            return Time::NEVER;
        }
        let has_limits = self.is_forward() && !self.is_past_return();
        let mut wake_at = if has_limits { self.deadline } else { Time::NEVER };
        for run in &self.steps {
            wake_at = wake_at.min(wake_of(run, has_limits));
        }
        wake_at
    }

    /// Whether it goes on by itself.
    fn is_owing(&self) -> bool {
        !self.is_at_rest() && !self.is_paused()
    }

    /// How often the call is made, and how long it may take.
    ///
    /// # Panics
    /// When the step has no such call.
    pub(super) fn patience(&self, call: CallId) -> &Patience {
        let step = self.definition.step(call.step);
        let Calls { action, undo, .. } = step.calls().expect("what is asked is a call");
        let is_sought = self.run(call.of()).is_ok_and(|run| matches!(run.state, StepState::Seeking { .. }));
        match call.direction {
            Direction::Compensation => &undo.as_ref().expect("what is undone has an undo").patience,
            // The output is sought under the undo's patience.
            Direction::Action if is_sought => {
                &undo.as_ref().expect("an output is sought for an undo").patience
            }
            Direction::Action => action,
        }
    }

    /// Shows what the payload of a call may be made of.
    ///
    /// # Panics
    /// When the definition has no such step.
    pub fn with_scope<R>(&self, call: CallId, look: impl FnOnce(&Scope<'_>) -> R) -> R {
        let run = self.run(call.of()).expect("whoever asks for a payload asks for a call that is there");
        let output = match call.direction {
            Direction::Action => None,
            Direction::Compensation => run.state.returned(),
        };
        let legs = self.steps[call.step.at()].state.legs();
        let element = call.occurrence.and_then(|n| legs.and_then(|legs| legs.elements.get(n as usize)));
        let outputs = &VisibleOutputs { saga: self, of: Some(call.step) };
        let corrected = run.corrected(call.direction);
        look(&Scope { output, element, corrected, ..self.scope(outputs) })
    }

    /// Shows what the saga may return: what every step returned.
    pub(super) fn with_scope_of_all<R>(&self, look: impl FnOnce(&Scope<'_>) -> R) -> R {
        look(&self.scope(&VisibleOutputs { saga: self, of: None }))
    }

    fn scope<'a>(&'a self, outputs: &'a VisibleOutputs<'a>) -> Scope<'a> {
        let Self { id: transaction, started_at, ref input, ref definition, .. } = *self;
        let (version, definition) = (definition.version(), definition.name());
        let (output, element, corrected) = (None, None, None);
        Scope { transaction, definition, version, started_at, input, output, element, corrected, outputs }
    }

    /// Every step that is not split, and every run of those that are, predecessors first.
    pub(super) fn runs(&self) -> Runs<'_> {
        Runs { saga: self, cursor: Cursor::default() }
    }
}

/// The walk through what is owed. By hand: it is taken twice for each answer, and most steps owe nothing.
struct Owed<'a> {
    saga: &'a Saga,
    is_owing: bool,
    order: slice::Iter<'a, StepIndex>,
    /// The rest of the runs of a step that is split.
    legs: Option<(StepIndex, Enumerate<slice::Iter<'a, StepRun>>)>,
}

impl Iterator for Owed<'_> {
    type Item = Effect;

    fn next(&mut self) -> Option<Effect> {
        loop {
            if let Some((step, legs)) = &mut self.legs {
                let Some((n, run)) = legs.next() else {
                    self.legs = None;
                    continue;
                };
                let leg = StepId::leg(*step, u32::try_from(n).expect("a step has few runs"));
                if let Some(effect) = self.saga.owed_for(leg, run, self.is_owing) {
                    return Some(effect);
                }
                continue;
            }
            let step = *self.order.next()?;
            let run = &self.saga.steps[step.at()];
            if let Some(legs) = run.state.legs() {
                self.legs = Some((step, legs.runs.iter().enumerate()));
            } else if let Some(effect) = self.saga.owed_for(step.into(), run, self.is_owing) {
                return Some(effect);
            }
        }
    }
}

/// The walk through all steps and their runs.
pub(super) struct Runs<'a> {
    saga: &'a Saga,
    cursor: Cursor,
}

impl<'a> Iterator for Runs<'a> {
    type Item = (StepId, &'a StepRun);

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.saga.next_run(&mut self.cursor)?;
        let run = &self.saga.steps[step.step.at()];
        match (step.occurrence, run.state.legs()) {
            (Some(n), Some(legs)) => Some((step, &legs.runs[n as usize])),
            (Some(_) | None, _) => Some((step, run)),
        }
    }
}

/// Shows a step the outputs of its ancestors, and the saga as a whole those of all.
#[derive(Debug)]
struct VisibleOutputs<'a> {
    saga: &'a Saga,
    of: Option<StepIndex>,
}

impl Outputs for VisibleOutputs<'_> {
    fn output_of(&self, step: &str) -> Option<&bytes::Bytes> {
        let step = self.saga.definition.find(step)?;
        let is_visible = self.of.is_none_or(|of| self.saga.definition.step(of).ancestors.contains(step));
        if is_visible { self.saga.steps[step.at()].output() } else { None }
    }
}

fn is_calling(run: &StepRun) -> bool {
    match run.state.legs() {
        Some(legs) => legs.runs.iter().any(is_calling),
        None => match run.state.asking() {
            Some((_, asking)) => asking.phase == Phase::Calling,
            None => matches!(run.state, StepState::InChild { .. } | StepState::ChildUndoing { .. }),
        },
    }
}

fn wake_of(run: &StepRun, has_limits: bool) -> Time {
    match &run.state {
        StepState::InProgress { asking, deadline } => {
            due(asking.phase).min(if has_limits { asking.limit(*deadline) } else { Time::NEVER })
        }
        StepState::Seeking { asking, .. } => due(asking.phase),
        StepState::Compensating { asking, .. } => due(asking.phase),
        StepState::Sleeping { until } | StepState::Waiting { until } => *until,
        StepState::Split(legs) => {
            legs.runs.iter().map(|run| wake_of(run, has_limits)).min().unwrap_or(Time::NEVER)
        }
        StepState::InChild { deadline } => {
            if has_limits {
                *deadline
            } else {
                Time::NEVER
            }
        }
        StepState::Pending
        | StepState::ChildUndoing { .. }
        | StepState::Completed { .. }
        | StepState::Failed { .. }
        | StepState::CompensationFailed { .. }
        | StepState::Compensated { .. }
        | StepState::Skipped { .. } => Time::NEVER,
    }
}

const fn due(phase: Phase) -> Time {
    match phase {
        Phase::Calling => Time::NEVER,
        Phase::Resting { until } => until,
        Phase::Working { ask_at, expires_at } => {
            if ask_at.milliseconds() < expires_at.milliseconds() {
                ask_at
            } else {
                expires_at
            }
        }
    }
}
