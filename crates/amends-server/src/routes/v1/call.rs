//! The table's rows, and how a request becomes one.
//!
//! Owns [`Call`], what is known of one call: method, path, parameters, headers, body, answers. The same row
//! routes requests, reads them strictly and is shown in `/openapi.json`. Does not answer anything.

use std::collections::BTreeMap;
use std::future::Future;

use amends_api::ErrorKind;
use amends_core::TransactionId;
use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use serde::Serialize;

use super::Api;
use super::given::Given;
use super::headers::{self, Ours, Said};
use super::shape::{Field, Shape};
use crate::body;
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;

/// One call of the API.
#[derive(Debug)]
pub(super) struct Call {
    /// How.
    pub(super) method: Method,
    /// Where, as axum has it.
    pub(super) path: &'static str,
    /// Its name for programs: verb and noun.
    pub(super) name: &'static str,
    /// What it does, in a line.
    pub(super) about: &'static str,
    /// The parameters of the path.
    pub(super) path_fields: &'static [Field],
    /// The parameters of the query.
    pub(super) query: &'static [Field],
    /// The headers of ours that it takes.
    pub(super) headers: &'static [Ours],
    /// What it reads.
    pub(super) body: Body,
    /// How much of that it reads.
    pub(super) body_bytes_max: usize,
    /// What it answers when nothing is wrong.
    pub(super) answers: &'static [Answer],
    /// What may be wrong, besides what may be wrong with every call.
    pub(super) problems: &'static [ErrorKind],
}

/// The methods there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Ask.
    Get,
    /// Put there.
    Put,
    /// Do.
    Post,
}

/// What a call reads.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing.
    None,
    /// An object of this shape.
    Object(&'static Shape),
    /// An object of the caller's own, or nothing.
    OwnObject,
    /// A definition: YAML or JSON.
    Definition,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// When it is given.
    pub(super) about: &'static str,
    /// What it carries.
    pub(super) content: Content,
    /// Its headers.
    pub(super) headers: &'static [(&'static str, &'static str)],
}

/// What an answer carries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// Nothing.
    None,
    /// JSON of the schema of this name.
    Json(&'static str),
    /// Text of these media types.
    Text(&'static [&'static str]),
    /// Server-Sent Events, each with data of the schema of this name.
    Events(&'static str),
}

/// A row that takes nothing, to begin from.
pub(super) const BARE: Call = Call {
    method: Method::Get,
    path: "",
    name: "",
    about: "",
    path_fields: &[],
    query: &[],
    headers: &[],
    body: Body::None,
    body_bytes_max: BODY_BYTES_MAX,
    answers: &[],
    problems: &[],
};

/// An answer of 200 with this schema.
pub(super) const fn ok(schema: &'static str, about: &'static str) -> Answer {
    Answer { status: 200, about, content: Content::Json(schema), headers: &[] }
}

impl Method {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Put => MethodFilter::PUT,
            Self::Post => MethodFilter::POST,
        }
    }
}

/// A request, read.
pub(super) struct Asked {
    /// The parameters of the path.
    path: BTreeMap<String, String>,
    /// Those of the query.
    pub(super) query: Given,
    /// What the headers of ours say.
    pub(super) said: Said,
    /// What the body says, where it is an object of a shape of ours.
    pub(super) fields: Given,
    /// The body as it came.
    pub(super) bytes: Bytes,
    /// All headers.
    pub(super) headers: HeaderMap,
}

impl Asked {
    /// A parameter of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The saga that the path names.
    pub(super) fn saga(&self) -> Result<TransactionId, Problem> {
        let text = self.part("id");
        text.parse().map_err(|_| no_saga(text))
    }
}

/// There is no saga of this id.
pub(super) fn no_saga(id: impl std::fmt::Debug) -> Problem {
    Problem::new(ErrorKind::NotFound, format!("no saga has the id {id:?}"))
}

/// Routes the call to its handler, which gets what the request says.
pub(super) fn route<H, F>(router: Router<Api>, call: &'static Call, handler: H) -> Router<Api>
where
    H: Fn(Api, Asked) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    let handle = move |State(api): State<Api>, path: Result<RawPathParams, _>, request: Request| {
        let handler = handler.clone();
        async move {
            let path = path
                .ok()
                .map(|path| path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
            let asked = read(call, path, request).await;
            match asked {
                Ok(asked) => handler(api, asked).await.unwrap_or_else(IntoResponse::into_response),
                Err(problem) => problem.into_response(),
            }
        }
    };
    router.route(call.path, on(call.method.filter(), handle))
}

async fn read(
    call: &'static Call,
    path: Option<BTreeMap<String, String>>,
    request: Request,
) -> Result<Asked, Problem> {
    let (parts, body) = request.into_parts();
    let Some(path) = path else {
        let detail = format!("the path {} is not percent-encoded UTF-8", parts.uri.path());
        return Err(Problem::new(ErrorKind::NotFound, detail));
    };
    let query = Given::query(call.query, parts.uri.query().unwrap_or(""))?;
    let said = headers::read(call.headers, &parts.headers)?;
    let bytes = self::body(call, &parts.headers, body).await?;
    let fields = match call.body {
        Body::Object(shape) => Given::body(shape, &bytes)?,
        Body::None | Body::OwnObject | Body::Definition => Given::default(),
    };
    Ok(Asked { path, query, said, fields, bytes, headers: parts.headers })
}

/// The body, of a type that the call reads.
async fn body(call: &'static Call, headers: &HeaderMap, body: HttpBody) -> Result<Bytes, Problem> {
    let bytes = match call.method {
        // Nobody looks at what a question carries.
        Method::Get => return Ok(Bytes::new()),
        Method::Put | Method::Post => body::read_at_most(call.body_bytes_max, headers, body).await?,
    };
    if let Body::None = call.body {
        return match bytes.is_empty() || bytes.iter().all(u8::is_ascii_whitespace) {
            true => Ok(Bytes::new()),
            false => Err(Problem::new(ErrorKind::BadRequest, "this call takes no body: leave it out")),
        };
    }
    let types: &[&str] = match call.body {
        Body::None | Body::Object(_) | Body::OwnObject => &["application/json"],
        Body::Definition => &["application/json", "application/yaml", "application/x-yaml", "text/yaml"],
    };
    let given = headers.get(header::CONTENT_TYPE);
    if given.is_none() && bytes.is_empty() {
        // What is missing is said by whoever reads the body.
        return Ok(bytes);
    }
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or("");
    if types.iter().any(|known| is_of_type(given, known)) {
        return Ok(bytes);
    }
    let found = if given.is_empty() { "no Content-Type".to_owned() } else { format!("{given:?}") };
    let detail = format!("the body comes with {found}: send Content-Type: {}", types[0]);
    Err(Problem::new(ErrorKind::UnsupportedMediaType, detail))
}

/// Whether a `Content-Type` names this type, in UTF-8.
fn is_of_type(given: &str, known: &str) -> bool {
    let mut parts = given.split(';').map(str::trim);
    let is_known = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(known));
    is_known
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            Some(_) | None => true,
        })
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    (status, axum::Json(value)).into_response()
}

/// The `ETag` of a saga with so many facts.
pub(super) fn etag(sequence: u64) -> (header::HeaderName, HeaderValue) {
    let tag = HeaderValue::from_str(&format!("\"{sequence}\"")).expect("a number is visible ASCII");
    (header::ETAG, tag)
}
