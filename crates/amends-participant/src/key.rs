//! The key of a call.
//!
//! Owns the text that travels as `Idempotency-Key`:
//!
//! ```text
//! <transaction>/<step>[<n>]/<action|compensation>[/<round>]
//! ```
//!
//! A step that can run more than once has its occurrence in brackets. A step asked anew, after its undo or
//! with a corrected payload, has its round at the end, from the second on. All attempts of a call carry the
//! same key. Promises one spelling per key: what parses is written again byte by byte. Does not know what an
//! id looks like: the transaction may be a UUID or another caller's words. Start reading at [`KeyParts`].

use std::fmt;
use std::str::FromStr;

use crate::limits::{CALL_KEY_BYTES_MAX, STEP_BYTES_MAX, TRANSACTION_BYTES_MAX};

/// The key of a call, the same for all its attempts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CallKey {
    text: String,
    transaction_end: usize,
    step_end: usize,
    /// The end of what an action and its undo have in common.
    shared_end: usize,
    occurrence: Option<u32>,
    direction: Direction,
    round: u32,
}

/// What a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// The id of the saga, or of another kind of transaction.
    pub transaction: &'a str,
    /// The step's name; an undo carries the name of the step it undoes.
    pub step: &'a str,
    /// Which run of the step, where it can run more than once.
    pub occurrence: Option<u32>,
    /// Whether the call acts or undoes.
    pub direction: Direction,
    /// Counts from 1 how often the step was asked anew.
    pub round: u32,
}

/// Whether a call makes an effect or takes one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// It makes one.
    Action,
    /// It takes one back.
    Compensation,
}

/// Why a text or its parts are not a valid key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum KeyError {
    /// The text has another form, or another spelling of the same parts.
    #[error("{0:?} is not a valid key: send <transaction>/<step>[<n>]/<action|compensation>[/<round>]")]
    Form(String),
    /// The text is longer than any key can be.
    #[error("the key has {bytes} bytes, at most {max} are allowed")]
    TooLong { bytes: usize, max: usize },
    /// The transaction's id is empty, too long or has control characters.
    #[error(
        "{0:?} is not a valid transaction id: 1 to {TRANSACTION_BYTES_MAX} bytes without control characters"
    )]
    Transaction(String),
    /// The step's name is empty, too long or has a character that keys use themselves.
    #[error(
        "{0:?} is not a valid step name: 1 to {STEP_BYTES_MAX} bytes without control characters, \
         '/', '[' and ']'"
    )]
    Step(String),
    /// Rounds count from 1.
    #[error("rounds count from 1, not from 0")]
    Round,
}

impl CallKey {
    /// Makes the key of these parts.
    ///
    /// # Errors
    /// When a part is not one that a key can have.
    pub fn new(parts: KeyParts<'_>) -> Result<CallKey, KeyError> {
        parts.check()?;
        let KeyParts { transaction, step, occurrence, direction, round } = parts;
        let transaction_end = transaction.len();
        let step_end = transaction_end + 1 + step.len();
        let mut text = String::with_capacity(step_end + "/compensation".len());
        text.extend([transaction, "/", step]);
        if let Some(occurrence) = occurrence {
            text.extend(["[", &occurrence.to_string(), "]"]);
        }
        let shared_end = text.len();
        text.extend(["/", direction.as_str()]);
        if round > 1 {
            text.extend(["/", &round.to_string()]);
        }
        Ok(CallKey { text, transaction_end, step_end, shared_end, occurrence, direction, round })
    }

    /// The key's one spelling.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the key says.
    pub fn parts(&self) -> KeyParts<'_> {
        KeyParts {
            transaction: self.transaction(),
            step: self.step(),
            occurrence: self.occurrence,
            direction: self.direction,
            round: self.round,
        }
    }

    /// The id of the saga, or of another kind of transaction.
    pub fn transaction(&self) -> &str {
        &self.text[..self.transaction_end]
    }

    /// The step's name.
    pub fn step(&self) -> &str {
        &self.text[self.transaction_end + 1..self.step_end]
    }

    /// Whether the call acts or undoes.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Counts from 1 how often the step was asked anew.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// The key of the same call in this direction: an undo asks other systems for what was done under the
    /// action's.
    #[must_use]
    pub fn toward(&self, direction: Direction) -> CallKey {
        CallKey::new(KeyParts { direction, ..self.parts() }).expect("the parts of a key make a key")
    }

    /// The key of the same call in another round.
    pub(crate) fn in_round(&self, round: u32) -> CallKey {
        CallKey::new(KeyParts { round, ..self.parts() }).expect("the parts of a key make a key")
    }

    /// `<transaction>/<step>[<n>]`: with the round, what an action and its undo have in common.
    pub(crate) fn shared(&self) -> &str {
        &self.text[..self.shared_end]
    }
}

impl KeyParts<'_> {
    fn check(&self) -> Result<(), KeyError> {
        let KeyParts { transaction, step, round, .. } = *self;
        if !is_text(transaction, TRANSACTION_BYTES_MAX) {
            return Err(KeyError::Transaction(transaction.to_owned()));
        }
        if !is_text(step, STEP_BYTES_MAX) || step.bytes().any(|byte| matches!(byte, b'/' | b'[' | b']')) {
            return Err(KeyError::Step(step.to_owned()));
        }
        if round == 0 { Err(KeyError::Round) } else { Ok(()) }
    }
}

impl Direction {
    /// The word in the key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Action => "action",
            Direction::Compensation => "compensation",
        }
    }

    fn named(word: &str) -> Option<Direction> {
        [Direction::Action, Direction::Compensation].into_iter().find(|direction| direction.as_str() == word)
    }
}

impl FromStr for CallKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<CallKey, KeyError> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for CallKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<CallKey, KeyError> {
        if text.len() > CALL_KEY_BYTES_MAX {
            return Err(KeyError::TooLong { bytes: text.len(), max: CALL_KEY_BYTES_MAX });
        }
        let Some(parts) = split(&text) else { return Err(KeyError::Form(text)) };
        parts.check()?;
        let KeyParts { transaction, step, occurrence, direction, round } = parts;
        let (transaction_end, step_end) = (transaction.len(), transaction.len() + 1 + step.len());
        let shared_end = step_end + text[step_end..].find('/').expect("the direction is behind a slash");
        Ok(CallKey { transaction_end, step_end, shared_end, occurrence, direction, round, text })
    }
}

/// Takes a text apart from its end, where every part has a form of its own: an id may have slashes.
fn split(text: &str) -> Option<KeyParts<'_>> {
    let (before, last) = text.rsplit_once('/')?;
    let (before, direction, round) = match Direction::named(last) {
        Some(direction) => (before, direction, 1),
        None => {
            let (before, word) = before.rsplit_once('/')?;
            (before, Direction::named(word)?, number(last).filter(|round| *round > 1)?)
        }
    };
    let (transaction, step) = before.rsplit_once('/')?;
    let (step, occurrence) = match step.strip_suffix(']').and_then(|step| step.rsplit_once('[')) {
        Some((step, occurrence)) => (step, Some(number(occurrence)?)),
        None => (step, None),
    };
    Some(KeyParts { transaction, step, occurrence, direction, round })
}

/// A number in its one spelling.
fn number(digits: &str) -> Option<u32> {
    let has_one_spelling = digits == "0" || digits.starts_with(|first| matches!(first, '1'..='9'));
    if has_one_spelling { digits.parse().ok() } else { None }
}

/// Whether a part has a length that a key allows, and no control characters.
fn is_text(part: &str, bytes_max: usize) -> bool {
    // What nearly every part consists of is looked at byte by byte: that takes a tenth of the time.
    let is_plain = part.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (1..=bytes_max).contains(&part.len()) && (is_plain || !part.contains(char::is_control))
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Relations between limits that must hold.
const _: () = assert!(
    CALL_KEY_BYTES_MAX
        == TRANSACTION_BYTES_MAX + STEP_BYTES_MAX + "/[4294967295]/compensation/4294967295".len(),
    "a key of the longest parts can be read"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts() -> impl Strategy<Value = (String, String, Option<u32>, Direction, u32)> {
        let direction = prop_oneof![Just(Direction::Action), Just(Direction::Compensation)];
        // Ids and steps that look like other parts of a key are the ones that could be mistaken for them.
        let transaction = prop_oneof!["[^\\p{C}]{1,12}", "(a|2|/|action|\\[0\\]){1,4}"];
        let step = prop_oneof!["[^\\p{C}/\\[\\]]{1,12}", "(a|2|action|compensation){1,2}"];
        (transaction, step, any::<Option<u32>>(), direction, prop_oneof![1..4_u32, 1..=u32::MAX])
    }

    proptest! {
        #[test]
        fn a_key_reads_back_as_its_parts((transaction, step, occurrence, direction, round) in parts()) {
            let parts =
                KeyParts { transaction: &transaction, step: &step, occurrence, direction, round };
            let key = CallKey::new(parts).unwrap();
            let read: CallKey = key.as_str().parse().unwrap();
            prop_assert_eq!(read.parts(), parts);
            prop_assert_eq!(read, key);
        }

        #[test]
        fn what_parses_is_written_again_byte_by_byte(
            text in "(a|b|1|2|0|/|\\[|\\]|/action|/compensation|\\+|é){1,9}",
        ) {
            if let Ok(key) = text.parse::<CallKey>() {
                prop_assert_eq!(key.to_string(), text);
                prop_assert_eq!(CallKey::new(key.parts()), Ok(key));
            }
        }

        #[test]
        fn only_directions_of_one_step_share_a_row(a in parts(), b in parts()) {
            let key = |(transaction, step, occurrence, direction, round): &(String, String, _, _, _)| {
                CallKey::new(KeyParts {
                    transaction, step, occurrence: *occurrence, direction: *direction, round: *round,
                })
                .unwrap()
            };
            let (a, b) = (key(&a), key(&b));
            let is_one_row = a.shared() == b.shared() && a.round() == b.round();
            let direction = Direction::Action;
            let is_one_step =
                KeyParts { direction, ..a.parts() } == KeyParts { direction, ..b.parts() };
            prop_assert_eq!(is_one_row, is_one_step);
        }
    }

    #[test]
    fn every_part_has_its_place() {
        for (text, shared, occurrence, round) in [
            ("t/Pay/action", "t/Pay", None, 1),
            ("t/Pay/action/2", "t/Pay", None, 2),
            ("t/Pay[0]/action", "t/Pay[0]", Some(0), 1),
            ("t/Pay[12]/compensation/3", "t/Pay[12]", Some(12), 3),
            ("parent/leg[1]/Pay/compensation", "parent/leg[1]/Pay", None, 1),
        ] {
            let key: CallKey = text.parse().unwrap();
            assert_eq!((key.shared(), key.parts().occurrence, key.round()), (shared, occurrence, round));
            assert_eq!((key.step(), key.to_string().as_str()), ("Pay", text));
        }
    }

    #[test]
    fn other_spellings_and_other_forms_are_not_keys() {
        for text in [
            "",
            "/",
            "t/Pay",
            "t/action",
            "/Pay/action",
            "t//action",
            "t/Pay/Action",
            "t/Pay/action/",
            "t/Pay/action/0",
            "t/Pay/action/1",
            "t/Pay/action/02",
            "t/Pay/action/+2",
            "t/Pay/action/4294967296",
            "t/Pay[]/action",
            "t/Pay[01]/action",
            "t/Pay[-1]/action",
            "t/Pay[1][2]/action",
            "t/[1]/action",
            "t/Pay]/action",
            "t/Pay\n/action",
            "t/Pay/action ",
        ] {
            assert!(text.parse::<CallKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_has_a_greatest_length() {
        let (transaction, step) = ("t".repeat(TRANSACTION_BYTES_MAX), "s".repeat(STEP_BYTES_MAX));
        let direction = Direction::Compensation;
        let longest = KeyParts {
            transaction: &transaction,
            step: &step,
            occurrence: Some(u32::MAX),
            direction,
            round: u32::MAX,
        };
        let key = CallKey::new(longest).unwrap();
        assert_eq!(key.as_str().len(), CALL_KEY_BYTES_MAX);
        assert_eq!(key.as_str().parse(), Ok(key));
        let error = "x".repeat(CALL_KEY_BYTES_MAX + 1).parse::<CallKey>().unwrap_err();
        assert!(matches!(error, KeyError::TooLong { .. }), "{error}");
        let long = format!("{step}s");
        assert!(matches!(CallKey::new(KeyParts { step: &long, ..longest }), Err(KeyError::Step(_))));
        assert_eq!(CallKey::new(KeyParts { round: 0, ..longest }), Err(KeyError::Round));
    }
}
