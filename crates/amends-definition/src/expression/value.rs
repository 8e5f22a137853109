//! Values that expressions compute with.
//!
//! Owns [`Value`], its equality and its rendering. Promises exact whole numbers, keys in the order written and
//! the original bytes of whatever came from a payload. Does not know operators.

use std::cmp::Ordering;
use std::rc::Rc;

use super::json::{Json, Parts};
use super::work::{Fault, Work};
use crate::limits::NESTING_MAX;

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Rc<str>),
    /// Built by the expression.
    List(Rc<Vec<Value<'a>>>),
    /// Built by the expression, in the order written.
    Map(Rc<Vec<(Rc<str>, Value<'a>)>>),
    /// From a payload, with its bytes.
    Json(Json<'a>),
}

/// A value as seen by an operator: never `Json`.
pub(crate) enum Seen<'v, 'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// A number that none of the three holds: it can be passed on and compared with itself, nothing else.
    Large(&'a str),
    Text(&'v Rc<str>),
    List(Items<'v, 'a>),
    Map(Members<'v, 'a>),
}

/// The elements of a list.
#[derive(Clone, Copy)]
pub(crate) enum Items<'v, 'a> {
    Built(&'v [Value<'a>]),
    Payload(&'v [Json<'a>]),
}

/// The members of a map or object.
#[derive(Clone, Copy)]
pub(crate) enum Members<'v, 'a> {
    Built(&'v [(Rc<str>, Value<'a>)]),
    Payload(&'v [(std::borrow::Cow<'a, str>, Json<'a>)]),
}

impl<'a> Items<'_, 'a> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Built(items) => items.len(),
            Self::Payload(items) => items.len(),
        }
    }

    pub(crate) fn at(self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Built(items) => items.get(index).cloned(),
            Self::Payload(items) => items.get(index).cloned().map(Value::Json),
        }
    }
}

impl<'a> Members<'_, 'a> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Built(members) => members.len(),
            Self::Payload(members) => members.len(),
        }
    }

    /// Of a key that an object has twice, the last one counts, as in most parsers.
    pub(crate) fn find(self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::Built(members) => {
                members.iter().rev().find(|(known, _)| **known == *key).map(|(_, value)| value.clone())
            }
            Self::Payload(members) => members
                .iter()
                .rev()
                .find(|(known, _)| known == key)
                .map(|(_, json)| Value::Json(json.clone())),
        }
    }

    pub(crate) fn at(self, index: usize) -> Option<(Rc<str>, Value<'a>)> {
        match self {
            Self::Built(members) => members.get(index).cloned(),
            Self::Payload(members) => {
                members.get(index).map(|(key, json)| (Rc::from(key.as_ref()), Value::Json(json.clone())))
            }
        }
    }
}

impl<'a> Value<'a> {
    pub(crate) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// Looks at it; parsing what is looked at for the first time is work.
    pub(crate) fn see(&self, work: &mut Work) -> Result<Seen<'_, 'a>, Fault> {
        Ok(match self {
            Self::Null => Seen::Null,
            Self::Bool(bool) => Seen::Bool(*bool),
            Self::Int(int) => Seen::Int(*int),
            Self::Uint(uint) => Seen::Uint(*uint),
            Self::Double(double) => Seen::Double(*double),
            Self::Text(text) => Seen::Text(text),
            Self::List(items) => Seen::List(Items::Built(items)),
            Self::Map(members) => Seen::Map(Members::Built(members)),
            Self::Json(json) => {
                let (parts, read) = json.look();
                work.bytes(read)?;
                match parts {
                    Parts::Null => Seen::Null,
                    Parts::Bool(bool) => Seen::Bool(*bool),
                    Parts::Int(int) => Seen::Int(*int),
                    Parts::Uint(uint) => Seen::Uint(*uint),
                    Parts::Double(double) => Seen::Double(*double),
                    Parts::Large(raw) => Seen::Large(raw),
                    Parts::Text(text) => Seen::Text(text),
                    Parts::List(items) => Seen::List(Items::Payload(items)),
                    Parts::Object(members) => Seen::Map(Members::Payload(members)),
                }
            }
        })
    }

    /// Whether it is true, if it is a bool.
    pub(crate) fn as_bool(&self, work: &mut Work) -> Result<Option<bool>, Fault> {
        Ok(match self.see(work)? {
            Seen::Bool(bool) => Some(bool),
            Seen::Null | Seen::Int(_) | Seen::Uint(_) | Seen::Double(_) | Seen::Large(_) => None,
            Seen::Text(_) | Seen::List(_) | Seen::Map(_) => None,
        })
    }

    /// Its elements, if it is a list.
    pub(crate) fn items(&self, work: &mut Work) -> Result<Option<Vec<Self>>, Fault> {
        let items = match self.see(work)? {
            Seen::List(items) => items,
            Seen::Null | Seen::Bool(_) | Seen::Int(_) | Seen::Uint(_) | Seen::Double(_) => return Ok(None),
            Seen::Large(_) | Seen::Text(_) | Seen::Map(_) => return Ok(None),
        };
        work.steps(items.len() as u64)?;
        Ok(Some((0..items.len()).filter_map(|at| items.at(at)).collect()))
    }

    /// What it is called to people.
    pub(crate) fn noun(&self, work: &mut Work) -> Result<&'static str, Fault> {
        Ok(match self.see(work)? {
            Seen::Null => "null",
            Seen::Bool(_) => "a bool",
            Seen::Int(_) => "an int",
            Seen::Uint(_) => "a uint",
            Seen::Double(_) => "a double",
            Seen::Large(_) => "a number too large to compute with",
            Seen::Text(_) => "a string",
            Seen::List(_) => "a list",
            Seen::Map(_) => "an object",
        })
    }

    /// Whether both are the same value: numbers by what they are worth, objects whatever the order of keys.
    pub(crate) fn equals(&self, other: &Self, work: &mut Work) -> Result<bool, Fault> {
        self.equals_at(other, work, 0)
    }

    fn equals_at(&self, other: &Self, work: &mut Work, depth: usize) -> Result<bool, Fault> {
        work.step()?;
        if depth > NESTING_MAX {
            return Err(Fault::new("values nested this deep are not compared"));
        }
        if let (Self::Json(one), Self::Json(other)) = (self, other)
            && std::ptr::eq(one.raw(), other.raw())
        {
            return Ok(true);
        }
        Ok(match (self.see(work)?, other.see(work)?) {
            (Seen::Null, Seen::Null) => true,
            (Seen::Bool(one), Seen::Bool(other)) => one == other,
            (Seen::Text(one), Seen::Text(other)) => {
                work.bytes(one.len().min(other.len()))?;
                one == other
            }
            (Seen::Large(one), Seen::Large(other)) => one == other,
            (Seen::List(one), Seen::List(other)) => {
                if one.len() != other.len() {
                    return Ok(false);
                }
                for index in 0..one.len() {
                    let (Some(one), Some(other)) = (one.at(index), other.at(index)) else { return Ok(false) };
                    if !one.equals_at(&other, work, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Seen::Map(one), Seen::Map(other)) => {
                if one.len() != other.len() {
                    return Ok(false);
                }
                for index in 0..one.len() {
                    work.steps(other.len() as u64)?;
                    let Some((key, one)) = one.at(index) else { return Ok(false) };
                    match other.find(&key) {
                        Some(other) if one.equals_at(&other, work, depth + 1)? => {}
                        Some(_) | None => return Ok(false),
                    }
                }
                true
            }
            (one, other) => compare_numbers(&one, &other) == Some(Ordering::Equal),
        })
    }

    /// Writes it as JSON: what came from a payload with its own bytes.
    pub(crate) fn render(&self, out: &mut Vec<u8>, work: &mut Work) -> Result<(), Fault> {
        let before = out.len();
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(bool) => out.extend_from_slice(if *bool { b"true" } else { b"false" }),
            Self::Int(int) => out.extend_from_slice(int.to_string().as_bytes()),
            Self::Uint(uint) => out.extend_from_slice(uint.to_string().as_bytes()),
            Self::Double(double) => {
                if !double.is_finite() {
                    return Err(Fault::new("JSON has no number that is infinite or undefined"));
                }
                out.extend_from_slice(serde_json::to_string(double).unwrap_or_default().as_bytes());
            }
            Self::Text(text) => render_text(text, out),
            Self::Json(json) => out.extend_from_slice(json.raw().as_bytes()),
            Self::List(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.render(out, work)?;
                }
                out.push(b']');
                return Ok(());
            }
            Self::Map(members) => {
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    render_text(key, out);
                    out.push(b':');
                    value.render(out, work)?;
                }
                out.push(b'}');
                return Ok(());
            }
        }
        work.built(out.len() - before)
    }

    /// As a part of a text: a string as it is, a number with the digits it came with.
    pub(crate) fn as_part(&self, work: &mut Work) -> Result<String, Fault> {
        let raw = match self {
            Self::Json(json) => Some(json.raw()),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Uint(_) | Self::Double(_) => None,
            Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        };
        let text = match self.see(work)? {
            Seen::Text(text) => text.to_string(),
            Seen::Bool(bool) => bool.to_string(),
            Seen::Int(int) => int.to_string(),
            Seen::Uint(uint) => uint.to_string(),
            Seen::Double(double) => raw.map_or_else(|| double_text(double), str::to_owned),
            Seen::Large(raw) => raw.to_owned(),
            Seen::Null => {
                return Err(Fault::new("null has no text: give another value where it may be null"));
            }
            Seen::List(_) => return Err(Fault::new("a list has no text: `join` makes one")),
            Seen::Map(_) => return Err(Fault::new("an object has no text: name one of its fields")),
        };
        work.built(text.len())?;
        Ok(text)
    }
}

/// A double as a text: like JSON, which always reads back to the same.
pub(crate) fn double_text(double: f64) -> String {
    serde_json::to_string(&double).unwrap_or_default()
}

pub(crate) fn render_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::to_string(text).unwrap_or_default().as_bytes());
}

/// Compares numbers by what they are worth, whatever their types; `None` if one is none, or not comparable.
pub(crate) fn compare_numbers(one: &Seen<'_, '_>, other: &Seen<'_, '_>) -> Option<Ordering> {
    let wide = |seen: &Seen<'_, '_>| match seen {
        Seen::Int(int) => Some(i128::from(*int)),
        Seen::Uint(uint) => Some(i128::from(*uint)),
        Seen::Double(_) | Seen::Null | Seen::Bool(_) | Seen::Large(_) => None,
        Seen::Text(_) | Seen::List(_) | Seen::Map(_) => None,
    };
    match (one, other) {
        (Seen::Double(one), Seen::Double(other)) => one.partial_cmp(other),
        (Seen::Double(one), other) => wide(other).and_then(|whole| compare_double(*one, whole)),
        (one, Seen::Double(other)) => {
            wide(one).and_then(|whole| compare_double(*other, whole)).map(Ordering::reverse)
        }
        (one, other) => Some(wide(one)?.cmp(&wide(other)?)),
    }
}

/// Without rounding the whole number, which may have more digits than a double.
#[expect(
    clippy::cast_possible_truncation,
    reason = "doubles beyond the range saturate, which keeps the order"
)]
fn compare_double(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    let floor = double.floor();
    Some(match (floor as i128).cmp(&whole) {
        Ordering::Equal if double > floor => Ordering::Greater,
        order => order,
    })
}
