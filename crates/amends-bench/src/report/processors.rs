//! What a load took of the processors, as the rows of every load tell it.
//!
//! Owns the keys and the words for it. Promises medians over the runs.

use serde::{Serialize, Serializer};

use crate::compare::{Better, ComparedFigure};
use crate::load::Measured;
use crate::runs::{Runs, Spread, rounded};
use crate::table::thousandths;

use super::figure;

/// Use of the processors.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessorFigures {
    /// Processor time of this process per thousand turns.
    #[serde(flatten, serialize_with = "cpu_s_per_1000")]
    pub(crate) cpu_s_per_1000: Spread,
    /// Processors that this process kept busy.
    pub(crate) cpus_used: f64,
    /// Which share of the time each core of the machine was busy, with all programs.
    pub(crate) cores: Option<Vec<f64>>,
}

/// Processor time, as it is compared with another report's.
pub(crate) const CPU: ComparedFigure = ComparedFigure {
    key: "cpu_s_per_1000",
    better: Better::Less,
    heading: "CPU s per 1,000",
    show: thousandths,
};

impl ProcessorFigures {
    pub(crate) fn of(runs: &Runs<&Measured>) -> Self {
        Self {
            cpu_s_per_1000: runs.spread(|run| run.cpu_s_per_1000).rounded(4),
            cpus_used: rounded(runs.median(|run| run.cpus_used), 2),
            cores: cores(runs),
        }
    }

    /// For people.
    pub(crate) fn cores_busy(&self) -> String {
        cores_busy(self.cores.as_deref())
    }
}

/// Which share of the time each core of the machine was busy.
pub(crate) fn cores(runs: &Runs<&Measured>) -> Option<Vec<f64>> {
    // As many as the first run knows; a run that knows fewer leaves the rest unknown.
    let cores = 0..runs.first().cores.as_ref().map_or(0, Vec::len);
    let core = |core: usize| runs.median_if_known(|run| run.cores.as_ref()?.get(core).copied());
    let cores: Option<Vec<f64>> = cores.map(|at| Some(rounded(core(at)?, 3))).collect();
    cores.filter(|cores| !cores.is_empty())
}

/// For people: each core, or the least and the most busy of many.
pub(crate) fn cores_busy(cores: Option<&[f64]>) -> String {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    match cores {
        None => "unknown".to_owned(),
        Some(cores) if cores.len() <= CORES_SHOWN => {
            cores.iter().map(|share| percent(*share)).collect::<Vec<_>>().join(" ")
        }
        Some(cores) => {
            let least = cores.iter().copied().fold(f64::INFINITY, f64::min);
            let most = cores.iter().copied().fold(0.0, f64::max);
            format!("{} to {}", percent(least), percent(most))
        }
    }
}

/// More do not fit into a column.
const CORES_SHOWN: usize = 4;

fn cpu_s_per_1000<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("cpu_s_per_1000", spread, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(cores: &[f64]) -> String {
        let figures = ProcessorFigures {
            cpu_s_per_1000: Spread { min: 0.0, median: 0.0, max: 0.0 },
            cpus_used: 0.0,
            cores: Some(cores.to_vec()),
        };
        figures.cores_busy()
    }

    #[test]
    fn of_few_cores_people_see_each_and_of_many_the_range() {
        assert_eq!(busy(&[0.934, 0.88]), "93 % 88 %");
        assert_eq!(busy(&[0.5, 0.25, 1.0, 0.0, 0.1]), "0 % to 100 %");
    }
}
