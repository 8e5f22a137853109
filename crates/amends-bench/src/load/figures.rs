//! What a load showed, as the rows of every workload say it.
//!
//! Owns the keys that they share, and what counts of several runs: medians, but the longest of all latencies;
//! and where one run fell behind, or its flushes did not reach the disk, the row says so.

use serde_json::Value;

use crate::row::{Row, rounded};
use crate::runs::Runs;

use super::{Load, Measured};

/// The row of one workload, to which it adds what only it has.
pub(crate) fn row(workload: &str, load: Load, clients: u32, runs: &Runs<&Measured>) -> Row {
    let rate = match load {
        Load::Closed => None,
        Load::Open { rate } => Some(rate),
    };
    let row = Row::default()
        .put("workload", workload)
        .put("clients", clients)
        .put("rate", rate)
        .figure("arrived_per_second", 1, runs.median_if_known(|run| Some(run.offered?.per_second)))
        .put("kept_up", runs.iter().filter_map(|run| Some(run.offered?.kept_up)).min())
        .put("runs", runs.count());
    of_every_load(row, "per_second", runs)
}

/// Speed, latency, processors and flushes; `per_second` is the key of the first.
pub(crate) fn of_every_load(row: Row, per_second: &str, runs: &Runs<&Measured>) -> Row {
    latency(row.spread(per_second, 1, runs.spread(|run| run.per_second)), runs)
        .spread("cpu_s_per_1000", 4, runs.spread(|run| run.cpu_s_per_1000))
        .figure("cpus_used", 2, runs.median(|run| run.cpus_used))
        .put("cores", cores(runs))
        .figure("log_flushes_per_second", 1, runs.median(|run| run.flushed.log_per_second))
        .figure("kernel_flushes_per_second", 1, runs.median_if_known(|run| run.flushed.kernel_per_second))
        .figure("appends_per_flush", 2, runs.median_if_known(|run| run.flushed.appends_per_flush))
        .put("flushes_reached_the_disk", all_reached(runs.iter().map(|run| run.flushed.reached_the_disk)))
}

/// How long turns took.
pub(crate) fn latency(row: Row, runs: &Runs<&Measured>) -> Row {
    row.spread("p50_us", 0, runs.spread(|run| run.p50_us as f64))
        .spread("p99_us", 0, runs.spread(|run| run.p99_us as f64))
        .figure("p999_us", 0, runs.median(|run| run.p999_us as f64))
        .figure("max_us", 0, runs.spread(|run| run.max_us as f64).max)
}

/// Which share of the time each core of the machine was busy, with all programs.
pub(crate) fn cores(runs: &Runs<&Measured>) -> Value {
    // As many as the first run knows; a run that knows fewer leaves the rest unknown.
    let cores = 0..runs.first().cores.as_ref().map_or(0, Vec::len);
    let core = |core: usize| runs.median_if_known(|run| run.cores.as_ref()?.get(core).copied());
    let cores: Option<Vec<f64>> = cores.map(|at| Some(rounded(core(at)?, 3))).collect();
    cores.filter(|cores| !cores.is_empty()).into()
}

fn all_reached(runs: impl Iterator<Item = Option<bool>> + Clone) -> Option<bool> {
    if runs.clone().any(|reached| reached == Some(false)) {
        return Some(false);
    }
    runs.collect::<Option<Vec<bool>>>().map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_that_did_not_reach_the_disk_is_enough_and_one_unknown_leaves_the_rest_unknown() {
        let all = |runs: &[Option<bool>]| all_reached(runs.iter().copied());
        assert_eq!(all(&[Some(true), Some(true)]), Some(true));
        assert_eq!(all(&[Some(true), None, Some(true)]), None);
        assert_eq!(all(&[None, Some(false), Some(true)]), Some(false));
        assert_eq!(all(&[Some(false), None]), Some(false));
    }
}
