//! Tags as the database keeps them.
//!
//! Owns two forms: all tags of a transaction as one value of its row, and one tag as an entry of the index.
//! Promises that tags which differ have entries that differ, and that a value which does not come out even is
//! refused. Does not judge tags: the engine does.

use amends_journal::Tags;

use super::schema::Nonsense;

const LENGTH: usize = 4;

/// All tags of a transaction: each text after its length (four bytes, little-endian), keys and values in turn.
pub(super) fn encode(tags: &Tags) -> Vec<u8> {
    let mut value = Vec::new();
    for text in tags.iter().flat_map(|(key, text)| [key, text]) {
        push(&mut value, text);
    }
    value
}

/// The tags behind a stored value.
pub(super) fn decode(value: Option<&[u8]>) -> Result<Tags, Nonsense> {
    let mut tags = Tags::new();
    let mut rest = value.unwrap_or_default();
    while !rest.is_empty() {
        let key = take(&mut rest)?;
        tags.insert(key, take(&mut rest)?);
    }
    Ok(tags)
}

/// One tag as an entry of the index: the key after its length, then the value.
pub(super) fn tag(key: &str, value: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(LENGTH + key.len() + value.len());
    push(&mut entry, key);
    entry.extend_from_slice(value.as_bytes());
    entry
}

fn push(value: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).expect("a tag is far smaller than four GiB");
    value.extend_from_slice(&length.to_le_bytes());
    value.extend_from_slice(text.as_bytes());
}

fn take(rest: &mut &[u8]) -> Result<String, Nonsense> {
    let uneven = || Nonsense("the tags of a transaction do not come out even".to_owned());
    let (length, after) = rest.split_first_chunk::<LENGTH>().ok_or_else(uneven)?;
    let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(uneven)?;
    *rest = after;
    String::from_utf8(text.to_vec()).map_err(|_| Nonsense("a tag is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tags_come_back_as_they_went_in(tags in prop::collection::btree_map(".{0,9}", ".{0,9}", 0..5)) {
            prop_assert_eq!(decode(Some(&encode(&tags))).unwrap(), tags);
        }

        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>) {
            let _ = decode(Some(&value));
        }
    }

    #[test]
    fn tags_that_differ_have_entries_that_differ() {
        assert_ne!(tag("a", "bc"), tag("ab", "c"));
        assert_ne!(tag("a=b", "c"), tag("a", "b=c"));
    }
}
