//! What is taken for JSON.
//!
//! Owns one judgement for everything that comes in from callers: inputs, signals, outputs supplied by
//! operators. Promises that a document in which an object gives a name twice is refused: readers disagree
//! about which of the two counts, and participants read the bytes as they came. Keeps nothing: looking
//! without keeping saves a sixth of the processor time of a saga of four steps (measured with `amends bench`,
//! 512 clients).

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Why a document is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// An object in it gives this name twice.
    #[error("it gives the name {0:?} twice in one object: remove one")]
    DuplicateName(String),
}

/// # Errors
/// What is wrong with the document.
pub(crate) fn judge(document: &[u8]) -> Result<(), Flaw> {
    let mut duplicate = None;
    let mut reader = serde_json::Deserializer::from_slice(document);
    let read = Look { duplicate: &mut duplicate }.deserialize(&mut reader).and_then(|()| reader.end());
    match (read, duplicate) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(name)) => Err(Flaw::DuplicateName(name)),
        (Err(_), None) => Err(Flaw::NotJson),
    }
}

/// Reads a value and keeps nothing but the first name that came twice. Not `IgnoredAny`: the parser is less
/// strict about what is to be ignored (depth, UTF-8, escapes), and what one call takes another must not
/// refuse.
struct Look<'d> {
    duplicate: &'d mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Look { duplicate: &mut *self.duplicate })?.is_some() {}
        Ok(())
    }

    /// Numbers come here too: the parser keeps their digits by showing them as an object.
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut names = Names::NONE;
        while let Some(Name(name)) = fields.next_key()? {
            if let Some(twice) = names.add(name) {
                *self.duplicate = Some(twice);
                return Err(A::Error::custom("a name is given twice"));
            }
            fields.next_value_seed(Look { duplicate: &mut *self.duplicate })?;
        }
        Ok(())
    }
}

/// Up to so many names are kept in place and compared one by one: most objects have fewer.
const FEW: usize = 16;

/// The names that an object has given so far.
struct Names<'de> {
    few: [Cow<'de, str>; FEW],
    count: usize,
    many: Option<HashSet<Cow<'de, str>>>,
}

impl<'de> Names<'de> {
    const NONE: Self = Self { few: [const { Cow::Borrowed("") }; FEW], count: 0, many: None };

    /// The name, if it was there before.
    fn add(&mut self, name: Cow<'de, str>) -> Option<String> {
        let is_there = self.few[..self.count].contains(&name)
            || self.many.as_ref().is_some_and(|many| many.contains(&name));
        if is_there {
            return Some(name.into_owned());
        }
        if self.count < FEW {
            self.few[self.count] = name;
            self.count += 1;
        } else {
            self.many.get_or_insert_default().insert(name);
        }
        None
    }
}

/// A name, borrowed from the document where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl<'de> Visitor<'de> for AsText {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(AsText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_taken() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
        let many: String = (0..100).map(|n| format!(r#""{n}":{n},"#)).collect();
        let many = format!(r#"{{{many}"a":{{"a":1}}}}"#);
        let sound: [&[u8]; 8] = [
            b"null",
            b"-0.5e+300",
            b"18446744073709551616",
            b"[true,false,[]]",
            b" {\"a\":{}} ",
            br#""\ud83d\ude00""#,
            many.as_bytes(),
            &deep(100),
        ];
        for document in sound {
            assert_eq!(judge(document), Ok(()), "{}", String::from_utf8_lossy(document));
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        let unsound: [&[u8]; 9] =
            [b"", b"{", b"[1,]", b"01", b"\"\xff\"", br#""\ud800""#, b"1 2", b"{1:2}", deep.as_bytes()];
        for document in unsound {
            assert_eq!(judge(document), Err(Flaw::NotJson), "{}", String::from_utf8_lossy(document));
        }
    }

    #[test]
    fn a_name_given_twice_is_refused_wherever_it_stands() {
        let many: String = (0..40).map(|n| format!(r#""{n}":{n},"#)).collect();
        for document in [
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"{"b":[{"a":1,"c":{},"a":2}]}"#.to_owned(),
            r#"{"a":1,"\u0061":2}"#.to_owned(),
            format!(r#"{{{many}"a":1,"a":2}}"#),
            format!(r#"{{"a":1,{many}"a":2}}"#),
        ] {
            assert_eq!(judge(document.as_bytes()), Err(Flaw::DuplicateName("a".to_owned())), "{document}");
        }
    }
}
