//! What a saga follows.
//!
//! Owns [`SagaDefinition`] (what runs: checked, indices, order), made of a [`SagaSpec`] (what people write:
//! names). Promises that a definition has no finding of the checker: one that could strand a saga does not
//! exist. Does not read files or make payloads. Start reading at [`SagaDefinition::from_spec`].

mod check;
mod spec;

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::{CallId, Direction, StepIndex};
use crate::expressions::Expressions;
use crate::limits::WORKING_MAX;
use crate::name::DefinitionName;
use crate::payload::Terms;
use crate::retry::RetryPolicy;
use crate::step_set::StepSet;

pub use check::Finding;
pub use spec::{
    CallSpec, CallStep, ChildStep, CompensationSpec, EachSpec, OnTimeout, SagaSpec, StepKind, StepSpec,
    WaitStep,
};

/// Where a step stands to the pivot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Can be undone.
    BeforePivot,
    /// The point of no return.
    Pivot,
    /// Retried until it succeeds.
    AfterPivot,
}

/// A checked definition of a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaDefinition {
    spec: SagaSpec,
    steps: Vec<Step>,
    pivot: Option<StepIndex>,
    order: Vec<StepIndex>,
    /// Whether some step sleeps, waits, has a guard or runs once for each element: most definitions have none, and
    /// need not be asked each time.
    is_plain: bool,
    warnings: Vec<Warning>,
    /// Of a definition that is data.
    document: Option<Document>,
}

/// What a definition that is data was compiled from, and to.
#[derive(Debug, Clone)]
struct Document {
    source: Arc<str>,
    expressions: Arc<dyn Expressions>,
}

impl PartialEq for Document {
    /// One text is compiled to one thing.
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Document {}

/// A step of a checked definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it stands to the pivot.
    pub role: Role,
    /// The steps that must be done before.
    pub predecessors: Vec<StepIndex>,
    /// The steps that wait for it.
    pub successors: Vec<StepIndex>,
    /// The steps that must be done before, directly or not: those whose outputs it sees.
    pub(crate) ancestors: StepSet,
    /// Whether it has an undo.
    pub has_undo: bool,
    /// What it is.
    pub kind: Kind,
}

/// What a step of a checked definition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A participant is called.
    Call(Calls),
    /// Time passes.
    Sleep {
        /// How long.
        length: Duration,
    },
    /// Something is said from outside.
    Wait(WaitStep),
    /// Another saga runs.
    Child(ChildStep),
}

/// The two calls of a step, with nothing left to defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// The step's effect.
    pub action: Patience,
    /// How long all attempts of the action may take.
    pub limit: Duration,
    /// Its undo, if it has one.
    pub undo: Option<Undo>,
}

/// How often one call is made, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// How the call is repeated.
    pub retry: RetryPolicy,
    /// How long one attempt may take.
    pub attempt_limit: Duration,
    /// How long a participant that said *working* may take to answer.
    pub pending: Duration,
}

/// A step's undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// How long and how often it is asked.
    pub patience: Patience,
    /// Whether it cannot do without the action's output.
    pub needs_output: bool,
}

/// Legal, but worth a thought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// An in-doubt step must be asked again before it can be undone.
    UndoNeedsOutput(StepIndex),
}

impl SagaDefinition {
    /// Checks what was written.
    ///
    /// # Errors
    /// Every finding, not only the first.
    pub fn from_spec(spec: SagaSpec) -> Result<Self, Vec<Finding>> {
        let check::Checked { roles, predecessors, pivot, order } = check::check(&spec)?;
        let mut successors = vec![Vec::new(); spec.steps.len()];
        for (at, before) in predecessors.iter().enumerate() {
            for step in before {
                successors[step.at()].push(index(at));
            }
        }
        let mut ancestors = vec![StepSet::default(); spec.steps.len()];
        for step in &order {
            let mut all = StepSet::default();
            for before in &predecessors[step.at()] {
                all.insert(*before);
                all.insert_all(&ancestors[before.at()]);
            }
            ancestors[step.at()] = all;
        }
        let shape = predecessors.into_iter().zip(successors).zip(ancestors);
        let steps: Vec<Step> = (spec.steps.iter().zip(roles).zip(shape))
            .map(|((step, role), ((predecessors, successors), ancestors))| {
                let kind = Kind::of(&step.kind, role, spec.limit);
                // A child is undone as a whole.
                let has_undo = matches!(&kind, Kind::Call(Calls { undo: Some(_), .. }) | Kind::Child(_));
                Step { role, predecessors, successors, ancestors, has_undo, kind }
            })
            .collect();
        let needs_output = |step: &Step| step.undo().is_some_and(|undo| undo.needs_output);
        let doubtful = steps.iter().enumerate().filter(|(_, step)| needs_output(step));
        let warnings = doubtful.map(|(at, _)| Warning::UndoNeedsOutput(index(at))).collect();
        let is_plain = |(step, written): (&Step, &StepSpec)| {
            step.calls().is_some() && !written.when && written.each.is_none()
        };
        let is_plain = steps.iter().zip(&spec.steps).all(is_plain);
        Ok(Self { spec, steps, pivot, order, is_plain, warnings, document: None })
    }

    /// The definition with what it computes, and the text that both were compiled from.
    #[must_use]
    pub fn with_expressions(self, source: Arc<str>, expressions: Arc<dyn Expressions>) -> Self {
        Self { document: Some(Document { source, expressions }), ..self }
    }

    /// The text that it was compiled from, if it is data.
    #[must_use]
    pub fn source(&self) -> Option<&Arc<str>> {
        self.document.as_ref().map(|document| &document.source)
    }

    /// What it computes, if it is data.
    #[must_use]
    pub fn expressions(&self) -> Option<&Arc<dyn Expressions>> {
        self.document.as_ref().map(|document| &document.expressions)
    }

    /// The definition as written.
    #[must_use]
    pub fn spec(&self) -> &SagaSpec {
        &self.spec
    }

    /// The definition's name.
    #[must_use]
    pub fn name(&self) -> &DefinitionName {
        &self.spec.name
    }

    /// The definition's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.spec.version
    }

    /// What is worth a thought.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The point of no return, if there is one.
    #[must_use]
    pub fn pivot(&self) -> Option<StepIndex> {
        self.pivot
    }

    /// Every step, predecessors first.
    #[must_use]
    pub fn order(&self) -> &[StepIndex] {
        &self.order
    }

    /// All steps, checked, in the order in which they are written.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the step waits for, if it waits.
    ///
    /// # Panics
    /// As [`SagaDefinition::step`].
    #[must_use]
    pub fn wait(&self, step: StepIndex) -> Option<&WaitStep> {
        match &self.step(step).kind {
            Kind::Wait(wait) => Some(wait),
            Kind::Call(_) | Kind::Sleep { .. } | Kind::Child(_) => None,
        }
    }

    /// One step, checked.
    ///
    /// # Panics
    /// When the definition has no such step; [`SagaDefinition::has`] tells.
    #[must_use]
    pub fn step(&self, step: StepIndex) -> &Step {
        &self.steps[step.at()]
    }

    /// One step as written.
    ///
    /// # Panics
    /// As [`SagaDefinition::step`].
    #[must_use]
    pub fn written(&self, step: StepIndex) -> &StepSpec {
        &self.spec.steps[step.at()]
    }

    /// Whether the definition has this step.
    #[must_use]
    pub fn has(&self, step: StepIndex) -> bool {
        step.at() < self.steps.len()
    }

    /// The step of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<StepIndex> {
        self.spec.steps.iter().position(|step| step.name == name).map(index)
    }

    /// Whether the step has an undo.
    #[must_use]
    pub fn has_undo(&self, step: StepIndex) -> bool {
        self.step(step).has_undo
    }

    /// Whether every step is a call that is made once, without a guard.
    pub(crate) const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Every call of its steps.
    pub(crate) fn calls(&self) -> impl Iterator<Item = CallId> + '_ {
        self.order.iter().flat_map(|&step| {
            let (has_action, has_undo) = match &self.step(step).kind {
                Kind::Call(calls) => (true, calls.undo.is_some()),
                Kind::Sleep { .. } | Kind::Wait(_) | Kind::Child(_) => (false, false),
            };
            let action = has_action.then(|| CallId::first(step, Direction::Action));
            action.into_iter().chain(has_undo.then(|| CallId::first(step, Direction::Compensation)))
        })
    }

    /// The terms of a call.
    ///
    /// # Panics
    /// When the step has no such call: no saga owes it.
    #[must_use]
    pub fn terms(&self, call: CallId) -> Terms<'_> {
        let StepSpec { name, kind, .. } = self.written(call.step);
        let (written, refuse_on) = match kind {
            StepKind::Call(step) => match (call.direction, &step.compensation) {
                (Direction::Action, _) => (Some(&step.action), &*step.refuse_on),
                (Direction::Compensation, CompensationSpec::Call { call, .. }) => (Some(call), &[][..]),
                (
                    Direction::Compensation,
                    CompensationSpec::Undeclared | CompensationSpec::None | CompensationSpec::ReadOnly,
                ) => (None, &[][..]),
            },
            StepKind::Sleep { .. } | StepKind::Wait(_) | StepKind::Child(_) => (None, &[][..]),
        };
        let CallSpec { participant, operation, payload, .. } =
            written.expect("nobody owes a call without terms");
        Terms { step: name, participant, operation, payload, refuse_on }
    }

    /// The names of the signals that its steps wait for.
    pub fn signals(&self) -> impl Iterator<Item = &str> {
        let waits = self.steps.iter().filter_map(|step| match &step.kind {
            Kind::Wait(wait) => Some(wait),
            Kind::Call(_) | Kind::Sleep { .. } | Kind::Child(_) => None,
        });
        waits.flat_map(|wait| iter::once(wait.signal.as_str()).chain(wait.refused_by.as_deref()))
    }

    /// The steps that run another saga.
    pub fn children(&self) -> impl Iterator<Item = (StepIndex, &ChildStep)> {
        self.steps.iter().enumerate().filter_map(|(at, step)| match &step.kind {
            Kind::Child(child) => Some((index(at), child)),
            Kind::Call(_) | Kind::Sleep { .. } | Kind::Wait(_) => None,
        })
    }

    /// The first step that has an effect and no undo, leaving out those that run another saga: see there.
    #[must_use]
    pub fn without_undo(&self) -> Option<StepIndex> {
        let has_effect = |step: &StepSpec| match &step.kind {
            StepKind::Call(call) => call.compensation != CompensationSpec::ReadOnly,
            StepKind::Sleep { .. } | StepKind::Wait(_) | StepKind::Child(_) => false,
        };
        let at = (self.spec.steps.iter().zip(&self.steps))
            .position(|(written, step)| has_effect(written) && !step.has_undo)?;
        Some(index(at))
    }
}

impl Step {
    /// The step's undo, if it has one.
    #[must_use]
    pub fn undo(&self) -> Option<&Undo> {
        self.calls().and_then(|calls| calls.undo.as_ref())
    }

    /// The step's calls, if it makes any.
    #[must_use]
    pub fn calls(&self) -> Option<&Calls> {
        match &self.kind {
            Kind::Call(calls) => Some(calls),
            Kind::Sleep { .. } | Kind::Wait(_) | Kind::Child(_) => None,
        }
    }
}

impl Kind {
    /// The kind, with the defaults of the step's role.
    fn of(written: &StepKind, role: Role, saga_limit: Duration) -> Self {
        match written {
            StepKind::Call(step) => {
                let CallStep { action, limit, compensation, refuse_on: _ } = step;
                let action = Patience::of(action, default_retry(role));
                let limit = limit.unwrap_or_else(|| action.longest()).min(saga_limit);
                let undo = match compensation {
                    CompensationSpec::Undeclared | CompensationSpec::None | CompensationSpec::ReadOnly => {
                        None
                    }
                    CompensationSpec::Call { call, needs_output } => Some(Undo {
                        patience: Patience::of(call, RetryPolicy::patient()),
                        needs_output: *needs_output,
                    }),
                };
                Self::Call(Calls { action, limit, undo })
            }
            StepKind::Sleep { length } => Self::Sleep { length: *length },
            StepKind::Wait(wait) => Self::Wait(wait.clone()),
            StepKind::Child(child) => Self::Child(child.clone()),
        }
    }
}

impl Patience {
    fn of(call: &CallSpec, default: RetryPolicy) -> Self {
        Self {
            retry: call.retry.clone().unwrap_or(default),
            attempt_limit: call.attempt_limit,
            pending: call.pending.unwrap_or(WORKING_MAX),
        }
    }

    /// How long all attempts and the rests between them can take.
    fn longest(&self) -> Duration {
        let all = self.retry.attempts.zip(self.retry.longest_rests());
        all.map_or(Duration::MAX, |(attempts, rests)| {
            self.attempt_limit.saturating_mul(attempts).saturating_add(rests)
        })
    }
}

fn default_retry(role: Role) -> RetryPolicy {
    match role {
        Role::BeforePivot => RetryPolicy::action(),
        // The pivot is asked until its answer is certain: giving it up calls for a person.
        Role::Pivot => RetryPolicy::patient(),
        Role::AfterPivot => RetryPolicy::endless(),
    }
}

fn index(at: usize) -> StepIndex {
    StepIndex(u16::try_from(at).expect("STEPS_MAX fits in sixteen bits"))
}
