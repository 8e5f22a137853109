//! Which sagas a list, a count or a bulk job is about.
//!
//! Owns the parameters and the way from them to the journal's filter; and cursors. Promises that a cursor is
//! safe in a URL as it stands, and that one that is not ours is refused.

use amends_api::{ErrorKind, SagaStatus};
use amends_core::{DefinitionName, Mode, Status};
use amends_journal::limits::{TAG_KEY_BYTES_MAX, TAG_VALUE_BYTES_MAX};
use amends_journal::{Cursor, Filter};

use super::given::Given;
use super::shape::{Field, Kind, optional, text};
use crate::limits::{KEY_BYTES_MAX, PAGE_MAX};
use crate::problem::Problem;

/// The words of `status`.
pub(super) const STATUSES: &[&str] =
    &["pending", "in_progress", "compensating", "completed", "compensated", "failed", "abandoned"];

const TAG: Kind = Kind::Written { pattern: "^[^=]+=", max: TAG_KEY_BYTES_MAX + 1 + TAG_VALUE_BYTES_MAX };

pub(super) const DEFINITION: Field = optional("definition", text(128), "only of this definition");
pub(super) const VERSION: Field = optional(
    "version",
    Kind::Number { min: 1, max: u32::MAX as u64 },
    "only of this version of the definition",
);
pub(super) const STATUS: Field = optional("status", Kind::Word(STATUSES), "only those that stand so");
pub(super) const BY_TAG: Field = optional("tag", TAG, "only those with this tag, as name=value");
pub(super) const KEY: Field =
    optional("key", text(KEY_BYTES_MAX), "only the one started with this idempotency key");
pub(super) const PARENT: Field = optional("parent", Kind::Id, "only those that this saga started");
pub(super) const SINCE: Field = optional("since", Kind::Moment, "only those that started then or later");
pub(super) const UNTIL: Field = optional("until", Kind::Moment, "only those that started before");
pub(super) const CURSOR: Field = optional(
    "cursor",
    Kind::Written { pattern: "^(s1_[0-9a-f]{16})?$", max: 19 },
    "next_cursor of the page before",
);
pub(super) const LIMIT: Field =
    optional("limit", Kind::Number { min: 1, max: PAGE_MAX as u64 }, "how many at most; 100 unless given");

/// What is asked for, as the journal knows it.
pub(super) fn of(given: &Given) -> Result<Filter, Problem> {
    let mut filter = Filter { mode: Some(Mode::Saga), ..Filter::default() };
    if let Some(name) = given.text(DEFINITION.name) {
        filter.definition = Some(definition(name)?);
    }
    if let Some(word) = given.text(STATUS.name) {
        filter.standings = status(word.parse().map_err(unreadable)?).standings();
    }
    filter.version = given.number(VERSION.name).and_then(|version| u32::try_from(version).ok());
    filter.tag = given.text(BY_TAG.name).map(tag).transpose()?;
    filter.key = given.text(KEY.name).map(str::to_owned);
    filter.parent = given.id(PARENT.name);
    filter.since = given.moment(SINCE.name);
    filter.until = given.moment(UNTIL.name);
    Ok(filter)
}

/// A tag's name and value.
fn tag(text: &str) -> Result<(String, String), Problem> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        let detail = format!("the tag {text:?} has no value: send name=value");
        Problem::new(ErrorKind::BadRequest, detail).with("parameter", BY_TAG.name)
    })?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A definition's name; one that cannot be a name is not found.
pub(super) fn definition(name: &str) -> Result<DefinitionName, Problem> {
    Ok(DefinitionName::new(name))
}

fn unreadable(error: amends_api::UnknownWord) -> Problem {
    Problem::new(ErrorKind::BadRequest, error.to_string())
}

fn status(status: SagaStatus) -> Status {
    match status {
        SagaStatus::Pending => Status::Pending,
        SagaStatus::InProgress => Status::InProgress,
        SagaStatus::Compensating => Status::Compensating,
        SagaStatus::Completed => Status::Completed,
        SagaStatus::Compensated => Status::Compensated,
        SagaStatus::Parked => Status::Parked,
        SagaStatus::Abandoned => Status::Abandoned,
    }
}

/// The place that a cursor names.
pub(super) fn cursor(given: &Given) -> Result<Option<Cursor>, Problem> {
    let Some(text) = given.text(CURSOR.name) else { return Ok(None) };
    let digits = text.strip_prefix(MARK).filter(|digits| digits.len() == 16);
    let is_plain = |digits: &&str| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let place = digits.filter(is_plain).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    place.map(|place| Some(Cursor(place))).ok_or_else(|| {
        let detail = format!("the cursor {text:?} is not one of this server's: send next_cursor as it came");
        Problem::new(ErrorKind::BadRequest, detail).with("parameter", CURSOR.name)
    })
}

/// A place in a list, as a client has it.
pub(super) fn cursor_text(cursor: Cursor) -> String {
    format!("{MARK}{:016x}", cursor.0)
}

/// What cursors of this kind begin with.
const MARK: &str = "s1_";

/// How many items a page has.
pub(super) fn limit(given: &Given) -> usize {
    given
        .number(LIMIT.name)
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(crate::limits::PAGE_USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_words_are_those_of_the_api() {
        let words: Vec<&str> = SagaStatus::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(words, STATUSES);
    }

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        const KNOWN: &[Field] = &[CURSOR];
        let place = |text: &str| cursor(&Given::query(KNOWN, &format!("cursor={text}")).unwrap());
        for number in [0, 7, u64::MAX] {
            assert_eq!(place(&cursor_text(Cursor(number))).unwrap(), Some(Cursor(number)));
        }
        for text in ["s1_", "s1_7", "s2_0000000000000007", "s1_000000000000000G", "s1_+000000000000007"] {
            assert!(place(text).is_err(), "{text}");
        }
    }
}
