//! What sagas of one workload did.
//!
//! Owns the row of sagas, for programs and for people. Does not measure: `sagas.rs` of the bench does.

use comfy_table::Table;
use serde::{Serialize, Serializer};

use crate::bench::runs::{Runs, Spread, rounded};
use crate::bench::sagas::SagaRun;
use crate::bench::table::{grouped, milliseconds, section, table, with_spread};

use super::figure;
use super::flushes::FlushFigures;
use super::latency::LatencyFigures;
use super::processors::ProcessorFigures;

/// Sagas of one workload.
#[derive(Debug, Serialize)]
pub(crate) struct SagaRow {
    pub(crate) workload: &'static str,
    pub(crate) clients: u32,
    pub(crate) runs: usize,
    #[serde(flatten, serialize_with = "per_second")]
    pub(crate) per_second: Spread,
    #[serde(flatten)]
    pub(crate) latency: LatencyFigures,
    #[serde(flatten)]
    pub(crate) processors: ProcessorFigures,
    #[serde(flatten)]
    pub(crate) flushes: FlushFigures,
    pub(crate) share_of_disk: Option<f64>,
    pub(crate) bytes_per_saga: u64,
}

impl SagaRow {
    pub(crate) fn new(workload: &'static str, clients: u32, runs: &Runs<SagaRun>) -> Self {
        let measured = runs.each(|run| &run.measured);
        Self {
            workload,
            clients,
            runs: runs.count(),
            per_second: measured.spread(|run| run.per_second).rounded(1),
            latency: LatencyFigures::of(&measured),
            processors: ProcessorFigures::of(&measured),
            flushes: FlushFigures::of(&measured),
            share_of_disk: runs.median_if_known(|run| run.share_of_disk).map(|share| rounded(share, 4)),
            bytes_per_saga: runs.median(SagaRun::bytes_per_saga).round() as u64,
        }
    }
}

fn per_second<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("per_second", spread, to)
}

/// For people.
pub(crate) fn draw(rows: &[SagaRow]) -> String {
    let figures = section("Sagas: four steps, each durable before the next", rows, draw_figures);
    let taken = section("What the sagas took", rows, draw_taken);
    figures + &taken
}

fn draw_figures(rows: &[SagaRow]) -> Table {
    let headings =
        ["workload", "clients", "sagas/s", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "of the disk"];
    let row = |row: &SagaRow| {
        [
            row.workload.to_owned(),
            row.clients.to_string(),
            with_spread(row.per_second, row.runs),
            milliseconds(row.latency.p50_us.median),
            milliseconds(row.latency.p99_us.median),
            milliseconds(row.latency.p999_us as f64),
            milliseconds(row.latency.max_us as f64),
            row.share_of_disk.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0)),
        ]
    };
    table(headings, rows.iter().map(row), 1)
}

fn draw_taken(rows: &[SagaRow]) -> Table {
    let headings = [
        "workload",
        "clients",
        "CPU s\nper 1,000",
        "CPUs\nused",
        "cores\nbusy",
        "bytes\nper saga",
        "appends\nper flush",
        "the log's\nflushes/s",
        "the kernel's\nflushes/s",
    ];
    let row = |row: &SagaRow| {
        [
            row.workload.to_owned(),
            row.clients.to_string(),
            format!("{:.3}", row.processors.cpu_s_per_1000.median),
            format!("{:.2}", row.processors.cpus_used),
            row.processors.cores_busy(),
            grouped(row.bytes_per_saga as f64),
            row.flushes.appends_each(),
            row.flushes.of_the_log(),
            row.flushes.of_the_kernel(),
        ]
    };
    table(headings, rows.iter().map(row), 1)
}
