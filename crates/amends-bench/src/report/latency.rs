//! How long turns took, as the rows of every load tell it.
//!
//! Owns the keys of latencies. Promises medians over the runs, but for the longest: that is the longest of all runs.

use serde::{Serialize, Serializer};

use crate::compare::{Better, ComparedFigure};
use crate::load::Measured;
use crate::runs::{Runs, Spread};
use crate::table::milliseconds;

use super::figure;

/// Latencies, in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct LatencyFigures {
    #[serde(flatten, serialize_with = "p50_us")]
    pub(crate) p50_us: Spread,
    #[serde(flatten, serialize_with = "p99_us")]
    pub(crate) p99_us: Spread,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
}

/// The median, as it is compared with another report's.
pub(crate) const P50: ComparedFigure =
    ComparedFigure { key: "p50_us", better: Better::Less, heading: "p50 ms", show: milliseconds };

/// The latency that one turn of a hundred exceeds, as it is compared with another report's.
pub(crate) const P99: ComparedFigure =
    ComparedFigure { key: "p99_us", better: Better::Less, heading: "p99 ms", show: milliseconds };

impl LatencyFigures {
    pub(crate) fn of(runs: &Runs<&Measured>) -> Self {
        Self {
            p50_us: runs.spread(|run| run.p50_us as f64),
            p99_us: runs.spread(|run| run.p99_us as f64),
            p999_us: runs.median(|run| run.p999_us as f64).round() as u64,
            max_us: runs.spread(|run| run.max_us as f64).max as u64,
        }
    }
}

fn p50_us<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write_whole("p50_us", spread, to)
}

fn p99_us<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write_whole("p99_us", spread, to)
}
