//! From what was written to what core runs.
//!
//! Owns [`Plan`]: the steps as core wants them, and their expressions. Promises a position for everything that
//! is wrong between keys and between steps; what core finds beyond that gets the position of its step. Does not
//! know versions: those come when the definition is registered.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use amends_core::DefinitionName;
use amends_core::limits::{SPAN_MAX, STEPS_MAX};
use amends_core::payload::Payload;
use amends_core::retry::RetryPolicy;
use amends_core::saga::definition::{
    CallSpec, CallStep, ChildStep, CompensationSpec, EachSpec, Finding as CoreFinding, OnTimeout, Role,
    SagaDefinition, SagaSpec, StepKind, StepSpec, WaitStep, Warning,
};

use crate::call::CallPlan;
use crate::expression::{Expression, Names, Type};
use crate::graph::Graph;
use crate::read::{Written, WrittenCall, WrittenKind, WrittenRetry, WrittenStep, WrittenUndo, WrittenWait};
use crate::source::{Said, Source, Span, say};
use crate::template::{Template, sole};

/// What a definition runs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// With version 0, and children of version 0.
    pub(crate) spec: SagaSpec,
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) output: Option<Template>,
}

/// The expressions of a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct StepPlan {
    pub(crate) when: Option<Expression>,
    pub(crate) each: Option<Expression>,
    pub(crate) action: Option<CallPlan>,
    pub(crate) undo: Option<CallPlan>,
    /// What a sub-saga is started with; `None`: the saga's own input.
    pub(crate) child_input: Option<Template>,
    /// Where the step stands in the text.
    pub(crate) span: Span,
}

/// Makes a plan; `None` with findings when there is none.
pub(crate) fn plan(written: &Written<'_>, input: Type, source: &mut Source<'_>) -> Option<Plan> {
    if written.steps.is_empty() || written.steps.len() > STEPS_MAX {
        let count = if written.steps.is_empty() { "none" } else { "more" };
        let said =
            say("step_count", format!("a definition has 1 to {STEPS_MAX} steps, this one has {count}"));
        source.find(written.name.span, said);
        return None;
    }
    let graph = Graph::read(written, source);
    let all_steps = written.steps.iter().map(|step| step.name.as_str()).collect();
    let mut planner = Planner { written, graph, input, source, guards: Vec::new(), all_steps, seen: None };
    planner.guards();
    let (specs, steps): (Vec<StepSpec>, Vec<StepPlan>) =
        (0..written.steps.len()).map(|at| planner.step(at)).unzip();
    let output = written.output.map(|output| {
        let names = planner.names(None, "the saga's `output`");
        Template::read(output, &names, planner.source)
    });
    planner.unused_participants();
    let spec = SagaSpec {
        name: DefinitionName::new(written.name.value.as_str()),
        version: 0,
        limit: written.timeout.as_ref().map_or(SPAN_MAX, |timeout| timeout.value),
        pivot: written.pivot.as_ref().map(|pivot| pivot.value.clone()),
        steps: specs,
    };
    if !source.is_clean() {
        return None;
    }
    match SagaDefinition::from_spec(spec.clone()) {
        Ok(definition) => warn(written, &definition, source),
        Err(findings) => findings.iter().for_each(|finding| found_by_core(written, finding, source)),
    }
    if written.timeout.is_none() {
        let said = say("no_saga_limit", "the saga has no limit of its own: only those of its steps hold");
        source.warn(written.name.span, said.help("add `timeout: 5m`"));
    }
    source.is_clean().then_some(Plan { spec, steps, output })
}

struct Planner<'p, 'n, 's, 't> {
    written: &'p Written<'n>,
    graph: Graph,
    input: Type,
    source: &'s mut Source<'t>,
    /// The guard of each step.
    guards: Vec<Option<Expression>>,
    all_steps: Rc<[&'p str]>,
    /// What the step that was looked at last sees.
    seen: Option<(usize, Rc<BTreeMap<&'p str, Type>>)>,
}

impl<'p> Planner<'p, '_, '_, '_> {
    fn guards(&mut self) {
        for (at, step) in self.written.steps.iter().enumerate() {
            let guard = step.when.and_then(|node| {
                let place = format!("the guard of `{}`", step.name);
                let names = self.names(Some(at), &place);
                let guard = sole(node, &names, self.source)?;
                if !guard.kind.meets(&Type::BOOL) {
                    let said = say("type", format!("`when` is true or false, not {}", guard.kind.noun()));
                    self.source.find(node.span, said.help("compare it with something"));
                }
                Some(guard)
            });
            self.guards.push(guard);
        }
    }

    /// What the expressions of a step may name; of the whole saga without a step.
    fn names<'m>(&mut self, at: Option<usize>, place: &'m str) -> Names<'m>
    where
        'p: 'm,
    {
        let guards_are_known = self.guards.len() == self.written.steps.len();
        let steps = match at {
            None => Rc::new((0..self.written.steps.len()).map(|step| self.output_of(step, None)).collect()),
            // Action, compensation and the rest of a step see the same.
            Some(at) => match &self.seen {
                Some((step, seen)) if *step == at && guards_are_known => seen.clone(),
                Some(_) | None => {
                    let before = self.graph.ancestors(at).iter();
                    Rc::new(before.map(|step| self.output_of(*step, Some(at))).collect())
                }
            },
        };
        if guards_are_known {
            self.seen = at.map(|at| (at, steps.clone()));
        }
        let all_steps = self.all_steps.clone();
        Names { input: self.input.clone(), steps, all_steps, element: None, output: false, place }
    }

    /// What is known of the output of a step, to another one.
    fn output_of<'m>(&self, at: usize, seen_by: Option<usize>) -> (&'m str, Type)
    where
        'p: 'm,
    {
        let step = &self.written.steps[at];
        let mut kind = if step.each.is_some() { Type::LIST } else { Type::ANY };
        if let WrittenKind::Sleep(_) = &step.kind {
            kind = Type::NULL;
        }
        // Under the same condition the other step did run.
        let guard = |at: usize| self.guards.get(at).and_then(Option::as_ref);
        let did_run = match (guard(at), seen_by.and_then(guard)) {
            (Some(own), Some(other)) => own.follows_from(other),
            (None | Some(_), None) | (None, Some(_)) => false,
        };
        let goes_on = matches!(&step.kind, WrittenKind::Wait(WrittenWait { on_timeout: Some(on), .. }) if on.value == OnTimeout::GoOn);
        if goes_on || (step.when.is_some() && !did_run) {
            kind = kind.unless_skipped(&step.name);
        }
        (step.name.as_str(), kind)
    }

    fn step(&mut self, at: usize) -> (StepSpec, StepPlan) {
        let step = &self.written.steps[at];
        let role = self.graph.role(at);
        self.judge(at, role);
        let mut plan = StepPlan { when: self.guards[at].clone(), span: step.span, ..StepPlan::default() };
        let element = self.each(at, &mut plan);
        let kind = match &step.kind {
            WrittenKind::Call(call) => self.call_step(at, role, call, element.as_ref(), &mut plan),
            WrittenKind::Child { definition, input } => {
                let place = format!("the input of `{}`", step.name);
                let names = with_element(self.names(Some(at), &place), element.as_ref());
                plan.child_input = input.map(|input| Template::read(input, &names, self.source));
                let limit = step.timeout.as_ref().map(|timeout| timeout.value);
                let definition = DefinitionName::new(definition.value.as_str());
                StepKind::Child(ChildStep { definition, version: 0, limit })
            }
            WrittenKind::Sleep(length) => StepKind::Sleep { length: length.value },
            WrittenKind::Wait(wait) => StepKind::Wait(self.wait(at, role, wait)),
            WrittenKind::Broken => StepKind::Sleep { length: Duration::ZERO },
        };
        let spec = StepSpec {
            after: step.after.as_ref().map(|after| after.iter().map(|name| name.value.clone()).collect()),
            when: step.when.is_some(),
            each: step.each.map(|_| EachSpec { concurrency: step.concurrency.unwrap_or(1) }),
            ..StepSpec::of(step.name.as_str(), kind)
        };
        (spec, plan)
    }

    /// Name and type of the element of `each`.
    fn each(&mut self, at: usize, plan: &mut StepPlan) -> Option<(&'p str, Type)> {
        let step = &self.written.steps[at];
        let node = step.each?;
        let place = format!("`each` of `{}`", step.name);
        let names = self.names(Some(at), &place);
        plan.each = sole(node, &names, self.source);
        let kind = plan.each.as_ref().map(|each| each.kind.clone()).unwrap_or_default();
        if !kind.meets(&Type::LIST) {
            let said = say("type", format!("`each` goes over a list, not over {}", kind.noun()));
            self.source.find(node.span, said);
        }
        if let Some(skipped) = &kind.skipped {
            let said = say("maybe_skipped", format!("`{skipped}` may be skipped, and then there is no list"));
            self.source
                .find(node.span, said.help(format!("write `${{steps.{skipped}.output == null ? [] : …}}`")));
        }
        let Some(element) = &step.element else {
            let said = say("missing_key", "`each` has no `as`: what is the element called?");
            self.source.find(self.place(at, "each"), said.help("add `as: element`"));
            return None;
        };
        let name = element.value.as_str();
        let is_identifier = !name.contains('-') && !name.starts_with(|c: char| c.is_ascii_digit());
        if !is_identifier || RESERVED.contains(&name) {
            let said = say("name", format!("the element cannot be called `{name}`"));
            self.source
                .find(element.span, said.help("choose a name that has no other meaning in an expression"));
        }
        Some((name, kind.element()))
    }

    fn call_step(
        &mut self,
        at: usize,
        role: Role,
        call: &WrittenCall<'_>,
        element: Option<&(&'p str, Type)>,
        plan: &mut StepPlan,
    ) -> StepKind {
        let step = &self.written.steps[at];
        let place = format!("the action of `{}`", step.name);
        let names = with_element(self.names(Some(at), &place), element);
        plan.action = Some(CallPlan::read(call, &names, self.source));
        let retry = policy(role_default(role), self.of_definition(role), [&step.retry, &call.retry]);
        let action = self.call_spec(call, step.name.clone(), retry);
        let is_read_only = step.read_only.as_ref().is_some_and(|at| at.value);
        let compensation = match &step.undo {
            _ if is_read_only => CompensationSpec::ReadOnly,
            WrittenUndo::Undeclared => CompensationSpec::Undeclared,
            WrittenUndo::None | WrittenUndo::Broken => CompensationSpec::None,
            WrittenUndo::Call(undo) => {
                let place = format!("the compensation of `{}`", step.name);
                let names = Names { output: true, ..with_element(self.names(Some(at), &place), element) };
                let made = CallPlan::read(undo, &names, self.source);
                let needs_output = made.expressions().iter().any(|expression| expression.uses_output());
                plan.undo = Some(made);
                let retry = policy(
                    RetryPolicy::patient(),
                    self.written.compensation_retry.clone(),
                    [&undo.retry, &None],
                );
                let call = self.call_spec(undo, format!("Undo{}", step.name), retry);
                CompensationSpec::Call { call, needs_output }
            }
        };
        let limit = step.timeout.as_ref().map(|timeout| timeout.value);
        StepKind::Call(CallStep { action, limit, compensation, refuse_on: step.refuse_on.clone() })
    }

    /// What the definition says of the retries of actions, as far as it holds for the role: the number of
    /// attempts does not hold where there is no way back.
    fn of_definition(&self, role: Role) -> WrittenRetry {
        let retry = self.written.retry.clone();
        match role {
            Role::BeforePivot => retry,
            Role::Pivot | Role::AfterPivot => WrittenRetry { attempts: None, ..retry },
        }
    }

    fn call_spec(
        &mut self,
        call: &WrittenCall<'_>,
        operation: String,
        retry: Option<RetryPolicy>,
    ) -> CallSpec {
        let name = &call.participant.value;
        let participant = self.written.participants.get(name);
        if participant.is_none() {
            let known: Vec<&str> = self.written.participants.keys().map(String::as_str).collect();
            let said = say("unknown_participant", format!("there is no participant `{name}`"));
            let said = match known.is_empty() {
                true => said.help(format!("add `participants: {{ {name}: {{ url: \"http://…\" }} }}`")),
                false => said.nearest(name, known),
            };
            self.source.find(call.participant.span, said);
        }
        let operation = call.operation.clone().unwrap_or(operation);
        let default = CallSpec::new(name.as_str(), operation);
        let of_participant = participant.and_then(|participant| participant.settings.timeout);
        CallSpec {
            payload: Payload::Expression,
            attempt_limit: call.timeout.or(of_participant).unwrap_or(default.attempt_limit),
            retry,
            pending: call.pending,
            ..default
        }
    }

    fn wait(&mut self, at: usize, role: Role, wait: &WrittenWait) -> WaitStep {
        let own = wait.timeout.as_ref().map(|timeout| timeout.value);
        let of_saga = self.written.timeout.as_ref().map(|timeout| timeout.value);
        let inherited = if role == Role::AfterPivot { None } else { of_saga };
        let limit = own.or(inherited).unwrap_or_else(|| {
            let said = say("no_limit", "the wait has no limit: nobody may ever send the signal");
            self.source.find(self.place(at, "wait"), said.help("add `timeout: 24h` to it"));
            Duration::from_secs(1)
        });
        let default = if role == Role::AfterPivot { OnTimeout::GoOn } else { OnTimeout::TurnBack };
        if role == Role::AfterPivot {
            if let Some(on) = wait.on_timeout.as_ref().filter(|on| on.value == OnTimeout::TurnBack) {
                let said = say("after_pivot", "after the pivot nothing turns back");
                self.source.find(on.span, said.help("`go_on` is the only choice here"));
            }
            if let Some(refused_by) = &wait.refused_by {
                let said = say("after_pivot", "after the pivot nothing turns back: no signal can refuse");
                self.source.find(refused_by.span, said.help("remove `refused_by`, or wait before the pivot"));
            }
        }
        WaitStep {
            signal: wait.signal.clone(),
            limit,
            on_timeout: wait.on_timeout.as_ref().map_or(default, |on| on.value),
            refused_by: wait.refused_by.as_ref().map(|signal| signal.value.clone()),
        }
    }

    fn place(&self, at: usize, key: &str) -> Span {
        let step = &self.written.steps[at];
        step.places.get(key).copied().unwrap_or(step.span)
    }

    /// A finding at a key of a step, if the step has it.
    fn find_at(&mut self, at: usize, key: &str, said: Said) {
        if self.written.steps[at].places.contains_key(key) {
            self.source.find(self.place(at, key), said);
        }
    }

    /// What keys may stand together, and what a step may be where it stands.
    fn judge(&mut self, at: usize, role: Role) {
        let step = &self.written.steps[at];
        self.judge_kind(at, step);
        if role == Role::Pivot {
            self.judge_pivot(at, step);
        }
        if self.graph.is_beside_pivot(at) {
            let said = say("beside_pivot", format!("`{}` is neither before nor after the pivot", step.name));
            let help = "whether it can be undone would be chance: add an `after`, here or at the pivot";
            self.source.find(step.span, said.help(help));
        }
        match (&step.retriable, role) {
            (Some(at), Role::BeforePivot | Role::Pivot) if at.value => {
                let said = say("before_pivot", "only what follows the pivot is repeated until it succeeds");
                self.source
                    .find(at.span, said.help("remove `retriable`; `retry` says how often it is asked"));
            }
            (Some(at), Role::AfterPivot) if !at.value => {
                let said = say("after_pivot", "what follows the pivot is repeated until it succeeds");
                self.source
                    .find(at.span, said.help("remove `retriable: false`, or put the step before the pivot"));
            }
            (Some(_) | None, _) => {}
        }
        for key in ["as", "concurrency"] {
            if step.each.is_none() {
                let said = say("misplaced_key", format!("`{key}` says how `each` runs, and there is none"));
                self.find_at(at, key, said.help("add `each: \"${…}\"`, or remove it"));
            }
        }
        if !matches!(&step.kind, WrittenKind::Broken) {
            self.judge_undo(at, role);
        }
    }

    fn judge_kind(&mut self, at: usize, step: &WrittenStep<'_>) {
        let (what, stray): (&str, &[&str]) = match &step.kind {
            WrittenKind::Call(_) | WrittenKind::Broken => return,
            WrittenKind::Child { .. } => ("a sub-saga", &["retry", "refuse_on", "read_only", "retriable"]),
            WrittenKind::Sleep(_) => {
                ("a sleep", &["retry", "timeout", "refuse_on", "read_only", "retriable", "each"])
            }
            WrittenKind::Wait(_) => {
                ("a wait", &["retry", "timeout", "refuse_on", "read_only", "retriable", "each"])
            }
        };
        for key in stray {
            let said = say("misplaced_key", format!("`{key}` does not stand in a step that is {what}"));
            let help = match (*key, what) {
                ("timeout", "a wait") => "its limit stands in it: `wait: { signal: …, timeout: 24h }`",
                _ => "remove it",
            };
            self.find_at(at, key, said.help(help));
        }
    }

    fn judge_pivot(&mut self, at: usize, step: &WrittenStep<'_>) {
        let why = "the pivot is the step that always runs and cannot be undone";
        for (key, what) in
            [("when", "may be skipped"), ("each", "runs several times"), ("read_only", "changes nothing")]
        {
            let is_off = key == "read_only" && step.read_only.as_ref().is_some_and(|at| !at.value);
            if !is_off {
                let said = say("pivot", format!("`{}` is the pivot, but {what}", step.name));
                self.find_at(at, key, said.help(why));
            }
        }
        for (key, what) in [("sleep", "sleeps"), ("wait", "waits")] {
            self.find_at(
                at,
                key,
                say("pivot", format!("`{}` is the pivot, but only {what}", step.name)).help(why),
            );
        }
    }

    fn judge_undo(&mut self, at: usize, role: Role) {
        let step = &self.written.steps[at];
        let is_read_only = step.read_only.as_ref().is_some_and(|at| at.value);
        let is_call = matches!(&step.kind, WrittenKind::Call(_));
        let (rule, message, help) = match (&step.undo, role) {
            (WrittenUndo::Broken, _) => return,
            (WrittenUndo::Undeclared, _) if is_read_only || !is_call => return,
            (WrittenUndo::None | WrittenUndo::Call(_), _) if is_read_only => (
                "misplaced_key",
                "a step that is `read_only` has nothing to compensate".to_owned(),
                "remove one of the two",
            ),
            (WrittenUndo::None | WrittenUndo::Call(_), _) if !is_call => {
                let what = match &step.kind {
                    WrittenKind::Child { .. } => "a sub-saga is undone as a whole, by its own compensations",
                    WrittenKind::Sleep(_) | WrittenKind::Wait(_) => "time that passed is not undone",
                    WrittenKind::Call(_) | WrittenKind::Broken => return,
                };
                ("misplaced_key", what.to_owned(), "remove `compensation`")
            }
            (WrittenUndo::Undeclared, Role::BeforePivot) => (
                "missing_compensation",
                format!("`{}` says nothing about its undo", step.name),
                "add `compensation: { call: …, post: … }`, or `read_only: true` if it changes nothing",
            ),
            (WrittenUndo::Undeclared, Role::Pivot | Role::AfterPivot) => (
                "missing_compensation",
                format!("`{}` says nothing about its undo", step.name),
                "add `compensation: none`: a forgotten undo must not look like a decision",
            ),
            (WrittenUndo::None, Role::BeforePivot) => (
                "no_undo_before_pivot",
                format!("`{}` has no undo, but the saga may still turn back after it", step.name),
                "add a compensation, make it the pivot, or say `read_only: true` if it changes nothing",
            ),
            (WrittenUndo::Call(_), Role::AfterPivot) => (
                "after_pivot",
                "nothing is undone after the pivot".to_owned(),
                "write `compensation: none`, or put the step before the pivot",
            ),
            (WrittenUndo::None, Role::Pivot | Role::AfterPivot) => return,
            (WrittenUndo::Call(_), Role::BeforePivot | Role::Pivot) => return,
        };
        self.source.find(self.place(at, "compensation"), say(rule, message).help(help));
    }

    fn unused_participants(&mut self) {
        for (name, participant) in &self.written.participants {
            let calls = |call: &WrittenCall<'_>| call.participant.value == *name;
            let is_used = self.written.steps.iter().any(|step| {
                let action = matches!(&step.kind, WrittenKind::Call(call) if calls(call));
                action || matches!(&step.undo, WrittenUndo::Call(call) if calls(call))
            });
            if !is_used {
                let said = say("unused_participant", format!("no step calls the participant `{name}`"));
                self.source.warn(participant.name, said);
            }
        }
    }
}

/// What an element of `each` cannot be called: names that mean something, and words that CEL keeps.
const RESERVED: [&str; 29] = [
    "input",
    "steps",
    "saga",
    "output",
    "math",
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "has",
    "dyn",
    "type",
];

fn with_element<'n>(names: Names<'n>, element: Option<&(&'n str, Type)>) -> Names<'n> {
    Names { element: element.cloned(), ..names }
}

fn role_default(role: Role) -> RetryPolicy {
    match role {
        Role::BeforePivot => RetryPolicy::action(),
        Role::Pivot => RetryPolicy::patient(),
        Role::AfterPivot => RetryPolicy::endless(),
    }
}

/// The policy with what was written on top of the default; `None` if nothing was.
fn policy(
    default: RetryPolicy,
    general: WrittenRetry,
    own: [&Option<WrittenRetry>; 2],
) -> Option<RetryPolicy> {
    let mut policy = default.clone();
    for written in std::iter::once(&general).chain(own.into_iter().flatten()) {
        policy.attempts = written.attempts.or(policy.attempts);
        policy.first = written.first.unwrap_or(policy.first);
        policy.factor = written.factor.unwrap_or(policy.factor);
        // A first rest that is longer than the usual longest one says that this may be longer too.
        policy.cap = written.max.unwrap_or(policy.cap.max(written.first.unwrap_or_default()));
    }
    (policy != default).then_some(policy)
}

fn warn(written: &Written<'_>, definition: &SagaDefinition, source: &mut Source<'_>) {
    for warning in definition.warnings() {
        match warning {
            Warning::UndoNeedsOutput(step) => {
                let step = &written.steps[step.at()];
                let message = format!(
                    "the compensation of `{}` needs the output of its action, which may not be known",
                    step.name
                );
                let help = "if the answer was lost, the action is asked again before it is undone; a compensation by `saga.id` needs no answer";
                let span = step.places.get("compensation").copied().unwrap_or(step.span);
                source.warn(span, say("undo_needs_output", message).help(help));
            }
        }
    }
}

/// What core finds gets the place of its step. Most of it was found before, with a better one.
fn found_by_core(written: &Written<'_>, finding: &CoreFinding, source: &mut Source<'_>) {
    let at_step = |name: &str| {
        let step = written.steps.iter().find(|step| step.name == name);
        step.map_or(written.name.span, |step| step.span)
    };
    let (rule, span) = match finding {
        CoreFinding::StepCount(_) => ("step_count", written.name.span),
        CoreFinding::Name(_) => ("name", written.name.span),
        CoreFinding::DuplicateStep(name) => ("duplicate_step", at_step(name)),
        CoreFinding::UnknownStep { .. } => ("unknown_step", written.name.span),
        CoreFinding::Cycle(names) => ("cycle", names.first().map_or(written.name.span, |name| at_step(name))),
        CoreFinding::BesidePivot(name) => ("beside_pivot", at_step(name)),
        CoreFinding::PivotWithoutCall(name) => ("pivot", at_step(name)),
        CoreFinding::PivotMayNotAct { step, .. } => ("pivot", at_step(step)),
        CoreFinding::UndeclaredCompensation(name) => ("missing_compensation", at_step(name)),
        CoreFinding::NoUndoBeforePivot(name) => ("no_undo_before_pivot", at_step(name)),
        CoreFinding::UndoAfterPivot(name)
        | CoreFinding::WaitTurnsBackAfterPivot(name)
        | CoreFinding::WaitRefusedAfterPivot(name) => ("after_pivot", at_step(name)),
        CoreFinding::LongerThanSaga(name) => ("longer_than_saga", at_step(name)),
        CoreFinding::NoLimit(name) | CoreFinding::NoAttempts(name) => ("no_limit", at_step(name)),
        CoreFinding::TooLong(name) => ("duration", at_step(name)),
        CoreFinding::OutputBeforeAction(name) => ("unknown_name", at_step(name)),
        CoreFinding::EachOfPause(name) | CoreFinding::NoConcurrency(name) => ("misplaced_key", at_step(name)),
        CoreFinding::Uncompiled => ("internal", written.name.span),
    };
    source.find(span, say(rule, finding.to_string()));
}
