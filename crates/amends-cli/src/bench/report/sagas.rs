//! What sagas of one workload did.
//!
//! Owns the row of sagas, for programs and for people. Does not measure: `sagas.rs` of the bench does.

use comfy_table::Table;
use serde::{Serialize, Serializer};

use crate::bench::compare::{Better, ComparedFigure, ComparedPart};
use crate::bench::load::Load;
use crate::bench::runs::{Runs, Spread, rounded};
use crate::bench::sagas::SagaRun;
use crate::bench::table::{grouped, milliseconds, section, table, thousandths, with_spread};

use super::figure;
use super::flushes::FlushFigures;
use super::latency::LatencyFigures;
use super::processors::ProcessorFigures;

/// Sagas of one workload.
#[derive(Debug, Serialize)]
pub(crate) struct SagaRow {
    pub(crate) workload: &'static str,
    /// In an open loop, how many sagas at once at most.
    pub(crate) clients: u32,
    /// Arrivals per second of an open loop.
    pub(crate) rate: Option<f64>,
    /// Whether the sagas kept up with that.
    pub(crate) kept_up: Option<bool>,
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
    pub(crate) fn new(workload: &'static str, load: Load, clients: u32, runs: &Runs<SagaRun>) -> Self {
        let measured = runs.each(|run| &run.measured);
        Self {
            workload,
            clients,
            rate: match load {
                Load::Closed => None,
                Load::Open { rate } => Some(rate),
            },
            // One run that fell behind is enough.
            kept_up: measured.iter().filter_map(|run| run.kept_up).min(),
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

impl SagaRow {
    /// For people.
    fn of_the_disk(&self) -> String {
        self.share_of_disk.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
    }

    /// For people: which sagas.
    fn which(&self) -> String {
        let Self { workload, clients, .. } = self;
        match self.rate {
            None if *clients == 1 => format!("{workload}, 1 client"),
            None => format!("{workload}, {clients} clients"),
            Some(rate) => format!("{workload}, {}/s, {clients} at most", grouped(rate)),
        }
    }
}

fn per_second<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("per_second", spread, to)
}

/// To be told when they did not keep up.
pub(crate) const FELL_BEHIND: &str = "some sagas did not keep up with the rate they were started at: their latencies are \
    those of a line that only grew, and say nothing but that";

/// What is compared with another report.
pub(crate) const COMPARED: ComparedPart = ComparedPart {
    name: "sagas",
    keys: &["workload", "clients", "rate"],
    figures: &[
        ComparedFigure { key: "per_second", better: Better::More, heading: "sagas/s", show: grouped },
        ComparedFigure { key: "p50_us", better: Better::Less, heading: "p50 ms", show: milliseconds },
        ComparedFigure { key: "p99_us", better: Better::Less, heading: "p99 ms", show: milliseconds },
        ComparedFigure {
            key: "cpu_s_per_1000",
            better: Better::Less,
            heading: "CPU s per 1,000",
            show: thousandths,
        },
    ],
};

/// For people.
pub(crate) fn draw(rows: &[SagaRow]) -> String {
    let is_open = rows.iter().any(|row| row.rate.is_some());
    let figures = if is_open {
        section("Sagas started at a stated rate; latency from the intended start", rows, draw_open)
    } else {
        section("Sagas: four steps, each durable before the next", rows, draw_closed)
    };
    let taken = section("What the sagas took", rows, draw_taken);
    figures + &taken
}

fn draw_closed(rows: &[SagaRow]) -> Table {
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
            row.of_the_disk(),
        ]
    };
    table(headings, rows.iter().map(row), 1)
}

fn draw_open(rows: &[SagaRow]) -> Table {
    let headings = [
        "workload",
        "at once\nat most",
        "rate/s",
        "done/s",
        "kept up",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "longest ms",
        "of the disk",
    ];
    let row = |row: &SagaRow| {
        [
            row.workload.to_owned(),
            row.clients.to_string(),
            row.rate.map_or_else(String::new, grouped),
            with_spread(row.per_second, row.runs),
            match row.kept_up {
                Some(true) => "yes".to_owned(),
                Some(false) => "NO".to_owned(),
                None => "–".to_owned(),
            },
            milliseconds(row.latency.p50_us.median),
            milliseconds(row.latency.p99_us.median),
            milliseconds(row.latency.p999_us as f64),
            milliseconds(row.latency.max_us as f64),
            row.of_the_disk(),
        ]
    };
    table(headings, rows.iter().map(row), 1)
}

fn draw_taken(rows: &[SagaRow]) -> Table {
    let headings = [
        "workload",
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
            row.which(),
            thousandths(row.processors.cpu_s_per_1000.median),
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
