//! What the disk alone did.
//!
//! Owns the row of bare appends, for programs and for people. Does not measure: `disk.rs` of the bench does.

use comfy_table::Table;
use serde::{Serialize, Serializer};

use crate::compare::{Better, ComparedFigure, ComparedPart};
use crate::disk::DiskRun;
use crate::runs::{Runs, Spread, rounded};
use crate::table::{grouped, milliseconds, section, table, with_spread};

use super::figure;
use super::flushes::FlushFigures;
use super::latency::{self, LatencyFigures};
use super::processors::{self, ProcessorFigures};

/// The disk alone.
#[derive(Debug, Serialize)]
pub(crate) struct DiskRow {
    pub(crate) clients: u32,
    pub(crate) runs: usize,
    #[serde(flatten, serialize_with = "appends_per_second")]
    pub(crate) appends_per_second: Spread,
    #[serde(flatten)]
    pub(crate) latency: LatencyFigures,
    #[serde(flatten)]
    pub(crate) processors: ProcessorFigures,
    #[serde(flatten)]
    pub(crate) flushes: FlushFigures,
    /// For people: appends per second into each of the two files, and their size.
    #[serde(skip)]
    pub(crate) growing: f64,
    #[serde(skip)]
    pub(crate) prefilled: f64,
    #[serde(skip)]
    pub(crate) append_bytes: f64,
}

impl DiskRow {
    /// In each run the better of the two files counts.
    pub(crate) fn new(clients: u32, runs: &Runs<DiskRun>) -> Self {
        let better = runs.each(DiskRun::better);
        Self {
            clients,
            runs: runs.count(),
            appends_per_second: better.spread(|run| run.per_second).rounded(1),
            latency: LatencyFigures::of(&better),
            processors: ProcessorFigures::of(&better),
            flushes: FlushFigures::of(&better),
            growing: rounded(runs.median(|run| run.growing.per_second), 1),
            prefilled: rounded(runs.median(|run| run.prefilled.per_second), 1),
            append_bytes: runs.median(|run| run.append_bytes as f64),
        }
    }
}

fn appends_per_second<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("appends_per_second", spread, to)
}

/// How much was done, as it is compared with another report's.
const APPENDS_PER_SECOND: ComparedFigure =
    ComparedFigure { key: "appends_per_second", better: Better::More, heading: "appends/s", show: grouped };

/// What is compared with another report.
pub(crate) const COMPARED: ComparedPart = ComparedPart {
    name: "disk",
    keys: &["clients"],
    figures: &[APPENDS_PER_SECOND, latency::P50, latency::P99, processors::CPU],
};

/// For people.
pub(crate) fn draw(rows: &[DiskRow]) -> String {
    section("Disk: bare appends, flushed in groups; the better of the two files counts", rows, draw_table)
}

fn draw_table(rows: &[DiskRow]) -> Table {
    let row = |row: &DiskRow| {
        [
            ("clients", row.clients.to_string()),
            ("appends/s", with_spread(row.appends_per_second, row.runs)),
            ("p50 ms", milliseconds(row.latency.p50_us.median)),
            ("p99 ms", milliseconds(row.latency.p99_us.median)),
            ("p99.9 ms", milliseconds(row.latency.p999_us as f64)),
            ("bytes\neach", grouped(row.append_bytes)),
            ("growing\nfile, /s", grouped(row.growing)),
            ("pre-filled\nfile, /s", grouped(row.prefilled)),
            ("the log's\nflushes/s", row.flushes.of_the_log()),
            ("the kernel's\nflushes/s", row.flushes.of_the_kernel()),
        ]
    };
    table(rows.iter().map(row), 0)
}
