//! Records: round trips, damage, and the golden files of each format.
//!
//! `AMENDS_GOLDEN=write cargo test -p amends-journal --test record` writes golden files that are missing. A
//! file that is there is never written again: it stands for data that people have on their disks.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use amends_core::{
    AttemptId, By, CallId, CallSpec, CallStep, Cause, ChildStep, CompensationSpec, DefinitionName,
    DefinitionSpec, Direction, EachSpec, Event, Facts, GivenUp, OnTimeout, Origin, Parent, ParkReason,
    Payload, Reason, Refusal, RetryPolicy, SagaSpec, Signal, StepId, StepIndex, StepKind, StepSpec, Time,
    TransactionId, VerbKey, WaitStep,
};
use amends_journal::record::{self, Record, Unreadable};
use bytes::Bytes;
use proptest::prelude::*;

const GOLDEN_SAGA: &str = "0193e0a5-7b2c-7d11-8f00-0242ac120002";
const GOLDEN_SEQUENCE: u64 = 3;

fn golden_saga() -> TransactionId {
    GOLDEN_SAGA.parse().unwrap()
}

fn step(index: u16) -> StepId {
    StepId::whole(StepIndex(index))
}

fn refusal() -> Refusal {
    Refusal { code: "rejected".to_owned(), message: "too much".to_owned(), details: Some(json("{}")) }
}

fn by() -> By {
    By::new("ada", "stück für stück")
}

fn json(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn reason() -> Reason {
    Reason::new("timed_out", "no answer within 2 s")
}

fn attempt(at: u16, direction: Direction, number: u32) -> AttemptId {
    CallId::first(StepIndex(at), direction).attempt(number)
}

fn signal() -> Signal {
    let (name, key) = ("approved".to_owned(), "k1".to_owned());
    Signal { name, key, body: json(r#"{"by":"eve"}"#), fingerprint: [7; 32] }
}

fn record_of(at: Time, events: Vec<Event>) -> Record {
    Record { at, facts: Facts::Saga(events) }
}

fn events_of(record: &Record) -> &[Event] {
    let Facts::Saga(events) = &record.facts else { panic!("a saga's facts were expected") };
    events
}

/// One record for each golden file, by the file's name.
fn golden_records() -> BTreeMap<&'static str, Record> {
    let now = Time::from_milliseconds(1_700_000_000_123);
    let later = Time::from_milliseconds(1_700_000_009_999);
    let events: Vec<(&'static str, Event)> = vec![
        (
            "saga_started",
            Event::SagaStarted {
                definition: DefinitionName::new("PlaceOrder"),
                version: 3,
                input: json(r#"{"user_id":"user_123"}"#),
                origin: None,
            },
        ),
        (
            "saga_started_from_somewhere",
            Event::SagaStarted {
                definition: DefinitionName::new("PlaceOrder"),
                version: 3,
                input: json("{}"),
                origin: Some(Box::new(Origin {
                    tags: BTreeMap::from([("customer".to_owned(), "user_123".to_owned())]),
                    parent: Some(Parent {
                        id: TransactionId::from_parts(1, 2),
                        step: StepId::leg(StepIndex(3), 4),
                        step_name: "Ship[4]".to_owned(),
                        root: TransactionId::from_parts(5, 6),
                    }),
                    trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
                })),
            },
        ),
        ("step_started", Event::StepStarted { step: step(0) }),
        ("attempt_started", Event::AttemptStarted { attempt: attempt(1, Direction::Action, 2) }),
        (
            "attempt_started_of_a_leg",
            Event::AttemptStarted {
                attempt: CallId { occurrence: Some(0), round: 2, ..attempt(1, Direction::Action, 1).call }
                    .attempt(3),
            },
        ),
        (
            "attempt_unknown",
            Event::AttemptUnknown {
                attempt: attempt(1, Direction::Compensation, 300),
                reason: reason(),
                retry_at: later,
            },
        ),
        (
            "attempt_working",
            Event::AttemptWorking {
                attempt: attempt(2, Direction::Action, 1),
                ask_at: Time::NEVER,
                expires_at: later,
            },
        ),
        ("step_completed", Event::StepCompleted { step: step(999), output: json(r#"{"order_id":"ord_1"}"#) }),
        ("step_completed_without_bytes", Event::StepCompleted { step: step(0), output: Bytes::new() }),
        (
            "step_refused",
            Event::StepRefused {
                step: step(2),
                refusal: Refusal {
                    code: "insufficient_stock".to_owned(),
                    message: "have 3, need 5".to_owned(),
                    details: Some(json(r#"{"have":3}"#)),
                },
            },
        ),
        (
            "step_refused_without_details",
            Event::StepRefused {
                step: step(2),
                refusal: Refusal { code: "no".to_owned(), message: String::new(), details: None },
            },
        ),
        ("step_given_up", Event::StepGivenUp { step: step(4), why: GivenUp::Exhausted }),
        ("step_given_up_timed_out", Event::StepGivenUp { step: step(4), why: GivenUp::TimedOut }),
        ("step_given_up_working", Event::StepGivenUp { step: step(4), why: GivenUp::WorkingTooLong }),
        ("step_given_up_turned_back", Event::StepGivenUp { step: step(4), why: GivenUp::TurnedBack }),
        ("turned_back_refused", Event::TurnedBack { cause: Cause::Refused(step(2)) }),
        ("turned_back_exhausted", Event::TurnedBack { cause: Cause::Exhausted(step(2)) }),
        ("turned_back_step_timed_out", Event::TurnedBack { cause: Cause::StepTimedOut(step(2)) }),
        ("turned_back_saga_timed_out", Event::TurnedBack { cause: Cause::SagaTimedOut }),
        ("turned_back_cancelled", Event::TurnedBack { cause: Cause::Cancelled }),
        ("turned_back_reversed", Event::TurnedBack { cause: Cause::Reversed }),
        ("output_sought", Event::OutputSought { step: step(3) }),
        ("output_found", Event::OutputFound { step: step(3), output: json("null") }),
        ("nothing_to_undo", Event::NothingToUndo { step: step(3) }),
        ("compensation_started", Event::CompensationStarted { step: step(3) }),
        ("compensation_completed", Event::CompensationCompleted { step: step(3) }),
        ("compensation_failed", Event::CompensationFailed { step: step(3), reason: reason() }),
        ("saga_completed", Event::SagaCompleted { output: None }),
        ("saga_completed_with_an_output", Event::SagaCompleted { output: Some(json("[1]")) }),
        ("output_unmade", Event::OutputUnmade { reason: reason() }),
        ("saga_compensated", Event::SagaCompensated),
        ("saga_parked_pivot_exhausted", Event::SagaParked { because: ParkReason::PivotExhausted(step(5)) }),
        ("saga_parked_pivot_in_doubt", Event::SagaParked { because: ParkReason::PivotInDoubt(step(5)) }),
        (
            "saga_parked_refused_after_pivot",
            Event::SagaParked { because: ParkReason::RefusedAfterPivot(step(5)) },
        ),
        ("saga_parked_payload_conflict", Event::SagaParked { because: ParkReason::PayloadConflict(step(5)) }),
        ("saga_parked_compensation_failed", Event::SagaParked { because: ParkReason::CompensationFailed }),
        ("cancel_requested", Event::CancelRequested { by: by() }),
        (
            "cancel_requested_with_a_key",
            Event::CancelRequested {
                by: By { key: Some(VerbKey { key: "k1".to_owned(), fingerprint: [7; 32] }), ..by() },
            },
        ),
        ("saga_retried", Event::SagaRetried { by: by() }),
        ("step_retried", Event::StepRetried { step: step(6) }),
        ("step_skipped", Event::StepSkipped { step: step(6), output: json("{}"), by: by() }),
        ("compensation_resolved", Event::CompensationResolved { step: step(6), by: by() }),
        ("saga_paused", Event::SagaPaused { by: by() }),
        ("saga_resumed", Event::SagaResumed { by: by() }),
        ("saga_reversed", Event::SagaReversed { by: by() }),
        ("saga_abandoned", Event::SagaAbandoned { by: by() }),
        ("output_too_large", Event::OutputTooLarge { step: step(7), bytes: 1_048_577, limit: 1_048_576 }),
        ("step_unmade", Event::StepUnmade { step: step(7), reason: reason() }),
        ("step_conflicted", Event::StepConflicted { step: step(7), reason: reason() }),
        ("sleep_ended", Event::SleepEnded { step: step(8) }),
        ("signal_received", Event::SignalReceived { signal: Box::new(signal()) }),
        ("signal_taken", Event::SignalTaken { step: step(8) }),
        ("wait_timed_out", Event::WaitTimedOut { step: step(8) }),
        ("clock_set_back", Event::ClockSetBack { by: Duration::from_millis(3_600_001) }),
        ("step_passed_over", Event::StepPassedOver { step: StepIndex(3) }),
        ("step_unjudged", Event::StepUnjudged { step: step(3), reason: reason() }),
        (
            "step_split",
            Event::StepSplit { step: StepIndex(3), elements: vec![json("1"), Bytes::new(), json("{}")] },
        ),
        ("step_started_a_leg", Event::StepStarted { step: StepId::leg(StepIndex(3), 0) }),
        ("limit_extended", Event::LimitExtended { step: step(3), by: Duration::from_millis(30_000) }),
        (
            "refusal_reported",
            Event::RefusalReported {
                call: CallId::first(StepIndex(3), Direction::Action),
                refusal: Box::new(refusal()),
            },
        ),
        ("child_freed", Event::ChildFreed { step: StepId::leg(StepIndex(3), 1) }),
        ("recalled", Event::Recalled),
        ("turned_back_recalled", Event::TurnedBack { cause: Cause::Recalled }),
        ("saga_parked_child_parked", Event::SagaParked { because: ParkReason::ChildParked(step(3)) }),
        ("late_effect", Event::LateEffect { call: CallId::first(StepIndex(3), Direction::Compensation) }),
        ("wait_refused", Event::WaitRefused { step: step(8), refusal: refusal() }),
        (
            "call_corrected",
            Event::CallCorrected {
                call: CallId { round: 2, ..CallId::first(StepIndex(3), Direction::Action) },
                payload: json("{}"),
            },
        ),
        ("turned_back_output_unmade", Event::TurnedBack { cause: Cause::OutputUnmade }),
        ("saga_parked_output_unmade", Event::SagaParked { because: ParkReason::OutputUnmade }),
        ("turned_back_unmade", Event::TurnedBack { cause: Cause::Unmade(step(2)) }),
        (
            "saga_parked_output_too_large",
            Event::SagaParked {
                because: ParkReason::OutputTooLarge { step: step(5), bytes: 1_048_577, limit: 1_048_576 },
            },
        ),
        ("saga_parked_unmade", Event::SagaParked { because: ParkReason::Unmade(step(5)) }),
        (
            "saga_parked_saga_too_large",
            Event::SagaParked { because: ParkReason::SagaTooLarge { bytes: 67_108_865, limit: 67_108_864 } },
        ),
    ];
    let mut records: BTreeMap<&'static str, Record> =
        events.into_iter().map(|(name, event)| (name, record_of(now, vec![event]))).collect();
    let together = vec![
        Event::StepCompleted { step: step(0), output: json("{}") },
        Event::StepStarted { step: step(1) },
    ];
    records.insert("two_facts", record_of(Time::from_milliseconds(0), together));
    records
}

fn golden_definition() -> DefinitionSpec {
    let not_retryable = vec!["card_declined".to_owned()];
    let payment = CallStep {
        action: CallSpec {
            retry: Some(RetryPolicy { not_retryable, ..RetryPolicy::action() }),
            payload: Payload::Mapping("payment".to_owned()),
            ..CallSpec::new("payments", "pay")
        },
        limit: Some(Duration::from_millis(1_500)),
        compensation: CompensationSpec::Call {
            call: CallSpec {
                attempt_limit: Duration::new(3, 7),
                retry: Some(RetryPolicy::endless()),
                payload: Payload::Output,
                ..CallSpec::new("refunds", "refund")
            },
            needs_output: true,
        },
        refuse_on: Vec::new(),
    };
    DefinitionSpec::Saga(SagaSpec {
        name: DefinitionName::new("PlaceOrder"),
        version: 3,
        limit: Duration::from_secs(120),
        pivot: Some("ScheduleShipment".to_owned()),
        steps: vec![
            StepSpec::new("CreateOrder", "orders", "create").undone_by("cancel"),
            StepSpec {
                name: "ProcessPayment".to_owned(),
                after: Some(Vec::new()),
                ..StepSpec::of("", StepKind::Call(payment))
            },
            StepSpec::new("ScheduleShipment", "shipping", "schedule")
                .after(["CreateOrder", "ProcessPayment"])
                .without_undo(),
            StepSpec::new("ConfirmOrder", "orders", "confirm"),
            StepSpec::sleep("CoolOff", Duration::from_secs(86_400)),
            StepSpec::wait("Approval", "approved", Duration::from_secs(60)),
            StepSpec::wait("Feedback", "rated", Duration::from_secs(60)).or_go_on(),
        ],
    })
}

fn golden_document() -> DefinitionSpec {
    let name = DefinitionName::new("PlaceOrder");
    DefinitionSpec::Document {
        name,
        version: 4,
        source: "saga: PlaceOrder\nsteps: []\n".into(),
        children: BTreeMap::new(),
    }
}

fn golden_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(format!("{name}.hex"))
}

/// Writes a golden file that is missing, if that was asked for.
fn write_golden_file(name: &str, encoded: &[u8]) {
    let path = golden_file(name);
    if !path.exists() && std::env::var("AMENDS_GOLDEN").is_ok_and(|value| value == "write") {
        let lines: Vec<String> = encoded
            .chunks(32)
            .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            .collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
}

fn golden_bytes(name: &str) -> Bytes {
    let text = std::fs::read_to_string(golden_file(name))
        .unwrap_or_else(|_| panic!("{name} has no golden file: see the head of this file"));
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn what_was_written_then_reads_now_and_is_written_so_still() {
    for (name, expected) in golden_records() {
        let encoded = record::encode(golden_saga(), GOLDEN_SEQUENCE, &expected);
        write_golden_file(name, &encoded);
        let golden = golden_bytes(name);
        let decoded = record::decode(golden_saga(), GOLDEN_SEQUENCE, golden.clone());
        assert_eq!(decoded, Ok(expected), "{name}");
        assert_eq!(encoded, golden, "{name}");
    }
    let encoded = record::encode_definition(&golden_definition());
    write_golden_file("definition", &encoded);
    let document = record::encode_definition(&golden_document());
    write_golden_file("definition_document", &document);
    assert_eq!(document, golden_bytes("definition_document"));
    assert_eq!(record::decode_definition("x", document), Ok(golden_document()));
    let golden = golden_bytes("definition");
    assert_eq!(record::decode_definition("PlaceOrder", golden.clone()), Ok(golden_definition()));
    assert_eq!(encoded, golden);
}

#[test]
fn no_golden_file_is_left_over() {
    let known: BTreeSet<PathBuf> =
        golden_records().into_keys().chain(["definition", "definition_document"]).map(golden_file).collect();
    let directory = golden_file("x").parent().unwrap().to_owned();
    let found: BTreeSet<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(found, known);
}

/// A frame as another program would make it: any format, any body, a sound checksum.
fn frame(format: u8, body: &[u8]) -> Bytes {
    let sum = crc32c::crc32c_append(
        crc32c::crc32c_append(
            crc32c::crc32c_append(crc32c::crc32c(&golden_saga().to_bytes()), &GOLDEN_SEQUENCE.to_le_bytes()),
            &[format],
        ),
        body,
    );
    [&[format], sum.to_le_bytes().as_slice(), body].concat().into()
}

/// A body with one event, whose only field is `tag` with this content.
fn body_of(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut key = Vec::new();
    prost::encoding::encode_key(u32::from(tag), prost::encoding::WireType::LengthDelimited, &mut key);
    let event = [key, vec![content.len() as u8], content.to_vec()].concat();
    // Time 5, then one event.
    [vec![0x08, 5, 0x12, event.len() as u8], event].concat()
}

fn decode(frame: Bytes) -> Result<Record, Unreadable> {
    record::decode(golden_saga(), GOLDEN_SEQUENCE, frame)
}

#[test]
fn every_kind_of_event_has_a_golden_file() {
    // Which kinds there are is asked of the decoder: one it does not know is from the future, others it
    // knows.
    let known: BTreeSet<u8> = (1..100)
        .filter(|tag| match decode(frame(1, &body_of(*tag, &[]))) {
            Err(Unreadable::Newer { details, .. }) => !details.contains("more than this version knows"),
            Err(Unreadable::Damaged { .. }) | Ok(_) => true,
        })
        .collect();
    let golden: BTreeSet<u8> = golden_records()
        .into_keys()
        .filter(|name| *name != "two_facts")
        .map(|name| {
            let bytes = golden_bytes(name);
            // Envelope (5), time (tag, 6 bytes), event (tag, length, one or two bytes): then the kind's key, likewise.
            let at = if bytes[13] & 0x80 == 0 { 14 } else { 15 };
            match &bytes[at..at + 2] {
                [low, high] if low & 0x80 != 0 => ((low & 0x7F) >> 3) | (high << 4),
                key => key[0] >> 3,
            }
        })
        .collect();
    assert_eq!(golden, known);
}

fn damaged(frame: Bytes) -> String {
    match decode(frame) {
        Err(error @ Unreadable::Damaged { .. }) => {
            assert!(error.to_string().contains("damaged"));
            error.to_string()
        }
        other => panic!("damage was expected, not {other:?}"),
    }
}

fn newer(frame: Bytes) -> String {
    match decode(frame) {
        Err(error @ Unreadable::Newer { .. }) => {
            assert!(error.to_string().contains("written by a newer version"));
            error.to_string()
        }
        other => panic!("a newer version was expected, not {other:?}"),
    }
}

#[test]
fn an_error_names_the_record() {
    let text = damaged(Bytes::from_static(b"x"));
    assert!(text.contains(GOLDEN_SAGA) && text.contains("record 3"), "{text}");
}

#[test]
fn a_frame_too_short_for_its_envelope_is_damaged() {
    for length in 0..5 {
        damaged(Bytes::from(vec![1; length]));
    }
}

#[test]
fn another_format_is_a_newer_version_unless_it_is_a_flipped_bit() {
    newer(frame(2, b"whatever"));
    damaged(frame(0, b"whatever"));
    let mut hit = frame(1, &body_of(16, &[])).to_vec();
    hit[0] ^= 2;
    damaged(hit.into());
}

#[test]
fn what_only_a_newer_version_knows_is_said_so() {
    newer(frame(1, &body_of(99, &[])));
    newer(frame(1, &body_of(9, &[]))); // turned back, for a cause it does not know
    newer(frame(1, &body_of(18, &[]))); // parked, for a reason it does not know
    newer(frame(1, &body_of(3, &[0x10, 3, 0x18, 1]))); // an attempt in a third direction
    newer(frame(1, &body_of(8, &[0x10, 77]))); // given up for an unknown reason
}

#[test]
fn what_must_be_there_is_never_made_up() {
    damaged(frame(1, b"")); // a record that states nothing
    damaged(frame(1, &[0x08, 5]));
    damaged(frame(1, &body_of(1, &[0x10, 1, 0x1A, 0]))); // started, of no definition
    damaged(frame(1, &body_of(1, &[0x0A, 1, b'D', 0x10, 1]))); // started, without input
    damaged(frame(1, &body_of(3, &[0x18, 1]))); // an attempt without direction
    damaged(frame(1, &body_of(3, &[0x10, 1]))); // an attempt without number
    damaged(frame(1, &body_of(3, &[0x10, 1, 0x18, 1, 0x28, 1]))); // a first round is not written
    damaged(frame(1, &body_of(4, &[]))); // unknown, of no attempt
    damaged(frame(1, &body_of(6, &[]))); // completed, without output
    damaged(frame(1, &body_of(7, &[]))); // refused, without what was said
    damaged(frame(1, &body_of(8, &[]))); // given up, without why
    damaged(frame(1, &body_of(15, &[]))); // an undo failed, without reason
    damaged(frame(1, &body_of(19, &[]))); // cancelled by nobody
    damaged(frame(1, &body_of(22, &[0x12, 0]))); // skipped by nobody
    damaged(frame(1, &body_of(2, &[0x08, 0x80, 0x80, 0x04]))); // step 65536
}

#[test]
fn nothing_is_left_over() {
    let whole = body_of(16, &[]);
    assert!(decode(frame(1, &whole)).is_ok());
    newer(frame(1, &[whole.clone(), vec![0x18, 1]].concat())); // a third field of the record
    let round = [0x10, 1, 0x18, 1, 0x28];
    newer(frame(1, &body_of(3, &[&round[..], &[2, 0x30, 1]].concat()))); // a sixth field of the attempt
    newer(frame(1, &body_of(2, &[0x08, 1, 0x18, 1]))); // a third field of the step
    newer(frame(1, &body_of(2, &[0x08, 1, 0x08, 1]))); // the same field twice
    damaged(frame(1, &[whole, vec![0xFF]].concat()));
}

#[test]
fn a_record_reads_only_in_its_own_place() {
    let record = record_of(Time::from_milliseconds(1), vec![Event::SagaCompleted { output: None }]);
    let frame = record::encode(golden_saga(), 3, &record);
    assert_eq!(record::decode(golden_saga(), 3, frame.clone()), Ok(record));
    assert!(matches!(record::decode(golden_saga(), 4, frame.clone()), Err(Unreadable::Damaged { .. })));
    let other = TransactionId::from_bytes([7; 16]);
    assert!(matches!(record::decode(other, 3, frame.clone()), Err(Unreadable::Damaged { .. })));
    assert!(record::decode_definition("x", frame).is_err());
}

#[test]
fn payloads_are_slices_of_the_frame() {
    let output = Bytes::from(vec![b'x'; 1_000]);
    let record = record_of(Time::from_milliseconds(1), vec![Event::StepCompleted { step: step(0), output }]);
    let frame = record::encode(golden_saga(), 1, &record);
    let place = frame.as_ptr_range();
    let decoded = record::decode(golden_saga(), 1, frame.clone()).unwrap();
    let [Event::StepCompleted { output, .. }] = events_of(&decoded) else { panic!("{decoded:?}") };
    assert!(place.contains(&output.as_ptr()));
}

#[test]
#[should_panic(expected = "at least one fact")]
fn a_record_of_nothing_is_never_written() {
    let _ = record::encode(golden_saga(), 1, &record_of(Time::NEVER, Vec::new()));
}

#[test]
#[should_panic(expected = "counted from one")]
fn attempt_zero_is_never_written() {
    let event = Event::AttemptStarted { attempt: attempt(0, Direction::Action, 0) };
    let _ = record::encode(golden_saga(), 1, &record_of(Time::NEVER, vec![event]));
}

fn any_step() -> impl Strategy<Value = StepId> {
    (any::<u16>(), prop::option::of(any::<u32>()))
        .prop_map(|(step, occurrence)| StepId { step: StepIndex(step), occurrence })
}

fn any_time() -> impl Strategy<Value = Time> {
    any::<u64>().prop_map(Time::from_milliseconds)
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn any_by() -> impl Strategy<Value = By> {
    let key = proptest::option::of((any::<String>(), any::<[u8; 32]>()));
    (any::<String>(), any::<String>(), key).prop_map(|(who, why, key)| By {
        who,
        why,
        key: key.map(|(key, fingerprint)| VerbKey { key, fingerprint }),
    })
}

fn any_reason() -> impl Strategy<Value = Reason> {
    (any::<String>(), any::<String>()).prop_map(|(code, message)| Reason { code, message })
}

fn any_attempt() -> impl Strategy<Value = AttemptId> {
    let direction = prop_oneof![Just(Direction::Action), Just(Direction::Compensation)];
    let rounds = prop_oneof![Just(1), 1..=u32::MAX];
    (any_step(), direction, rounds, 1..=u32::MAX).prop_map(|(step, direction, round, number)| {
        CallId { step: step.step, occurrence: step.occurrence, direction, round }.attempt(number)
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let fixed: Vec<Event> = golden_records().values().flat_map(events_of).cloned().collect();
    prop_oneof![
        prop::sample::select(fixed),
        ("[a-zA-Z]{1,20}", any::<u32>(), any_bytes()).prop_map(|(name, version, input)| Event::SagaStarted {
            definition: DefinitionName::new(name),
            version,
            input,
            origin: None
        }),
        any_step().prop_map(|step| Event::StepStarted { step }),
        any_attempt().prop_map(|attempt| Event::AttemptStarted { attempt }),
        (any_attempt(), any_reason(), any_time())
            .prop_map(|(attempt, reason, retry_at)| Event::AttemptUnknown { attempt, reason, retry_at }),
        (any_attempt(), any_time(), any_time())
            .prop_map(|(attempt, ask_at, expires_at)| Event::AttemptWorking { attempt, ask_at, expires_at }),
        (any_step(), any::<u64>(), any::<u64>()).prop_map(|(step, bytes, limit)| Event::OutputTooLarge {
            step,
            bytes,
            limit
        }),
        (any::<String>(), any::<String>(), any_bytes(), any::<[u8; 32]>()).prop_map(
            |(name, key, body, fingerprint)| Event::SignalReceived {
                signal: Box::new(Signal { name, key, body, fingerprint })
            }
        ),
        (any_step(), any_bytes()).prop_map(|(step, output)| Event::StepCompleted { step, output }),
        (any_step(), any_reason(), prop::option::of(any_bytes())).prop_map(|(step, reason, details)| {
            let refusal = Refusal { code: reason.code, message: reason.message, details };
            Event::StepRefused { step, refusal }
        }),
        any_step().prop_map(|step| Event::TurnedBack { cause: Cause::Refused(step) }),
        any_step().prop_map(|step| Event::SagaParked { because: ParkReason::PivotInDoubt(step) }),
        (any_step(), any_reason()).prop_map(|(step, reason)| Event::CompensationFailed { step, reason }),
        (any_step(), any_bytes(), any_by()).prop_map(|(step, output, by)| Event::StepSkipped {
            step,
            output,
            by
        }),
        (any_step(), any_by()).prop_map(|(step, by)| Event::CompensationResolved { step, by }),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    (any_time(), prop::collection::vec(any_event(), 1..5)).prop_map(|(at, events)| record_of(at, events))
}

fn any_span() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0u32..1_000_000_000).prop_map(|(seconds, nanoseconds)| Duration::new(seconds, nanoseconds))
}

fn any_policy() -> impl Strategy<Value = RetryPolicy> {
    (
        prop::option::of(any::<u32>()),
        any_span(),
        any::<u32>(),
        any_span(),
        prop::collection::vec(any::<String>(), 0..3),
    )
        .prop_map(|(attempts, first, factor, cap, not_retryable)| RetryPolicy {
            attempts,
            first,
            factor,
            cap,
            not_retryable,
        })
}

fn any_call() -> impl Strategy<Value = CallSpec> {
    let payload = prop_oneof![
        Just(Payload::Input),
        Just(Payload::Output),
        Just(Payload::Expression),
        any::<String>().prop_map(Payload::Mapping),
    ];
    let pending = prop::option::of(any_span());
    (any::<[String; 2]>(), payload, any_span(), prop::option::of(any_policy()), pending).prop_map(
        |([participant, operation], payload, attempt_limit, retry, pending)| CallSpec {
            participant,
            operation,
            payload,
            attempt_limit,
            retry,
            pending,
        },
    )
}

fn any_compensation() -> impl Strategy<Value = CompensationSpec> {
    prop_oneof![
        Just(CompensationSpec::Undeclared),
        Just(CompensationSpec::None),
        Just(CompensationSpec::ReadOnly),
        (any_call(), any::<bool>())
            .prop_map(|(call, needs_output)| CompensationSpec::Call { call, needs_output }),
    ]
}

fn any_kind() -> impl Strategy<Value = StepKind> {
    let on_timeout = prop_oneof![Just(OnTimeout::TurnBack), Just(OnTimeout::GoOn)];
    prop_oneof![
        (
            any_call(),
            prop::option::of(any_span()),
            any_compensation(),
            prop::collection::vec(any::<String>(), 0..3)
        )
            .prop_map(|(action, limit, compensation, refuse_on)| {
                StepKind::Call(CallStep { action, limit, compensation, refuse_on })
            }),
        any_span().prop_map(|length| StepKind::Sleep { length }),
        (any::<String>(), any_span(), on_timeout, prop::option::of(any::<String>())).prop_map(
            |(signal, limit, on_timeout, refused_by)| {
                StepKind::Wait(WaitStep { signal, limit, on_timeout, refused_by })
            }
        ),
        (any::<String>(), any::<u32>(), prop::option::of(any_span())).prop_map(
            |(definition, version, limit)| {
                let definition = DefinitionName::new(definition);
                StepKind::Child(ChildStep { definition, version, limit })
            }
        ),
    ]
}

fn any_step_spec() -> impl Strategy<Value = StepSpec> {
    let after = prop::option::of(prop::collection::vec(any::<String>(), 0..3));
    let each = prop::option::of(any::<u32>().prop_map(|concurrency| EachSpec { concurrency }));
    (any::<String>(), after, any::<bool>(), each, any_kind())
        .prop_map(|(name, after, when, each, kind)| StepSpec { name, after, when, each, kind })
}

fn any_definition() -> impl Strategy<Value = DefinitionSpec> {
    (
        any::<String>(),
        any::<u32>(),
        any_span(),
        prop::option::of(any::<String>()),
        prop::collection::vec(any_step_spec(), 0..4),
    )
        .prop_map(|(name, version, limit, pivot, steps)| {
            DefinitionSpec::Saga(SagaSpec { name: DefinitionName::new(name), version, limit, pivot, steps })
        })
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_went_in(saga: u128, sequence: u64, record in any_record()) {
        let saga = TransactionId::from_bytes(saga.to_be_bytes());
        let frame = record::encode(saga, sequence, &record);
        prop_assert_eq!(record::decode(saga, sequence, frame), Ok(record));
    }

    #[test]
    fn a_definition_comes_back_as_it_went_in(spec in any_definition()) {
        prop_assert_eq!(record::decode_definition("x", record::encode_definition(&spec)), Ok(spec));
    }

    #[test]
    fn a_record_is_not_larger_than_its_facts_say(record in any_record()) {
        let weight: u64 = events_of(&record).iter().map(Event::weight).sum();
        prop_assert!(record::encode(golden_saga(), 1, &record).len() as u64 <= weight);
    }

    #[test]
    fn every_flipped_bit_is_noticed(record in any_record()) {
        let frame = record::encode(golden_saga(), 1, &record);
        for bit in 0..frame.len() * 8 {
            let mut hit = frame.to_vec();
            hit[bit / 8] ^= 1 << (bit % 8);
            let decoded = record::decode(golden_saga(), 1, hit.into());
            prop_assert!(matches!(decoded, Err(Unreadable::Damaged { .. })), "bit {}: {:?}", bit, decoded);
        }
    }

    #[test]
    fn every_cut_is_noticed(record in any_record()) {
        let frame = record::encode(golden_saga(), 1, &record);
        for length in 0..frame.len() {
            prop_assert!(record::decode(golden_saga(), 1, frame.slice(..length)).is_err());
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes: Vec<u8>, format in 0u8..3) {
        let _ = decode(bytes.clone().into());
        let _ = record::decode_definition("x", bytes.clone().into());
        // Past the checksum, too.
        let _ = decode(frame(format, &bytes));
    }

    #[test]
    fn what_decodes_encodes_to_an_equal_record(tag in 1u8..40, content in prop::collection::vec(any::<u8>(), 0..20)) {
        if let Ok(record) = decode(frame(1, &body_of(tag, &content))) {
            let again = record::encode(golden_saga(), GOLDEN_SEQUENCE, &record);
            prop_assert_eq!(decode(again), Ok(record));
        }
    }
}

#[test]
fn a_record_of_another_mode_comes_back_as_it_went_in() {
    use amends_core::errand::{ErrandDefinition, Event};
    let events = vec![
        Event::Started { input: json("{}") },
        Event::AttemptUnknown { retry_at: Time::NEVER },
        Event::AttemptStarted,
        Event::Refused,
        Event::Completed,
        Event::Abandoned,
    ];
    let record = Record { at: Time::from_milliseconds(7), facts: Facts::Errand(events) };
    assert_eq!(decode(record::encode(golden_saga(), GOLDEN_SEQUENCE, &record)), Ok(record));
    let spec = DefinitionSpec::Errand(ErrandDefinition {
        name: DefinitionName::new("Post"),
        version: 2,
        participant: "p".to_owned(),
        operation: "post".to_owned(),
        rest: Duration::from_millis(5),
    });
    assert_eq!(record::decode_definition("Post", record::encode_definition(&spec)), Ok(spec));
}
