//! What a saga would send, without sending it.
//!
//! Owns [`Document::render`]. Promises the requests that a saga with this input would make, byte for byte, as
//! far as the outputs of its steps are given; where one is not, the expression stands in its place. Calls
//! nothing.

use std::collections::BTreeMap;

use amends_core::Direction;
use amends_core::saga::definition::{CompensationSpec, StepKind};

use crate::Document;
use crate::call::CallPlan;
use crate::expression::{Evaluation, World};
use crate::expressions::{elements, guard, rendered};
use crate::plan::StepPlan;
use crate::request::Request;

/// What is known of a saga that might run.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `saga.id`
    pub id: String,
    /// `saga.started_at`
    pub started_at: String,
    /// The input.
    pub input: Vec<u8>,
    /// Outputs by the name of their step.
    pub outputs: BTreeMap<String, Vec<u8>>,
}

/// What would leave for one call, or why nothing would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The step; for an element of `each` with its number, as in `Leg[3]`.
    pub step: String,
    /// What it is.
    pub what: RenderedWhat,
}

/// What a step would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenderedWhat {
    /// A call.
    Call {
        /// Action or compensation.
        direction: Direction,
        /// The participant.
        participant: String,
        /// What the call is called.
        operation: String,
        /// Where it would go, with `${…}` where an output is not known.
        url: String,
        /// The request, or why there is none.
        request: Result<Request, String>,
    },
    /// A sub-saga would start.
    Child {
        /// Its definition.
        definition: String,
        /// Its input, or why there is none.
        input: Result<Vec<u8>, String>,
    },
    /// The step would not run.
    Skipped,
    /// The step runs or not, depending on outputs that are not known.
    Undecided,
    /// Guard or list fail.
    Failed(String),
    /// It makes no call: it sleeps or waits.
    Pause,
}

impl Document {
    /// The requests of a saga with this input, step by step.
    #[must_use]
    pub fn render(&self, given: &Given) -> Vec<Rendered> {
        let mut all = Vec::new();
        for (spec, plan) in self.plan.spec.steps.iter().zip(&self.plan.steps) {
            let renderer = Renderer { document: self, given, step: &spec.name, kind: &spec.kind, plan };
            renderer.step(&mut all);
        }
        all
    }
}

struct Renderer<'r> {
    document: &'r Document,
    given: &'r Given,
    step: &'r str,
    kind: &'r StepKind,
    plan: &'r StepPlan,
}

impl Renderer<'_> {
    fn with<T>(&self, element: Option<&[u8]>, work: impl FnOnce(&mut Evaluation<'_>) -> T) -> T {
        let outputs = |step: &str| self.given.outputs.get(step).map(Vec::as_slice);
        let output = if element.is_some() { None } else { outputs(self.step) };
        let mut evaluation = Evaluation::new(World {
            input: &self.given.input,
            output,
            element,
            outputs: &outputs,
            id: &self.given.id,
            started_at: &self.given.started_at,
            definition: self.document.name.as_str(),
        });
        evaluation.shows_unknown = true;
        work(&mut evaluation)
    }

    fn step(&self, all: &mut Vec<Rendered>) {
        let mut add = |step: String, what| all.push(Rendered { step, what });
        let name = || self.step.to_owned();
        if let Some(when) = &self.plan.when {
            match self
                .with(None, |evaluation| (!evaluation.lacks(when)).then(|| guard(self.plan, evaluation)))
            {
                Some(Ok(true)) => {}
                Some(Ok(false)) => return add(name(), RenderedWhat::Skipped),
                Some(Err(why)) => return add(name(), RenderedWhat::Failed(why)),
                None => add(name(), RenderedWhat::Undecided),
            }
        }
        let Some(each) = &self.plan.each else {
            return self.run(None, name(), &mut add);
        };
        match self.with(None, |evaluation| (!evaluation.lacks(each)).then(|| elements(self.plan, evaluation)))
        {
            Some(Ok(elements)) => {
                for (at, element) in elements.iter().enumerate() {
                    self.run(Some(element), format!("{}[{at}]", self.step), &mut add);
                }
            }
            Some(Err(why)) => add(name(), RenderedWhat::Failed(why)),
            None => self.run(None, format!("{}[…]", self.step), &mut add),
        }
    }

    fn run(&self, element: Option<&[u8]>, name: String, add: &mut dyn FnMut(String, RenderedWhat)) {
        match self.kind {
            StepKind::Call(step) => {
                if let Some(plan) = &self.plan.action {
                    let what = self.call(element, Direction::Action, plan, &step.action.operation);
                    add(name.clone(), what);
                }
                if let (Some(plan), CompensationSpec::Call { call, .. }) =
                    (&self.plan.undo, &step.compensation)
                {
                    add(name, self.call(element, Direction::Compensation, plan, &call.operation));
                }
            }
            StepKind::Child(child) => {
                let input = match &self.plan.child_input {
                    None => Ok(self.given.input.clone()),
                    Some(template) => self
                        .with(element, |evaluation| rendered("input", template, evaluation))
                        .map(Vec::from),
                };
                add(name, RenderedWhat::Child { definition: child.definition.to_string(), input });
            }
            StepKind::Sleep { .. } | StepKind::Wait(_) => add(name, RenderedWhat::Pause),
        }
    }

    fn call(
        &self,
        element: Option<&[u8]>,
        direction: Direction,
        plan: &CallPlan,
        operation: &str,
    ) -> RenderedWhat {
        let request = self.with(element, |evaluation| plan.request(evaluation, None));
        let base =
            self.document.participants.get(&plan.participant).map_or("", |settings| settings.url.as_str());
        let target = request.as_ref().map_or("", |request| request.target.as_str());
        RenderedWhat::Call {
            direction,
            participant: plan.participant.clone(),
            operation: operation.to_owned(),
            url: format!("{}{target}", base.trim_end_matches('/')),
            request,
        }
    }
}
