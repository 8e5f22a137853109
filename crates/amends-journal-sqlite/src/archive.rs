//! The records of an ended transaction, as one value.
//!
//! Owns the framing: each record after its length (four bytes, little-endian). Promises that a value that
//! does not come out even is refused. Does not look into records.

use bytes::Bytes;

use super::schema::Nonsense;

const LENGTH: usize = 4;

/// Adds one record to a value that is being put together.
pub(super) fn push(value: &mut Vec<u8>, record: &[u8]) {
    let length = u32::try_from(record.len()).expect("a record is far smaller than four GiB");
    value.extend_from_slice(&length.to_le_bytes());
    value.extend_from_slice(record);
}

/// The records of a value, as slices of it; at least one, since a transaction begins with one.
pub(super) fn split(mut value: Bytes) -> Result<Vec<Bytes>, Nonsense> {
    if value.is_empty() {
        return Err(Nonsense("it has no records".to_owned()));
    }
    let mut records = Vec::new();
    while !value.is_empty() {
        let Some((length, rest)) = value.split_first_chunk::<LENGTH>() else {
            return Err(Nonsense(format!("its records end in {} stray bytes", value.len())));
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > rest.len() {
            return Err(Nonsense(format!("a record of {length} bytes has only {} left", rest.len())));
        }
        let mut record = value.split_to(LENGTH + length);
        records.push(record.split_off(LENGTH));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_back_as_they_went_in(records in prop::collection::vec(any::<Vec<u8>>(), 1..20)) {
            let mut value = Vec::new();
            for record in &records {
                push(&mut value, record);
            }
            prop_assert_eq!(split(value.into()).unwrap(), records);
        }

        #[test]
        fn a_value_cut_short_inside_a_record_is_refused(record in prop::collection::vec(any::<u8>(), 1..50), cut in 1usize..50) {
            let mut value = Vec::new();
            push(&mut value, &record);
            value.truncate(value.len() - cut.min(value.len() - 1));
            prop_assert!(split(value.into()).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>) {
            let _ = split(value.into());
        }
    }
}
