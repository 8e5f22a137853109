//! What a request says, read strictly.
//!
//! Owns the way from a body or a query to values. Promises that nothing is accepted and ignored: what is not
//! known, given twice or of another type is an error that names the place (a JSON pointer) and the nearest name
//! that is known. Payloads keep their bytes. Does not judge what values mean.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use amends_api::{ErrorKind, Payload};
use amends_core::{Time, TransactionId};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::nearest::hint;
use super::shape::{Field, Kind, Shape};
use crate::problem::Problem;

/// The values of an object, by name.
#[derive(Debug, Default)]
pub(super) struct Given {
    values: BTreeMap<&'static str, Value>,
}

#[derive(Debug)]
enum Value {
    Text(String),
    Number(u64),
    Id(TransactionId),
    Moment(Time),
    Json(Payload),
    Texts(BTreeMap<String, String>),
    Object(Given),
}

impl Given {
    /// Reads a body of this shape.
    pub(super) fn body(shape: &'static Shape, body: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| bad("", "the body is not UTF-8"))?;
        // The whole of it is judged first: where it is not JSON, its place is that of the body, not of a field.
        let whole: &RawValue = serde_json::from_str(text)
            .map_err(|error| bad("", &format!("the body is not JSON: {error}; send an object")))?;
        object(shape, whole.get(), "")
    }

    /// Reads a query of these parameters.
    pub(super) fn query(known: &'static [Field], query: &str) -> Result<Self, Problem> {
        let names: Vec<&str> = known.iter().map(|field| field.name).collect();
        let mut given = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let Some(field) = known.iter().find(|field| field.name == name) else {
                let detail =
                    format!("the query has {name:?}, which this call does not know: {}", hint(&name, &names));
                return Err(
                    Problem::new(ErrorKind::UnknownParameter, detail).with("parameter", name.into_owned())
                );
            };
            // The first page, as a client with an empty cursor asks for it.
            if field.name == "cursor" && value.is_empty() {
                continue;
            }
            let value = of_text(field.kind, &value).ok_or_else(|| {
                let detail = format!("the query's {name} is {value:?}: send {}", field.kind.in_words());
                Problem::new(ErrorKind::BadRequest, detail).with("parameter", field.name)
            })?;
            if given.values.insert(field.name, value).is_some() {
                let detail = format!("the query has {name} twice: send it once");
                return Err(Problem::new(ErrorKind::UnknownParameter, detail).with("parameter", field.name));
            }
        }
        match known.iter().find(|field| field.required && !given.values.contains_key(field.name)) {
            Some(missing) => {
                let detail = format!("the query needs {}: {}", missing.name, missing.about);
                Err(Problem::new(ErrorKind::BadRequest, detail).with("parameter", missing.name))
            }
            None => Ok(given),
        }
    }

    /// Whether it was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let Some(Value::Text(text)) = self.values.get(name) else { return None };
        Some(text)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let Some(Value::Number(number)) = self.values.get(name) else { return None };
        Some(*number)
    }

    pub(super) fn id(&self, name: &str) -> Option<TransactionId> {
        let Some(Value::Id(id)) = self.values.get(name) else { return None };
        Some(*id)
    }

    pub(super) fn moment(&self, name: &str) -> Option<Time> {
        let Some(Value::Moment(time)) = self.values.get(name) else { return None };
        Some(*time)
    }

    pub(super) fn json(&self, name: &str) -> Option<&Payload> {
        let Some(Value::Json(payload)) = self.values.get(name) else { return None };
        Some(payload)
    }

    pub(super) fn texts(&self, name: &str) -> BTreeMap<String, String> {
        let Some(Value::Texts(texts)) = self.values.get(name) else { return BTreeMap::new() };
        texts.clone()
    }

    pub(super) fn object(&self, name: &str) -> Option<&Self> {
        let Some(Value::Object(given)) = self.values.get(name) else { return None };
        Some(given)
    }
}

/// A problem with the value at this place.
pub(super) fn bad(pointer: &str, detail: &str) -> Problem {
    Problem::new(ErrorKind::BadRequest, detail).with("pointer", pointer)
}

fn object(shape: &'static Shape, text: &str, at: &str) -> Result<Given, Problem> {
    let Ok(Members(members)) = serde_json::from_str(text) else {
        return Err(bad(at, &format!("{} is not an object", place(at))));
    };
    let mut given = Given::default();
    for (name, value) in members {
        let pointer = format!("{at}/{}", escaped(&name));
        let Some(field) = shape.fields.iter().find(|field| field.name == name) else {
            let detail = format!("{} is not a field here: {}", place(&pointer), hint(&name, &shape.names()));
            return Err(Problem::new(ErrorKind::UnknownField, detail).with("pointer", pointer));
        };
        let value = of_json(field.kind, value, &pointer)?;
        if given.values.insert(field.name, value).is_some() {
            let detail = format!("{} is given twice: leave one out", place(&pointer));
            return Err(Problem::new(ErrorKind::DuplicateField, detail).with("pointer", pointer));
        }
    }
    match shape.fields.iter().find(|field| field.required && !given.values.contains_key(field.name)) {
        Some(missing) => {
            let pointer = format!("{at}/{}", missing.name);
            let detail = format!("{} is missing: {}", place(&pointer), missing.about);
            Err(bad(&pointer, &detail))
        }
        None => Ok(given),
    }
}

fn of_json(kind: Kind, raw: &RawValue, pointer: &str) -> Result<Value, Problem> {
    let wrong = || bad(pointer, &format!("{} is not {}", place(pointer), kind.in_words()));
    match kind {
        Kind::Json => Payload::parse(raw.get()).map(Value::Json).map_err(|_| wrong()),
        Kind::Object(shape) => object(shape, raw.get(), pointer).map(Value::Object),
        Kind::Texts => texts(raw, pointer).map(Value::Texts),
        Kind::Number { min, max } => {
            let number: u64 = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
            if (min..=max).contains(&number) { Ok(Value::Number(number)) } else { Err(wrong()) }
        }
        Kind::Text { .. } | Kind::Written { .. } | Kind::Word(_) | Kind::Id | Kind::Moment => {
            let text: String = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
            of_text(kind, &text).ok_or_else(wrong)
        }
    }
}

fn texts(raw: &RawValue, pointer: &str) -> Result<BTreeMap<String, String>, Problem> {
    let Ok(Members(members)) = serde_json::from_str(raw.get()) else {
        return Err(bad(pointer, &format!("{} is not an object of texts", place(pointer))));
    };
    let mut texts = BTreeMap::new();
    for (name, value) in members {
        let pointer = format!("{pointer}/{}", escaped(&name));
        let text: String = serde_json::from_str(value.get())
            .map_err(|_| bad(&pointer, &format!("{} is not a text", place(&pointer))))?;
        if texts.insert(name.into_owned(), text).is_some() {
            let detail = format!("{} is given twice: leave one out", place(&pointer));
            return Err(Problem::new(ErrorKind::DuplicateField, detail).with("pointer", pointer));
        }
    }
    Ok(texts)
}

/// A value as a query, or a text in a body, has it; `None` where it is not of this kind.
fn of_text(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text { min, max } => {
            (min..=max).contains(&text.chars().count()).then(|| Value::Text(text.to_owned()))
        }
        Kind::Written { max, .. } => (text.chars().count() <= max).then(|| Value::Text(text.to_owned())),
        Kind::Word(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
        Kind::Number { min, max } => {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = text.parse().ok().filter(|_| is_plain)?;
            (min..=max).contains(&number).then_some(Value::Number(number))
        }
        Kind::Id => text.parse().ok().map(Value::Id),
        Kind::Moment => {
            let milliseconds = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
            u64::try_from(milliseconds).ok().map(|at| Value::Moment(Time::from_milliseconds(at)))
        }
        Kind::Json => Payload::parse(text).ok().map(Value::Json),
        Kind::Texts | Kind::Object(_) => None,
    }
}

/// The members of an object, in the order written, those that come twice included.
struct Members<'j>(Vec<(Cow<'j, str>, &'j RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    members.push((Cow::Owned(name), map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn place(pointer: &str) -> String {
    if pointer.is_empty() { "the body".to_owned() } else { pointer.to_owned() }
}

/// A name as a JSON pointer has it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A text of a query, decoded.
fn decoded(text: &str) -> Result<Cow<'_, str>, Problem> {
    percent(text, true).ok_or_else(|| {
        Problem::new(
            ErrorKind::BadRequest,
            format!("the query has {text:?}, which is not percent-encoded UTF-8"),
        )
    })
}

/// What a percent-encoded text says; `None` if it is not sound.
pub(super) fn percent(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let digits = rest.get(..2)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = &rest[2..];
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::super::shape::{optional, required, text};
    use super::*;

    const INNER: Shape = Shape { name: "Inner", fields: &[optional("tag", text(9), "a tag")] };
    const SHAPE: Shape = Shape {
        name: "Outer",
        fields: &[
            required("input", Kind::Json, "what to start with"),
            optional("version", Kind::Number { min: 1, max: 9 }, "the version"),
            optional("tags", Kind::Texts, "tags"),
            optional("filter", Kind::Object(&INNER), "which"),
        ],
    };

    fn refused(body: &str) -> (ErrorKind, String, String) {
        let problem = Given::body(&SHAPE, body.as_bytes()).unwrap_err();
        let document = problem.document();
        let pointer = document.members["pointer"].as_str().unwrap().to_owned();
        (problem.kind(), pointer, document.detail.clone())
    }

    #[test]
    fn what_is_known_is_read_to_the_byte() {
        let body =
            r#"{"input": {"b": 1.0,  "a":2}, "version": 3, "tags": {"x": "y"}, "filter": {"tag": "t"}}"#;
        let given = Given::body(&SHAPE, body.as_bytes()).unwrap();
        assert_eq!(given.json("input").unwrap().as_json(), r#"{"b": 1.0,  "a":2}"#);
        assert_eq!(given.number("version"), Some(3));
        assert_eq!(given.texts("tags")["x"], "y");
        assert_eq!(given.object("filter").unwrap().text("tag"), Some("t"));
    }

    #[test]
    fn what_is_not_known_is_refused_with_place_and_nearest_name() {
        for (body, kind, pointer, said) in [
            ("", ErrorKind::BadRequest, "", "not JSON"),
            ("[]", ErrorKind::BadRequest, "", "not an object"),
            ("{}", ErrorKind::BadRequest, "/input", "missing"),
            (r#"{"inptu": 1}"#, ErrorKind::UnknownField, "/inptu", "did you mean \"input\"?"),
            (r#"{"input": 1, "input": 1}"#, ErrorKind::DuplicateField, "/input", "twice"),
            (r#"{"input": 1, "\u0069nput": 1}"#, ErrorKind::DuplicateField, "/input", "twice"),
            (r#"{"input": 1, "version": "3"}"#, ErrorKind::BadRequest, "/version", "a whole number"),
            (r#"{"input": 1, "version": 3.0}"#, ErrorKind::BadRequest, "/version", "a whole number"),
            (r#"{"input": 1, "version": 0}"#, ErrorKind::BadRequest, "/version", "from 1 to 9"),
            (r#"{"input": 1, "version": null}"#, ErrorKind::BadRequest, "/version", "a whole number"),
            (r#"{"input": 1, "tags": {"a": 1}}"#, ErrorKind::BadRequest, "/tags/a", "not a text"),
            (
                r#"{"input": 1, "tags": {"a/b": "", "a/b": ""}}"#,
                ErrorKind::DuplicateField,
                "/tags/a~1b",
                "twice",
            ),
            (r#"{"input": 1, "filter": {"tgа": ""}}"#, ErrorKind::UnknownField, "/filter/tgа", "\"tag\""),
        ] {
            let (found, place, detail) = refused(body);
            assert_eq!((found, place.as_str()), (kind, pointer), "{body}: {detail}");
            assert!(detail.contains(said), "{body}: {detail}");
        }
    }

    #[test]
    fn a_query_is_read_as_strictly() {
        const KNOWN: &[Field] = &[
            optional("limit", Kind::Number { min: 1, max: 10 }, "how many"),
            optional("cursor", text(99), "where"),
            optional("since", Kind::Moment, "since when"),
        ];
        let given = Given::query(KNOWN, "limit=3&cursor=&since=2026-01-01T00:00:00%2B01:00").unwrap();
        assert_eq!((given.number("limit"), given.text("cursor")), (Some(3), None));
        assert_eq!(given.moment("since"), Some(Time::from_milliseconds(1_767_222_000_000)));
        for query in
            ["limt=3", "limit=0", "limit=", "limit=+3", "limit=3&limit=4", "since=yesterday", "limit=%f"]
        {
            assert!(Given::query(KNOWN, query).is_err(), "{query}");
        }
    }
}
