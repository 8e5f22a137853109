//! Reading a log back.
//!
//! Owns the judgement of what a stop left. Every batch was flushed before the next was written, so only the
//! very last can rightly be broken: a broken or missing one with a later one anywhere is damage, and so is an
//! end that comes before the one that `end.rs` remembers. Promises batches in order, without a gap, from
//! right behind what was released. Does not write.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use super::damage::{LogDamage, OpenLogError, at};
use super::end::{Promised, Said};
use super::frame::{self, Salt};
use super::{BatchNumber, FileNumber, Place};

/// What a log says.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Every batch that was not released.
    pub(super) batches: BTreeMap<BatchNumber, Vec<u8>>,
    /// The number of the next batch.
    pub(super) next: BatchNumber,
    /// Files that were cut off while they were made: nothing is in them.
    pub(super) blank: Vec<FileNumber>,
    /// The last batch in each file that has any.
    pub(super) last: HashMap<FileNumber, BatchNumber>,
}

/// Batches that could ever wait to be released: a log has no room for more.
const UNRELEASED_MAX: u64 = 1 << 32;

pub(super) fn scan(
    place: &Place,
    files: &[FileNumber],
    released: BatchNumber,
    promised: &Promised,
) -> Result<Scanned, OpenLogError> {
    let (mut batches, mut blank, mut last, mut previous) =
        (BTreeMap::new(), Vec::new(), HashMap::new(), HashMap::new());
    for &file in files {
        let path = place.file(file);
        let bytes = fs::read(&path).map_err(at(&path))?;
        if bytes.iter().all(|byte| *byte == 0) {
            blank.push(file);
            continue;
        }
        let Some(before) = frame::previous_of(&bytes) else {
            return Err(OpenLogError::Damaged { path, what: LogDamage::Header });
        };
        previous.insert(file, before);
        if let Some(number) = collect(&bytes, promised.salt, file, released, &mut batches) {
            last.insert(file, number);
        }
    }
    // The first file of all follows none.
    let is_there = |file: FileNumber| file == 0 || files.contains(&file);
    let damaged = |what| Err(OpenLogError::Damaged { path: promised.path.clone(), what });
    let mut next = released + 1;
    for (number, (file, _)) in &batches {
        if *number != next {
            return match previous.get(file).copied() {
                Some(before) if !is_there(before) => Err(OpenLogError::Missing { path: place.file(before) }),
                Some(_) | None => damaged(LogDamage::Gap(next)),
            };
        }
        next += 1;
    }
    let Said { batch, file, .. } = promised.says;
    if batch >= next {
        return if is_there(file) {
            damaged(LogDamage::Short { promised: batch, found: next - 1 })
        } else {
            Err(OpenLogError::Missing { path: place.file(file) })
        };
    }
    let found = last.values().copied().max().map_or(batch, |last| last.max(batch));
    if found < released {
        return damaged(LogDamage::Older { released, found });
    }
    let batches = batches.into_iter().map(|(number, (_, batch))| (number, batch)).collect();
    Ok(Scanned { batches, next, blank, last })
}

/// Takes every whole batch that was not released out of a file. Where a frame is broken, later ones are
/// looked for: each begins at a multiple of eight. Gives the last of all, released or not.
fn collect(
    bytes: &[u8],
    salt: Salt,
    file: FileNumber,
    released: BatchNumber,
    batches: &mut BTreeMap<BatchNumber, (FileNumber, Vec<u8>)>,
) -> Option<BatchNumber> {
    let mut at = frame::FILE_HEADER_BYTES;
    let mut last = None;
    while let Some(number) = bytes.get(at..).and_then(frame::number_at) {
        // The number first: most places hold none that could be, and need no sum.
        let could_be = (1..=released.saturating_add(UNRELEASED_MAX)).contains(&number);
        match could_be.then(|| salt.read(&bytes[at..])).flatten() {
            Some(frame) => {
                if number > released {
                    batches.insert(number, (file, frame.batch.to_vec()));
                }
                last = last.max(Some(number));
                at += frame.stride();
            }
            None => at += frame::ALIGNMENT,
        }
    }
    last
}
