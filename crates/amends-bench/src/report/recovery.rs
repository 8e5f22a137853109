//! How long going on after a kill took.
//!
//! Owns the row of recovery, for programs and for people. Does not measure: `recovery.rs` of the bench does.

use std::time::Duration;

use comfy_table::Table;
use serde::{Serialize, Serializer};

use crate::compare::{Better, ComparedFigure, ComparedPart};
use crate::recovery::RecoveryRun;
use crate::runs::{Runs, Spread};
use crate::table::{grouped, section, table, with_spread};

use super::figure;

/// Going on after a kill.
#[derive(Debug, Serialize)]
pub(crate) struct RecoveryRow {
    pub(crate) in_flight: u32,
    pub(crate) runs: usize,
    #[serde(flatten, serialize_with = "first_ms")]
    pub(crate) first_ms: Spread,
    #[serde(flatten, serialize_with = "all_ms")]
    pub(crate) all_ms: Spread,
}

impl RecoveryRow {
    pub(crate) fn new(in_flight: u32, runs: &Runs<RecoveryRun>) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
        Self {
            in_flight,
            runs: runs.count(),
            first_ms: runs.spread(|run| milliseconds(run.first)).rounded(1),
            all_ms: runs.spread(|run| milliseconds(run.all)).rounded(1),
        }
    }
}

fn first_ms<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("first_ms", spread, to)
}

fn all_ms<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("all_ms", spread, to)
}

/// What is compared with another report.
pub(crate) const COMPARED: ComparedPart = ComparedPart {
    name: "recovery",
    keys: &["in_flight"],
    figures: &[
        ComparedFigure { key: "first_ms", better: Better::Less, heading: "first ended, ms", show: grouped },
        ComparedFigure { key: "all_ms", better: Better::Less, heading: "all ended, ms", show: grouped },
    ],
};

/// For people.
pub(crate) fn draw(rows: &[RecoveryRow]) -> String {
    section("Recovery: from the start of the process after a kill", rows, draw_table)
}

fn draw_table(rows: &[RecoveryRow]) -> Table {
    let row = |row: &RecoveryRow| {
        [
            ("in flight", grouped(f64::from(row.in_flight))),
            ("first ended, ms", with_spread(row.first_ms, row.runs)),
            ("all ended, ms", with_spread(row.all_ms, row.runs)),
        ]
    };
    table(rows.iter().map(row), 0)
}
