//! The plan a saga follows.
//!
//! Owns [`DefinitionSpec`] (what people write: names) and [`Definition`] (what is run: checked, indices, order).
//! Promises that a `Definition` has no finding of the checker: a plan that could strand a saga does not exist.
//! Does not read files or map data: a call is a participant and an operation here. Start reading at
//! [`Definition::check`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Direction;
use crate::limits::{NAME_CHARACTERS_MAX, STEPS_MAX};
use crate::retry::RetryPolicy;

/// The name of a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionName(Arc<str>);

impl DefinitionName {
    /// A name as given; [`Definition::check`] judges it.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DefinitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step's place in its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex(pub u16);

impl StepIndex {
    /// The place as a number for slices.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// A definition as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionSpec {
    /// Its name.
    pub name: DefinitionName,
    /// Its version: the content of a version never changes.
    pub version: u32,
    /// How long the whole saga may take before it turns back.
    pub limit: Duration,
    /// The step after which there is no way back.
    pub pivot: Option<String>,
    /// The steps.
    pub steps: Vec<StepSpec>,
}

/// A step as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSpec {
    /// Its name.
    pub name: String,
    /// The steps that must be done before; `None`: the one written above.
    pub after: Option<Vec<String>>,
    /// Who carries out the action and the compensation.
    pub participant: String,
    /// The action's name there.
    pub operation: String,
    /// How long one attempt may take.
    pub attempt_limit: Duration,
    /// How long all attempts may take; `None`: attempts times `attempt_limit` and the longest rests between them, at
    /// most the saga's limit.
    pub limit: Option<Duration>,
    /// How the action is repeated; `None`: the default of the step's role.
    pub retry: Option<RetryPolicy>,
    /// The step's undo.
    pub compensation: CompensationSpec,
}

/// A step's undo as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompensationSpec {
    /// Nothing was said, which is a finding: a forgotten undo must not look like a decision.
    Undeclared,
    /// The step has no undo, and needs none (before the pivot: because it changes nothing).
    None,
    /// The undo is a call.
    Call {
        /// The undo's name at the participant.
        operation: String,
        /// Whether the undo cannot do without the action's output.
        needs_output: bool,
        /// How long one attempt may take.
        attempt_limit: Duration,
        /// How the undo is repeated.
        retry: RetryPolicy,
    },
}

impl StepSpec {
    /// A step with default patience, an attempt limit of two seconds and no word yet about its undo.
    pub fn new(
        name: impl Into<String>,
        participant: impl Into<String>,
        operation: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            after: None,
            participant: participant.into(),
            operation: operation.into(),
            attempt_limit: Duration::from_secs(2),
            limit: None,
            retry: None,
            compensation: CompensationSpec::Undeclared,
        }
    }

    /// Declares the undo, which does without the action's output, with default patience.
    #[must_use]
    pub fn undone_by(mut self, operation: impl Into<String>) -> Self {
        self.compensation = CompensationSpec::Call {
            operation: operation.into(),
            needs_output: false,
            attempt_limit: self.attempt_limit,
            retry: RetryPolicy::patient(),
        };
        self
    }

    /// Declares that there is no undo.
    #[must_use]
    pub fn without_undo(mut self) -> Self {
        self.compensation = CompensationSpec::None;
        self
    }

    /// Declares the steps that must be done before.
    #[must_use]
    pub fn after<'a>(mut self, steps: impl IntoIterator<Item = &'a str>) -> Self {
        self.after = Some(steps.into_iter().map(str::to_owned).collect());
        self
    }

    /// Sets how long one attempt of the action may take.
    #[must_use]
    pub fn attempt_limit(mut self, limit: Duration) -> Self {
        self.attempt_limit = limit;
        self
    }

    /// Sets how the action is repeated.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }
}

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

/// A checked definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    spec: DefinitionSpec,
    steps: Vec<Step>,
    pivot: Option<StepIndex>,
    order: Vec<StepIndex>,
    warnings: Vec<Warning>,
}

/// A step of a checked definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it stands to the pivot.
    pub role: Role,
    /// The steps that must be done before.
    pub predecessors: Vec<StepIndex>,
    /// The steps that wait for it.
    pub successors: Vec<StepIndex>,
    /// How the action is repeated.
    pub retry: RetryPolicy,
    /// How long all attempts of the action may take.
    pub limit: Duration,
}

/// Why a plan is no definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// No steps, or too many.
    #[error("a definition has 1 to {STEPS_MAX} steps, this one has {0}")]
    StepCount(usize),
    /// A name that is empty, too long or has control characters.
    #[error("{0:?} is no name: 1 to {NAME_CHARACTERS_MAX} characters, no control characters, no '/'")]
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
    /// A limit of zero.
    #[error("{0} has a limit of zero: nothing could ever be done in it")]
    NoLimit(String),
    /// A policy that never asks.
    #[error("{0:?} has a retry policy of zero attempts: it would never be asked")]
    NoAttempts(String),
}

/// Legal, but worth a thought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// An in-doubt step must be asked again before it can be undone.
    UndoNeedsOutput(StepIndex),
}

impl Definition {
    /// Checks a plan.
    ///
    /// # Errors
    /// Every finding, not only the first.
    pub fn check(spec: DefinitionSpec) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        check_names_and_limits(&spec, &mut findings);
        let predecessors = resolve_after(&spec, &mut findings);
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
        let roles = roles(&spec, &predecessors, &order, pivot, &mut findings);
        check_compensations(&spec, &roles, &mut findings);
        if !findings.is_empty() {
            return Err(findings);
        }
        Ok(Self::assemble(spec, predecessors, &roles, pivot, order))
    }

    fn assemble(
        spec: DefinitionSpec,
        predecessors: Vec<Vec<StepIndex>>,
        roles: &[Role],
        pivot: Option<StepIndex>,
        order: Vec<StepIndex>,
    ) -> Self {
        let mut successors = vec![Vec::new(); spec.steps.len()];
        for (at, before) in predecessors.iter().enumerate() {
            for step in before {
                successors[step.at()].push(index(at));
            }
        }
        let steps = spec
            .steps
            .iter()
            .zip(predecessors)
            .zip(successors)
            .zip(roles)
            .map(|(((step, predecessors), successors), &role)| {
                let retry = step.retry.clone().unwrap_or_else(|| default_retry(role));
                let all_attempts =
                    retry.attempts.zip(retry.longest_rests()).map_or(Duration::MAX, |(attempts, rests)| {
                        step.attempt_limit.saturating_mul(attempts).saturating_add(rests)
                    });
                let limit = step.limit.unwrap_or(all_attempts).min(spec.limit);
                Step { role, predecessors, successors, retry, limit }
            })
            .collect();
        let warnings = spec
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| {
                matches!(step.compensation, CompensationSpec::Call { needs_output: true, .. })
            })
            .map(|(at, _)| Warning::UndoNeedsOutput(index(at)))
            .collect();
        Self { spec, steps, pivot, order, warnings }
    }

    /// The plan as written.
    #[must_use]
    pub fn spec(&self) -> &DefinitionSpec {
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

    /// One step, checked.
    ///
    /// # Panics
    /// When the definition has no such step; [`Definition::has`] tells.
    #[must_use]
    pub fn step(&self, step: StepIndex) -> &Step {
        &self.steps[step.at()]
    }

    /// One step as written.
    ///
    /// # Panics
    /// As [`Definition::step`].
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

    /// The operation that a call names at its participant.
    ///
    /// # Panics
    /// As [`Definition::step`], or when the step has no such undo: nobody owes that call.
    #[must_use]
    pub fn operation(&self, step: StepIndex, direction: Direction) -> &str {
        let written = self.written(step);
        match (direction, &written.compensation) {
            (Direction::Action, _) => &written.operation,
            (Direction::Compensation, CompensationSpec::Call { operation, .. }) => operation,
            (Direction::Compensation, CompensationSpec::Undeclared | CompensationSpec::None) => {
                panic!("a step without undo is not undone")
            }
        }
    }

    /// Whether the step's undo is a call.
    #[must_use]
    pub fn has_undo(&self, step: StepIndex) -> bool {
        matches!(self.written(step).compensation, CompensationSpec::Call { .. })
    }
}

fn index(at: usize) -> StepIndex {
    StepIndex(u16::try_from(at).expect("STEPS_MAX fits in sixteen bits"))
}

fn default_retry(role: Role) -> RetryPolicy {
    match role {
        Role::BeforePivot => RetryPolicy::action(),
        // The pivot is asked until its answer is certain: giving it up calls for a person.
        Role::Pivot => RetryPolicy::patient(),
        Role::AfterPivot => RetryPolicy::endless(),
    }
}

fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    (1..=NAME_CHARACTERS_MAX).contains(&length) && !text.chars().any(|c| c.is_control() || c == '/')
}

fn check_names_and_limits(spec: &DefinitionSpec, findings: &mut Vec<Finding>) {
    if spec.steps.is_empty() || spec.steps.len() > STEPS_MAX {
        findings.push(Finding::StepCount(spec.steps.len()));
    }
    if spec.limit.is_zero() {
        findings.push(Finding::NoLimit("the saga".to_owned()));
    }
    let names = spec.steps.iter().flat_map(|step| [&step.name, &step.participant, &step.operation]);
    for name in names.map(String::as_str).chain([spec.name.as_str()]) {
        if !is_name(name) {
            findings.push(Finding::Name(name.to_owned()));
        }
    }
    for (at, step) in spec.steps.iter().enumerate() {
        if spec.steps[..at].iter().any(|earlier| earlier.name == step.name) {
            findings.push(Finding::DuplicateStep(step.name.clone()));
        }
        if step.attempt_limit.is_zero() || step.limit.is_some_and(|limit| limit.is_zero()) {
            findings.push(Finding::NoLimit(step.name.clone()));
        }
        let undo = match &step.compensation {
            CompensationSpec::Undeclared | CompensationSpec::None => None,
            CompensationSpec::Call { retry, attempt_limit, .. } => {
                if attempt_limit.is_zero() {
                    findings.push(Finding::NoLimit(step.name.clone()));
                }
                Some(retry)
            }
        };
        if step.retry.iter().chain(undo).any(|policy| policy.attempts == Some(0)) {
            findings.push(Finding::NoAttempts(step.name.clone()));
        }
    }
}

fn resolve_after(spec: &DefinitionSpec, findings: &mut Vec<Finding>) -> Vec<Vec<StepIndex>> {
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
    spec: &DefinitionSpec,
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

fn check_compensations(spec: &DefinitionSpec, roles: &[Role], findings: &mut Vec<Finding>) {
    for (step, role) in spec.steps.iter().zip(roles) {
        let finding = match (&step.compensation, role) {
            (CompensationSpec::Undeclared, _) => Finding::UndeclaredCompensation,
            (CompensationSpec::None, Role::BeforePivot) => Finding::NoUndoBeforePivot,
            (CompensationSpec::Call { .. }, Role::AfterPivot) => Finding::UndoAfterPivot,
            (CompensationSpec::None, Role::Pivot | Role::AfterPivot)
            | (CompensationSpec::Call { .. }, Role::BeforePivot | Role::Pivot) => continue,
        };
        findings.push(finding(step.name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn spec(steps: Vec<StepSpec>, pivot: Option<&str>) -> DefinitionSpec {
        DefinitionSpec {
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
        let text = match Definition::check(spec(steps, pivot)) {
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
                "a/b" is no name: 1 to 128 characters, no control characters, no '/'
                "a/b" is no name: 1 to 128 characters, no control characters, no '/'"#]],
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
        let definition =
            Definition::check(spec(vec![step("a"), step("b").attempt_limit(Duration::from_secs(50))], None))
                .unwrap();
        assert_eq!(definition.step(StepIndex(0)).limit, Duration::from_millis(4 * 2_000 + 200 + 400 + 800));
        assert_eq!(definition.step(StepIndex(1)).limit, Duration::from_secs(60));
    }
}
