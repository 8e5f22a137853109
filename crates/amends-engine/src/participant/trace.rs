//! The trace that a call belongs to.
//!
//! Owns how the W3C `traceparent` of an attempt comes to be. Promises the same ids whenever they are made, so that
//! whoever reports spans and whoever sends headers agree without a table. A transaction that was started without a
//! trace has its own: its id is the trace's.

use amends_core::retry::splitmix64;
use amends_core::{AttemptId, TransactionId};

/// The `traceparent` that an attempt carries. `started_with`: the one that came with the transaction's start.
#[must_use]
pub fn traceparent(started_with: Option<&str>, transaction: TransactionId, attempt: AttemptId) -> String {
    let (trace, flags) = match started_with.and_then(parts) {
        Some((trace, flags)) => (trace.to_owned(), flags),
        None => (hex(&transaction.to_bytes()), "01"),
    };
    format!("00-{trace}-{:016x}-{flags}", span_of(transaction, attempt))
}

/// The span of an attempt.
pub(crate) fn span_of(transaction: TransactionId, attempt: AttemptId) -> u64 {
    let AttemptId { call, number } = attempt;
    let bytes = transaction.to_bytes();
    let (high, low) = bytes.split_at(8);
    let number_of = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("half of an id"));
    let place = u64::from(call.step.0) << 32 | u64::from(call.round) << 1 | call.direction as u64;
    let which = u64::from(call.occurrence.map_or(0, |occurrence| occurrence + 1)) << 32 | u64::from(number);
    let mixed = [number_of(high), number_of(low), place, which]
        .into_iter()
        .fold(0, |mixed: u64, next| splitmix64(mixed ^ next));
    // Zero is not a valid id.
    mixed.max(1)
}

/// The trace's id and the flags, if it is a sound `traceparent`.
fn parts(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let is_sound = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_hex(trace, 32)
        && !is_zero(trace)
        && is_hex(span, 16)
        && !is_zero(span)
        && is_hex(flags, 2);
    is_sound.then_some((trace, flags))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use amends_core::{CallId, Direction, StepIndex};

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[test]
    fn a_trace_goes_on_with_a_span_for_each_attempt() {
        let id = TransactionId::from_parts(1, 1);
        let first = CallId::first(StepIndex(0), Direction::Action);
        let of = |attempt| traceparent(Some(GIVEN), id, attempt);
        assert_eq!(of(first.attempt(1)), of(first.attempt(1)));
        let undo = CallId { direction: Direction::Compensation, ..first };
        let others = [first.attempt(2), undo.attempt(1), CallId { occurrence: Some(0), ..first }.attempt(1)];
        for other in others {
            assert_ne!(of(first.attempt(1)), of(other));
        }
        assert!(of(first.attempt(1)).starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(of(first.attempt(1)).ends_with("-00"));
        assert!(parts(&of(first.attempt(1))).is_some());
    }

    #[test]
    fn without_a_sound_trace_the_transaction_has_its_own() {
        let id = TransactionId::from_parts(1, 1);
        let attempt = CallId::first(StepIndex(0), Direction::Action).attempt(1);
        let own = traceparent(None, id, attempt);
        assert!(own.contains(&id.to_string().replace('-', "")), "{own}");
        for unsound in [
            "",
            "00-0-0-0",
            &GIVEN.replace("4b", "4B"),
            &format!("{GIVEN}-x"),
            &GIVEN.replacen("00", "ff", 1),
        ] {
            assert_eq!(traceparent(Some(unsound), id, attempt), own, "{unsound}");
        }
    }
}
