//! The directory of the four databases, or of one that belongs to a service which runs alone.
//!
//! Owns the marker beside them and their common generation. Promises that a file which is lost, older than
//! the others or newer than the marker is an error, not a new or a smaller shop: of a copy whatever was left
//! behind is missed. Does not look into the databases, and cannot know that all of them are old together.
//!
//! Each opening counts the generation up: first in every database, then in the marker, and only then is
//! anybody answered. So what an opening finds is the marker's generation, or the one after it where an
//! opening was interrupted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::operation::ServiceName;

/// Lies in the directory once all four databases do.
const MARKER: &str = "shop.created";
const MARKER_TEXT: &str =
    "The four databases of the shop were created here together. If one is missing, it was lost.\n";
const MARKER_TEXT_ALONE: &str =
    "The database of this service was created here. If it is missing, it was lost.\n";
const GENERATION: &str = "generation ";

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum DirectoryError {
    /// One of the databases was there and is gone, or empty.
    #[error(
        "{path} is damaged: it was created and is missing or empty now. \
         Restore the whole directory from a backup",
        path = path.display()
    )]
    Lost { path: PathBuf },
    /// The databases were in use, and the marker is gone.
    #[error(
        "{path} is damaged: it is missing, though the databases beside it were in use. The directory is an \
         incomplete copy: copy the whole directory of a program that was stopped",
        path = path.display()
    )]
    NoMarker { path: PathBuf },
    /// One of the files is of another time than the others.
    #[error(
        "{path} is damaged: it is older than the files beside it (generation {found}, they have {expected}). \
         Copy or restore the whole directory, not single files",
        path = path.display()
    )]
    Older { path: PathBuf, found: i64, expected: i64 },
    /// The marker is not what was written.
    #[error(
        "{path} is damaged: it does not say which generation the directory has. \
         Restore the whole directory from a backup",
        path = path.display()
    )]
    Unreadable { path: PathBuf },
    /// The services of this directory run as processes of their own.
    #[error(
        "{path} belongs to a shop whose services are processes of their own: start it with --services, or \
         choose another directory with --data",
        path = path.display()
    )]
    Apart { path: PathBuf },
    /// The services of this directory run together in one process.
    #[error(
        "{path} belongs to a shop whose services run in one process: start it without --services, or choose \
         another directory with --data",
        path = path.display()
    )]
    Together { path: PathBuf },
    /// The directory cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl DirectoryError {
    /// Whether a marker found no space. The one before it is still there.
    pub(crate) fn is_no_space(&self) -> bool {
        match self {
            DirectoryError::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            DirectoryError::Lost { .. }
            | DirectoryError::NoMarker { .. }
            | DirectoryError::Older { .. }
            | DirectoryError::Unreadable { .. }
            | DirectoryError::Apart { .. }
            | DirectoryError::Together { .. } => false,
        }
    }
}

/// A directory whose databases are to be opened.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    path: &'a Path,
    names: &'a [ServiceName],
    /// As the marker says; none before the first start was finished.
    generation: Option<i64>,
}

impl<'a> Directory<'a> {
    /// Makes the directory of these services unless it is there, and misses what should be in it.
    pub(crate) fn prepare(path: &'a Path, names: &'a [ServiceName]) -> Result<Self, DirectoryError> {
        require_same_kind(path, names)?;
        fs::create_dir_all(path).map_err(io_error(path))?;
        let generation = read(&path.join(MARKER), marker_text(names))?;
        let directory = Directory { path, names, generation };
        if directory.generation.is_some() {
            names.iter().try_for_each(|name| directory.require(*name))?;
        }
        Ok(directory)
    }

    /// Compares the databases with the marker, and says which generation they get now.
    pub(crate) fn judge(&self, generations: &[(ServiceName, i64)]) -> Result<i64, DirectoryError> {
        let path = self.path.join(MARKER);
        let newest = generations.iter().map(|(_, generation)| *generation).max().unwrap_or(0);
        let Some(known) = self.generation else {
            return if newest == 0 { Ok(1) } else { Err(DirectoryError::NoMarker { path }) };
        };
        if newest > known + 1 {
            return Err(DirectoryError::Older { path, found: known, expected: newest });
        }
        match generations.iter().copied().find(|(_, generation)| *generation < known) {
            Some((name, found)) => {
                let path = self.path.join(name.file());
                Err(DirectoryError::Older { path, found, expected: known })
            }
            None => Ok(known + 1),
        }
    }

    /// Leaves the marker of the first start, once the databases are on disk: from here on they may say that
    /// they were in use.
    pub(crate) fn mark_created(&self) -> Result<(), DirectoryError> {
        if self.generation.is_none() { self.mark(0) } else { Ok(()) }
    }

    /// Leaves the marker, once every database is of this generation and before anybody is answered.
    pub(crate) fn mark(&self, generation: i64) -> Result<(), DirectoryError> {
        let path = self.path.join(MARKER);
        let new = self.path.join(format!("{MARKER}.new"));
        let write = || {
            let mut marker = File::create(&new)?;
            let text = marker_text(self.names);
            marker.write_all(format!("{text}{GENERATION}{generation}\n").as_bytes())?;
            marker.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(self.path)?.sync_all()?;
            // The directory itself may be new as well.
            match self.path.canonicalize()?.parent() {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(io_error(&path))
    }

    fn require(&self, name: ServiceName) -> Result<(), DirectoryError> {
        let path = self.path.join(name.file());
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > 0 => Ok(()),
            Ok(_) => Err(DirectoryError::Lost { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DirectoryError::Lost { path }),
            Err(source) => Err(DirectoryError::Io { path, source }),
        }
    }
}

/// A service that runs alone has its directory inside the one that the four share when they run together.
fn require_same_kind(path: &Path, names: &[ServiceName]) -> Result<(), DirectoryError> {
    let is_alone = names.len() == 1;
    if is_alone {
        let together = path.parent().filter(|parent| parent.join(MARKER).exists());
        return together.map_or(Ok(()), |parent| Err(DirectoryError::Together { path: parent.to_owned() }));
    }
    let is_apart = |name: &ServiceName| path.join(name.as_str()).join(MARKER).exists();
    if names.iter().any(is_apart) { Err(DirectoryError::Apart { path: path.to_owned() }) } else { Ok(()) }
}

fn marker_text(names: &[ServiceName]) -> &'static str {
    if names.len() == 1 { MARKER_TEXT_ALONE } else { MARKER_TEXT }
}

/// The generation in the marker, if there is one.
fn read(marker: &Path, marker_text: &str) -> Result<Option<i64>, DirectoryError> {
    let text = match fs::read_to_string(marker) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(source) => return Err(DirectoryError::Io { path: marker.to_owned(), source }),
    };
    let generation = text.strip_prefix(marker_text).and_then(|rest| rest.strip_prefix(GENERATION));
    let generation = generation.and_then(|rest| rest.strip_suffix('\n')?.parse().ok());
    match generation {
        Some(generation) => Ok(Some(generation)),
        None => Err(DirectoryError::Unreadable { path: marker.to_owned() }),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> DirectoryError + '_ {
    |source| DirectoryError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_opening_is_no_damage_and_a_file_of_another_time_is() {
        use ServiceName::{Inventory, Order, Payment, Shipping};
        let judge = |generation, [order, payment, inventory, shipping]: [i64; 4]| {
            let directory = Directory { path: Path::new("x"), names: &ServiceName::ALL, generation };
            let found = [(Order, order), (Payment, payment), (Inventory, inventory), (Shipping, shipping)];
            directory.judge(&found).map_err(|error| error.to_string())
        };
        assert_eq!(judge(None, [0; 4]), Ok(1));
        assert_eq!(judge(Some(0), [0, 1, 1, 0]), Ok(1));
        assert_eq!(judge(Some(7), [7; 4]), Ok(8));
        assert_eq!(judge(Some(7), [7, 8, 7, 8]), Ok(8));
        assert_eq!(judge(Some(7), [8; 4]), Ok(8));
        for (marker, found, file) in [
            (None, [0, 0, 1, 0], "shop.created"),
            (Some(7), [7, 6, 7, 7], "payment.db"),
            (Some(7), [8, 8, 8, 6], "shipping.db"),
            (Some(6), [8; 4], "shop.created"),
        ] {
            let text = judge(marker, found).unwrap_err();
            assert!(text.contains("damaged") && text.contains(file) && text.contains("directory"), "{text}");
        }
    }
}
