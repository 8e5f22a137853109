//! `/openapi.json`: what the API takes and answers, for programs.
//!
//! Owns the way from the table of calls to an OpenAPI 3.1 document. Promises that every call, parameter, header,
//! status and code of a problem is in it, and that it is the same for the same table. Does not know any call:
//! the schemas of answers are `schemas.rs`.

use std::collections::{BTreeMap, BTreeSet};

use amends_api::{ErrorKind, Retry};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::call::{Answer, Body, Call, Content, Method};
use super::headers::Ours;
use super::shape::{Field, Kind, Shape};
use super::{CALLS, schemas};

/// The route.
pub(super) fn router() -> Router {
    Router::new().route("/openapi.json", get(async || document_response()))
}

fn document_response() -> Response {
    let mut response = Json(document()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    response
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut shapes: BTreeMap<&str, &Shape> = BTreeMap::new();
    for call in CALLS.iter().copied().flatten() {
        paths.entry(call.path).or_default().insert(call.method.as_str().to_owned(), operation(call));
        if let Body::Object(shape) = call.body {
            gather(shape, &mut shapes);
        }
    }
    for (path, about, answers) in schemas::GENERAL {
        let operation = json!({
            "operationId": path.trim_matches('/').replace(['/', '.', '{', '}'], "_"),
            "summary": about,
            "security": [],
            "responses": answers().into_iter().map(|(status, answer)| (status.to_string(), answer)).collect::<Map<_, _>>(),
        });
        let parameters: Vec<Value> = parameters_of_path(path);
        let mut operation = operation;
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        paths.entry(path).or_default().insert("get".to_owned(), operation);
    }
    let mut components: Map<String, Value> = schemas::answers();
    for (name, shape) in shapes {
        components.insert(name.to_owned(), shape.schema());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Amends",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Durable transactions across services. Errors are application/problem+json: `code` is stable, `type` is the path of the page that explains it.",
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {
                "type": "http", "scheme": "bearer",
                "description": "What the server was given as AMENDS_TOKEN; without that, none is asked for."}},
        },
    })
}

fn parameters_of_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}))
        .collect()
}

/// The shape and those in it.
fn gather(shape: &'static Shape, shapes: &mut BTreeMap<&'static str, &'static Shape>) {
    shapes.insert(shape.name, shape);
    for field in shape.fields {
        if let Kind::Object(inner) = field.kind {
            gather(inner, shapes);
        }
    }
}

fn operation(call: &Call) -> Value {
    let mut operation = json!({
        "operationId": call.name,
        "summary": call.about,
        "parameters": parameters(call),
        "responses": responses(call),
    });
    if let Some(body) = request_body(call) {
        operation["requestBody"] = body;
    }
    if call.path.contains("/callbacks/") {
        operation["security"] = json!([]);
    }
    operation
}

fn parameters(call: &Call) -> Vec<Value> {
    let field = |place: &str, field: &Field| {
        let required = field.required || place == "path";
        json!({"name": field.name, "in": place, "required": required, "description": field.about,
            "schema": field.kind.schema()})
    };
    let path = call.path_fields.iter().map(|known| field("path", known));
    let query = call.query.iter().map(|known| field("query", known));
    let headers = call.headers.iter().map(|ours| {
        json!({"name": ours.name(), "in": "header", "required": *ours == Ours::IdempotencyKeyRequired,
            "description": ours.about(), "schema": ours.schema()})
    });
    path.chain(query).chain(headers).collect()
}

fn request_body(call: &Call) -> Option<Value> {
    match call.body {
        Body::None => None,
        Body::Object(shape) => Some(json!({"required": true, "content": {"application/json": {
            "schema": {"$ref": format!("#/components/schemas/{}", shape.name)}}}})),
        Body::OwnObject => {
            Some(json!({"required": false, "content": {"application/json": {"schema": {"type": "object"}}}}))
        }
        Body::Definition => Some(json!({"required": true, "content": {
            "application/yaml": {"schema": {"type": "string", "description": "the definition, as YAML"}},
            "application/json": {"schema": {"type": "object", "description": "the definition, as JSON"}}}})),
    }
}

fn responses(call: &Call) -> Map<String, Value> {
    let mut responses = Map::new();
    for answer in call.answers {
        responses.insert(answer.status.to_string(), response(answer));
    }
    let mut by_status: BTreeMap<u16, Vec<ErrorKind>> = BTreeMap::new();
    for kind in problems(call) {
        by_status.entry(kind.status()).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        responses.insert(status.to_string(), problem(&kinds));
    }
    responses
}

/// Every kind of problem that the call may answer.
fn problems(call: &Call) -> BTreeSet<ErrorKind> {
    let mut kinds = BTreeSet::from([
        ErrorKind::BadRequest,
        ErrorKind::UnknownParameter,
        ErrorKind::UnknownHeader,
        ErrorKind::Unauthorized,
        ErrorKind::Forbidden,
        ErrorKind::EngineFull,
        ErrorKind::Stopping,
        ErrorKind::OwnedElsewhere,
        ErrorKind::Internal,
    ]);
    kinds.extend(call.problems);
    if !call.path_fields.is_empty() {
        kinds.insert(ErrorKind::NotFound);
    }
    match call.method {
        Method::Get => {}
        Method::Put | Method::Post => kinds.extend([ErrorKind::BodyTooLarge, ErrorKind::RequestTooSlow]),
    }
    match call.body {
        Body::None => {}
        Body::Object(_) | Body::OwnObject | Body::Definition => {
            kinds.extend([
                ErrorKind::UnknownField,
                ErrorKind::DuplicateField,
                ErrorKind::UnsupportedMediaType,
            ]);
        }
    }
    for ours in call.headers {
        match ours {
            Ours::IdempotencyKey | Ours::IdempotencyKeyRequired => {
                kinds.insert(ErrorKind::IdempotencyKeyInvalid)
            }
            Ours::Prefer => kinds.insert(ErrorKind::UnknownPreference),
            Ours::IfMatch => kinds.insert(ErrorKind::PreconditionFailed),
            Ours::LastEventId => kinds.insert(ErrorKind::EventIdExpired),
        };
    }
    kinds
}

fn response(answer: &Answer) -> Value {
    let mut response = json!({"description": answer.about});
    let content = match answer.content {
        Content::None => None,
        Content::Json(schema) => {
            Some(json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}))
        }
        Content::Text(types) => Some(
            types.iter().map(|name| ((*name).to_owned(), json!({"schema": {"type": "string"}}))).collect(),
        ),
        Content::Events(schema) => Some(json!({"text/event-stream": {"schema": {"type": "string",
            "description": format!("Server-Sent Events; `id` is the sequence and `data` a {schema}")}}})),
    };
    if let Some(content) = content {
        response["content"] = content;
    }
    if !answer.headers.is_empty() {
        let headers: Map<String, Value> = answer
            .headers
            .iter()
            .map(|(name, about)| {
                ((*name).to_owned(), json!({"description": about, "schema": {"type": "string"}}))
            })
            .collect();
        response["headers"] = Value::Object(headers);
    }
    response
}

/// Problems of one status.
fn problem(kinds: &[ErrorKind]) -> Value {
    let lines: Vec<String> =
        kinds.iter().map(|kind| format!("`{}`: {}", kind.code(), kind.title())).collect();
    // A participant's own code travels with these.
    let is_open = kinds.contains(&ErrorKind::SagaCompensated);
    let codes: Vec<&str> = kinds.iter().map(|kind| kind.code()).collect();
    let code = if is_open { json!({"type": "string"}) } else { json!({"type": "string", "enum": codes}) };
    let mut response = json!({
        "description": lines.join("; "),
        "content": {(amends_api::Problem::MEDIA_TYPE): {"schema": {
            "allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": code}}]}}},
    });
    if kinds.iter().any(|kind| matches!(kind.retry(), Retry::AfterSeconds(_))) {
        response["headers"] = json!({"Retry-After": {
            "description": "after how many seconds to send the same again", "schema": {"type": "integer"}}});
    }
    response
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_committed_is_what_the_table_makes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let committed = fs::read_to_string(path).unwrap_or_default();
        let made = format!("{:#}\n", document());
        assert!(committed == made, "docs/openapi.json differs: run `cargo xtask generate` and commit it");
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(to)) = fields.get("$ref") {
                        found.insert(to.trim_start_matches("#/components/schemas/").to_owned());
                    }
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        let mut there: BTreeSet<String> =
            document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        // Events name theirs in words.
        found.remove("Fact");
        there.remove("Fact");
        assert_eq!(found, there);
    }

    #[test]
    fn a_call_is_there_once_and_names_the_parameters_of_its_path() {
        let mut seen = BTreeSet::new();
        for call in CALLS.iter().copied().flatten() {
            assert!(seen.insert((call.method.as_str(), call.path)), "{}", call.path);
            assert!(seen.insert(("name", call.name)), "{}", call.name);
            let names: Vec<&str> =
                call.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let known: Vec<&str> = call.path_fields.iter().map(|field| field.name).collect();
            assert_eq!(names, known, "{}", call.path);
            assert!(!call.about.is_empty() && !call.answers.is_empty(), "{}", call.path);
        }
    }
}
