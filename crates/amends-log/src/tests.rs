//! The log against everything that can happen to its files.

use std::fs;

use tempfile::TempDir;

use super::*;

const PLENTY: u64 = 64 << 20;

struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap() };
        create(&home.place()).unwrap();
        home
    }

    fn place(&self) -> Place {
        Place::new(self.directory.path(), "journal")
    }

    fn missing(&self, released: BatchNumber) -> PathBuf {
        match open(&self.place(), released, PLENTY) {
            Err(OpenLogError::Missing { path }) => path,
            other => panic!("{other:?}"),
        }
    }

    fn open(&self, released: BatchNumber) -> Found {
        match open(&self.place(), released, PLENTY) {
            Ok(found) => found,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn damage(&self, released: BatchNumber) -> LogDamage {
        match open(&self.place(), released, PLENTY) {
            Err(OpenLogError::Damaged { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let place = self.place();
        place.files().unwrap().into_iter().map(|number| place.file(number)).collect()
    }

    /// What a power cut may leave of the memory of the end: nothing.
    fn forget_end(&self) {
        let path = self.directory.path().join("journal.end");
        let mut bytes = fs::read(&path).unwrap();
        let fresh = tempfile::tempdir().unwrap();
        End::create(&Place::new(fresh.path(), "journal")).unwrap();
        bytes[..1024].copy_from_slice(&fs::read(fresh.path().join("journal.end")).unwrap()[..1024]);
        fs::write(path, bytes).unwrap();
    }
}

fn text(number: BatchNumber) -> Vec<u8> {
    format!("batch {number} ").repeat(1 + number as usize % 5).into_bytes()
}

fn append(log: &mut Log, bytes: &[u8]) -> BatchNumber {
    log.make_room(bytes.len()).unwrap();
    let mut batch = log.batch();
    batch.bytes().extend_from_slice(bytes);
    log.append(batch).unwrap()
}

fn fill(log: &mut Log, numbers: std::ops::RangeInclusive<BatchNumber>) {
    for number in numbers {
        assert_eq!(append(log, &text(number)), number);
    }
}

fn check_numbers(found: &Found, numbers: std::ops::RangeInclusive<BatchNumber>) {
    assert_eq!(found.batches.keys().copied().collect::<Vec<_>>(), numbers.collect::<Vec<_>>());
}

fn check(found: &Found, numbers: std::ops::RangeInclusive<BatchNumber>) {
    let wanted: BTreeMap<_, _> = numbers.map(|number| (number, text(number))).collect();
    assert_eq!(found.batches, wanted);
}

#[test]
fn what_was_written_and_not_released_comes_back_in_order() {
    let place = Home::new();
    let mut found = place.open(0);
    assert_eq!(found.batches, BTreeMap::new());
    fill(&mut found.log, 1..=20);
    drop(found);
    check(&place.open(0), 1..=20);
    check(&place.open(13), 14..=20);
    let mut found = place.open(20);
    assert_eq!(found.batches, BTreeMap::new());
    fill(&mut found.log, 21..=22);
    drop(found);
    check(&place.open(20), 21..=22);
}

#[test]
fn a_batch_is_one_flush_and_a_new_file_three() {
    let place = Home::new();
    let mut log = place.open(0).log;
    log.provide().unwrap();
    assert_eq!(log.flushes(), 2 * 3, "the zeros, the header, the name, of two files");
    fill(&mut log, 1..=20);
    assert_eq!(log.flushes(), 6 + 20);
    log.make_room(2 * SEGMENT_BYTES as usize).unwrap();
    assert_eq!(log.flushes(), 6 + 20 + 1, "a file that was there grew");
}

#[test]
fn files_are_written_again_and_what_they_had_before_does_not_come_back() {
    let place = Home::new();
    let mut found = place.open(0);
    let large = vec![b'x'; 300_000];
    let mut files = 0;
    for number in 1..=100 {
        append(&mut found.log, &large);
        found.log.release(number - 1);
        files = files.max(place.files().len());
    }
    assert!((2..=3).contains(&files), "{files} files for 30 MB");
    drop(found);
    let found = place.open(99);
    assert_eq!(found.batches.keys().copied().collect::<Vec<_>>(), [100]);
    assert_eq!(found.log.last(), 100);
}

#[test]
fn a_log_that_is_not_released_grows_to_its_limit_and_no_further() {
    let place = Home::new();
    let mut log = open(&place.place(), 0, 4 * SEGMENT_BYTES).unwrap().log;
    let large = vec![b'x'; SEGMENT_BYTES as usize * 9 / 10];
    let mut batches = 0;
    while log.make_room(large.len()).is_ok() {
        let mut batch = log.batch();
        batch.bytes().extend_from_slice(&large);
        batches = log.append(batch).unwrap();
    }
    assert_eq!((batches, place.files().len()), (4, 4));
    assert!(matches!(log.make_room(large.len()), Err(NoRoom::Full)));
    log.release(2);
    assert!(log.make_room(large.len()).is_ok());
}

#[test]
fn a_batch_larger_than_a_file_gets_one_to_itself_which_is_not_kept() {
    let place = Home::new();
    let mut found = place.open(0);
    fill(&mut found.log, 1..=3);
    let huge: Vec<u8> = (0..=255).cycle().take(5 << 20).collect();
    assert_eq!(append(&mut found.log, &huge), 4);
    assert_eq!(append(&mut found.log, &text(5)), 5);
    drop(found);
    let mut found = place.open(0);
    assert_eq!(found.batches[&4], huge);
    assert_eq!(found.batches[&5], text(5));
    found.log.release(5);
    assert!(place.files().iter().all(|path| path.metadata().unwrap().len() == SEGMENT_BYTES));
}

/// A log of a few batches, with the place of each in the file.
fn small() -> (Home, PathBuf, Vec<u8>, usize) {
    const BATCHES: BatchNumber = 6;
    let place = Home::new();
    let mut found = place.open(0);
    fill(&mut found.log, 1..=BATCHES);
    let written = found.log.used[0].at as usize;
    drop(found);
    let [path] = place.files().try_into().unwrap();
    let bytes = fs::read(&path).unwrap();
    (place, path, bytes, written)
}

#[test]
fn after_a_kill_a_flipped_bit_anywhere_is_damage() {
    let (place, path, bytes, written) = small();
    for at in 0..written {
        let mut broken = bytes.clone();
        broken[at] ^= 1 << (at % 8);
        fs::write(&path, &broken).unwrap();
        match open(&place.place(), 0, PLENTY) {
            Err(OpenLogError::Damaged { .. }) => {}
            // Between the frames, where nothing is.
            Ok(found) => {
                check(&found, 1..=6);
                assert!(bytes[at] == 0, "byte {at} was flipped and nobody noticed");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn after_a_kill_a_log_that_ends_too_early_is_damage() {
    let (place, path, bytes, written) = small();
    for length in 0..written {
        fs::write(&path, &bytes[..length]).unwrap();
        if bytes[length..written].iter().any(|byte| *byte != 0) {
            place.damage(0);
        }
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(place.missing(0), path);
}

#[test]
fn after_a_power_cut_the_torn_last_batch_is_dropped_and_no_other() {
    let (place, path, bytes, written) = small();
    place.forget_end();
    let last = {
        // The last frame begins where the rest is found without it.
        let mut at = frame::FILE_HEADER_BYTES;
        for number in 1..=5 {
            at += (frame::HEADER_BYTES + text(number).len()).next_multiple_of(frame::ALIGNMENT);
        }
        at
    };
    for cut in last..written {
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        fs::write(&path, &torn).unwrap();
        let found = place.open(0);
        let whole = torn[..written] == bytes[..written];
        check(&found, 1..=if whole { 6 } else { 5 });
        assert_eq!(found.log.last(), if whole { 6 } else { 5 });
    }
    // Any one sector of it may be what did not reach the disk; but nothing before it.
    for at in frame::FILE_HEADER_BYTES..last {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        fs::write(&path, &broken).unwrap();
        match open(&place.place(), 0, PLENTY) {
            Err(OpenLogError::Damaged { what: LogDamage::Gap(_), .. }) => {}
            Ok(found) => check(&found, 1..=6),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn files_whose_every_batch_was_released_are_written_again_after_a_restart() {
    let place = Home::new();
    let mut found = place.open(0);
    let large = vec![b'x'; SEGMENT_BYTES as usize * 9 / 10];
    for _ in 1..=4 {
        append(&mut found.log, &large);
    }
    drop(found);
    let found = open(&place.place(), 3, 4 * SEGMENT_BYTES).unwrap();
    assert_eq!(found.batches.keys().copied().collect::<Vec<_>>(), [4]);
    let mut log = found.log;
    for number in 5..=7 {
        assert_eq!(append(&mut log, &large), number);
    }
    assert!(matches!(log.make_room(large.len()), Err(NoRoom::Full)));
    assert_eq!(place.files().len(), 4);
}

#[test]
fn a_torn_batch_is_written_anew_under_its_number() {
    let (place, path, bytes, written) = small();
    place.forget_end();
    let mut torn = bytes;
    torn[written - 8] ^= 0xFF;
    fs::write(&path, &torn).unwrap();
    let mut found = place.open(0);
    check(&found, 1..=5);
    assert_eq!(append(&mut found.log, b"another six"), 6);
    drop(found);
    let found = place.open(0);
    assert_eq!(found.batches[&6], b"another six");
    assert_eq!(found.batches.len(), 6);
}

#[test]
fn a_frame_inside_a_batch_is_not_taken_for_one() {
    let place = Home::new();
    let mut found = place.open(0);
    // A whole frame of another directory, and where this one's own would be found if its sum did not hold the
    // salt.
    let mut fake = vec![0; frame::HEADER_BYTES];
    fake.extend_from_slice(b"I never happened");
    Salt([9; 8]).finish(&mut fake, 7);
    append(&mut found.log, &fake);
    drop(found);
    place.forget_end();
    let [path] = place.files().try_into().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The batch around it is torn.
    bytes[frame::FILE_HEADER_BYTES] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(place.open(0).batches, BTreeMap::new());
}

#[test]
fn a_file_that_was_cut_off_while_it_was_made_is_nothing() {
    let place = Home::new();
    let mut found = place.open(0);
    fill(&mut found.log, 1..=3);
    drop(found);
    for bytes in [0, 1000, SEGMENT_BYTES as usize] {
        fs::write(place.directory.path().join("journal.log-000009"), vec![0; bytes]).unwrap();
        let mut found = place.open(0);
        check(&found, 1..=3);
        assert_eq!(append(&mut found.log, &text(4)), 4);
        drop(found);
        check(&place.open(0), 1..=4);
        // As it was.
        let found = place.open(4);
        drop(found);
        fs::remove_dir_all(place.directory.path()).unwrap();
        fs::create_dir(place.directory.path()).unwrap();
        create(&place.place()).unwrap();
        fill(&mut place.open(0).log, 1..=3);
    }
}

#[test]
fn a_lost_or_broken_memory_of_the_end_is_damage() {
    let place = Home::new();
    fill(&mut place.open(0).log, 1..=3);
    let path = place.directory.path().join("journal.end");
    let bytes = fs::read(&path).unwrap();
    // One of the two places, as a power cut may tear it; the salt; both places.
    for at in 0..36 {
        for (broken, is_damage) in [(&[0][..], false), (&[512], false), (&[1024], true), (&[0, 512], true)] {
            let mut bytes = bytes.clone();
            broken.iter().for_each(|place| bytes[place + at] ^= 4);
            fs::write(&path, bytes).unwrap();
            if is_damage {
                assert_eq!(place.damage(0), LogDamage::End, "byte {at} at {broken:?}");
            } else {
                check(&place.open(0), 1..=3);
            }
        }
    }
    for length in [0, 35, 512, 1024] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert_eq!(place.damage(0), LogDamage::End);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(place.missing(0), path);
}

#[test]
fn room_that_was_made_for_nothing_is_no_room_lost() {
    let place = Home::new();
    let mut log = open(&place.place(), 0, 4 * SEGMENT_BYTES).unwrap().log;
    log.make_room(100).unwrap();
    append(&mut log, b"small");
    // Each of these would fill the log; none is written.
    for bytes in [2 * SEGMENT_BYTES, 3 * SEGMENT_BYTES - 100, 2 * SEGMENT_BYTES] {
        log.make_room(bytes as usize).unwrap();
    }
    append(&mut log, b"small again");
    assert_eq!(place.open(0).batches.len(), 2);
}

#[test]
fn each_opening_has_a_number_of_its_own() {
    let place = Home::new();
    let mut last = 0;
    for number in 1..=5 {
        let mut found = place.open(0);
        assert!(found.opening > last);
        last = found.opening;
        append(&mut found.log, &text(number));
        // Whatever a kill or a power cut leaves of the number of batches.
        if number == 3 {
            let path = place.directory.path().join("journal.end");
            let mut bytes = fs::read(&path).unwrap();
            bytes[512] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    }
}

/// A log of several files, none of it released.
fn long(place: &Home) -> Vec<PathBuf> {
    let mut log = place.open(0).log;
    for _ in 0..5 {
        append(&mut log, &vec![b'x'; SEGMENT_BYTES as usize * 2 / 3]);
    }
    place.files()
}

#[test]
fn a_file_that_is_missing_is_named() {
    let place = Home::new();
    let files = long(&place);
    assert_eq!(files.len(), 5);
    for path in &files {
        let bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        assert_eq!(&place.missing(0), path);
        fs::write(path, bytes).unwrap();
    }
    check_numbers(&place.open(0), 1..=5);
    // Files whose every batch was released may go.
    fs::remove_file(&files[0]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    check_numbers(&place.open(2), 3..=5);
}

#[test]
fn a_log_that_is_older_than_what_was_taken_from_it_is_not_whole() {
    let place = Home::new();
    long(&place);
    let damage = place.damage(6);
    assert_eq!(damage, LogDamage::Older { released: 6, found: 5 });
    // All of it released, and the file with the last batch given back: that is how it may look.
    let mut log = place.open(5).log;
    log.keep_few();
    drop(log);
    assert_eq!(place.open(5).batches.len(), 0);
}

#[test]
fn what_the_owner_notes_is_kept() {
    let place = Home::new();
    let before = identify(&place.place()).unwrap();
    assert_eq!(before.note, 0);
    let mut log = place.open(0).log;
    log.note(7).unwrap();
    append(&mut log, b"one");
    drop(log);
    assert_eq!(identify(&place.place()).unwrap(), Identity { note: 7, ..before });
    assert_ne!(identify(&Home::new().place()).unwrap().salt, before.salt);
}
