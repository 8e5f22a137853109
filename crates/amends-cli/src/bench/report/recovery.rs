//! How long going on after a kill took.
//!
//! Owns the row of recovery, for programs and for people. Does not measure: `recovery.rs` of the bench does.

use std::time::Duration;

use comfy_table::Table;
use serde::Serialize;

use crate::bench::table::{grouped, section, table};

use super::rounded;

/// Going on after a kill.
#[derive(Debug, Serialize)]
pub(crate) struct RecoveryRow {
    pub(crate) in_flight: u32,
    pub(crate) first_ms: f64,
    pub(crate) all_ms: f64,
}

impl RecoveryRow {
    pub(crate) fn new(in_flight: u32, first: Duration, all: Duration) -> Self {
        let milliseconds = |time: Duration| rounded(time.as_secs_f64() * 1_000.0, 1);
        Self { in_flight, first_ms: milliseconds(first), all_ms: milliseconds(all) }
    }
}

/// For people.
pub(crate) fn draw(rows: &[RecoveryRow]) -> String {
    section("Recovery: from the start of the process after a kill", rows, draw_table)
}

fn draw_table(rows: &[RecoveryRow]) -> Table {
    let headings = ["in flight", "first ended, ms", "all ended, ms"];
    let row =
        |row: &RecoveryRow| [grouped(f64::from(row.in_flight)), grouped(row.first_ms), grouped(row.all_ms)];
    table(headings, rows.iter().map(row), 0)
}
