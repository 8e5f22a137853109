//! A value that is passed on.
//!
//! Owns [`Payload`]: JSON that is passed on as it was written, to the byte. Promises that it is sound JSON.
//! Does not look into it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// JSON as somebody else wrote it: an input or an output. Where there is none it is `null`. It is read from
/// JSON itself, not from what serde has buffered: no `flatten` or `untagged` around it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

/// The text is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("this is not JSON: {0}")]
pub struct NotJson(serde_json::Error);

impl Payload {
    /// Nothing.
    #[must_use]
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// What the text says.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn parse(text: &str) -> Result<Self, NotJson> {
        serde_json::from_str(text).map_err(NotJson)
    }

    /// A text, as JSON.
    ///
    /// # Panics
    /// Never: every text can be written as JSON.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(serde_json::value::to_raw_value(text).expect("every text can be written as JSON"))
    }

    /// The JSON as it was written, without white space around it.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

/// The same bytes. Equal values may be written differently, and are then different payloads.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_keeps_its_bytes() {
        for text in
            [r#"{"b": 1.0,  "a":1e2}"#, "null", "\"\\u0041\"", "12345678901234567890.10", r#"{"a":1,"a":2}"#]
        {
            let payload = Payload::parse(text).unwrap();
            assert_eq!(serde_json::to_string(&payload).unwrap(), text);
            assert_eq!(serde_json::from_str::<Payload>(text).unwrap(), payload);
        }
        assert_eq!(Payload::parse(" [1] ").unwrap().as_json(), "[1]");
        assert_eq!(Payload::null().as_json(), "null");
        assert_eq!(Payload::text("a\"\n").as_json(), r#""a\"\n""#);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "nul", "1 2", "'a'"] {
            assert!(Payload::parse(text).is_err(), "{text}");
        }
    }
}
