//! What the disk alone did.
//!
//! Owns the row of bare appends, for programs and for people. Does not measure: `disk.rs` of the bench does.

use comfy_table::Table;
use serde::Serialize;

use crate::bench::disk::Appends;
use crate::bench::load::Measured;
use crate::bench::table::{grouped, milliseconds, section, table};

use super::rounded;

/// The disk alone.
#[derive(Debug, Serialize)]
pub(crate) struct DiskRow {
    pub(crate) clients: u32,
    pub(crate) appends_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    /// For people: appends per second into each of the two files, and their size.
    #[serde(skip)]
    pub(crate) growing: f64,
    #[serde(skip)]
    pub(crate) prefilled: f64,
    #[serde(skip)]
    pub(crate) append_bytes: usize,
}

impl DiskRow {
    pub(crate) fn better_of(
        clients: u32,
        appends: Appends,
        growing: &Measured,
        prefilled: &Measured,
    ) -> Self {
        let better = if growing.per_second > prefilled.per_second { growing } else { prefilled };
        Self {
            clients,
            appends_per_second: rounded(better.per_second, 1),
            p50_us: better.p50_us,
            p99_us: better.p99_us,
            growing: rounded(growing.per_second, 1),
            prefilled: rounded(prefilled.per_second, 1),
            append_bytes: appends.mean_bytes(),
        }
    }
}

/// For people.
pub(crate) fn draw(rows: &[DiskRow]) -> String {
    section("Disk: bare appends, flushed in groups; the better of the two files counts", rows, draw_table)
}

fn draw_table(rows: &[DiskRow]) -> Table {
    let headings =
        ["clients", "appends/s", "p50 ms", "p99 ms", "bytes each", "growing file, /s", "pre-filled file, /s"];
    let row = |row: &DiskRow| {
        [
            row.clients.to_string(),
            grouped(row.appends_per_second),
            milliseconds(row.p50_us),
            milliseconds(row.p99_us),
            row.append_bytes.to_string(),
            grouped(row.growing),
            grouped(row.prefilled),
        ]
    };
    table(headings, rows.iter().map(row), 0)
}
