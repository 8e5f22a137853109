//! What the disk alone can do.
//!
//! Owns the measurement of bare appends: the size of the sagas' own, from as many clients, through the same
//! loop. Promises to try a growing and a pre-filled file and to let the better count, so that the yardstick
//! is not ours to shorten.

use super::conditions::Conditions;
use super::error::BenchError;
use super::group_commit::{Appender, GroupCommit, Growing, Medium, Prefilled};
use super::load::{self, Client, Load, Measured, Meters};
use super::row::Row;
use super::runs::Runs;

/// The pre-filled file: larger than any batch, small enough to stay in memory, as a log that is used again
/// would.
const PREFILLED_BYTES: u64 = 64 << 20;

/// The appends that sagas made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appends {
    /// How many.
    pub(super) appends: u64,
    /// Bytes of all their records.
    pub(super) bytes: u64,
    /// By how many sagas.
    pub(super) sagas: u64,
}

impl Appends {
    /// What the sagas of the workload `ok` make: counts when no sagas are measured.
    pub(super) const WITHOUT_SAGAS: Self = Self { appends: 5, bytes: 5 * 116, sagas: 1 };

    /// All of them together; `None` if there are none.
    pub(super) fn mean(all: &[Self]) -> Option<Self> {
        all.iter().copied().reduce(|one, other| Self {
            appends: one.appends + other.appends,
            bytes: one.bytes + other.bytes,
            sagas: one.sagas + other.sagas,
        })
    }

    pub(super) fn per_saga(self) -> f64 {
        self.appends as f64 / self.sagas as f64
    }

    /// The size of one.
    pub(super) fn mean_bytes(self) -> usize {
        usize::try_from(self.bytes.div_ceil(self.appends)).expect("a record fits into memory")
    }
}

/// What a person should know when only the disk is measured.
pub(super) fn without_sagas() -> String {
    format!(
        "no sagas are measured: the disk gets appends of {} bytes, the size that sagas of the workload ok make",
        Appends::WITHOUT_SAGAS.mean_bytes()
    )
}

struct Appending {
    log: Appender,
    record: Vec<u8>,
}

impl Client for Appending {
    async fn turn(&mut self) -> Result<(), BenchError> {
        self.log.append(&self.record).await
    }
}

/// What one run showed.
#[derive(Debug)]
pub(super) struct DiskRun {
    pub(super) growing: Measured,
    pub(super) prefilled: Measured,
    /// The size of each append.
    pub(super) append_bytes: usize,
}

impl DiskRun {
    /// The row of several runs. In each the better of the two files counts.
    pub(super) fn row(clients: u32, runs: &Runs<Self>) -> Row {
        let row = Row::default().put("clients", clients).put("runs", runs.count());
        load::of_every_load(row, "appends_per_second", &runs.each(Self::better))
            .figure("append_bytes", 0, runs.median(|run| run.append_bytes as f64))
            .figure("growing_per_second", 1, runs.median(|run| run.growing.per_second))
            .figure("prefilled_per_second", 1, runs.median(|run| run.prefilled.per_second))
    }

    /// The file that counts.
    pub(super) fn better(&self) -> &Measured {
        if self.growing.per_second > self.prefilled.per_second { &self.growing } else { &self.prefilled }
    }
}

/// One run.
pub(super) fn measure(
    conditions: &Conditions,
    clients: u32,
    appends: Appends,
) -> Result<DiskRun, BenchError> {
    let directory = conditions.place.fresh("disk")?;
    let append_bytes = appends.mean_bytes();
    let growing = Growing::create(&directory.path().join("growing"))?;
    let growing = measure_medium(conditions, growing, clients, append_bytes)?;
    let prefilled = Prefilled::create(&directory.path().join("prefilled"), PREFILLED_BYTES)?;
    let prefilled = measure_medium(conditions, prefilled, clients, append_bytes)?;
    Ok(DiskRun { growing, prefilled, append_bytes })
}

fn measure_medium(
    conditions: &Conditions,
    medium: impl Medium,
    clients: u32,
    append_bytes: usize,
) -> Result<Measured, BenchError> {
    let runtime = load::runtime()?;
    let log = GroupCommit::start(medium)?;
    // Not zeros: a disk may treat those otherwise.
    let record: Vec<u8> = (0..=u8::MAX).cycle().skip(1).take(append_bytes).collect();
    let clients = (0..clients).map(|_| Appending { log: log.appender(), record: record.clone() });
    let meters = Meters { disk: conditions.place.disk(), log: &|| log.counts() };
    load::measure(&runtime, Load::Closed, clients, &meters, conditions.window, &conditions.progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_all_appends_of_all_workloads() {
        let ok = Appends { appends: 50, bytes: 5_000, sagas: 10 };
        let undo = Appends { appends: 60, bytes: 9_000, sagas: 10 };
        let both = Appends::mean(&[ok, undo]).unwrap();
        assert_eq!(both.mean_bytes(), 128, "rounded up");
        assert_eq!((ok.per_saga(), undo.per_saga(), both.per_saga()), (5.0, 6.0, 5.5));
        assert_eq!(Appends::mean(&[]), None);
    }

    #[test]
    fn both_files_are_measured_and_the_better_counts() {
        let parent = tempfile::tempdir().unwrap();
        let run = measure(&Conditions::brief(parent.path()), 4, Appends::WITHOUT_SAGAS).unwrap();
        assert!(run.growing.per_second > 0.0 && run.prefilled.per_second > 0.0, "{run:?}");
        let better = run.growing.per_second.max(run.prefilled.per_second);
        assert_eq!(run.better().per_second, better, "{run:?}");
    }
}
