//! What a load showed, whatever its turns were.
//!
//! Owns the keys, the columns and the words that rows of every workload share. A workload's own row flattens them into its
//! own and adds what only it has.

use serde::{Serialize, Serializer};

use crate::compare::{Better, ComparedFigure};
use crate::load::{Load, Measured};
use crate::runs::{Runs, Spread, rounded};
use crate::table::{Column, grouped, milliseconds, thousandths, with_spread};

use super::figure;
use super::flushes::FlushFigures;
use super::latency::{self, LatencyFigures};
use super::processors::{self, ProcessorFigures};

/// The part of a row that every load has.
#[derive(Debug, Serialize)]
pub(crate) struct LoadFigures {
    pub(crate) workload: &'static str,
    /// In an open loop, how many at once at most.
    pub(crate) clients: u32,
    /// Arrivals per second of an open loop.
    pub(crate) rate: Option<f64>,
    /// How many arrived: by chance not quite as many.
    pub(crate) arrived_per_second: Option<f64>,
    /// Whether what was done kept up with that.
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
}

fn per_second<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("per_second", spread, to)
}

/// What tells rows of loads apart, for [`ComparedPart`](crate::compare::ComparedPart).
pub(crate) const KEYS: &[&str] = &["workload", "clients", "rate"];

/// How much was done, as it is compared with another report's.
const PER_SECOND: ComparedFigure =
    ComparedFigure { key: "per_second", better: Better::More, heading: "per second", show: grouped };

/// What is compared of them.
pub(crate) const COMPARED: &[ComparedFigure] = &[PER_SECOND, latency::P50, latency::P99, processors::CPU];

/// To be told when something did not keep up.
pub(crate) const FELL_BEHIND: &str = "some rows did not keep up with the rate they were started at: their latencies are \
    those of a line that only grew, and say nothing but that";

impl LoadFigures {
    pub(crate) fn new(workload: &'static str, load: Load, clients: u32, runs: &Runs<&Measured>) -> Self {
        Self {
            workload,
            clients,
            rate: match load {
                Load::Closed => None,
                Load::Open { rate } => Some(rate),
            },
            arrived_per_second: runs
                .median_if_known(|run| Some(run.offered?.per_second))
                .map(|arrived| rounded(arrived, 1)),
            // One run that fell behind is enough.
            kept_up: runs.iter().filter_map(|run| Some(run.offered?.kept_up)).min(),
            runs: runs.count(),
            per_second: runs.spread(|run| run.per_second).rounded(1),
            latency: LatencyFigures::of(runs),
            processors: ProcessorFigures::of(runs),
            flushes: FlushFigures::of(runs),
        }
    }

    /// For people: how much was done, under a heading such as `sagas/s`, and how long it took. All rows of a table are of one
    /// kind of loop.
    pub(crate) fn speed(&self, per_second: &'static str) -> Vec<Column> {
        let done = with_spread(self.per_second, self.runs);
        let mut columns = vec![("workload", self.workload.to_owned())];
        match self.rate {
            None => columns.extend([("clients", self.clients.to_string()), (per_second, done)]),
            Some(rate) => columns.extend([
                ("at once,\nat most", self.clients.to_string()),
                ("rate/s", grouped(rate)),
                ("arrived/s", self.arrived_per_second.map_or_else(|| "–".to_owned(), grouped)),
                ("done/s", done),
                ("kept up", if self.kept_up == Some(false) { "NO" } else { "yes" }.to_owned()),
            ]),
        }
        columns.extend([
            ("p50 ms", milliseconds(self.latency.p50_us.median)),
            ("p99 ms", milliseconds(self.latency.p99_us.median)),
            ("p99.9 ms", milliseconds(self.latency.p999_us as f64)),
            ("longest ms", milliseconds(self.latency.max_us as f64)),
        ]);
        columns
    }

    /// For people: what it took.
    pub(crate) fn effort(&self) -> Vec<Column> {
        vec![
            ("workload", self.which()),
            ("CPU s\nper 1,000", thousandths(self.processors.cpu_s_per_1000.median)),
            ("CPUs\nused", format!("{:.2}", self.processors.cpus_used)),
            ("cores\nbusy", self.processors.cores_busy()),
            ("appends\nper flush", self.flushes.appends_each()),
            ("the log's\nflushes/s", self.flushes.of_the_log()),
            ("the kernel's\nflushes/s", self.flushes.of_the_kernel()),
        ]
    }

    /// For people: of which load.
    fn which(&self) -> String {
        let Self { workload, clients, .. } = self;
        match self.rate {
            None if *clients == 1 => format!("{workload}, 1 client"),
            None => format!("{workload}, {clients} clients"),
            Some(rate) => format!("{workload}, {}/s, {clients} at most", grouped(rate)),
        }
    }
}
