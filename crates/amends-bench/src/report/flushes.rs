//! The flushes behind a load, as the rows of every load tell them.
//!
//! Owns the keys and the words for them. Promises medians over the runs; and that one run whose flushes did not reach the
//! disk is enough to say so.

use serde::Serialize;

use crate::load::Measured;
use crate::runs::{Runs, rounded};
use crate::table::grouped;

/// Flushes of the log, and of the disk under it.
#[derive(Debug, Serialize)]
pub(crate) struct FlushFigures {
    pub(crate) log_flushes_per_second: f64,
    /// Of the whole disk, whoever asked for them.
    pub(crate) kernel_flushes_per_second: Option<f64>,
    pub(crate) appends_per_flush: Option<f64>,
    /// Whether the disk carried out as many as the log asked for.
    pub(crate) flushes_reached_the_disk: Option<bool>,
}

/// To be told when they did not.
pub(crate) const DID_NOT_REACH: &str = "the kernel counted fewer flushes than the log asked for: this disk, or what lies \
    between, merges or ignores them. These figures are not of durable sagas";

impl FlushFigures {
    pub(crate) fn of(runs: &Runs<&Measured>) -> Self {
        let known = |figure: Option<f64>, digits| figure.map(|figure| rounded(figure, digits));
        Self {
            log_flushes_per_second: rounded(runs.median(|run| run.flushed.log_per_second), 1),
            kernel_flushes_per_second: known(runs.median_if_known(|run| run.flushed.kernel_per_second), 1),
            appends_per_flush: known(runs.median_if_known(|run| run.flushed.appends_per_flush), 2),
            flushes_reached_the_disk: all_reached(runs.iter().map(|run| run.flushed.reached_the_disk)),
        }
    }

    /// For people: how many the log asked for.
    pub(crate) fn of_the_log(&self) -> String {
        grouped(self.log_flushes_per_second)
    }

    /// For people: how many the kernel counted.
    pub(crate) fn of_the_kernel(&self) -> String {
        let counted = self.kernel_flushes_per_second.map_or_else(|| "unknown".to_owned(), grouped);
        match self.flushes_reached_the_disk {
            Some(false) => format!("{counted}: too few"),
            Some(true) | None => counted,
        }
    }

    /// For people.
    pub(crate) fn appends_each(&self) -> String {
        self.appends_per_flush.map_or_else(|| "–".to_owned(), |appends| format!("{appends:.1}"))
    }
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

    #[test]
    fn people_are_told_of_counts_that_are_unknown_or_too_few() {
        let figures = |kernel, reached| FlushFigures {
            log_flushes_per_second: 8_000.0,
            kernel_flushes_per_second: kernel,
            appends_per_flush: None,
            flushes_reached_the_disk: reached,
        };
        assert_eq!(figures(Some(8_123.4), Some(true)).of_the_kernel(), "8,123");
        assert_eq!(figures(Some(12.0), Some(false)).of_the_kernel(), "12: too few");
        assert_eq!(figures(None, None).of_the_kernel(), "unknown");
    }
}
