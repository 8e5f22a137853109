//! Whether a long history slows sagas down.
//!
//! Owns the measurement of sagas in a directory that is full of finished ones, beside an empty one of the
//! same round: alone, while retention removes what is old, and while somebody reads the list of sagas from
//! end to end. Promises that the full directory is filled by the product itself, once for all rounds, and
//! that the empty one is new each time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amends_engine::{Engine, EngineBuilder, Options, Wait};
use amends_journal::{Filter, Journal, Reads};

use super::conditions::Conditions;
use super::error::BenchError;
use super::load::{self, Load, Measured};
use super::row::Row;
use super::runs::Runs;
use super::sagas::{self, Ids, Program};
use super::starters::start_all;
use super::workload::{self, Workload};

/// Sagas on a page that the reader asks for: what a careful exporter takes.
const PAGE: usize = 1_000;

/// How often the waiting person sees that time goes by while the directory is filled.
const TICK_EVERY: Duration = Duration::from_millis(100);

/// How much history, and whose ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct History {
    pub(super) finished: u64,
    pub(super) ids: Ids,
}

/// What is done to the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is no history.
    Empty,
    /// There is, and nothing but sagas goes on.
    Full,
    /// Retention finds everything too old.
    Retention,
    /// A reader reads the whole list, again and again.
    Reader,
}

impl State {
    pub(super) const ALL: [Self; 4] = [Self::Empty, Self::Full, Self::Retention, Self::Reader];

    const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Full => "full",
            Self::Retention => "full, retention",
            Self::Reader => "full, reader",
        }
    }

    /// For how long ended sagas are kept.
    const fn retention(self) -> Option<Duration> {
        match self {
            Self::Retention => Some(Duration::ZERO),
            Self::Empty | Self::Full | Self::Reader => None,
        }
    }
}

/// What one state showed in one round.
#[derive(Debug)]
pub(super) struct StateRun {
    pub(super) measured: Measured,
    /// Sagas in the directory before.
    pub(super) before: u64,
    /// How long opening the directory took.
    pub(super) opened: Duration,
    /// From the first saga to the last.
    pub(super) took: Duration,
    pub(super) removed: u64,
    pub(super) pages: u64,
    /// Sagas per second beside those of the same round in an empty directory.
    pub(super) share_of_empty: f64,
    /// Beside those in a full one that nothing else is done to.
    pub(super) share_of_full: Option<f64>,
}

impl StateRun {
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64()
    }
}

impl State {
    /// The row of several runs; its workload is the state's name.
    pub(super) fn row(self, history: History, clients: u32, runs: &Runs<&StateRun>) -> Row {
        load::row(self.name(), Load::Closed, clients, &runs.each(|run| &run.measured))
            .put("ids", history.ids.name())
            .put("finished", if self == Self::Empty { 0 } else { history.finished })
            .figure("sagas_before", 0, runs.median(|run| run.before as f64))
            .spread("opened_ms", 1, runs.spread(|run| run.opened.as_secs_f64() * 1_000.0))
            .figure("share_of_empty", 4, runs.median(|run| run.share_of_empty))
            .figure("share_of_full", 4, runs.median_if_known(|run| run.share_of_full))
            .figure("removed_per_second", 1, runs.median(|run| run.per_second(run.removed)))
            .figure("pages_per_second", 1, runs.median(|run| run.per_second(run.pages)))
    }
}

/// Fills a directory with finished sagas.
pub(super) fn fill(conditions: &Conditions, directory: &Path, history: History) -> Result<(), BenchError> {
    let journal: Arc<dyn Journal> = Arc::new(sagas::open(directory)?);
    let runtime = load::runtime()?;
    let engine = {
        let _entered = runtime.enter();
        Workload::Ok.set_up(EngineBuilder::new(journal)).open()?
    };
    let filled = runtime.block_on(async {
        let request = workload::request(Wait::Rest);
        let mut all = std::pin::pin!(start_all(&engine, history.finished, history.ids, &request));
        loop {
            match tokio::time::timeout(TICK_EVERY, &mut all).await {
                Ok(filled) => return filled,
                Err(_) => conditions.progress.tick(),
            }
        }
    });
    runtime.block_on(engine.stop(Duration::ZERO));
    filled
}

/// One round: each state in turn, in the same full directory.
pub(super) fn measure(
    conditions: &Conditions,
    full: &Path,
    ids: Ids,
    clients: u32,
) -> Result<Vec<StateRun>, BenchError> {
    let mut runs: Vec<StateRun> = Vec::with_capacity(State::ALL.len());
    for state in State::ALL {
        let empty = conditions.place.fresh("empty")?;
        let directory = if state == State::Empty { empty.path() } else { full };
        let mut run = measure_state(conditions, directory, state, ids, clients)?;
        let of =
            |place: usize| runs.get(place).map(|other| run.measured.per_second / other.measured.per_second);
        let (share_of_empty, share_of_full) = (of(0).unwrap_or(1.0), of(1));
        (run.share_of_empty, run.share_of_full) = (share_of_empty, share_of_full);
        runs.push(run);
    }
    Ok(runs)
}

fn measure_state(
    conditions: &Conditions,
    directory: &Path,
    state: State,
    ids: Ids,
    clients: u32,
) -> Result<StateRun, BenchError> {
    let (before, opened) = look(directory)?;
    let options = Options { retention: state.retention(), ..Options::default() };
    let program = Program { directory, workload: Workload::Ok, ids, options };
    let pages = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let (measured, _) = sagas::run(conditions, &program, Load::Closed, clients, |engine| {
        read(engine, state == State::Reader, pages.clone())
    })?;
    let took = began.elapsed();
    let (after, _) = look(directory)?;
    Ok(StateRun {
        before,
        opened,
        took,
        removed: (before + measured.turns).saturating_sub(after),
        pages: pages.load(Ordering::Relaxed),
        share_of_empty: 1.0,
        share_of_full: None,
        measured,
    })
}

/// How many sagas there are, and how long it took to open the directory.
fn look(directory: &Path) -> Result<(u64, Duration), BenchError> {
    let began = Instant::now();
    let journal = sagas::open(directory)?;
    let opened = began.elapsed();
    Ok((journal.count(&Filter::default())?.count, opened))
}

/// Reads all there is, page by page, again and again.
async fn read(engine: Engine, is_wanted: bool, pages: Arc<AtomicU64>) {
    if !is_wanted {
        return;
    }
    let mut cursor = None;
    loop {
        // One that fails is not counted, and its like would show in the figure.
        let Ok(page) = engine.list(Filter::default(), cursor, PAGE).await else { return };
        pages.fetch_add(1, Ordering::Relaxed);
        cursor = page.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_does_what_its_name_says() {
        let (parent, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let conditions = Conditions::brief(parent.path());
        for ids in [Ids::Made, Ids::Given, Ids::Keyed] {
            let before = look(full.path()).unwrap().0;
            fill(&conditions, full.path(), History { finished: 3_000, ids }).unwrap();
            assert_eq!(look(full.path()).unwrap().0, before + 3_000);
            let runs = measure(&conditions, full.path(), ids, 4).unwrap();
            let [empty, full, retention, reader] = &runs[..] else { panic!("four states: {runs:?}") };
            assert_eq!((empty.before, empty.share_of_empty, empty.share_of_full), (0, 1.0, None));
            assert!(full.before >= 3_000 && full.share_of_full.is_none(), "{full:?}");
            assert!(retention.removed > 0 && retention.share_of_full.is_some(), "{retention:?}");
            assert_eq!((empty.removed, full.removed, reader.removed), (0, 0, 0));
            assert_eq!((empty.pages, full.pages, retention.pages), (0, 0, 0));
            assert!(reader.pages > 0, "{reader:?}");
        }
    }
}
