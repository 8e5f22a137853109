//! JSON that is looked into without being rewritten.
//!
//! Owns [`Json`], a value in a payload together with its own bytes. Promises that what is passed on has the
//! bytes it came with, and that only what is asked for is parsed. Does not compute.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A value in a payload, with its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Json<'a> {
    raw: &'a str,
    parts: Rc<OnceCell<Parts<'a>>>,
}

/// What a value in a payload consists of.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// A number that none of the three holds.
    Large(&'a str),
    Text(Rc<str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// The payload of these bytes, if they are JSON. No bytes stand for `null`: that is how a participant says
    /// that it has nothing to say.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::wrap("null"));
        }
        let raw: &RawValue = serde_json::from_slice(bytes).ok()?;
        Some(Self::wrap(raw.get()))
    }

    fn wrap(raw: &'a str) -> Self {
        Self { raw, parts: Rc::default() }
    }

    /// Its bytes.
    pub(crate) fn raw(&self) -> &'a str {
        self.raw
    }

    /// What it consists of, and how many bytes had to be read for that now.
    pub(crate) fn look(&self) -> (&Parts<'a>, usize) {
        let mut read = 0;
        let parts = self.parts.get_or_init(|| {
            read = self.raw.len();
            parts(self.raw)
        });
        (parts, read)
    }
}

fn parts(raw: &str) -> Parts<'_> {
    /// The keys in their order, and the values as they stand.
    struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

    impl<'de> Deserialize<'de> for Members<'de> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members<'de>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Members<'de>, A::Error> {
                    let mut members = Vec::new();
                    while let Some(key) = map.next_key::<Key<'de>>()? {
                        members.push((key.0, map.next_value()?));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }

    #[derive(Deserialize)]
    struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

    let broken = || unreachable!("a part of valid JSON is valid JSON");
    match raw.as_bytes().first() {
        Some(b'{') => {
            let Ok(Members(members)) = serde_json::from_str(raw) else { return broken() };
            Parts::Object(members.into_iter().map(|(key, value)| (key, Json::wrap(value.get()))).collect())
        }
        Some(b'[') => {
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw) else { return broken() };
            Parts::List(items.into_iter().map(|item| Json::wrap(item.get())).collect())
        }
        Some(b'"') => match serde_json::from_str::<Key<'_>>(raw) {
            Ok(Key(text)) => Parts::Text(text.into_owned().into()),
            Err(_) => broken(),
        },
        Some(b'n') => Parts::Null,
        Some(b't') => Parts::Bool(true),
        Some(b'f') => Parts::Bool(false),
        _ => number(raw),
    }
}

/// What a number is to an expression. Whole ones are exact or nothing at all; one that is written with a
/// fraction or an exponent is a `double`, which no operator mixes with whole ones: money that was whole never
/// becomes a rounded number unnoticed.
fn number(raw: &str) -> Parts<'_> {
    if let Ok(int) = raw.parse() {
        return Parts::Int(int);
    }
    if let Ok(uint) = raw.parse() {
        return Parts::Uint(uint);
    }
    if raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return Parts::Large(raw);
    }
    match raw.parse() {
        Ok(double) => Parts::Double(double),
        Err(_) => Parts::Large(raw),
    }
}
