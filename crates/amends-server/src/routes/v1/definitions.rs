//! `/v1/definitions`: what may be started.

use amends_api::diagram::{self, Graph, Node};
use amends_api::{Definition, DefinitionList, DefinitionSummary, ErrorKind, Finding, Registered, Retired};
use amends_core::SagaSpec;
use amends_definition::Findings;
use amends_engine::{DefinitionView, RegisterError, RetireError};
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Api;
use super::call::{Answer, Asked, BARE, Body, Call, Content, Method, json, ok, route};
use super::filter::{self, LIMIT};
use super::nearest::nearest;
use super::shape::{Field, Kind, optional, required, text};
use crate::problem::Problem;
use crate::wire;

const NAME: Field = required("name", text(128), "the definition's name");
const VERSION: Field = required("n", Kind::Number { min: 1, max: u32::MAX as u64 }, "the version");
const CURSOR: Field = optional(
    "cursor",
    Kind::Written { pattern: "^(d1_[0-9a-f]+_[0-9]+)?$", max: 1_100 },
    "next_cursor of the page before",
);
pub(super) const FORMAT: Field = optional("format", Kind::Word(&["mermaid", "svg"]), "mermaid unless given");

/// A diagram, of whatever.
pub(super) const DRAWN: Answer = Answer {
    status: 200,
    about: "the diagram",
    content: Content::Text(&["text/plain", "image/svg+xml"]),
    headers: &[],
};

const PUT: Call = Call {
    method: Method::Put,
    path: "/v1/definitions/{name}",
    name: "put_definition",
    about: "Registers a definition: a new version, unless the newest has this text",
    path_fields: &[NAME],
    body: Body::Definition,
    answers: &[
        ok("Registered", "the newest version has this text already"),
        Answer { status: 201, about: "a new version", content: Content::Json("Registered"), headers: &[] },
    ],
    problems: &[ErrorKind::DefinitionInvalid, ErrorKind::StateConflict],
    ..BARE
};

const LIST: Call = Call {
    path: "/v1/definitions",
    name: "list_definitions",
    about: "Every version of every definition, by name",
    query: &[CURSOR, LIMIT],
    answers: &[ok("DefinitionList", "a page of them")],
    ..BARE
};

const SHOW: Call = Call {
    path: "/v1/definitions/{name}",
    name: "show_definition",
    about: "The newest version of a definition, with its text",
    path_fields: &[NAME],
    answers: &[ok("Definition", "the definition")],
    problems: &[ErrorKind::NotFound],
    ..BARE
};

const SHOW_VERSION: Call = Call {
    path: "/v1/definitions/{name}/versions/{n}",
    name: "show_definition_version",
    about: "One version of a definition, with its text",
    path_fields: &[NAME, VERSION],
    ..SHOW
};

const DIAGRAM: Call = Call {
    path: "/v1/definitions/{name}/diagram",
    name: "draw_definition",
    about: "The steps of a definition and their order, drawn",
    path_fields: &[NAME],
    query: &[FORMAT],
    answers: &[DRAWN],
    problems: &[ErrorKind::NotFound],
    ..BARE
};

const DIAGRAM_VERSION: Call = Call {
    path: "/v1/definitions/{name}/versions/{n}/diagram",
    name: "draw_definition_version",
    about: "The steps of one version of a definition and their order, drawn",
    path_fields: &[NAME, VERSION],
    ..DIAGRAM
};

const RETIRE: Call = Call {
    method: Method::Post,
    path: "/v1/definitions/{name}/versions/{n}/retire",
    name: "retire_definition",
    about: "Lets a version start nothing more; sagas that run it go on",
    path_fields: &[NAME, VERSION],
    answers: &[ok("Retired", "how many sagas of it have not ended")],
    problems: &[ErrorKind::NotFound],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&PUT, &LIST, &SHOW, &SHOW_VERSION, &DIAGRAM, &DIAGRAM_VERSION, &RETIRE];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = route(router, &PUT, put);
    let router = route(router, &LIST, list);
    let router = route(router, &SHOW, show);
    let router = route(router, &SHOW_VERSION, show);
    let router = route(router, &DIAGRAM, draw);
    let router = route(router, &DIAGRAM_VERSION, draw);
    route(router, &RETIRE, retire)
}

async fn put(api: Api, asked: Asked) -> Result<Response, Problem> {
    let source = std::str::from_utf8(&asked.bytes)
        .map_err(|_| Problem::new(ErrorKind::BadRequest, "the definition is not UTF-8"))?;
    let registered = api.engine.register(source, Some(asked.part("name"))).await.map_err(refused)?;
    let answer = Registered {
        name: registered.name.to_string(),
        version: registered.version,
        is_new: registered.is_new,
        warnings: findings(&registered.warnings),
    };
    Ok(json(if registered.is_new { StatusCode::CREATED } else { StatusCode::OK }, &answer))
}

fn refused(error: RegisterError) -> Problem {
    let detail = error.to_string();
    match error {
        RegisterError::Findings(found) => {
            let count = found.0.len();
            let first = found.0.first().map_or_else(String::new, |finding| {
                format!(": line {}, column {}: {}", finding.line, finding.column, finding.message)
            });
            let detail = match count {
                1 => format!("the definition has a fault{first}"),
                _ => format!("the definition has {count} faults; the first{first}"),
            };
            Problem::new(ErrorKind::DefinitionInvalid, detail).with("findings", json!(findings(&found)))
        }
        RegisterError::NameDiffers { .. } => {
            let finding = Finding {
                rule: "name_differs".to_owned(),
                message: detail.clone(),
                help: Some("the name in the path and the name after `saga:` are to be the same".to_owned()),
                line: 1,
                column: 1,
                end_column: 2,
            };
            Problem::new(ErrorKind::DefinitionInvalid, detail).with("findings", json!([finding]))
        }
        RegisterError::OfProgram(_)
        | RegisterError::NoTransport
        | RegisterError::Missing(_)
        | RegisterError::Overtaken => Problem::new(ErrorKind::StateConflict, detail),
        RegisterError::Journal(_) => Problem::new(ErrorKind::Internal, detail),
        RegisterError::Stopping => Problem::new(ErrorKind::Stopping, detail),
    }
}

fn findings(found: &Findings) -> Vec<Finding> {
    let finding = |finding: &amends_definition::Finding| Finding {
        rule: finding.rule.to_owned(),
        message: finding.message.clone(),
        help: finding.help.clone(),
        line: finding.line,
        column: finding.column,
        end_column: finding.end_column,
    };
    found.0.iter().map(finding).collect()
}

async fn list(api: Api, asked: Asked) -> Result<Response, Problem> {
    let after = asked.query.text(CURSOR.name).map(place).transpose()?;
    let limit = filter::limit(&asked.query);
    let mut views = api.engine.definitions();
    views.retain(|view| after.as_ref().is_none_or(|after| place_of(view) > *after));
    let more = views.len() > limit;
    views.truncate(limit);
    let next_cursor = views.last().filter(|_| more).map(|view| {
        let (name, version) = place_of(view);
        format!("{MARK}{}_{version}", hex(name.as_bytes()))
    });
    let definitions = views.iter().map(summary).collect();
    Ok(json(StatusCode::OK, &DefinitionList { definitions, next_cursor }))
}

/// What cursors of this list begin with.
const MARK: &str = "d1_";

fn place_of(view: &DefinitionView) -> (String, u32) {
    (view.definition.name().to_string(), view.definition.version())
}

/// The place that a cursor names.
fn place(cursor: &str) -> Result<(String, u32), Problem> {
    let parts = cursor.strip_prefix(MARK).and_then(|rest| rest.split_once('_'));
    let place = parts
        .and_then(|(name, version)| Some((String::from_utf8(unhex(name)?).ok()?, version.parse().ok()?)));
    place.ok_or_else(|| {
        let detail =
            format!("the cursor {cursor:?} is not one of this server's: send next_cursor as it came");
        Problem::new(ErrorKind::BadRequest, detail).with("parameter", CURSOR.name)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn summary(view: &DefinitionView) -> DefinitionSummary {
    let (name, version) = place_of(view);
    DefinitionSummary {
        name,
        version,
        retired: view.retired_at.is_some(),
        registered_at: Some(wire::rfc3339(view.registered_at)),
    }
}

async fn show(api: Api, asked: Asked) -> Result<Response, Problem> {
    let view = found(&api, &asked)?;
    let DefinitionSummary { name, version, retired, registered_at } = summary(&view);
    let known = api.engine.definitions();
    let versions = known.iter().map(place_of);
    let versions = versions.filter(|(other, _)| *other == name).map(|(_, version)| version).collect();
    let source = view.document.as_ref().map(|document| document.source.to_string());
    let definition = Definition { name, version, retired, registered_at, source, versions };
    Ok(json(StatusCode::OK, &definition))
}

/// The definition that the path names.
fn found(api: &Api, asked: &Asked) -> Result<DefinitionView, Problem> {
    let name = asked.part("name");
    let version = version(asked)?;
    api.engine.definition(name, version).ok_or_else(|| no_definition(api, name, version))
}

/// The version that the path names, if it does.
fn version(asked: &Asked) -> Result<Option<u32>, Problem> {
    match asked.part("n") {
        "" => Ok(None),
        text => match text.parse() {
            Ok(version) if version > 0 && !text.starts_with('+') => Ok(Some(version)),
            Ok(_) | Err(_) => {
                let detail = format!("{text:?} is not a version: versions count from 1");
                Err(Problem::new(ErrorKind::NotFound, detail))
            }
        },
    }
}

fn no_definition(api: &Api, name: &str, version: Option<u32>) -> Problem {
    let names: Vec<String> = api.engine.definitions().iter().map(|view| place_of(view).0).collect();
    let detail = match version {
        Some(version) if names.iter().any(|known| known == name) => {
            format!("{name} has no version {version}")
        }
        Some(_) | None => match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("no definition is named {name:?}: did you mean {near:?}?"),
            None => format!("no definition is named {name:?}: /v1/definitions lists those there are"),
        },
    };
    Problem::new(ErrorKind::NotFound, detail)
}

async fn retire(api: Api, asked: Asked) -> Result<Response, Problem> {
    let version = found(&api, &asked)?.definition.version();
    let live = api.engine.retire(asked.part("name"), version).await.map_err(|error| {
        let kind = match error {
            RetireError::NotFound { .. } => ErrorKind::NotFound,
            RetireError::Journal(_) => ErrorKind::Internal,
            RetireError::Stopping => ErrorKind::Stopping,
        };
        Problem::new(kind, error.to_string())
    })?;
    Ok(json(StatusCode::OK, &Retired { live }))
}

async fn draw(api: Api, asked: Asked) -> Result<Response, Problem> {
    let view = found(&api, &asked)?;
    let definition = view.definition.as_saga();
    let definition = definition.ok_or_else(|| Problem::new(ErrorKind::NotFound, "only sagas are drawn"))?;
    Ok(drawing(&asked, graph(definition.spec())))
}

/// What is asked for: Mermaid or a picture.
pub(super) fn drawing(asked: &Asked, drawn: impl diagram::Drawing) -> Response {
    let (media, text) = match asked.query.text(FORMAT.name) {
        Some("svg") => ("image/svg+xml", drawn.svg()),
        Some(_) | None => ("text/plain; charset=utf-8", drawn.mermaid()),
    };
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media))], text).into_response()
}

/// The steps and what each waits for.
fn graph(spec: &SagaSpec) -> Graph {
    let mut before: Option<&str> = None;
    let mut nodes = Vec::new();
    for step in &spec.steps {
        let after = match &step.after {
            Some(after) => after.clone(),
            None => before.iter().map(|name| (*name).to_owned()).collect(),
        };
        let undo = wire::undo_of(step);
        let is_pivot = spec.pivot.as_deref() == Some(&step.name);
        nodes.push(Node { name: step.name.clone(), after, undo, is_pivot, kind: wire::step_kind(step) });
        before = Some(&step.name);
    }
    Graph { title: format!("{} v{}", spec.name, spec.version), nodes }
}
