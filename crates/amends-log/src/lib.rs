//! The log: where an append becomes durable.
//!
//! Owns a few files of a fixed size beside the database, written one after the other and used again. Promises
//! that a batch is durable when [`Log::append`] returns, at the price of one flush of a file whose blocks are
//! all there already; that what [`open`] finds is every batch that was ever promised and not released, in
//! order and without a gap, or an error that says *damaged*; and that a batch which nobody was promised (torn
//! by a power cut) is dropped. Does not know what a batch says. Start reading at [`Log::append`], then
//! `scan.rs`.
//!
//! Group commit and a log that is recycled are as old as: J. Gray, A. Reuter, *Transaction Processing*,
//! chapters 9 and 11; the torn end is found by checksum as in
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

mod damage;
mod end;
mod flushes;
mod frame;
pub mod limits;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use damage::at;
pub use damage::{LogDamage, OpenLogError};
use end::End;
use flushes::Flushes;
use frame::Salt;
use limits::SEGMENT_BYTES;

/// The number of a batch: counted up by one from the first that the directory ever saw.
pub type BatchNumber = u64;

/// The number of a file: given in their order, never twice.
type FileNumber = u32;

/// Where a log's files lie, and what their names begin with.
#[derive(Debug, Clone)]
pub struct Place {
    directory: PathBuf,
    name: &'static str,
}

impl Place {
    /// The log of this name.
    #[must_use]
    pub fn new(directory: &Path, name: &'static str) -> Self {
        Self { directory: directory.to_owned(), name }
    }

    /// The file that says how far the log was flushed: there is no log without it.
    #[must_use]
    pub fn end(&self) -> PathBuf {
        self.directory.join(format!("{}.end", self.name))
    }

    fn file(&self, number: FileNumber) -> PathBuf {
        self.directory.join(format!("{}.log-{number:06}", self.name))
    }

    fn number_of(&self, path: &Path) -> Option<FileNumber> {
        path.file_name()?.to_str()?.strip_prefix(self.name)?.strip_prefix(".log-")?.parse().ok()
    }

    /// In the order in which they were made.
    fn files(&self) -> Result<Vec<FileNumber>, OpenLogError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(at(&self.directory))? {
            files.extend(self.number_of(&entry.map_err(at(&self.directory))?.path()));
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Whether there is anything of a log that was opened once, whole or not.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn is_used(&self) -> Result<bool, OpenLogError> {
        if !self.files()?.is_empty() {
            return Ok(true);
        }
        match End::read(self) {
            Ok((_, promised)) => Ok(promised.says.opening > 0),
            // Cut off while it was made.
            Err(OpenLogError::Missing { .. } | OpenLogError::Damaged { .. }) => Ok(false),
            Err(error @ OpenLogError::Io { .. }) => Err(error),
        }
    }
}

/// What a log says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Tells the log from every other.
    pub salt: u64,
    /// What its owner [noted](Log::note) last, or earlier if the machine died.
    pub note: u64,
}

/// The log, ready to be written.
#[derive(Debug)]
pub struct Log {
    place: Place,
    end: End,
    salt: Salt,
    /// In the order they were begun; the last is being written. Empty until the first append.
    used: Vec<Segment>,
    free: Vec<Segment>,
    /// The number of the next batch.
    next: BatchNumber,
    /// How large all files together may grow.
    bytes_max: u64,
    /// Given to new files.
    next_file: FileNumber,
    /// The file that has the last batch.
    last_file: FileNumber,
    buffer: Vec<u8>,
    flushes: Flushes,
}

/// One file.
#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    number: FileNumber,
    /// How many bytes of the file's blocks are there already.
    size: u64,
    /// Where the next batch goes.
    at: u64,
    /// The last batch in it.
    last: BatchNumber,
}

/// What was found in a directory.
#[derive(Debug)]
pub struct Found {
    /// The log.
    pub log: Log,
    /// How often the log was opened, this time included: durable, and so never the same twice.
    pub opening: u64,
    /// Every batch after the one that was released last, in order.
    pub batches: BTreeMap<BatchNumber, Vec<u8>>,
}

/// Why there is no room for a batch. Nothing was written.
#[derive(Debug)]
pub enum NoRoom {
    /// Every file is full of batches that were not released yet.
    Full,
    /// The disk has no room for another file.
    NoSpace,
    /// Another file could not be made.
    Io(io::Error),
}

impl From<io::Error> for NoRoom {
    fn from(error: io::Error) -> Self {
        if is_no_space(&error) { Self::NoSpace } else { Self::Io(error) }
    }
}

/// A batch that is being put together.
#[derive(Debug)]
pub struct Batch {
    /// Begins with room for the header of its frame.
    bytes: Vec<u8>,
}

impl Batch {
    /// The batch so far, to be added to.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == frame::HEADER_BYTES
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len() - frame::HEADER_BYTES
    }
}

/// Lays an empty log out. What is there of an earlier one that was cut off goes.
///
/// # Errors
/// When its files cannot be made.
pub fn create(place: &Place) -> Result<Identity, OpenLogError> {
    for file in place.files()? {
        let path = place.file(file);
        fs::remove_file(&path).map_err(at(&path))?;
    }
    let Salt(salt) = End::create(place).map_err(at(&place.directory))?;
    Ok(Identity { salt: u64::from_le_bytes(salt), note: 0 })
}

/// What a log says of itself, before it is opened.
///
/// # Errors
/// When it is not there, damaged, or cannot be read.
pub fn identify(place: &Place) -> Result<Identity, OpenLogError> {
    let (_, promised) = End::read(place)?;
    let Salt(salt) = promised.salt;
    Ok(Identity { salt: u64::from_le_bytes(salt), note: promised.says.note })
}

/// Opens the log and reads what was not released: all after `released`.
///
/// # Errors
/// When it is not what was written, or cannot be read.
pub fn open(place: &Place, released: BatchNumber, bytes_max: u64) -> Result<Found, OpenLogError> {
    let (end, promised) = End::open(place)?;
    let files = place.files()?;
    let scan::Scanned { batches, next, blank, last } = scan::scan(place, &files, released, &promised)?;
    for file in &blank {
        let path = place.file(*file);
        fs::remove_file(&path).map_err(at(&path))?;
    }
    let newest = last.iter().max_by_key(|(_, batch)| **batch);
    let mut log = Log {
        place: place.clone(),
        end,
        salt: promised.salt,
        used: Vec::new(),
        free: Vec::new(),
        next,
        bytes_max: bytes_max.max(SEGMENT_BYTES * SEGMENTS_MIN as u64),
        next_file: files.last().map_or(1, |number| number + 1),
        last_file: newest.map_or(promised.says.file, |(file, _)| *file),
        buffer: Vec::new(),
        flushes: Flushes::default(),
    };
    for file in files.into_iter().filter(|file| !blank.contains(file)) {
        let mut segment = Segment::open(place.file(file), file)?;
        segment.last = last.get(&file).copied().unwrap_or(0);
        if segment.last > released {
            segment.make_durable(&mut log.flushes)?;
        }
        // The next batch begins another file.
        segment.at = segment.size;
        log.used.push(segment);
    }
    // What a power cut took from it.
    log.end.set(next - 1, log.last_file).map_err(at(&promised.path))?;
    log.release(released);
    if batches.is_empty() {
        log.keep_few();
    }
    Ok(Found { log, opening: promised.says.opening, batches })
}

/// Files that are always there: one to write, one to go on with when the disk is full.
const SEGMENTS_MIN: usize = 2;

/// What [`Log::append`] does, in words.
pub const DURABILITY: &str = "pwrite and fdatasync before each answer";

impl Log {
    /// Sees to it that a batch of this size can be written.
    pub fn make_room(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let bytes = (frame::FILE_HEADER_BYTES + frame::HEADER_BYTES + bytes + frame::ALIGNMENT) as u64;
        if self.used.last().is_some_and(|segment| segment.at.saturating_add(bytes) <= segment.size) {
            return Ok(());
        }
        // One that room was made in, for a batch that came to nothing.
        self.free.extend(self.used.pop_if(|segment| segment.at == frame::FILE_HEADER_BYTES as u64));
        let used: u64 = self.used.iter().map(|segment| segment.size).sum();
        if !self.used.is_empty() && used + bytes.max(SEGMENT_BYTES) > self.bytes_max {
            return Err(NoRoom::Full);
        }
        let mut segment = match self.free.pop() {
            Some(segment) => segment,
            None => self.create_segment()?,
        };
        if let Err(error) = segment.grow(bytes, &mut self.flushes) {
            self.free.push(segment);
            return Err(error.into());
        }
        self.used.push(segment);
        Ok(())
    }

    /// Where a batch is put together; to be given to [`Log::append`].
    pub fn batch(&mut self) -> Batch {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        bytes.resize(frame::HEADER_BYTES, 0);
        Batch { bytes }
    }

    /// Writes one batch and flushes it; gives its number. There must be room. After an error nobody knows
    /// whether it was written, and the log must not be used any more.
    pub fn append(&mut self, batch: Batch) -> io::Result<BatchNumber> {
        let Batch { mut bytes } = batch;
        let number = self.next;
        self.salt.finish(&mut bytes, number);
        bytes.resize(bytes.len().next_multiple_of(frame::ALIGNMENT), 0);
        let segment = self.used.last_mut().expect("room was made");
        assert!(segment.at + bytes.len() as u64 <= segment.size, "room was made for all of it");
        if segment.at == frame::FILE_HEADER_BYTES as u64 {
            segment.file.write_all_at(&frame::file_header(self.last_file), 0)?;
        }
        segment.file.write_all_at(&bytes, segment.at)?;
        self.flushes.data(&segment.file)?;
        segment.at += bytes.len() as u64;
        segment.last = number;
        self.next += 1;
        self.last_file = segment.number;
        self.end.set(number, self.last_file)?;
        // One huge batch must not leave its size behind.
        bytes.shrink_to(SEGMENT_BYTES as usize);
        self.buffer = bytes;
        Ok(number)
    }

    /// Takes a batch back that is not to be written.
    pub fn give_back(&mut self, batch: Batch) {
        self.buffer = batch.bytes;
    }

    /// Has a number kept for the log's owner, as well as how far the log was flushed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&mut self, note: u64) -> io::Result<()> {
        if note == self.end.says().note { Ok(()) } else { self.end.note(note) }
    }

    /// Everything up to this batch is durable elsewhere: its files may be written again.
    pub fn release(&mut self, to: BatchNumber) {
        let (free, used): (Vec<_>, Vec<_>) = self.used.drain(..).partition(|segment| segment.last <= to);
        self.used = used;
        for mut segment in free {
            segment.at = frame::FILE_HEADER_BYTES as u64;
            if segment.size != SEGMENT_BYTES {
                // One that grew for a huge batch; should it stay, the next opening finds and takes it.
                self.remove(&segment);
            } else {
                self.free.push(segment);
            }
        }
    }

    /// The number of the last batch; 0 before the first.
    pub fn last(&self) -> BatchNumber {
        self.next - 1
    }

    /// How often the log was flushed since it was opened.
    pub fn flushes(&self) -> u64 {
        self.flushes.count()
    }

    /// Sees to it that there is a file to write and one to go on with.
    pub fn provide(&mut self) -> Result<(), NoRoom> {
        while self.used.len() + self.free.len() < SEGMENTS_MIN {
            let segment = self.create_segment()?;
            self.free.push(segment);
        }
        Ok(())
    }

    /// Gives the space of files that are not needed back; the rest may be found by the next opening.
    pub fn keep_few(&mut self) {
        while self.free.len() + self.used.len() > SEGMENTS_MIN
            && let Some(segment) = self.free.pop()
        {
            // One that stays is used again.
            self.remove(&segment);
        }
    }

    /// The last batch may be in it: that there was one is known durably before the file goes.
    fn remove(&self, segment: &Segment) {
        if self.end.sync().is_ok() {
            let _ = fs::remove_file(&segment.path);
        }
    }

    fn create_segment(&mut self) -> Result<Segment, NoRoom> {
        let number = self.next_file;
        let path = self.place.file(number);
        self.next_file += 1;
        let created = Segment::create(&path, number, &mut self.flushes).and_then(|segment| {
            self.flushes.all(&File::open(&self.place.directory)?)?;
            Ok(segment)
        });
        match created {
            Ok(segment) => Ok(segment),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error.into()),
            Err(error) => {
                // Half a file helps nobody; if it stays, the next opening finds nothing in it.
                let _ = fs::remove_file(&path);
                Err(error.into())
            }
        }
    }
}

impl Segment {
    fn create(path: &Path, number: FileNumber, flushes: &mut Flushes) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        // The zeros first: a file that is cut off while it is made has no header.
        fill(&file, 0, SEGMENT_BYTES)?;
        flushes.all(&file)?;
        file.write_all_at(&frame::file_header(0), 0)?;
        flushes.all(&file)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            number,
            size: SEGMENT_BYTES,
            at: frame::FILE_HEADER_BYTES as u64,
            last: 0,
        })
    }

    fn open(path: PathBuf, number: FileNumber) -> Result<Self, OpenLogError> {
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let opened = opened.and_then(|file| file.metadata().map(|metadata| (metadata.len(), file)));
        let (size, file) = opened.map_err(at(&path))?;
        Ok(Self { file, path, number, size, at: size, last: 0 })
    }

    /// What was found may have been written and never flushed: whoever builds on it must not lose it. Written
    /// once more, since a flush that failed before would not be tried again for pages that nobody touched.
    fn make_durable(&self, flushes: &mut Flushes) -> Result<(), OpenLogError> {
        let written = fs::read(&self.path).and_then(|bytes| {
            self.file.write_all_at(&bytes, 0)?;
            flushes.data(&self.file)
        });
        written.map_err(at(&self.path))
    }

    /// Makes the file large enough for a huge batch.
    fn grow(&mut self, bytes: u64, flushes: &mut Flushes) -> io::Result<()> {
        if bytes > self.size {
            fill(&self.file, self.size, bytes)?;
            flushes.all(&self.file)?;
            self.size = bytes;
        }
        Ok(())
    }
}

/// Writes zeros: no flush has to wait for the file system to find blocks later, and none can fail for want of
/// them. Does not flush them itself.
fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut at = from;
    while at < to {
        let bytes = (to - at).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..bytes as usize], at)?;
        at += bytes;
    }
    Ok(())
}

fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
