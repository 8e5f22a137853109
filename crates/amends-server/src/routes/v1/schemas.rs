//! The schemas of what the API answers.
//!
//! Owns them, by name. Promises that each has the fields of its type in `amends-api` and no others: a test
//! compares them. Does not know who answers what.

use amends_api::{
    BreakerState, BulkStatus, CompensationStatus, ErrorKind, Mode, SagaStatus, StepStatus, VerbName,
};
use serde_json::{Map, Value, json};

/// Statuses with their answers.
type Answers = Vec<(u16, Value)>;

/// A path, what it is, and what it answers.
type General = (&'static str, &'static str, fn() -> Answers);

/// What every server answers besides the API: path, what it is, answers.
pub(super) const GENERAL: &[General] = &[
    ("/health", "Whether the server lives", health),
    ("/ready", "Whether the server takes work", ready),
    ("/metrics", "What Prometheus reads", metrics),
    ("/errors/{code}", "What an error means, and what to do about it", errors),
    ("/openapi.json", "This document", openapi),
];

fn json_answer(about: &str, schema: &Value) -> Value {
    json!({"description": about, "content": {"application/json": {"schema": schema}}})
}

fn problem_answer(kind: ErrorKind) -> (u16, Value) {
    let content = json!({(amends_api::Problem::MEDIA_TYPE): {"schema": reference("Problem")}});
    (
        kind.status(),
        json!({"description": format!("`{}`: {}", kind.code(), kind.title()), "content": content}),
    )
}

fn health() -> Answers {
    vec![(200, json_answer("it answers", &reference("Health"))), problem_answer(ErrorKind::Forbidden)]
}

fn ready() -> Answers {
    vec![
        (200, json_answer("it takes work", &reference("Health"))),
        problem_answer(ErrorKind::Forbidden),
        problem_answer(ErrorKind::Stopping),
    ]
}

fn metrics() -> Answers {
    let page =
        json!({"description": "the metrics", "content": {"text/plain": {"schema": {"type": "string"}}}});
    vec![(200, page), problem_answer(ErrorKind::Forbidden), problem_answer(ErrorKind::Unauthorized)]
}

fn errors() -> Answers {
    let page =
        json!({"description": "the page", "content": {"text/markdown": {"schema": {"type": "string"}}}});
    vec![
        (200, page),
        problem_answer(ErrorKind::NotFound),
        problem_answer(ErrorKind::Forbidden),
        problem_answer(ErrorKind::Unauthorized),
    ]
}

fn openapi() -> Answers {
    vec![
        (200, json_answer("the document", &json!({"type": "object"}))),
        problem_answer(ErrorKind::Forbidden),
        problem_answer(ErrorKind::Unauthorized),
    ]
}

/// Any JSON.
fn any() -> Value {
    json!({})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

/// The value, or `null`.
fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn texts() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

/// An object of these fields, all there.
fn object(fields: Vec<(&str, Value)>) -> Value {
    with_optional(fields, Vec::new())
}

/// An object of fields that are there, and fields that may be. A later server may send more.
fn with_optional(fields: Vec<(&str, Value)>, optional: Vec<(&str, Value)>) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().chain(&optional).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn words<W: Copy>(all: &[W], text: fn(W) -> &'static str) -> Value {
    word(&all.iter().map(|word| text(*word)).collect::<Vec<_>>())
}

/// All of them.
pub(super) fn answers() -> Map<String, Value> {
    let status = || words(SagaStatus::ALL, SagaStatus::as_str);
    let version = || json!({"type": "integer", "minimum": 1});
    let mode = || words(Mode::ALL, Mode::as_str);
    let schemas = [
        (
            "Problem",
            with_optional(
                vec![("type", text()), ("title", text()), ("code", text()), ("detail", text())],
                vec![("status", json!({"type": "integer"}))],
            ),
        ),
        ("Health", object(vec![("status", word(&["ok"])), ("recovered", flag())])),
        (
            "Saga",
            object(vec![
                ("id", text()),
                ("definition", text()),
                ("version", version()),
                ("mode", mode()),
                ("status", status()),
                ("paused", flag()),
                ("sequence", count()),
                ("input", any()),
                ("output", any()),
                ("tags", texts()),
                ("parent", or_null(reference("Parent"))),
                ("failed_step", or_null(text())),
                ("reason", or_null(reference("Reason"))),
                ("parked", or_null(reference("Parked"))),
                ("started_at", moment()),
                ("finished_at", or_null(moment())),
                ("steps", list(reference("Step"))),
            ]),
        ),
        ("Parent", object(vec![("id", text()), ("step", text())])),
        ("Reason", object(vec![("code", text()), ("message", text())])),
        (
            "Parked",
            object(vec![
                ("since", moment()),
                ("because", text()),
                ("verbs", list(words(VerbName::ALL, VerbName::as_str))),
            ]),
        ),
        (
            "Step",
            with_optional(
                vec![
                    ("name", text()),
                    ("status", words(StepStatus::ALL, StepStatus::as_str)),
                    ("attempts", count()),
                    ("in_doubt", flag()),
                    ("started_at", or_null(moment())),
                    ("finished_at", or_null(moment())),
                    ("output", any()),
                    ("error", or_null(reference("Reason"))),
                    ("compensation", or_null(reference("Compensation"))),
                ],
                vec![("child", text())],
            ),
        ),
        (
            "Compensation",
            object(vec![
                ("status", words(CompensationStatus::ALL, CompensationStatus::as_str)),
                ("attempts", count()),
                ("error", or_null(reference("Reason"))),
            ]),
        ),
        (
            "SagaList",
            object(vec![("sagas", list(reference("SagaSummary"))), ("next_cursor", or_null(text()))]),
        ),
        (
            "SagaSummary",
            object(vec![
                ("id", text()),
                ("definition", text()),
                ("version", version()),
                ("mode", mode()),
                ("status", status()),
                ("tags", texts()),
                ("parent", or_null(text())),
                ("started_at", moment()),
                ("finished_at", or_null(moment())),
            ]),
        ),
        ("Count", object(vec![("count", count()), ("exact", flag())])),
        (
            "Registered",
            object(vec![
                ("name", text()),
                ("version", version()),
                ("is_new", flag()),
                ("warnings", list(reference("Finding"))),
            ]),
        ),
        (
            "Finding",
            object(vec![
                ("rule", text()),
                ("message", text()),
                ("help", or_null(text())),
                ("line", count()),
                ("column", count()),
                ("end_column", count()),
            ]),
        ),
        (
            "DefinitionList",
            object(vec![
                ("definitions", list(reference("DefinitionSummary"))),
                ("next_cursor", or_null(text())),
            ]),
        ),
        (
            "DefinitionSummary",
            object(vec![
                ("name", text()),
                ("version", version()),
                ("retired", flag()),
                ("registered_at", or_null(moment())),
            ]),
        ),
        (
            "Definition",
            object(vec![
                ("name", text()),
                ("version", version()),
                ("retired", flag()),
                ("registered_at", or_null(moment())),
                ("source", or_null(text())),
                ("versions", list(version())),
            ]),
        ),
        ("Retired", object(vec![("live", count())])),
        (
            "Fact",
            with_optional(
                vec![("saga", text()), ("sequence", count()), ("fact", text()), ("at", moment())],
                vec![
                    ("step", text()),
                    ("participant", text()),
                    ("direction", word(&["action", "compensation"])),
                    ("attempt", count()),
                    ("definition", text()),
                    ("version", version()),
                    ("input", any()),
                    ("output", any()),
                    ("reason", reference("Reason")),
                    ("signal", text()),
                    ("until", text()),
                    ("by", text()),
                    ("why", text()),
                    ("child", text()),
                    ("position", text()),
                ],
            ),
        ),
        (
            "Journal",
            object(vec![
                ("saga", text()),
                ("facts", list(reference("Fact"))),
                ("next_cursor", or_null(text())),
            ]),
        ),
        (
            "ParticipantList",
            object(vec![("participants", list(reference("Participant"))), ("next_cursor", or_null(text()))]),
        ),
        (
            "Participant",
            object(vec![
                ("name", text()),
                ("origin", text()),
                ("breaker", reference("Breaker")),
                ("queued", count()),
                ("calls", count()),
                ("concurrency", count()),
                ("outcomes", reference("Outcomes")),
                ("last_error", or_null(reference("ParticipantError"))),
            ]),
        ),
        (
            "Breaker",
            object(vec![
                ("state", words(BreakerState::ALL, BreakerState::as_str)),
                ("open_since", or_null(moment())),
                ("probe_at", or_null(moment())),
            ]),
        ),
        (
            "Outcomes",
            object(
                ["completed", "refused", "working", "unknown", "conflict"]
                    .map(|name| (name, count()))
                    .to_vec(),
            ),
        ),
        ("ParticipantError", object(vec![("at", moment()), ("code", text()), ("message", text())])),
        (
            "Bulk",
            object(vec![
                ("id", text()),
                ("verb", words(VerbName::ALL, VerbName::as_str)),
                ("status", words(BulkStatus::ALL, BulkStatus::as_str)),
                ("total", count()),
                ("done", count()),
                ("refused", count()),
            ]),
        ),
        ("SignalAccepted", object(vec![("saga", text()), ("signal", text()), ("sequence", count())])),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
