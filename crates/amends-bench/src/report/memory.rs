//! How much memory sagas took.
//!
//! Owns the rows of memory, for programs and for people. Promises `null` for what the kernel did not tell. Does not
//! measure: `memory.rs` of the bench does.

use comfy_table::Table;
use serde::Serialize;

use crate::compare::{Better, ComparedFigure, ComparedPart};
use crate::memory::{Held, MemoryRun};
use crate::runs::{Runs, Spread, rounded};
use crate::table::{grouped, section, table, with_spread};

/// One state of the program.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryRow {
    pub(crate) state: &'static str,
    pub(crate) sagas: u32,
    pub(crate) runs: usize,
    /// Of the whole process.
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) resident_bytes_min: Option<u64>,
    pub(crate) resident_bytes_max: Option<u64>,
    /// Of each saga, without what the idle program takes.
    pub(crate) bytes_per_saga: Option<f64>,
}

impl MemoryRow {
    /// One row for each state.
    pub(crate) fn rows(held: Held, runs: &Runs<MemoryRun>) -> [Self; 3] {
        [
            Self::new("idle", 0, runs, |run| run.idle),
            Self::new("live", held.live, runs, |run| run.live),
            Self::new("waiting", held.waiting, runs, |run| run.waiting),
        ]
    }

    fn new(
        state: &'static str,
        sagas: u32,
        runs: &Runs<MemoryRun>,
        resident: impl Fn(&MemoryRun) -> Option<u64>,
    ) -> Self {
        let bytes = |run: &MemoryRun| Some(resident(run)? as f64);
        // A process with few sagas may happen to be smaller than the idle one.
        let each = |run: &MemoryRun| {
            (sagas > 0).then_some((bytes(run)? - run.idle? as f64).max(0.0) / f64::from(sagas))
        };
        let spread = runs.spread_if_known(bytes);
        let whole = |end: fn(Spread) -> f64| spread.map(|spread| end(spread).round() as u64);
        Self {
            state,
            sagas,
            runs: runs.count(),
            resident_bytes: whole(|spread| spread.median),
            resident_bytes_min: whole(|spread| spread.min),
            resident_bytes_max: whole(|spread| spread.max),
            bytes_per_saga: runs.median_if_known(each).map(|bytes| rounded(bytes, 1)),
        }
    }

    /// For people, in millions.
    fn in_memory(&self) -> String {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let known = self.resident_bytes.zip(self.resident_bytes_min.zip(self.resident_bytes_max));
        known.map_or_else(
            || "unknown".to_owned(),
            |(median, (min, max))| {
                let [min, median, max] = [min, median, max].map(megabytes);
                with_spread(Spread { min, median, max }, self.runs)
            },
        )
    }
}

/// What is compared with another report.
pub(crate) const COMPARED: ComparedPart = ComparedPart {
    name: "memory",
    keys: &["state", "sagas"],
    figures: &[ComparedFigure {
        key: "resident_bytes",
        better: Better::Less,
        heading: "in memory, MB",
        show: |bytes| grouped(bytes / 1e6),
    }],
};

/// For people.
pub(crate) fn draw(rows: &[MemoryRow]) -> String {
    section("Memory: a process of its own for each row", rows, draw_table)
}

fn draw_table(rows: &[MemoryRow]) -> Table {
    let row = |row: &MemoryRow| {
        let each = match (row.sagas, row.bytes_per_saga) {
            (0, _) => "–".to_owned(),
            (_, None) => "unknown".to_owned(),
            (_, Some(bytes)) => grouped(bytes),
        };
        [
            ("sagas", row.state.to_owned()),
            ("how many", grouped(f64::from(row.sagas))),
            ("in memory, MB", row.in_memory()),
            ("bytes each", each),
        ]
    };
    table(rows.iter().map(row), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(idle: Option<u64>) -> [MemoryRow; 3] {
        let held = Held { live: 1_000, waiting: 2_000 };
        let run = MemoryRun { idle, live: Some(11_000_000), waiting: Some(9_000_000) };
        MemoryRow::rows(held, &Runs::of(vec![run]).unwrap())
    }

    #[test]
    fn what_a_saga_takes_is_what_the_process_takes_beyond_the_idle_one() {
        let each = |row: &MemoryRow| (row.state, row.resident_bytes, row.bytes_per_saga);
        let expected = [
            ("idle", Some(10_000_000), None),
            ("live", Some(11_000_000), Some(1_000.0)),
            ("waiting", Some(9_000_000), Some(0.0)),
        ];
        assert_eq!(rows(Some(10_000_000)).each_ref().map(each), expected);
    }

    #[test]
    fn without_the_kernel_nothing_is_known() {
        let rows = rows(None);
        assert_eq!(rows[0].resident_bytes, None);
        assert!(rows.iter().all(|row| row.bytes_per_saga.is_none()), "{rows:?}");
        assert!(draw(&rows).contains("unknown"));
    }
}
