//! The disk under a directory, and the flushes that the kernel counts of it.
//!
//! Owns the way from a directory to the device whose flushes the kernel counts, and that count. Promises
//! nothing instead of a guess: a device that the kernel does not count for (a partition, a volume over
//! several disks, a file system without a device) is looked through to the one disk beneath it, or left
//! unknown. Does not judge: `load/flushes.rs` does.
//!
//! The count is the sixteenth field of `stat` in <https://docs.kernel.org/admin-guide/iostats.html>.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the kernel lists devices by their numbers.
const BY_NUMBER: &str = "/sys/dev/block";

/// The field of `stat` with the flushes that were carried out, counted from zero.
const FLUSHES_FIELD: usize = 15;

/// Encrypted, on a volume, on a partition: some layers are usual, so many are not.
const LAYERS_MAX: usize = 8;

/// A disk that the kernel counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockDevice {
    /// Its directory under `/sys`.
    directory: PathBuf,
}

impl BlockDevice {
    /// The disk that a directory lies on; `None` if it cannot be made out.
    pub(super) fn under(directory: &Path) -> Option<Self> {
        let number = number(fs::metadata(directory).ok()?.dev());
        Self::find(&Path::new(BY_NUMBER).join(number))
    }

    fn find(device: &Path) -> Option<Self> {
        let mut directory = device.canonicalize().ok()?;
        for _ in 0..LAYERS_MAX {
            if directory.join("partition").exists() {
                // A partition lies in its disk's directory.
                directory = directory.parent()?.to_owned();
            } else if let Some(beneath) = only_one(&directory.join("slaves")) {
                directory = beneath.canonicalize().ok()?;
            } else {
                // Only devices with queues of requests have the count; for others it stays at zero.
                return directory.join("mq").exists().then_some(Self { directory });
            }
        }
        None
    }

    /// How many flushes the disk has carried out since the machine was started, whichever program asked for
    /// them.
    pub(super) fn flushes(&self) -> Option<u64> {
        let stat = fs::read_to_string(self.directory.join("stat")).ok()?;
        stat.split_whitespace().nth(FLUSHES_FIELD)?.parse().ok()
    }

    /// Whether the disk says that it has a cache which must be flushed. If not, the kernel sends it no
    /// flushes, and counts none.
    pub(super) fn has_cache(&self) -> Option<bool> {
        let said = fs::read_to_string(self.directory.join("queue/write_cache")).ok()?;
        match said.trim() {
            "write back" => Some(true),
            "write through" => Some(false),
            // Nothing else is documented.
            _ => None,
        }
    }
}

/// A device's number as `/proc` and `/sys` write it.
pub(super) fn number(device: u64) -> String {
    format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
}

/// What is in a directory, if that is one thing.
fn only_one(directory: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(directory).ok()?;
    let only = entries.next()?.ok()?.path();
    entries.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A disk with a partition, two encrypted volumes over that, one of them over a second disk as well.
    fn sys() -> TempDir {
        let sys = tempfile::tempdir().unwrap();
        let make = |path: &str| fs::create_dir_all(sys.path().join(path)).unwrap();
        let write = |path: &str, text: &str| fs::write(sys.path().join(path), text).unwrap();
        for disk in ["vda", "vdb"] {
            make(&format!("devices/{disk}/mq"));
            make(&format!("devices/{disk}/queue"));
            make(&format!("devices/{disk}/slaves"));
        }
        write("devices/vda/stat", " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 1600 17\n");
        write("devices/vda/queue/write_cache", "write back\n");
        write("devices/vdb/stat", " 1 2 3 4 5 6 7 8 9 10 11\n");
        write("devices/vdb/queue/write_cache", "write through\n");
        make("devices/vda/vda1");
        write("devices/vda/vda1/partition", "1\n");
        for (volume, beneath) in [("dm-0", &["vda/vda1"][..]), ("dm-1", &["dm-0"]), ("dm-2", &["vda", "vdb"])]
        {
            make(&format!("devices/{volume}/slaves"));
            for device in beneath {
                let name = device.rsplit('/').next().unwrap();
                let link = sys.path().join(format!("devices/{volume}/slaves/{name}"));
                symlink(sys.path().join("devices").join(device), link).unwrap();
            }
        }
        sys
    }

    fn found(sys: &TempDir, device: &str) -> Option<String> {
        let found = BlockDevice::find(&sys.path().join("devices").join(device))?;
        Some(found.directory.file_name().unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn the_one_disk_beneath_is_found_and_of_several_none() {
        let sys = sys();
        for device in ["vda", "vda/vda1", "dm-0", "dm-1"] {
            assert_eq!(found(&sys, device).as_deref(), Some("vda"), "{device}");
        }
        assert_eq!(found(&sys, "vdb").as_deref(), Some("vdb"));
        assert_eq!(found(&sys, "dm-2"), None, "over two disks");
        assert_eq!(found(&sys, "none"), None);
    }

    #[test]
    fn flushes_are_read_where_the_kernel_counts_them() {
        let sys = sys();
        let disk = |name: &str| BlockDevice { directory: sys.path().join("devices").join(name) };
        assert_eq!((disk("vda").flushes(), disk("vda").has_cache()), (Some(1_600), Some(true)));
        assert_eq!((disk("vdb").flushes(), disk("vdb").has_cache()), (None, Some(false)), "an old kernel");
    }
}
