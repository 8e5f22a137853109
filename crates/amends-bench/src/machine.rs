//! What it was measured on.
//!
//! Owns the description of this machine. Promises `null` for what cannot be found out, never a guess. Does
//! not measure.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use amends_journal_sqlite::SqliteJournal;
use serde::Serialize;

use super::block_device;
use super::place::Place;

/// This machine, and this program.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// Processors that this process may use.
    pub(super) cpus: Option<usize>,
    /// The processor's name.
    pub(super) model: Option<String>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) kernel: Option<String>,
    /// Of the data directory.
    pub(super) filesystem: Option<String>,
    /// Under that file system.
    pub(super) device: Option<String>,
    /// Whether the device says it has a cache that must be flushed (`write back`).
    pub(super) write_cache: Option<String>,
    /// How the product sees to it that what it answered survives a power cut.
    pub(super) durability: String,
    /// Processes that wanted to run, on average over the minute before: others' work shows in the numbers.
    pub(super) load_before: Option<f64>,
    pub(super) rustc: &'static str,
    /// `release` or `debug`.
    pub(super) build: &'static str,
    /// Of Amends.
    pub(super) version: &'static str,
    pub(super) date: String,
}

impl Machine {
    /// For people.
    pub(super) fn in_words(&self) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        let cpus = self.cpus.map_or_else(|| "?".to_owned(), |cpus| cpus.to_string());
        let memory = self.memory_bytes.map_or_else(|| "?".to_owned(), |bytes| (bytes >> 30).to_string());
        format!(
            "Amends {} ({}, rustc {}) on {}\n{cpus} × {}, {memory} GiB of memory, Linux {}, {} on {} (cache: {})\n{}\n",
            self.version,
            self.build,
            self.rustc,
            self.date,
            text(&self.model),
            text(&self.kernel),
            text(&self.filesystem),
            text(&self.device),
            text(&self.write_cache),
            self.durability,
        )
    }
}

/// Looks around.
pub(super) fn look(place: &Place) -> Machine {
    let device_number =
        fs::metadata(place.directory()).ok().map(|metadata| block_device::number(metadata.dev()));
    let mount =
        device_number.as_deref().and_then(|number| find_mount(&read("/proc/self/mountinfo")?, number));
    let (filesystem, device) = mount.unzip();
    Machine {
        cpus: std::thread::available_parallelism().ok().map(usize::from),
        model: read("/proc/cpuinfo").and_then(|text| value_of(&text, "model name")),
        memory_bytes: read("/proc/meminfo").and_then(|text| memory_bytes(&text)),
        kernel: read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        filesystem,
        device,
        write_cache: device_number.as_deref().and_then(write_cache),
        durability: SqliteJournal::durability(),
        load_before: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
        rustc: env!("AMENDS_RUSTC"),
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        version: env!("CARGO_PKG_VERSION"),
        date: now(),
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).map_or_else(|_| String::new(), |now| now.to_string())
}

/// Of lines such as `model name : AMD EPYC`.
fn value_of(text: &str, name: &str) -> Option<String> {
    let pair =
        |line: &str| line.split_once(':').map(|(key, value)| (key.trim() == name, value.trim().to_owned()));
    text.lines().filter_map(pair).find_map(|(found, value)| found.then_some(value))
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kibibytes: u64 = value_of(meminfo, "MemTotal")?.strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The kind of the file system on a device, and where it comes from. The format is in proc(5).
fn find_mount(mountinfo: &str, device_number: &str) -> Option<(String, String)> {
    let of_line = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let is_it = before.split(' ').nth(2)? == device_number;
        let mut after = after.split(' ');
        is_it.then_some((after.next()?.to_owned(), after.next()?.to_owned()))
    };
    mountinfo.lines().find_map(of_line)
}

/// Of the device itself, or of the one that it is a partition of.
fn write_cache(device_number: &str) -> Option<String> {
    let device = Path::new("/sys/dev/block").join(device_number);
    let found =
        read(device.join("queue/write_cache")).or_else(|| read(device.join("../queue/write_cache")))?;
    Some(found.trim().to_owned())
}

#[cfg(test)]
impl Machine {
    pub(super) fn sample() -> Self {
        Self {
            cpus: Some(2),
            model: Some("A processor".to_owned()),
            memory_bytes: Some(8 << 30),
            kernel: Some("6.18.44".to_owned()),
            filesystem: Some("ext4".to_owned()),
            device: Some("/dev/vda".to_owned()),
            write_cache: None,
            durability: "log: flushed; database: WAL".to_owned(),
            load_before: Some(0.25),
            rustc: "1.95.0",
            build: "release",
            version: "0.1.0",
            date: "2026-11-23T00:00:00Z".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_device() {
        let mountinfo = "24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw\n\
                         27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n";
        let found = find_mount(mountinfo, "254:0");
        assert_eq!(found, Some(("ext4".to_owned(), "/dev/vda".to_owned())));
        assert_eq!(find_mount(mountinfo, "254:1"), None);
    }

    #[test]
    fn memory_and_model_are_read_as_linux_writes_them() {
        assert_eq!(memory_bytes("MemTotal:       24669068 kB\nMemFree: 1 kB"), Some(24_669_068 << 10));
        assert_eq!(memory_bytes("MemTotal: much"), None);
        let model = value_of("processor\t: 0\nmodel name\t: AMD EPYC\n", "model name");
        assert_eq!(model.as_deref(), Some("AMD EPYC"));
    }
}
