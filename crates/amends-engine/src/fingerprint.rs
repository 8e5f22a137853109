//! Whether two starts, or two signals, ask for the same.
//!
//! Owns the hash of a name and a JSON document by value: key order, white space and spellings of one number
//! do not count. A definition's version does not either: a repeat may come after an upgrade. Promises that
//! different names or values have different fingerprints (SHA-256). Does not judge the document, and does not
//! keep it.

use amends_journal::Fingerprint;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::json::{Flaw, judge};

/// The fingerprint of a document that goes by this name.
///
/// # Errors
/// As [`judge`].
pub fn of(name: &str, document: &[u8]) -> Result<Fingerprint, Flaw> {
    judge(document)?;
    let value: Value = serde_json::from_slice(document).map_err(|_| Flaw::NotJson)?;
    let mut hash = Sha256::new();
    feed_text(b"s", name, &mut hash);
    feed(&value, &mut hash);
    Ok(Fingerprint(hash.finalize().into()))
}

/// Every value is fed with its kind and length first, so that no two documents feed the same bytes.
fn feed(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Number(number) => {
            let decimal = canonical_number(&number.to_string());
            feed_text(b"d", &decimal, hash);
        }
        Value::String(text) => feed_text(b"s", text, hash),
        Value::Array(items) => {
            feed_length(b"a", items.len(), hash);
            for item in items {
                feed(item, hash);
            }
        }
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            feed_length(b"o", sorted.len(), hash);
            for (name, field) in sorted {
                feed_text(b"s", name, hash);
                feed(field, hash);
            }
        }
    }
}

fn feed_length(kind: &[u8], length: usize, hash: &mut Sha256) {
    hash.update(kind);
    hash.update((length as u64).to_le_bytes());
}

fn feed_text(kind: &[u8], text: &str, hash: &mut Sha256) {
    feed_length(kind, text.len(), hash);
    hash.update(text.as_bytes());
}

/// One spelling for one decimal number: digits without zeros at either end, and the power of ten of the last.
fn canonical_number(text: &str) -> String {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let Ok(exponent) = exponent.parse::<i64>() else {
        // Beyond any exponent that a number could be stored with: its own spelling is its identity.
        return text.to_owned();
    };
    let dropped = i64::try_from(digits.len() - significant.len()).expect("lengths fit");
    let scale = i64::try_from(fraction.len()).expect("lengths fit");
    format!("{sign}{significant}e{}", exponent.saturating_add(dropped).saturating_sub(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) -> bool {
        super::of("D", left.as_bytes()).unwrap() == super::of("D", right.as_bytes()).unwrap()
    }

    #[test]
    fn equal_values_have_one_fingerprint_however_they_are_written() {
        assert!(same(r#"{"a":1,"b":[true,null]}"#, " { \"b\" : [ true , null ] , \"a\" : 1.0 } "));
        assert!(same(r#"{"price":100.0}"#, r#"{"price":1e2}"#));
        assert!(same(r#""\u0041""#, r#""A""#));
        assert!(same("[0, -0, 0.00]", "[0.0, 0, 0]"));
        assert!(same("[1200]", "[1.2e3]"));
    }

    #[test]
    fn other_values_have_other_fingerprints() {
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same("[[1],2]", "[[1,2]]"));
        assert!(!same(r#"{"a":1}"#, r#"{"a":"1"}"#));
        assert!(!same(r#"{"a":null}"#, "{}"));
        assert!(!same("[1.01]", "[1.1]"));
        assert!(!same("[10]", "[1]"));
        assert!(!same(r#"["ab",""]"#, r#"["a","b"]"#));
    }

    /// What is judged must not hang on who asks.
    fn judged_alike(document: &[u8]) {
        let with = super::of("D", document).map(|_| ());
        assert_eq!(judge(document), with, "{}", String::from_utf8_lossy(document));
    }

    #[test]
    fn an_input_is_judged_alike_with_a_fingerprint_and_without() {
        let documents: [&[u8]; 5] =
            [b"null", b"-0.5e+300", b"18446744073709551616", br#"{"a":1,"a":2}"#, b"{"];
        documents.into_iter().for_each(judged_alike);
    }

    proptest::proptest! {
        #[test]
        fn anything_is_judged_alike(document in r#"[\[\]{}",:0-9a-fu\\.eE+ -]{0,24}"#) {
            judged_alike(document.as_bytes());
        }
    }
}
