//! What makes a definition sound.
//!
//! Owns the checks and their [`Finding`]s. Promises every finding, not only the first, and that what has none
//! can be run to an end whatever happens. Does not fill in defaults: that is
//! [`super::SagaDefinition::from_spec`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::spec::{
    CallSpec, CallStep, ChildStep, CompensationSpec, OnTimeout, SagaSpec, StepKind, StepSpec, WaitStep,
};
use super::{Role, index};
use crate::attempt::StepIndex;
use crate::limits::{NAME_CHARACTERS_MAX, SPAN_MAX, STEPS_MAX};
use crate::payload::Payload;

/// Why something written is not a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// No steps, or too many.
    #[error("a definition has 1 to {STEPS_MAX} steps, this one has {0}")]
    StepCount(usize),
    /// A name that is empty, too long or has control characters.
    #[error(
        "{0:?} is not a valid name: 1 to {NAME_CHARACTERS_MAX} characters, no control characters, no '/', '[' or ']'"
    )]
    Name(String),
    /// Two steps of one name.
    #[error("two steps are named {0:?}: rename one")]
    DuplicateStep(String),
    /// `after` or `pivot` names a step that is not there.
    #[error("{by} names the step {step:?}, which does not exist")]
    UnknownStep {
        /// Who names it.
        by: String,
        /// The name.
        step: String,
    },
    /// Steps that wait for each other.
    #[error("the steps {0:?} wait for each other: remove one `after`")]
    Cycle(Vec<String>),
    /// A step that may run beside the pivot.
    #[error(
        "{0:?} is neither before nor after the pivot: whether it can be undone would be chance; add an `after`"
    )]
    BesidePivot(String),
    /// A pivot that has no effect.
    #[error("the pivot {0:?} calls nobody: choose the step whose effect cannot be undone")]
    PivotWithoutCall(String),
    /// Nothing was said about the undo.
    #[error("{0:?} says nothing about its undo: declare a compensation, or say that there is none")]
    UndeclaredCompensation(String),
    /// A step without undo that can be left standing.
    #[error(
        "{0:?} has no undo but comes before the pivot, or there is no pivot: add a compensation, or make it the pivot"
    )]
    NoUndoBeforePivot(String),
    /// An undo that would never run.
    #[error("{0:?} comes after the pivot, where nothing is undone: remove its compensation")]
    UndoAfterPivot(String),
    /// A wait that would turn back where there is no way back.
    #[error("{0:?} waits after the pivot, where nothing turns back: let it go on when its limit passes")]
    WaitTurnsBackAfterPivot(String),
    /// A sleep or wait that the saga's limit always cuts short.
    #[error(
        "{0:?} takes longer than the saga may before its pivot: raise the saga's limit, or shorten the step"
    )]
    LongerThanSaga(String),
    /// A limit of zero.
    #[error("{0} has a limit of zero: nothing could ever be done in it")]
    NoLimit(String),
    /// A span of more than a hundred years.
    #[error("{0} has a limit or length of more than 36,500 days: shorten it")]
    TooLong(String),
    /// A policy that never asks.
    #[error("{0:?} has a retry policy of zero attempts: it would never be asked")]
    NoAttempts(String),
    /// A payload made of what is not there yet.
    #[error("the action of {0:?} has its own output as payload: there is none before it has answered")]
    OutputBeforeAction(String),
    /// A pivot that may not run, or changes nothing.
    #[error("the pivot {step:?} {what}: choose the step that always runs and cannot be undone")]
    PivotMayNotAct {
        /// The step.
        step: String,
        /// What is said of it.
        what: &'static str,
    },
    /// A signal that would turn back where there is no way back.
    #[error(
        "{0:?} can be refused by a signal after the pivot, where nothing turns back: remove `refused_by`"
    )]
    WaitRefusedAfterPivot(String),
    /// A step that runs once for each element, of a kind that cannot.
    #[error("{0:?} sleeps or waits, which is done once: remove `each`")]
    EachOfPause(String),
    /// A step of which no run may start.
    #[error("{0:?} runs none of its elements together: its concurrency is at least 1")]
    NoConcurrency(String),
    /// Nothing but a document can be checked without what compiles it.
    #[error("it is a document: whoever loads it compiles it first")]
    Uncompiled,
}

/// What the check found out on its way.
pub(super) struct Checked {
    pub(super) roles: Vec<Role>,
    pub(super) predecessors: Vec<Vec<StepIndex>>,
    pub(super) pivot: Option<StepIndex>,
    pub(super) order: Vec<StepIndex>,
}

/// # Errors
/// Every finding that can be made together.
pub(super) fn check(spec: &SagaSpec) -> Result<Checked, Vec<Finding>> {
    let mut findings = Vec::new();
    check_names_and_limits(spec, &mut findings);
    let predecessors = resolve_after(spec, &mut findings);
    let pivot = spec.pivot.as_ref().and_then(|name| {
        let found = spec.steps.iter().position(|step| step.name == *name).map(index);
        if found.is_none() {
            findings.push(Finding::UnknownStep { by: "pivot".to_owned(), step: name.clone() });
        }
        found
    });
    if !findings.is_empty() {
        return Err(findings);
    }

    let order = match topological_order(&predecessors) {
        Ok(order) => order,
        Err(stuck) => {
            let names = stuck.into_iter().map(|step| spec.steps[step.at()].name.clone()).collect();
            return Err(vec![Finding::Cycle(names)]);
        }
    };
    let roles = roles(spec, &predecessors, &order, pivot, &mut findings);
    check_roles(spec, &roles, &mut findings);
    if findings.is_empty() { Ok(Checked { roles, predecessors, pivot, order }) } else { Err(findings) }
}

fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    (1..=NAME_CHARACTERS_MAX).contains(&length)
        && !text.chars().any(|c| c.is_control() || matches!(c, '/' | '[' | ']'))
}

fn check_names_and_limits(spec: &SagaSpec, findings: &mut Vec<Finding>) {
    if spec.steps.is_empty() || spec.steps.len() > STEPS_MAX {
        findings.push(Finding::StepCount(spec.steps.len()));
    }
    check_name(spec.name.as_str(), findings);
    check_span(spec.limit, "the saga", findings);
    for (at, step) in spec.steps.iter().enumerate() {
        check_name(&step.name, findings);
        if spec.steps[..at].iter().any(|earlier| earlier.name == step.name) {
            findings.push(Finding::DuplicateStep(step.name.clone()));
        }
        check_modifiers(step, findings);
        match &step.kind {
            StepKind::Call(call) => check_calls(&step.name, call, findings),
            // One of no length is legal: it may come out of a calculation.
            StepKind::Sleep { length } if *length > SPAN_MAX => {
                findings.push(Finding::TooLong(step.name.clone()));
            }
            StepKind::Sleep { .. } => {}
            StepKind::Wait(WaitStep { signal, limit, refused_by, .. }) => {
                check_name(signal, findings);
                if let Some(refused_by) = refused_by {
                    check_name(refused_by, findings);
                }
                check_span(*limit, &step.name, findings);
            }
            StepKind::Child(ChildStep { definition, limit, version: _ }) => {
                check_name(definition.as_str(), findings);
                if let Some(limit) = limit {
                    check_span(*limit, &step.name, findings);
                }
            }
        }
    }
}

fn check_modifiers(step: &StepSpec, findings: &mut Vec<Finding>) {
    if let Some(each) = step.each {
        if each.concurrency == 0 {
            findings.push(Finding::NoConcurrency(step.name.clone()));
        }
        match &step.kind {
            StepKind::Call(_) | StepKind::Child(_) => {}
            StepKind::Sleep { .. } | StepKind::Wait(_) => {
                findings.push(Finding::EachOfPause(step.name.clone()));
            }
        }
    }
}

fn check_calls(name: &str, step: &CallStep, findings: &mut Vec<Finding>) {
    if step.action.payload == Payload::Output {
        findings.push(Finding::OutputBeforeAction(name.to_owned()));
    }
    if let Some(limit) = step.limit {
        check_span(limit, name, findings);
    }
    check_call(name, &step.action, findings);
    match &step.compensation {
        CompensationSpec::Undeclared | CompensationSpec::None | CompensationSpec::ReadOnly => {}
        CompensationSpec::Call { call, .. } => check_call(name, call, findings),
    }
}

fn check_call(name: &str, call: &CallSpec, findings: &mut Vec<Finding>) {
    check_name(&call.participant, findings);
    check_name(&call.operation, findings);
    match &call.payload {
        Payload::Input | Payload::Output | Payload::Expression => {}
        Payload::Mapping(mapping) => check_name(mapping, findings),
    }
    check_span(call.attempt_limit, name, findings);
    if let Some(pending) = call.pending {
        check_span(pending, name, findings);
    }
    if call.retry.as_ref().is_some_and(|policy| policy.attempts == Some(0)) {
        findings.push(Finding::NoAttempts(name.to_owned()));
    }
}

fn check_name(name: &str, findings: &mut Vec<Finding>) {
    if !is_name(name) {
        findings.push(Finding::Name(name.to_owned()));
    }
}

fn check_span(span: Duration, of: &str, findings: &mut Vec<Finding>) {
    if span.is_zero() {
        findings.push(Finding::NoLimit(of.to_owned()));
    } else if span > SPAN_MAX {
        findings.push(Finding::TooLong(of.to_owned()));
    }
}

fn resolve_after(spec: &SagaSpec, findings: &mut Vec<Finding>) -> Vec<Vec<StepIndex>> {
    let places: BTreeMap<&str, usize> =
        spec.steps.iter().enumerate().map(|(at, step)| (step.name.as_str(), at)).collect();
    let mut resolved = Vec::with_capacity(spec.steps.len());
    for (at, step) in spec.steps.iter().enumerate() {
        let mut before = Vec::new();
        match &step.after {
            None => before.extend(at.checked_sub(1)),
            Some(names) => {
                for name in names {
                    match places.get(name.as_str()) {
                        Some(&place) => before.push(place),
                        None => findings.push(Finding::UnknownStep {
                            by: format!("{:?}", step.name),
                            step: name.clone(),
                        }),
                    }
                }
            }
        }
        before.sort_unstable();
        before.dedup();
        resolved.push(before.into_iter().filter(|&place| place < STEPS_MAX).map(index).collect());
        if resolved.len() == STEPS_MAX {
            break;
        }
    }
    resolved
}

/// Kahn's algorithm (1962); the steps that cannot be ordered on failure.
fn topological_order(predecessors: &[Vec<StepIndex>]) -> Result<Vec<StepIndex>, Vec<StepIndex>> {
    let mut done = vec![false; predecessors.len()];
    let mut order = Vec::with_capacity(predecessors.len());
    loop {
        let before = order.len();
        for (at, needs) in predecessors.iter().enumerate() {
            if !done[at] && needs.iter().all(|need| done[need.at()]) {
                done[at] = true;
                order.push(index(at));
            }
        }
        if order.len() == predecessors.len() {
            return Ok(order);
        }
        if order.len() == before {
            return Err((0..predecessors.len()).filter(|&at| !done[at]).map(index).collect());
        }
    }
}

fn roles(
    spec: &SagaSpec,
    predecessors: &[Vec<StepIndex>],
    order: &[StepIndex],
    pivot: Option<StepIndex>,
    findings: &mut Vec<Finding>,
) -> Vec<Role> {
    let Some(pivot) = pivot else { return vec![Role::BeforePivot; predecessors.len()] };
    let mut before = vec![false; predecessors.len()];
    let mut after = vec![false; predecessors.len()];
    before[pivot.at()] = true;
    for step in order.iter().rev() {
        if before[step.at()] {
            for need in &predecessors[step.at()] {
                before[need.at()] = true;
            }
        }
    }
    for step in order {
        after[step.at()] = predecessors[step.at()].iter().any(|need| *need == pivot || after[need.at()]);
    }
    (0..predecessors.len())
        .map(|at| {
            if at == pivot.at() {
                return Role::Pivot;
            }
            if !before[at] && !after[at] {
                findings.push(Finding::BesidePivot(spec.steps[at].name.clone()));
            }
            if after[at] { Role::AfterPivot } else { Role::BeforePivot }
        })
        .collect()
}

/// What a step may be depends on where it stands to the pivot.
fn check_roles(spec: &SagaSpec, roles: &[Role], findings: &mut Vec<Finding>) {
    for (step, role) in spec.steps.iter().zip(roles) {
        if *role == Role::Pivot {
            check_pivot(step, findings);
        }
        let length = match &step.kind {
            StepKind::Call(call) => {
                check_compensation(&step.name, &call.compensation, *role, findings);
                continue;
            }
            // One that ends in the moment of the saga's limit ends too late.
            StepKind::Sleep { length } => length.saturating_add(Duration::from_millis(1)),
            StepKind::Wait(wait) => {
                if *role == Role::AfterPivot && wait.on_timeout == OnTimeout::TurnBack {
                    findings.push(Finding::WaitTurnsBackAfterPivot(step.name.clone()));
                }
                if *role == Role::AfterPivot && wait.refused_by.is_some() {
                    findings.push(Finding::WaitRefusedAfterPivot(step.name.clone()));
                }
                wait.limit
            }
            // What it does, and can undo, is its own definition's: whoever registers the two compares them.
            StepKind::Child(_) => continue,
        };
        match role {
            Role::Pivot => findings.push(Finding::PivotWithoutCall(step.name.clone())),
            Role::BeforePivot if length > spec.limit => {
                findings.push(Finding::LongerThanSaga(step.name.clone()));
            }
            Role::BeforePivot | Role::AfterPivot => {}
        }
    }
}

fn check_pivot(step: &StepSpec, findings: &mut Vec<Finding>) {
    let is_read_only =
        matches!(&step.kind, StepKind::Call(CallStep { compensation: CompensationSpec::ReadOnly, .. }));
    let whats = [
        (step.when, "has a `when`"),
        (step.each.is_some(), "runs once for `each` element"),
        (is_read_only, "is `read_only`"),
    ];
    for (_, what) in whats.into_iter().filter(|(is_so, _)| *is_so) {
        findings.push(Finding::PivotMayNotAct { step: step.name.clone(), what });
    }
}

fn check_compensation(name: &str, undo: &CompensationSpec, role: Role, findings: &mut Vec<Finding>) {
    let finding = match (undo, role) {
        (CompensationSpec::Undeclared, _) => Finding::UndeclaredCompensation,
        (CompensationSpec::None, Role::BeforePivot) => Finding::NoUndoBeforePivot,
        (CompensationSpec::Call { .. }, Role::AfterPivot) => Finding::UndoAfterPivot,
        (CompensationSpec::None, Role::Pivot | Role::AfterPivot)
        | (CompensationSpec::ReadOnly, Role::BeforePivot | Role::Pivot | Role::AfterPivot)
        | (CompensationSpec::Call { .. }, Role::BeforePivot | Role::Pivot) => return,
    };
    findings.push(finding(name.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::DefinitionName;
    use crate::retry::RetryPolicy;
    use crate::saga::definition::{SagaDefinition, StepSpec};
    use expect_test::{Expect, expect};

    fn spec(steps: Vec<StepSpec>, pivot: Option<&str>) -> SagaSpec {
        SagaSpec {
            name: DefinitionName::new("Test"),
            version: 1,
            limit: Duration::from_secs(60),
            pivot: pivot.map(str::to_owned),
            steps,
        }
    }

    fn step(name: &str) -> StepSpec {
        StepSpec::new(name, "p", name).undone_by("undo")
    }

    fn check(steps: Vec<StepSpec>, pivot: Option<&str>, expected: Expect) {
        let text = match SagaDefinition::from_spec(spec(steps, pivot)) {
            Ok(definition) => {
                let order: Vec<&str> =
                    definition.order().iter().map(|step| definition.written(*step).name.as_str()).collect();
                format!("ok: {}", order.join(" "))
            }
            Err(findings) => findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn steps_follow_each_other_unless_told_otherwise() {
        check(vec![step("a"), step("b"), step("c")], None, expect!["ok: a b c"]);
        check(vec![step("a").after(["b"]), step("b").after([])], None, expect!["ok: b a"]);
    }

    #[test]
    fn names_must_be_known_and_single() {
        check(
            vec![step("a"), step("a"), step("b").after(["x"])],
            Some("y"),
            expect![[r#"
                two steps are named "a": rename one
                "b" names the step "x", which does not exist
                pivot names the step "y", which does not exist"#]],
        );
        check(vec![], None, expect!["a definition has 1 to 1000 steps, this one has 0"]);
        check(
            vec![step("a/b")],
            None,
            expect![[r#"
                "a/b" is not a valid name: 1 to 128 characters, no control characters, no '/', '[' or ']'
                "a/b" is not a valid name: 1 to 128 characters, no control characters, no '/', '[' or ']'"#]],
        );
    }

    #[test]
    fn a_cycle_is_found() {
        check(
            vec![step("a").after(["b"]), step("b").after(["a"]), step("c").after([])],
            None,
            expect![[r#"the steps ["a", "b"] wait for each other: remove one `after`"#]],
        );
    }

    #[test]
    fn every_step_stands_before_or_after_the_pivot() {
        check(
            vec![step("a"), step("b").after(["a"]), step("c").after(["a"])],
            Some("b"),
            expect![[
                r#""c" is neither before nor after the pivot: whether it can be undone would be chance; add an `after`"#
            ]],
        );
    }

    #[test]
    fn the_undo_must_fit_the_role() {
        let bare = |name: &str| StepSpec::new(name, "p", name);
        check(
            vec![bare("a"), bare("b").without_undo(), step("c"), step("d")],
            Some("c"),
            expect![[r#"
                "a" says nothing about its undo: declare a compensation, or say that there is none
                "b" has no undo but comes before the pivot, or there is no pivot: add a compensation, or make it the pivot
                "d" comes after the pivot, where nothing is undone: remove its compensation"#]],
        );
        check(
            vec![step("a"), bare("b").without_undo(), bare("c").without_undo()],
            Some("b"),
            expect!["ok: a b c"],
        );
    }

    #[test]
    fn zero_limits_and_zero_attempts_are_findings() {
        let never = RetryPolicy { attempts: Some(0), ..RetryPolicy::action() };
        check(
            vec![step("a").attempt_limit(Duration::ZERO), step("b").retry(never)],
            None,
            expect![[r#"
                a has a limit of zero: nothing could ever be done in it
                "b" has a retry policy of zero attempts: it would never be asked"#]],
        );
    }

    #[test]
    fn a_steps_limit_is_all_its_attempts_within_the_sagas() {
        let definition = SagaDefinition::from_spec(spec(
            vec![step("a"), step("b").attempt_limit(Duration::from_secs(50))],
            None,
        ))
        .unwrap();
        let limit = |at| definition.step(StepIndex(at)).calls().unwrap().limit;
        assert_eq!(limit(0), Duration::from_millis(4 * 2_000 + 200 + 400 + 800));
        assert_eq!(limit(1), Duration::from_secs(60));
    }

    #[test]
    fn a_sleep_or_wait_fits_into_the_saga_and_is_no_pivot() {
        let minute = Duration::from_secs(60);
        check(
            vec![
                StepSpec::sleep("nap", minute * 2),
                StepSpec::wait("ok", "approved", minute),
                step("a"),
                StepSpec::sleep("night", minute * 600),
                StepSpec::wait("late", "shipped", minute),
                StepSpec::wait("later", "shipped", Duration::ZERO).or_go_on(),
            ],
            Some("a"),
            expect!["later has a limit of zero: nothing could ever be done in it"],
        );
        check(
            vec![
                StepSpec::sleep("nap", minute * 2),
                StepSpec::wait("ok", "approved", minute),
                step("a"),
                StepSpec::sleep("night", minute * 600),
                StepSpec::wait("late", "shipped", minute),
            ],
            Some("a"),
            expect![[r#"
                "nap" takes longer than the saga may before its pivot: raise the saga's limit, or shorten the step
                "late" waits after the pivot, where nothing turns back: let it go on when its limit passes"#]],
        );
        check(
            vec![step("a"), StepSpec::sleep("nap", Duration::ZERO)],
            Some("nap"),
            expect![[r#"the pivot "nap" calls nobody: choose the step whose effect cannot be undone"#]],
        );
        check(
            vec![StepSpec::sleep("long", SPAN_MAX * 2)],
            None,
            expect!["long has a limit or length of more than 36,500 days: shorten it"],
        );
    }
}
