//! Spans of sagas whose facts are told here.
//!
//! Owns what a collector of traces is shown. Promises nothing about sending them.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::time::Duration;

use amends_core::{
    CallId, Definition, DefinitionName, Direction, Event, Facts, Origin, Reason, Refusal, SagaDefinition,
    SagaSpec, StepId, StepIndex, StepSpec, Time, TransactionId,
};
use amends_engine::{History, traceparent};
use amends_journal::record::Record;
use amends_server::spans::{self, Span};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn history(events: Vec<(u64, Event)>) -> History {
    let definition = SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("Trip"),
        version: 2,
        limit: Duration::from_secs(60),
        pivot: None,
        steps: vec![
            StepSpec::new("Flight", "flights", "Book").undone_by("Cancel"),
            StepSpec::new("Hotel", "hotels", "Book").undone_by("Cancel"),
        ],
    });
    let record = |(at, event)| Record { at: Time::from_milliseconds(at), facts: Facts::Saga(vec![event]) };
    History {
        definition: Some(Definition::from(definition.unwrap())),
        records: events.into_iter().map(record).collect(),
    }
}

fn step(index: u16) -> StepId {
    StepId::whole(StepIndex(index))
}

fn started(trace: Option<&str>) -> Event {
    let origin = Origin { trace: trace.map(str::to_owned), ..Origin::default() };
    Event::SagaStarted {
        definition: DefinitionName::new("Trip"),
        version: 2,
        input: "{\"card\": \"4111\"}".into(),
        origin: Some(Box::new(origin)),
    }
}

fn refusal() -> Refusal {
    Refusal { code: "full".to_owned(), message: "no room".to_owned(), details: None }
}

fn told(spans: &[Span]) -> Vec<String> {
    let line = |span: &Span| {
        let error = span.error.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{} {}..{}{error}", span.name, span.began.milliseconds(), span.ended.milliseconds())
    };
    spans.iter().map(line).collect()
}

#[test]
fn a_saga_has_a_span_with_its_steps_and_their_attempts_below_it() {
    let id = TransactionId::from_parts(1, 1);
    let unknown = CallId::first(StepIndex(1), Direction::Action).attempt(1);
    let again = CallId::first(StepIndex(1), Direction::Action).attempt(2);
    let history = history(vec![
        (10, started(Some(GIVEN))),
        (10, Event::StepStarted { step: step(0) }),
        (20, Event::StepCompleted { step: step(0), output: "{\"secret\": 1}".into() }),
        (20, Event::StepStarted { step: step(1) }),
        (
            30,
            Event::AttemptUnknown {
                attempt: unknown,
                reason: Reason { code: "timeout".to_owned(), message: "no answer".to_owned() },
                retry_at: Time::from_milliseconds(40),
            },
        ),
        (40, Event::AttemptStarted { attempt: again }),
        (50, Event::StepRefused { step: step(1), refusal: refusal() }),
        (50, Event::CompensationStarted { step: step(0) }),
        (60, Event::CompensationCompleted { step: step(0) }),
        (60, Event::SagaCompensated),
    ]);
    let spans = spans::of(id, &history);
    assert_eq!(
        told(&spans),
        [
            "Flight 10..20",
            "Hotel 20..30 (timeout: no answer)",
            "Hotel 40..50 (full: no room)",
            "undo Flight 50..60",
            "Flight 10..20",
            "Hotel 20..50 (full: no room)",
            "Trip 10..60 (compensated)",
        ]
    );
    let root = spans.last().unwrap();
    assert_eq!(root.parent.as_deref(), Some("00f067aa0ba902b7"));
    assert!(spans.iter().all(|span| span.trace == "4bf92f3577b34da6a3ce929d0e0e4736"));
    // The participant saw the span of its attempt, which hangs below its step, and that below the saga.
    assert!(traceparent(Some(GIVEN), id, again).contains(&spans[2].id));
    assert_eq!((&spans[2].parent, &spans[5].parent), (&Some(spans[5].id.clone()), &Some(root.id.clone())));
    let ids: std::collections::BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len());
    assert!(!format!("{spans:?}").contains("4111") && !format!("{spans:?}").contains("secret"));
}

#[test]
fn a_saga_without_a_trace_has_its_own_and_one_that_goes_on_has_no_spans_yet() {
    let id = TransactionId::from_parts(1, 1);
    let ended = history(vec![(10, started(None)), (20, Event::SagaCompleted { output: None })]);
    let spans = spans::of(id, &ended);
    assert_eq!((told(&spans), spans[0].parent.as_deref()), (vec!["Trip 10..20".to_owned()], None));
    assert_eq!(spans[0].trace, id.to_string().replace('-', ""));
    assert_eq!(spans::of(id, &history(vec![(10, started(None))])), []);
}
