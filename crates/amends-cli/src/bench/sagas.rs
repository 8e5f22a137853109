//! What the engine does on this machine.
//!
//! Owns the measurement of sagas: a fresh journal on the disk, the product's engine over it, clients that each start a
//! saga and wait for its end. Promises the product's defaults, and that every saga ended as it should.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::{Engine, EngineBuilder, Options, StartRequest, Wait};
use amends_journal::{Journal, SqliteJournal, SqliteOptions, Stats};

use crate::process::end_fatally;

use super::disk::Appends;
use super::error::BenchError;
use super::load::{self, Client, Measured, Window};
use super::place::{Place, size_of};
use super::progress::Progress;
use super::report::sagas::SagaRow;
use super::workload::{self, Workload};

/// How long the sagas under way at the end may take: they are waited for, so there are none.
const GRACE: Duration = Duration::from_secs(10);

struct Starting {
    engine: Engine,
    request: StartRequest,
    workload: Workload,
}

impl Client for Starting {
    async fn turn(&mut self) -> Result<(), BenchError> {
        let view = self.engine.start(self.request.clone()).await?;
        let (found, expected) = (view.saga.status(), self.workload.end());
        if found == expected { Ok(()) } else { Err(BenchError::WrongEnd { found, expected }) }
    }
}

/// The row, and the appends behind it.
pub(super) fn measure(
    place: &Place,
    workload: Workload,
    clients: u32,
    window: Window,
    progress: &Progress,
) -> Result<(SagaRow, Appends), BenchError> {
    let directory = place.fresh("journal")?;
    // What an empty journal takes is not the sagas': it is laid out first, and closed.
    drop(open(directory.path())?);
    let before = size_of(directory.path())?;
    let (measured, stats) = run(directory.path(), workload, clients, window, progress)?;
    let grown = size_of(directory.path())?.saturating_sub(before);
    let appends = Appends { appends: stats.appends, bytes: stats.record_bytes, sagas: measured.turns };
    Ok((SagaRow::new(workload.name(), clients, &measured, grown), appends))
}

/// Ends with the journal closed: everything is in its place on the disk.
fn run(
    directory: &Path,
    workload: Workload,
    clients: u32,
    window: Window,
    progress: &Progress,
) -> Result<(Measured, Stats), BenchError> {
    let journal = Arc::new(open(directory)?);
    let runtime = load::runtime()?;
    let engine = {
        let _entered = runtime.enter();
        let builder = EngineBuilder::new(journal.clone()).options(Options::default());
        workload.set_up(builder).open()?
    };
    let request = workload::request(Wait::Rest);
    let clients =
        (0..clients).map(|_| Starting { engine: engine.clone(), request: request.clone(), workload });
    let measured = load::measure(&runtime, clients, window, progress);
    runtime.block_on(engine.stop(GRACE));
    drop((engine, runtime));
    let journal = Arc::into_inner(journal).ok_or(BenchError::StillOpen)?;
    let stats = journal.stats();
    drop(journal);
    Ok((measured?, stats))
}

/// The product's journal. A failed write ends the process: nobody knows what is on the disk.
pub(super) fn open(directory: &Path) -> Result<SqliteJournal, BenchError> {
    let on_fatal = Box::new(|message: String| end_fatally(&message));
    Ok(SqliteJournal::open(directory, SqliteOptions::default(), on_fatal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appends_of(workload: Workload) -> Appends {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::choose(Some(parent.path())).unwrap();
        let window = Window { warm_up: Duration::from_millis(20), measured: Duration::from_millis(200) };
        let (row, appends) = measure(&place, workload, 2, window, &Progress::silent()).unwrap();
        assert_eq!((row.workload, row.clients), (workload.name(), 2));
        assert!(row.per_second > 0.0 && row.p50_us <= row.p99_us, "{row:?}");
        assert_eq!(row.share_of_disk, None, "nothing to compare with was measured");
        appends
    }

    #[test]
    fn a_saga_that_completes_makes_five_appends_of_the_size_we_say() {
        let appends = appends_of(Workload::Ok);
        assert_eq!(appends.per_saga(), 5.0);
        assert_eq!(appends.mean_bytes(), Appends::WITHOUT_SAGAS.mean_bytes());
    }

    #[test]
    fn a_saga_that_turns_back_at_its_third_step_makes_six_appends() {
        assert_eq!(appends_of(Workload::Undo).per_saga(), 6.0);
    }
}
