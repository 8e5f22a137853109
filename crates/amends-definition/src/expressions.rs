//! What core asks of a definition.
//!
//! Owns [`Compiled`], the expressions of one definition as core knows them. Promises the same bytes for the
//! same scope, in every process and release, and that a fault names its place and no value. Does not decide
//! what follows from a fault.

use std::sync::Arc;

use amends_core::payload::Scope;
use amends_core::{CallId, Direction, Expressions, StepIndex, Time};
use bytes::Bytes;

use crate::expression::{Evaluation, Fault, World};
use crate::limits::ELEMENTS_MAX;
use crate::plan::{Plan, StepPlan};
use crate::template::Template;

/// A definition's expressions.
#[derive(Debug, Clone)]
pub(crate) struct Compiled(pub(crate) Arc<Plan>);

/// A moment in RFC 3339, UTC, milliseconds.
pub(crate) fn rfc3339(time: Time) -> String {
    let milliseconds = i64::try_from(time.milliseconds()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        Err(_) => milliseconds.to_string(),
    }
}

/// Evaluates over a scope of core's.
fn over<T>(
    scope: &Scope<'_>,
    evaluate: impl FnOnce(&mut Evaluation<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let (id, started_at) = (scope.transaction.to_string(), rfc3339(scope.started_at));
    let outputs = |step: &str| scope.output_of(step).map(AsRef::as_ref);
    evaluate(&mut Evaluation::new(World {
        input: scope.input,
        output: scope.output.map(AsRef::as_ref),
        element: scope.element.map(AsRef::as_ref),
        outputs: &outputs,
        id: &id,
        started_at: &started_at,
        definition: scope.definition.as_str(),
    }))
}

impl Compiled {
    fn step(&self, step: StepIndex) -> Result<&StepPlan, String> {
        self.0.steps.get(step.at()).ok_or_else(|| "the definition has no such step".to_owned())
    }
}

/// Whether a step runs.
pub(crate) fn guard(plan: &StepPlan, evaluation: &mut Evaluation<'_>) -> Result<bool, String> {
    let Some(when) = &plan.when else { return Ok(true) };
    let of_when = |fault: Fault| format!("when: {}", fault.message);
    let value = evaluation.evaluate(when).map_err(of_when)?;
    let noun = value.noun(&mut evaluation.work).map_err(of_when)?;
    let bool = value.as_bool(&mut evaluation.work).map_err(of_when)?;
    bool.ok_or_else(|| format!("when: it is true or false, not {noun}"))
}

/// The elements that a step runs for.
pub(crate) fn elements(plan: &StepPlan, evaluation: &mut Evaluation<'_>) -> Result<Vec<Bytes>, String> {
    let Some(each) = &plan.each else { return Err("each: the step has none".to_owned()) };
    let of_each = |fault: Fault| format!("each: {}", fault.message);
    let value = evaluation.evaluate(each).map_err(of_each)?;
    let Some(items) = value.items(&mut evaluation.work).map_err(of_each)? else {
        let noun = value.noun(&mut evaluation.work).map_err(of_each)?;
        return Err(format!("each: it goes over a list, not over {noun}"));
    };
    if items.len() > ELEMENTS_MAX {
        return Err(format!("each: {} elements are more than {ELEMENTS_MAX}", items.len()));
    }
    let mut elements = Vec::with_capacity(items.len());
    for item in items {
        let mut bytes = Vec::new();
        item.render(&mut bytes, &mut evaluation.work).map_err(of_each)?;
        elements.push(bytes.into());
    }
    Ok(elements)
}

/// The JSON of a template.
pub(crate) fn rendered(
    what: &str,
    template: &Template,
    evaluation: &mut Evaluation<'_>,
) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    template.render(evaluation, &mut bytes).map_err(|fault| format!("{what}: {}", fault.message))?;
    Ok(bytes.into())
}

impl Expressions for Compiled {
    fn guard(&self, step: StepIndex, scope: &Scope<'_>) -> Result<bool, String> {
        let plan = self.step(step)?;
        over(scope, |evaluation| guard(plan, evaluation))
    }

    fn elements(&self, step: StepIndex, scope: &Scope<'_>) -> Result<Vec<Bytes>, String> {
        let plan = self.step(step)?;
        over(scope, |evaluation| elements(plan, evaluation))
    }

    fn payload(&self, call: CallId, scope: &Scope<'_>) -> Result<Bytes, String> {
        let plan = self.step(call.step)?;
        let plan = match call.direction {
            Direction::Action => &plan.action,
            Direction::Compensation => &plan.undo,
        };
        let plan = plan.as_ref().ok_or_else(|| "the step has no such call".to_owned())?;
        over(scope, |evaluation| Ok(plan.request(evaluation, scope.corrected)?.encode()))
    }

    fn child_input(&self, step: StepIndex, scope: &Scope<'_>) -> Result<Bytes, String> {
        match &self.step(step)?.child_input {
            None => Ok(scope.input.clone()),
            Some(template) => over(scope, |evaluation| rendered("input", template, evaluation)),
        }
    }

    fn output(&self, scope: &Scope<'_>) -> Option<Result<Bytes, String>> {
        let template = self.0.output.as_ref()?;
        Some(over(scope, |evaluation| rendered("output", template, evaluation)))
    }
}
