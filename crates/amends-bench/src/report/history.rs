//! What sagas did beside a long history.
//!
//! Owns the rows of history, for programs and for people. Promises that a share is one of the same round. Does not measure:
//! `history.rs` of the bench does.

use comfy_table::Table;
use serde::{Serialize, Serializer};

use crate::compare::ComparedPart;
use crate::history::{History, State, StateRun};
use crate::load::Load;
use crate::runs::{Runs, Spread, rounded};
use crate::table::{grouped, section, table, thousandths};

use super::figure;
use super::load::{self, LoadFigures};

/// One state of the directory; its name is the workload's.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryRow {
    #[serde(flatten)]
    pub(crate) load: LoadFigures,
    pub(crate) ids: &'static str,
    /// Finished sagas that the directory was filled with; none in an empty one.
    pub(crate) finished: u64,
    /// Sagas that were there when this state was measured: those before it left theirs, or removed some.
    pub(crate) sagas_before: u64,
    /// Opening the directory.
    #[serde(flatten, serialize_with = "opened_ms")]
    pub(crate) opened_ms: Spread,
    pub(crate) share_of_empty: f64,
    pub(crate) share_of_full: Option<f64>,
    pub(crate) removed_per_second: f64,
    /// Of a thousand sagas each.
    pub(crate) pages_per_second: f64,
}

fn opened_ms<S: Serializer>(spread: &Spread, to: S) -> Result<S::Ok, S::Error> {
    figure::write("opened_ms", spread, to)
}

impl HistoryRow {
    pub(crate) fn new(history: History, clients: u32, state: State, runs: &Runs<&StateRun>) -> Self {
        let measured = runs.each(|run| &run.measured);
        Self {
            load: LoadFigures::new(state.name(), Load::Closed, clients, &measured),
            ids: history.ids.name(),
            finished: if state == State::Empty { 0 } else { history.finished },
            sagas_before: runs.median(|run| run.before as f64).round() as u64,
            opened_ms: runs.spread(|run| run.opened.as_secs_f64() * 1_000.0).rounded(1),
            share_of_empty: rounded(runs.median(|run| run.share_of_empty), 4),
            share_of_full: runs.median_if_known(|run| run.share_of_full).map(|share| rounded(share, 4)),
            removed_per_second: rounded(runs.median(|run| run.removed_per_second()), 1),
            pages_per_second: rounded(runs.median(|run| run.pages_per_second()), 1),
        }
    }
}

/// What is compared with another report.
pub(crate) const COMPARED: ComparedPart = ComparedPart {
    name: "history",
    keys: &["workload", "ids", "finished", "clients"],
    figures: load::COMPARED,
};

/// For people.
pub(crate) fn draw(rows: &[HistoryRow]) -> String {
    let title = "History: sagas in a directory full of finished ones, beside an empty one of the same round";
    section(title, rows, draw_speed) + &section("What went on beside them", rows, draw_beside)
}

fn draw_speed(rows: &[HistoryRow]) -> Table {
    let row = |row: &HistoryRow| {
        let shares = [("of an empty\ndirectory", share(row.share_of_empty))];
        row.load.speed("sagas/s").into_iter().chain([("ids", row.ids.to_owned())]).chain(shares)
    };
    table(rows.iter().map(row), 1)
}

fn draw_beside(rows: &[HistoryRow]) -> Table {
    let row = |row: &HistoryRow| {
        [
            ("workload", row.load.workload.to_owned()),
            ("ids", row.ids.to_owned()),
            ("sagas before", grouped(row.sagas_before as f64)),
            ("opened in, ms", grouped(row.opened_ms.median)),
            ("removed/s", some(row.removed_per_second)),
            ("pages read/s", some(row.pages_per_second)),
            ("of a full\ndirectory alone", row.share_of_full.map_or_else(nothing, share)),
            ("CPU s\nper 1,000", thousandths(row.load.processors.cpu_s_per_1000.median)),
        ]
    };
    table(rows.iter().map(row), 2)
}

fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn some(number: f64) -> String {
    if number == 0.0 { nothing() } else { grouped(number) }
}

fn nothing() -> String {
    "–".to_owned()
}
