//! What happened to a saga, as spans of a trace.
//!
//! Owns the way from stored facts to spans: the saga, its steps, and each attempt under its step. Promises the
//! same ids as participants saw in `traceparent`, whichever run of the program reports them, and no payload in
//! any span. Sends nothing.

use std::collections::BTreeMap;

use amends_core::{
    AttemptId, CallId, Definition, Direction, Event, Reason, SagaDefinition, StepId, StepIndex, Time,
    TransactionId,
};
use amends_engine::{History, traceparent};

use crate::wire;

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace, 32 hexadecimal digits.
    pub trace: String,
    /// The span, 16 hexadecimal digits.
    pub id: String,
    /// The span it belongs to.
    pub parent: Option<String>,
    /// What it is called.
    pub name: String,
    /// Whether it is a call to somebody else.
    pub is_call: bool,
    /// When it began.
    pub began: Time,
    /// When it ended.
    pub ended: Time,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, String)>,
    /// What went wrong.
    pub error: Option<String>,
}

/// All spans of a saga that has ended; none of one that goes on, or whose definition is not known here.
#[must_use]
pub fn of(id: TransactionId, history: &History) -> Vec<Span> {
    let Some(definition) = history.definition.as_ref().and_then(Definition::as_saga) else {
        return Vec::new();
    };
    let mut teller = Teller::new(id, definition);
    for record in &history.records {
        for event in record.facts.as_saga().unwrap_or_default() {
            teller.take(record.at, event);
        }
    }
    teller.end()
}

struct Teller<'d> {
    id: TransactionId,
    definition: &'d SagaDefinition,
    /// The `traceparent` that it was started with.
    given: Option<String>,
    began: Time,
    /// When it ended, with what.
    ended: Option<(Time, &'static str)>,
    steps: BTreeMap<StepId, Open>,
    /// Attempts that have no outcome yet: one a call.
    attempts: BTreeMap<(StepId, Direction), (AttemptId, Time)>,
    spans: Vec<Span>,
}

/// A step that has begun.
struct Open {
    began: Time,
    ended: Time,
    error: Option<String>,
}

impl<'d> Teller<'d> {
    fn new(id: TransactionId, definition: &'d SagaDefinition) -> Self {
        Self {
            id,
            definition,
            given: None,
            began: Time::from_milliseconds(0),
            ended: None,
            steps: BTreeMap::new(),
            attempts: BTreeMap::new(),
            spans: Vec::new(),
        }
    }

    fn take(&mut self, at: Time, event: &Event) {
        use Direction::{Action, Compensation};
        match event {
            Event::SagaStarted { origin, .. } => {
                self.began = at;
                self.given = origin.as_ref().and_then(|origin| origin.trace.clone());
            }
            Event::StepStarted { step } => {
                self.steps.insert(*step, Open { began: at, ended: at, error: None });
                self.begin(at, call(*step, Action).attempt(1));
            }
            Event::CompensationStarted { step } => self.begin(at, call(*step, Compensation).attempt(1)),
            Event::OutputSought { step } => self.begin(at, call(*step, Action).attempt(1)),
            Event::AttemptStarted { attempt } => self.begin(at, *attempt),
            Event::AttemptUnknown { attempt, reason, .. } => {
                self.answer(at, attempt.call.of(), attempt.call.direction, Some(text(reason)));
            }
            Event::StepCompleted { step, .. } | Event::OutputFound { step, .. } => {
                self.answer(at, *step, Action, None);
                self.end_step(at, *step, None);
            }
            Event::NothingToUndo { step } => self.answer(at, *step, Action, None),
            Event::StepRefused { step, refusal } | Event::WaitRefused { step, refusal } => {
                let why = Some(text(&refusal.reason()));
                self.answer(at, *step, Action, why.clone());
                self.end_step(at, *step, why);
            }
            Event::StepUnmade { step, reason } | Event::StepConflicted { step, reason } => {
                self.answer(at, *step, Action, Some(text(reason)));
                self.end_step(at, *step, Some(text(reason)));
            }
            Event::OutputTooLarge { step, .. } => {
                let why = Some("output_too_large".to_owned());
                self.answer(at, *step, Action, None);
                self.end_step(at, *step, why);
            }
            Event::StepGivenUp { step, .. } => {
                let why = Some("given_up".to_owned());
                self.answer(at, *step, Action, why.clone());
                self.end_step(at, *step, why);
            }
            Event::WaitTimedOut { step } => self.end_step(at, *step, Some("timed_out".to_owned())),
            Event::SleepEnded { step } | Event::SignalTaken { step } | Event::StepSkipped { step, .. } => {
                self.end_step(at, *step, None);
            }
            Event::CompensationCompleted { step } | Event::CompensationResolved { step, .. } => {
                self.answer(at, *step, Compensation, None);
            }
            Event::CompensationFailed { step, reason } => {
                self.answer(at, *step, Compensation, Some(text(reason)));
            }
            Event::SagaCompleted { .. } => self.ended = Some((at, "completed")),
            Event::SagaCompensated => self.ended = Some((at, "compensated")),
            Event::SagaAbandoned { .. } => self.ended = Some((at, "abandoned")),
            // One that goes on after its end (a reversal) has another.
            Event::SagaReversed { .. } => self.ended = None,
            Event::StepPassedOver { .. }
            | Event::StepUnjudged { .. }
            | Event::StepSplit { .. }
            | Event::LimitExtended { .. }
            | Event::RefusalReported { .. }
            | Event::LateEffect { .. }
            | Event::ChildFreed { .. }
            | Event::Recalled
            | Event::AttemptWorking { .. }
            | Event::SignalReceived { .. }
            | Event::TurnedBack { .. }
            | Event::OutputUnmade { .. }
            | Event::SagaParked { .. }
            | Event::CancelRequested { .. }
            | Event::SagaRetried { .. }
            | Event::CallCorrected { .. }
            | Event::StepRetried { .. }
            | Event::SagaPaused { .. }
            | Event::SagaResumed { .. }
            | Event::ClockSetBack { .. } => {}
        }
    }

    fn begin(&mut self, at: Time, attempt: AttemptId) {
        self.attempts.insert((attempt.call.of(), attempt.call.direction), (attempt, at));
    }

    /// The attempt under way has an outcome.
    fn answer(&mut self, at: Time, step: StepId, direction: Direction, error: Option<String>) {
        let Some((attempt, began)) = self.attempts.remove(&(step, direction)) else { return };
        // A step that sleeps or waits begins like a call, and asks nobody.
        let Some(participant) = self.participant(attempt.call) else { return };
        let undo = match direction {
            Direction::Action => "",
            Direction::Compensation => "undo ",
        };
        let (trace, id) = self.ids(attempt);
        let name = format!("{undo}{}", step.named(self.name(step.step)));
        let parent = self.ids(call(step, Direction::Action).attempt(0)).1;
        self.spans.push(Span {
            trace,
            id,
            parent: Some(parent),
            name,
            is_call: true,
            began,
            ended: at,
            attributes: vec![
                ("amends.participant", participant),
                ("amends.attempt", attempt.number.to_string()),
                ("amends.direction", direction.as_str().to_owned()),
            ],
            error,
        });
    }

    fn end_step(&mut self, at: Time, step: StepId, error: Option<String>) {
        if let Some(open) = self.steps.get_mut(&step) {
            open.ended = at;
            open.error = error;
        }
    }

    /// Whom a call asks; nobody, if the step is none.
    fn participant(&self, call: CallId) -> Option<String> {
        wire::participant_of(self.definition, call.step, call.direction)
    }

    fn name(&self, step: StepIndex) -> &str {
        self.definition.spec().steps.get(usize::from(step.0)).map_or("?", |step| step.name.as_str())
    }

    /// Trace and span of an attempt. Number zero, which no attempt has, stands for the step itself.
    fn ids(&self, attempt: AttemptId) -> (String, String) {
        let header = traceparent(self.given.as_deref(), self.id, attempt);
        let mut parts = header.split('-').skip(1).map(str::to_owned);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }

    fn end(mut self) -> Vec<Span> {
        let Some((ended, status)) = self.ended else { return Vec::new() };
        let of_saga = CallId::first(StepIndex(u16::MAX), Direction::Action).attempt(0);
        let (trace, root) = self.ids(of_saga);
        for (step, open) in std::mem::take(&mut self.steps) {
            let name = step.named(self.name(step.step)).to_string();
            let id = self.ids(call(step, Direction::Action).attempt(0)).1;
            self.spans.push(Span {
                trace: trace.clone(),
                id,
                parent: Some(root.clone()),
                name,
                is_call: false,
                began: open.began,
                ended: open.ended,
                attributes: Vec::new(),
                error: open.error,
            });
        }
        let parent = self.given.as_deref().and_then(|given| given.split('-').nth(2)).map(str::to_owned);
        self.spans.push(Span {
            trace,
            id: root,
            parent,
            name: self.definition.name().to_string(),
            is_call: false,
            began: self.began,
            ended,
            attributes: vec![
                ("amends.saga", self.id.to_string()),
                ("amends.version", self.definition.version().to_string()),
                ("amends.status", status.to_owned()),
            ],
            error: (status != "completed").then(|| status.to_owned()),
        });
        self.spans
    }
}

fn call(step: StepId, direction: Direction) -> CallId {
    CallId { occurrence: step.occurrence, ..CallId::first(step.step, direction) }
}

fn text(reason: &Reason) -> String {
    format!("{}: {}", reason.code, reason.message)
}
