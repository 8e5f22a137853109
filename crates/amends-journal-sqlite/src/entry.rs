//! An append as the log keeps it: format 2.
//!
//! Owns these bytes: a kind, the transaction, what the append asks for and does, and its record, each number
//! in as few bytes as it needs (LEB128, little-endian groups of seven bits). Promises that what was put in
//! comes out, and that a batch which does not come out even is refused. The batch's checksum is the log's,
//! the record's its own.

use amends_core::{DefinitionName, Time, TransactionId};
use amends_journal::{Append, Epoch, Expected, Fingerprint, NewTransaction, StartKey, Tags, limits};
use bytes::{Buf, Bytes};

use super::schema::{Nonsense, mode_code, mode_of, standing_code, standing_of, time_code};

/// An append that took place, with the number that a new transaction got (others: 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) no: i64,
    pub(super) append: Append,
}

/// Bytes of an entry besides its record, definition, key and tags, at most.
const FRAME_BYTES_MAX: usize = 192;

/// Bytes of a length, at most.
const LENGTH_BYTES_MAX: usize = 10;

/// Bytes of an entry, at most.
pub(super) fn bytes_max(append: &Append) -> usize {
    if append.record.len() as u64 > limits::TRANSACTION_BYTES_MAX {
        // It is refused.
        return 0;
    }
    let new = match &append.expected {
        Expected::New(new) => {
            let tags = new.tags.iter().map(|(key, value)| key.len() + value.len() + 2 * LENGTH_BYTES_MAX);
            new.definition.as_str().len()
                + new.key.as_ref().map_or(0, |key| key.0.len())
                + tags.sum::<usize>()
        }
        Expected::Sequence(_) => 0,
    };
    FRAME_BYTES_MAX + new + append.record.len()
}

mod flag {
    pub(super) const NEW: u8 = 1;
    pub(super) const ASLEEP: u8 = 2;
    pub(super) const ID_GIVEN: u8 = 4;
    pub(super) const KEY: u8 = 8;
    pub(super) const FINGERPRINT: u8 = 16;
    pub(super) const TAGS: u8 = 32;
    pub(super) const PARENT: u8 = 64;
    pub(super) const ALL: u8 = 127;
}

/// Adds an entry to a batch.
pub(super) fn put(batch: &mut Vec<u8>, append: &Append, no: i64) {
    let mut flags = 0;
    let mut add = |holds: bool, flag: u8| flags |= if holds { flag } else { 0 };
    let until = append.standing.until();
    add(until.is_some(), flag::ASLEEP);
    if let Expected::New(new) = &append.expected {
        add(true, flag::NEW);
        add(new.id_given, flag::ID_GIVEN);
        add(new.key.is_some(), flag::KEY);
        add(new.fingerprint.is_some(), flag::FINGERPRINT);
        add(!new.tags.is_empty(), flag::TAGS);
        add(new.parent.is_some(), flag::PARENT);
    }
    batch.push(flags);
    batch.extend_from_slice(&append.id.to_bytes());
    put_number(batch, append.at.milliseconds());
    batch.push(small(standing_code(append.standing.kind())));
    if let Some(until) = until {
        put_number(batch, until.milliseconds());
    }
    match &append.expected {
        Expected::Sequence(sequence) => put_number(batch, *sequence),
        Expected::New(new) => {
            put_number(batch, u64::try_from(no).expect("transactions are counted from one"));
            batch.push(small(mode_code(new.mode)));
            put_bytes(batch, new.definition.as_str().as_bytes());
            put_number(batch, new.version.into());
            if let Some(key) = &new.key {
                put_bytes(batch, key.0.as_bytes());
            }
            if let Some(fingerprint) = &new.fingerprint {
                batch.extend_from_slice(&fingerprint.0);
            }
            if !new.tags.is_empty() {
                put_number(batch, new.tags.len() as u64);
                for text in new.tags.iter().flat_map(|(key, value)| [key, value]) {
                    put_bytes(batch, text.as_bytes());
                }
            }
            if let Some(parent) = new.parent {
                batch.extend_from_slice(&parent.to_bytes());
            }
        }
    }
    put_bytes(batch, &append.record);
}

/// Takes the next entry out of a batch that is not empty.
pub(super) fn take(batch: &mut Bytes) -> Result<Entry, Nonsense> {
    let flags = take_byte(batch)?;
    if flags & !flag::ALL != 0 {
        return Err(Nonsense(format!("an entry of the log has the unknown flags {flags:#x}")));
    }
    let has = |flag: u8| flags & flag != 0;
    let id = TransactionId::from_bytes(take_array(batch)?);
    let at = Time::from_milliseconds(take_number(batch)?);
    let standing = take_byte(batch)?.into();
    let until = has(flag::ASLEEP).then(|| take_number(batch)).transpose()?;
    let standing = standing_of(standing, until.map(|until| time_code(Time::from_milliseconds(until))))?;
    let (no, expected) = if has(flag::NEW) {
        let no = i64::try_from(take_number(batch)?).map_err(|_| short())?;
        let mode = mode_of(take_byte(batch)?.into())?;
        let definition = DefinitionName::new(take_text(batch)?);
        let version = u32::try_from(take_number(batch)?).map_err(|_| short())?;
        let key = has(flag::KEY).then(|| take_text(batch)).transpose()?.map(StartKey);
        let fingerprint = has(flag::FINGERPRINT).then(|| take_array(batch)).transpose()?.map(Fingerprint);
        let tags = if has(flag::TAGS) { take_tags(batch)? } else { Tags::new() };
        let parent = has(flag::PARENT).then(|| take_array(batch)).transpose()?;
        (
            no,
            Expected::from(NewTransaction {
                mode,
                definition,
                version,
                id_given: has(flag::ID_GIVEN),
                key,
                fingerprint,
                tags,
                parent: parent.map(TransactionId::from_bytes),
            }),
        )
    } else {
        (0, Expected::Sequence(take_number(batch)?))
    };
    let record = take_bytes(batch)?;
    Ok(Entry { no, append: Append { id, epoch: REPLAYED, expected, record, at, standing } })
}

/// What is in the log was judged: its epoch is not kept.
const REPLAYED: Epoch = Epoch(0);

fn small(code: i64) -> u8 {
    u8::try_from(code).expect("modes and standings have small codes")
}

fn put_number(batch: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        batch.push(number as u8 | 0x80);
        number >>= 7;
    }
    batch.push(number as u8);
}

fn put_bytes(batch: &mut Vec<u8>, bytes: &[u8]) {
    put_number(batch, bytes.len() as u64);
    batch.extend_from_slice(bytes);
}

fn take_byte(batch: &mut Bytes) -> Result<u8, Nonsense> {
    batch.try_get_u8().map_err(|_| short())
}

fn take_number(batch: &mut Bytes) -> Result<u64, Nonsense> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take_byte(batch)?;
        let group = u64::from(byte & 0x7F);
        if group << shift >> shift != group {
            break;
        }
        number |= group << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Nonsense("a number in an entry of the log is too large".to_owned()))
}

fn take_bytes(batch: &mut Bytes) -> Result<Bytes, Nonsense> {
    let length = usize::try_from(take_number(batch)?).map_err(|_| short())?;
    if length > batch.len() {
        return Err(short());
    }
    Ok(batch.split_to(length))
}

fn take_array<const N: usize>(batch: &mut Bytes) -> Result<[u8; N], Nonsense> {
    let array = *batch.first_chunk().ok_or_else(short)?;
    batch.advance(N);
    Ok(array)
}

fn take_text(batch: &mut Bytes) -> Result<String, Nonsense> {
    String::from_utf8(take_bytes(batch)?.into())
        .map_err(|_| Nonsense("a text in an entry of the log is not UTF-8".to_owned()))
}

fn take_tags(batch: &mut Bytes) -> Result<Tags, Nonsense> {
    let mut tags = Tags::new();
    for _ in 0..take_number(batch)? {
        tags.insert(take_text(batch)?, take_text(batch)?);
    }
    Ok(tags)
}

fn short() -> Nonsense {
    Nonsense("a batch of the log does not come out even".to_owned())
}

#[cfg(test)]
mod tests {
    use amends_core::{Mode, Standing, StandingKind, Way};
    use proptest::prelude::*;

    use super::*;

    fn new_transaction() -> impl Strategy<Value = NewTransaction> {
        let key = prop::option::of(".{1,20}");
        let fingerprint = prop::option::of(any::<[u8; 32]>());
        let tags = prop::collection::btree_map(".{1,8}", ".{0,20}", 0..3);
        let parent = prop::option::of(any::<[u8; 16]>());
        ("[a-zA-Z]{1,12}", any::<u32>(), any::<bool>(), key, fingerprint, tags, parent).prop_map(
            |(definition, version, id_given, key, fingerprint, tags, parent)| NewTransaction {
                mode: Mode::Saga,
                definition: DefinitionName::new(definition),
                version,
                id_given,
                key: key.map(StartKey),
                fingerprint: fingerprint.map(Fingerprint),
                tags,
                parent: parent.map(TransactionId::from_bytes),
            },
        )
    }

    fn standing((kind, until): (StandingKind, Time)) -> Standing {
        match kind {
            StandingKind::Active(way) => Standing::Active(way),
            StandingKind::Asleep(way) => Standing::Asleep { way, until },
            StandingKind::Parked => Standing::Parked,
            StandingKind::Ended(end) => Standing::Ended(end),
        }
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let expected = prop_oneof![
            new_transaction().prop_map(Expected::from),
            any::<u64>().prop_map(Expected::Sequence)
        ];
        // What lies beyond the signed range is never.
        let until = prop_oneof![0..u64::MAX / 2, Just(u64::MAX)].prop_map(Time::from_milliseconds);
        let standing = (prop::sample::select(StandingKind::ALL.to_vec()), until).prop_map(standing);
        let record = prop::collection::vec(any::<u8>(), 0..40);
        (any::<[u8; 16]>(), expected, record, any::<u64>(), standing, 1..i64::MAX).prop_map(
            |(id, expected, record, at, standing, no)| Entry {
                no: if matches!(expected, Expected::New(_)) { no } else { 0 },
                append: Append {
                    id: TransactionId::from_bytes(id),
                    epoch: REPLAYED,
                    expected,
                    record: record.into(),
                    at: Time::from_milliseconds(at),
                    standing,
                },
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out(entries in prop::collection::vec(entry(), 0..5)) {
            let mut batch = Vec::new();
            for Entry { no, append } in &entries {
                let before = batch.len();
                put(&mut batch, append, *no);
                prop_assert!(batch.len() - before <= bytes_max(append));
            }
            let mut batch = Bytes::from(batch);
            let mut found = Vec::new();
            while !batch.is_empty() {
                found.push(take(&mut batch).unwrap());
            }
            prop_assert_eq!(found, entries);
        }

        #[test]
        fn an_entry_cut_short_is_refused(entry in entry(), cut in 1usize..60) {
            let mut batch = Vec::new();
            put(&mut batch, &entry.append, entry.no);
            batch.truncate(batch.len().saturating_sub(cut));
            let mut batch = Bytes::from(batch);
            prop_assert!(batch.is_empty() || take(&mut batch).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut batch = Bytes::from(bytes);
            while !batch.is_empty() && take(&mut batch).is_ok() {}
        }
    }

    #[test]
    fn tags_and_a_parent_come_after_what_there_was() {
        let new = NewTransaction {
            mode: Mode::Saga,
            definition: DefinitionName::new("Buy"),
            version: 1,
            id_given: false,
            key: None,
            fingerprint: None,
            tags: [("a".to_owned(), "bc".to_owned())].into_iter().collect(),
            parent: Some(TransactionId::from_bytes([9; 16])),
        };
        let append = Append {
            id: TransactionId::from_bytes([0xAB; 16]),
            epoch: REPLAYED,
            expected: Expected::from(new),
            record: Bytes::from_static(b"rec"),
            at: Time::from_milliseconds(5),
            standing: Standing::Active(Way::Forward),
        };
        let mut batch = Vec::new();
        put(&mut batch, &append, 7);
        let wanted = [
            &[0x61][..],
            &[0xAB; 16],
            &[5, 1, 7, 1, 3],
            b"Buy",
            &[1],
            &[1, 1],
            b"a",
            &[2],
            b"bc",
            &[9; 16],
            &[3],
            b"rec",
        ];
        assert_eq!(batch, wanted.concat());
    }

    /// What released versions wrote is read for ever.
    #[test]
    fn the_format_stands() {
        let append = Append {
            id: TransactionId::from_bytes([0xAB; 16]),
            epoch: REPLAYED,
            expected: Expected::from(NewTransaction {
                mode: Mode::Saga,
                definition: DefinitionName::new("Buy"),
                version: 300,
                id_given: true,
                key: Some(StartKey("k".to_owned())),
                fingerprint: Some(Fingerprint([7; 32])),
                tags: Tags::new(),
                parent: None,
            }),
            record: Bytes::from_static(b"rec"),
            at: Time::from_milliseconds(1_000),
            standing: Standing::Asleep { way: Way::Back, until: Time::from_milliseconds(5) },
        };
        let mut batch = Vec::new();
        put(&mut batch, &append, 130);
        let wanted = [
            &[0x1F][..],
            &[0xAB; 16],
            &[0xE8, 0x07],
            &[4],
            &[5],
            &[0x82, 0x01],
            &[1],
            &[3],
            b"Buy",
            &[0xAC, 0x02],
            &[1],
            b"k",
            &[7; 32],
            &[3],
            b"rec",
        ];
        assert_eq!(batch, wanted.concat());
    }
}
