//! The requests that calls are made of.
//!
//! Owns [`CallPlan`]: method, path, query, headers and body with their expressions. Promises that what an
//! expression gives stays one segment, one value or one header's value, and that no header of ours, of the
//! connection or of identity is set. Does not send anything.

use bytes::Bytes;

use crate::expression::{Evaluation, Expression, Fault, Names};
use crate::node::Entry;
use crate::read::WrittenCall;
use crate::request::{Method, Request, is_header_name, is_header_value};
use crate::source::{Source, Span, say};
use crate::template::{Part, Template, Text};

/// A call with its expressions.
#[derive(Debug, Clone)]
pub(crate) struct CallPlan {
    pub(crate) participant: String,
    method: Method,
    /// Path and query; plain parts are percent-encoded already.
    target: Text,
    query: Vec<(String, Text)>,
    headers: Vec<(String, Text)>,
    body: Option<Template>,
}

impl CallPlan {
    pub(crate) fn read(call: &WrittenCall<'_>, names: &Names<'_>, source: &mut Source<'_>) -> Self {
        let target = Text::read(call.path, names, source);
        judge_target(&target, call.path.span, source);
        let query = call.query.iter().map(|entry| {
            let text = Text::read(&entry.value, names, source);
            if text.plain().is_some_and(|plain| is_hollow(&plain)) && !text.0.is_empty() {
                let said = say("path", "an empty value, `.` and `..` cannot stand in a query");
                source.find(entry.value.span, said.help("leave the parameter out"));
            }
            (encode(&entry.key), text)
        });
        let query = query.collect();
        let mut headers: Vec<(String, Text)> = Vec::new();
        for entry in call.headers {
            let Some((name, text)) = header(entry, names, source) else { continue };
            if headers.iter().any(|(known, _)| *known == name) {
                let said = say("duplicate_key", format!("the header `{}` is given twice", entry.key));
                source.find(
                    entry.key_span,
                    said.help("case makes no difference in a header's name: remove one"),
                );
            }
            headers.push((name, text));
        }
        Self {
            participant: call.participant.value.clone(),
            method: call.method,
            target,
            query,
            headers,
            body: call.body.map(|body| Template::read(body, names, source)),
        }
    }

    /// The request for a scope; with `corrected`, that is its body.
    ///
    /// # Errors
    /// Which part cannot be made, and why.
    pub(crate) fn request(
        &self,
        evaluation: &mut Evaluation<'_>,
        corrected: Option<&Bytes>,
    ) -> Result<Request, String> {
        let mut target = encoded(&self.target, str::to_owned, evaluation)
            .map_err(|fault| format!("path: {}", fault.message))?;
        let path = target.split('?').next().unwrap_or_default();
        if path.split('/').any(is_dots) {
            return Err("path: a segment would be `.` or `..`".to_owned());
        }
        for (name, text) in &self.query {
            let value = encoded(text, encode, evaluation)
                .map_err(|fault| format!("query {name}: {}", fault.message))?;
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(name);
            target.push('=');
            target.push_str(&value);
        }
        if target.len() >= crate::limits::TARGET_BYTES_MAX {
            return Err(format!(
                "path: it has {} bytes with its query, too many for a request",
                target.len()
            ));
        }
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, text) in &self.headers {
            let value =
                text.render(evaluation).map_err(|fault| format!("header {name}: {}", fault.message))?;
            if !is_header_value(&value) || value.len() > crate::limits::HEADER_BYTES_MAX {
                return Err(format!(
                    "header {name}: its value has characters that no header can have, or too many"
                ));
            }
            headers.push((name.clone(), value));
        }
        let body = match (corrected, &self.body) {
            (Some(corrected), _) => corrected.clone(),
            (None, None) => Bytes::new(),
            (None, Some(body)) => {
                let mut bytes = Vec::new();
                body.render(evaluation, &mut bytes).map_err(|fault| format!("body: {}", fault.message))?;
                bytes.into()
            }
        };
        Ok(Request { method: self.method, target, headers, body })
    }

    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        let texts = self.query.iter().chain(&self.headers).map(|(_, text)| text);
        let body = self.body.iter().flat_map(Template::expressions);
        std::iter::once(&self.target).chain(texts).flat_map(Text::expressions).chain(body).collect()
    }
}

/// A path or query value: what an expression gives is encoded whole and may not be hollow.
fn encoded(text: &Text, plain: fn(&str) -> String, evaluation: &mut Evaluation<'_>) -> Result<String, Fault> {
    let mut encoded = String::new();
    for part in &text.0 {
        match part {
            Part::Plain(text) => encoded.push_str(&plain(text)),
            Part::Expression(expression) if evaluation.lacks(expression) => {
                encoded.push_str(&expression.shown)
            }
            Part::Expression(expression) => {
                let value = evaluation.evaluate(expression)?.as_part(&mut evaluation.work)?;
                if is_hollow(&value) {
                    return Err(Fault::new("a value is empty, `.` or `..`, which would name something else"));
                }
                evaluation.work.built(value.len())?;
                encoded.push_str(&encode(&value));
            }
        }
    }
    Ok(encoded)
}

fn is_hollow(value: &str) -> bool {
    matches!(value, "" | "." | "..")
}

/// Whether a segment means `.` or `..` to whoever decodes it.
fn is_dots(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    matches!(plain.as_str(), "." | "..")
}

/// Everything but what RFC 3986 calls unreserved.
fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

/// Judges what stands between the expressions of a path.
fn judge_target(target: &Text, span: Span, source: &mut Source<'_>) {
    if target.0.is_empty() {
        return;
    }
    // Where an expression stands, any segment does.
    let written = target.0.iter().map(|part| match part {
        Part::Plain(plain) => plain.as_str(),
        Part::Expression(_) => "x",
    });
    let written = written.collect::<Vec<_>>().concat();
    let (path, _) = written.split_once('?').unwrap_or((&written, ""));
    let starts_plain = matches!(target.0.first(), Some(Part::Plain(plain)) if plain.starts_with('/'));
    let wrong = if !starts_plain {
        Some("it does not begin with `/`")
    } else if written.contains('#') {
        Some("it has a fragment, which is never sent")
    } else if !is_encoded(&written) {
        Some("it has a character that has to be percent-encoded")
    } else if path.starts_with("//") || path.split('/').any(is_dots) {
        Some("it begins with `//`, or has a segment that is `.` or `..`")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        let help = "a path looks like `/orders/${input.order_id}`; parameters can stand in `query`";
        source.find(span, say("path", format!("this is not a valid path: {wrong}")).help(help));
    }
}

/// Whether this consists of what RFC 3986 lets stand in a path or query.
fn is_encoded(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(byte),
    })
}

/// Headers that nobody but Amends sets: by their whole name.
const KEPT_NAMES: [&str; 16] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// And by how it begins.
const KEPT_BEGINNINGS: [&str; 4] = ["amends-", "webhook-", "proxy-", "sec-"];

fn header(entry: &Entry, names: &Names<'_>, source: &mut Source<'_>) -> Option<(String, Text)> {
    let name = entry.key.to_ascii_lowercase();
    let text = Text::read(&entry.value, names, source);
    if !is_header_name(&name) {
        source.find(entry.key_span, say("header", format!("{:?} is not the name of a header", entry.key)));
        return None;
    }
    if KEPT_NAMES.contains(&name.as_str()) || KEPT_BEGINNINGS.iter().any(|kept| name.starts_with(kept)) {
        let said = say("header", format!("the header `{}` cannot be set", entry.key));
        let help = match name.as_str() {
            "authorization" => "name an environment variable in the participant's `bearer`",
            _ => "Amends sets it, or it belongs to the connection: remove it",
        };
        source.find(entry.key_span, said.help(help));
        return None;
    }
    if let Some(plain) = text.plain()
        && !is_header_value(&plain)
    {
        let said = say(
            "header",
            "this cannot stand in a header: visible ASCII characters, with spaces only between them",
        );
        source.find(entry.value.span, said);
        return None;
    }
    Some((name, text))
}
