//! What a start is labelled with.
//!
//! Owns [`Tags`] and the judgement of those that a caller gives. Promises that what passed can be stored by
//! every backend. Does not know what a tag means to whoever gave it.

use std::collections::BTreeMap;

use crate::limits::{TAG_KEY_BYTES_MAX, TAG_VALUE_BYTES_MAX, TAGS_MAX};

/// Labels of a transaction: it can be found by each of them.
pub type Tags = BTreeMap<String, String>;

/// Why tags cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagFlaw {
    /// There are too many.
    #[error("{count} tags: a transaction has at most {TAGS_MAX}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A key is empty, or has a `=`, which stands between key and value where tags are written.
    #[error("the tag key {key:?} is not usable: it is neither empty nor has a `=`")]
    Key {
        /// The key.
        key: String,
    },
    /// A key is too long.
    #[error("the tag key {key:?} has {bytes} bytes: at most {TAG_KEY_BYTES_MAX}")]
    KeyTooLong {
        /// The key.
        key: String,
        /// Its length.
        bytes: usize,
    },
    /// A value is too long.
    #[error("the value of the tag {key:?} has {bytes} bytes: at most {TAG_VALUE_BYTES_MAX}")]
    ValueTooLong {
        /// The tag's key.
        key: String,
        /// The value's length.
        bytes: usize,
    },
}

/// Judges the tags of a start.
///
/// # Errors
/// The first flaw, for whoever gave them.
pub fn judge_tags(tags: &Tags) -> Result<(), TagFlaw> {
    if tags.len() > TAGS_MAX {
        return Err(TagFlaw::TooMany { count: tags.len() });
    }
    for (key, value) in tags {
        if key.is_empty() || key.contains('=') {
            return Err(TagFlaw::Key { key: key.clone() });
        }
        if key.len() > TAG_KEY_BYTES_MAX {
            return Err(TagFlaw::KeyTooLong { key: key.clone(), bytes: key.len() });
        }
        if value.len() > TAG_VALUE_BYTES_MAX {
            return Err(TagFlaw::ValueTooLong { key: key.clone(), bytes: value.len() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn tags_within_all_limits_pass() {
        let key = "k".repeat(TAG_KEY_BYTES_MAX);
        let value = "v".repeat(TAG_VALUE_BYTES_MAX);
        assert_eq!(judge_tags(&tags(&[("team", ""), (&key, &value)])), Ok(()));
        let many: Tags = (0..TAGS_MAX).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(judge_tags(&many), Ok(()));
    }

    #[test]
    fn each_flaw_is_named() {
        let many: Tags = (0..=TAGS_MAX).map(|n| (n.to_string(), String::new())).collect();
        let key = "k".repeat(TAG_KEY_BYTES_MAX + 1);
        let value = "v".repeat(TAG_VALUE_BYTES_MAX + 1);
        let flaws =
            [many, tags(&[("", "")]), tags(&[("a=b", "")]), tags(&[(&key, "")]), tags(&[("k", &value)])]
                .map(|tags| judge_tags(&tags).unwrap_err().to_string());
        let words = ["17 tags", "neither empty", "a=b", "65 bytes", "257 bytes"];
        for (flaw, word) in flaws.iter().zip(words) {
            assert!(flaw.contains(word), "{flaw}");
        }
    }
}
