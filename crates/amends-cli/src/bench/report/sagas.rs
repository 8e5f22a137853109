//! What sagas of one workload did.
//!
//! Owns the row of sagas, for programs and for people. Does not measure: `sagas.rs` of the bench does.

use comfy_table::Table;
use serde::Serialize;

use crate::bench::load::Measured;
use crate::bench::table::{grouped, milliseconds, section, table};

use super::disk::DiskRow;
use super::rounded;

/// Sagas of one workload.
#[derive(Debug, Serialize)]
pub(crate) struct SagaRow {
    pub(crate) workload: &'static str,
    pub(crate) clients: u32,
    pub(crate) per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) cpu_s_per_1000: f64,
    pub(crate) share_of_disk: Option<f64>,
    pub(crate) bytes_per_saga: u64,
}

impl SagaRow {
    pub(crate) fn new(workload: &'static str, clients: u32, measured: &Measured, grown: u64) -> Self {
        Self {
            workload,
            clients,
            per_second: rounded(measured.per_second, 1),
            p50_us: measured.p50_us,
            p99_us: measured.p99_us,
            cpu_s_per_1000: rounded(measured.cpu_s_per_1000, 4),
            share_of_disk: None,
            bytes_per_saga: grown.div_ceil(measured.turns.max(1)),
        }
    }

    /// How much of the disk's own limit the sagas reached.
    pub(crate) fn compare_with(&mut self, disk: &DiskRow, appends_per_saga: f64) {
        self.share_of_disk = Some(rounded(self.per_second * appends_per_saga / disk.appends_per_second, 4));
    }
}

/// For people.
pub(crate) fn draw(rows: &[SagaRow]) -> String {
    section("Sagas: four steps, each durable before the next", rows, draw_table)
}

fn draw_table(rows: &[SagaRow]) -> Table {
    let headings = [
        "workload",
        "clients",
        "sagas/s",
        "p50 ms",
        "p99 ms",
        "CPU s per 1,000",
        "of the disk",
        "bytes/saga",
    ];
    let row = |row: &SagaRow| {
        [
            row.workload.to_owned(),
            row.clients.to_string(),
            grouped(row.per_second),
            milliseconds(row.p50_us),
            milliseconds(row.p99_us),
            format!("{:.3}", row.cpu_s_per_1000),
            row.share_of_disk.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0)),
            grouped(row.bytes_per_saga as f64),
        ]
    };
    table(headings, rows.iter().map(row), 1)
}
