//! JSON as YAML.
//!
//! Owns the way from one to the other. Promises the same order, and numbers with all their digits, which the
//! usual writers would round or wrap. Writes the part of YAML that every reader understands.

use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The YAML document that says the same as this JSON text.
pub(super) fn from_json(json: &str) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    let root: &RawValue = serde_json::from_str(json)?;
    let inline = value(&mut text, root, 0)?;
    Ok(match inline {
        Some(inline) => inline + "\n",
        None => text,
    })
}

/// Writes a list or an object as lines; gives back what stands on one line instead.
fn value(text: &mut String, json: &RawValue, depth: usize) -> Result<Option<String>, serde_json::Error> {
    let raw = json.get();
    match raw.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(raw)?;
            if members.is_empty() {
                return Ok(Some("{}".to_owned()));
            }
            for (name, member) in members {
                indent(text, depth);
                text.push_str(&scalar(&name));
                text.push(':');
                entry(text, member, depth)?;
            }
            Ok(None)
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw)?;
            if elements.is_empty() {
                return Ok(Some("[]".to_owned()));
            }
            for element in elements {
                indent(text, depth);
                text.push_str("- ");
                let mut lines = String::new();
                match value(&mut lines, element, depth + 1)? {
                    Some(inline) => {
                        text.push_str(&inline);
                        text.push('\n');
                    }
                    // The first line stands behind the dash, the others below it.
                    None => text.push_str(lines.trim_start_matches(' ')),
                }
            }
            Ok(None)
        }
        Some(b'"') => Ok(Some(scalar(&serde_json::from_str::<String>(raw)?))),
        // Numbers, true, false and null are written alike.
        _ => Ok(Some(raw.to_owned())),
    }
}

/// What follows a name.
fn entry(text: &mut String, json: &RawValue, depth: usize) -> Result<(), serde_json::Error> {
    let mut lines = String::new();
    match value(&mut lines, json, depth + 1)? {
        Some(inline) => {
            text.push(' ');
            text.push_str(&inline);
            text.push('\n');
        }
        None => {
            text.push('\n');
            text.push_str(&lines);
        }
    }
    Ok(())
}

fn indent(text: &mut String, depth: usize) {
    for _ in 0..depth {
        text.push_str("  ");
    }
}

/// A text, quoted unless it can only be read as itself.
fn scalar(text: &str) -> String {
    /// What some reader takes for something else than a text.
    const TAKEN: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.'))
        && !TAKEN.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        return text.to_owned();
    }
    // A JSON text is a quoted YAML text.
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                // Writing into a text does not fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The members of an object, in the order written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_stands_in_the_same_order() {
        let json = r#"{"z": [], "a": {"id": "no", "n": 12345678901234567890.10, "e": 1E400},
            "list": [1, "two\n", {"b": null, "c": [true]}, [[]], {}], "": "-", "ü": "a: b", "t": "2026-11-30T10:00:00Z"}"#;
        let expected = r#"z: []
a:
  id: "no"
  "n": 12345678901234567890.10
  e: 1E400
list:
  - 1
  - "two\n"
  - b: null
    c:
      - true
  - - []
  - {}
"": "-"
"ü": "a: b"
t: "2026-11-30T10:00:00Z"
"#;
        assert_eq!(from_json(json).unwrap(), expected);
        assert_eq!(from_json("\"\\u0000 \u{2028}\"").unwrap(), "\"\\u0000 \\u2028\"\n");
        assert_eq!(from_json("1.50").unwrap(), "1.50\n");
    }
}
