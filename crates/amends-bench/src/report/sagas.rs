//! What sagas of one workload did.
//!
//! Owns the row of sagas, for programs and for people. Does not measure: `sagas.rs` of the bench does.

use comfy_table::Table;
use serde::Serialize;

use crate::compare::ComparedPart;
use crate::load::Load;
use crate::runs::{Runs, rounded};
use crate::sagas::SagaRun;
use crate::table::{grouped, section, table};

use super::load::{self, LoadFigures};

/// Sagas of one workload.
#[derive(Debug, Serialize)]
pub(crate) struct SagaRow {
    #[serde(flatten)]
    pub(crate) load: LoadFigures,
    pub(crate) share_of_disk: Option<f64>,
    pub(crate) bytes_per_saga: u64,
}

impl SagaRow {
    pub(crate) fn new(workload: &'static str, load: Load, clients: u32, runs: &Runs<SagaRun>) -> Self {
        Self {
            load: LoadFigures::new(workload, load, clients, &runs.each(|run| &run.measured)),
            share_of_disk: runs.median_if_known(|run| run.share_of_disk).map(|share| rounded(share, 4)),
            bytes_per_saga: runs.median(SagaRun::bytes_per_saga).round() as u64,
        }
    }
}

/// What is compared with another report.
pub(crate) const COMPARED: ComparedPart =
    ComparedPart { name: "sagas", keys: load::KEYS, figures: load::COMPARED };

/// For people.
pub(crate) fn draw(rows: &[SagaRow]) -> String {
    let is_open = rows.iter().any(|row| row.load.rate.is_some());
    let title = if is_open {
        "Sagas started at a stated rate; latency from the intended start"
    } else {
        "Sagas: four steps, each durable before the next"
    };
    section(title, rows, draw_speed) + &section("What the sagas took", rows, draw_effort)
}

fn draw_speed(rows: &[SagaRow]) -> Table {
    let share = |share: f64| format!("{:.1} %", share * 100.0);
    let row = |row: &SagaRow| {
        let of_the_disk = row.share_of_disk.map_or_else(|| "–".to_owned(), share);
        row.load.speed("sagas/s").into_iter().chain([("of the disk", of_the_disk)])
    };
    table(rows.iter().map(row), 1)
}

fn draw_effort(rows: &[SagaRow]) -> Table {
    let row = |row: &SagaRow| {
        row.load.effort().into_iter().chain([("bytes\nper saga", grouped(row.bytes_per_saga as f64))])
    };
    table(rows.iter().map(row), 1)
}
