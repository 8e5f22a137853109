//! One run of the bench.
//!
//! Owns the order: for each number of clients the sagas, then bare appends of the same size by the same
//! clients, then orders over HTTP and their floor, then sagas over HTTP beside bare calls, round by round as often as asked, so that what is put side
//! by side was measured side by side; then recovery, memory, and what a long history does.
//! Promises the product's own defaults (shards, workers, journal). Does not tune anything for the occasion.

use std::time::Duration;

use super::args::{Arguments, Measurement};
use super::conditions::Conditions;
use super::disk::{self, Appends, DiskRun};
use super::error::BenchError;
use super::history::{self, History, State};
use super::load::{Load, Window};
use super::machine;
use super::memory::{self, Held, MemoryRun};
use super::orders::{self, OrdersRun};
use super::over_http::{self, OverHttpRun};
use super::parts::{DISK, HISTORY, HTTP, MEMORY, RECOVERY, SAGAS, SHOP};
use super::place::Place;
use super::progress::Progress;
use super::recovery::{self, RecoveryRun};
use super::report::{Report, Settings};
use super::runs::Runs;
use super::sagas::{self, SagaRun};
use super::stderr::complain;
use super::workload::Workload;

/// How long each measurement runs before it counts: connections are made, caches and the log's file are warm.
const WARM_UP: Duration = Duration::from_secs(1);

/// Carries out what is asked for.
pub(super) fn measure(args: &Arguments) -> Result<Report, BenchError> {
    let (asked, loads) = (args.measurements(), args.loads());
    let place = Place::choose(args.data.as_deref())?;
    complain(&format!("measuring in {}, which is removed afterwards", place.directory().display()));
    if let Some(warning) = place.warning() {
        complain(&format!("warning: {warning}"));
    }
    if cfg!(debug_assertions) {
        complain("warning: this is a debug build, several times slower than a release build");
    }
    let has_sagas = asked.contains(&Measurement::Ok) || asked.contains(&Measurement::Undo);
    if asked.contains(&Measurement::Disk) && !has_sagas {
        complain(&disk::without_sagas());
    }
    if !has_sagas && loads != [Load::Closed] {
        complain("no sagas are measured: --rate changes nothing");
    }
    if asked.contains(&Measurement::Shop) || asked.contains(&Measurement::Http) {
        orders::require_connections(&args.clients())?;
    }
    let window = Window { warm_up: WARM_UP, measured: Duration::from_secs(u64::from(args.seconds)) };
    let settings = Settings::new(window, args.repeat, &loads);
    let report = Report::new(machine::look(&place), settings);
    let conditions = Conditions { place, window, progress: Progress::new() };
    let mut session = Session { conditions, runs: args.repeat, report };
    for clients in args.clients() {
        session.measure_clients(&asked, &loads, clients)?;
    }
    if asked.contains(&Measurement::Recovery) {
        for in_flight in args.in_flight() {
            session.measure_recovery(in_flight)?;
        }
    }
    if asked.contains(&Measurement::Memory) {
        session.measure_memory(args.held())?;
    }
    if asked.contains(&Measurement::History) {
        let clients = args.clients().into_iter().max().expect("there is a number of clients");
        for history in args.histories() {
            session.measure_history(history, clients)?;
        }
    }
    session.conditions.progress.end();
    session.report.sort();
    Ok(session.report)
}

/// One run of the program under way.
struct Session {
    conditions: Conditions,
    /// How often each measurement is made.
    runs: u32,
    report: Report,
}

impl Session {
    /// Round by round, so that a share of the disk is one of the same minute.
    fn measure_clients(
        &mut self,
        asked: &[Measurement],
        loads: &[Load],
        clients: u32,
    ) -> Result<(), BenchError> {
        let workloads = [(Measurement::Ok, Workload::Ok), (Measurement::Undo, Workload::Undo)];
        let mut sagas: Vec<_> = workloads
            .into_iter()
            .filter(|(measurement, _)| asked.contains(measurement))
            .flat_map(|(_, workload)| loads.iter().map(move |load| (workload, *load, Vec::new())))
            .collect();
        let (mut disk, mut shop, mut http) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=self.runs {
            let mut made = Vec::new();
            for (workload, load, runs) in &mut sagas {
                self.begin(&format!("{} sagas, {}", workload.name(), in_words(*load, clients)), round);
                let run = sagas::measure(&self.conditions, *workload, *load, clients)?;
                made.push(run.appends);
                runs.push(run);
            }
            if asked.contains(&Measurement::Disk) {
                let appends = Appends::mean(&made).unwrap_or(Appends::WITHOUT_SAGAS);
                self.begin(&format!("the disk alone, {clients} clients"), round);
                let run = disk::measure(&self.conditions, clients, appends)?;
                for saga in sagas.iter_mut().filter_map(|(_, _, runs)| runs.last_mut()) {
                    saga.compare_with(&run);
                }
                disk.push(run);
            }
            if asked.contains(&Measurement::Shop) {
                self.begin(&format!("orders over HTTP, {clients} clients"), round);
                shop.push(orders::measure(&self.conditions, clients)?);
            }
            if asked.contains(&Measurement::Http) {
                self.begin(&format!("sagas over HTTP and bare calls, {clients} clients"), round);
                http.push(over_http::measure(&self.conditions, clients)?);
            }
        }
        for (workload, load, runs) in sagas {
            let row = Runs::of(runs).map(|runs| SagaRun::row(workload, load, clients, &runs));
            self.report.rows(&SAGAS).extend(row);
        }
        self.report.rows(&DISK).extend(Runs::of(disk).map(|runs| DiskRun::row(clients, &runs)));
        self.report.rows(&SHOP).extend(Runs::of(shop).map(|runs| OrdersRun::row(clients, &runs)));
        self.report.rows(&HTTP).extend(Runs::of(http).map(|runs| OverHttpRun::row(clients, &runs)));
        Ok(())
    }

    fn measure_recovery(&mut self, in_flight: u32) -> Result<(), BenchError> {
        let what = format!("recovery of {in_flight} sagas");
        let runs = self.repeated(&what, |conditions| recovery::measure(&conditions.place, in_flight))?;
        self.report.rows(&RECOVERY).push(RecoveryRun::row(in_flight, &runs));
        Ok(())
    }

    fn measure_memory(&mut self, held: Held) -> Result<(), BenchError> {
        let runs = self.repeated("memory", |conditions| memory::measure(&conditions.place, held))?;
        self.report.rows(&MEMORY).extend(MemoryRun::rows(held, &runs));
        Ok(())
    }

    fn measure_history(&mut self, history: History, clients: u32) -> Result<(), BenchError> {
        let History { finished, ids } = history;
        let full = self.conditions.place.fresh("history")?;
        self.begin(&format!("(filling a directory with {finished} sagas, ids {})", ids.name()), 1);
        history::fill(&self.conditions, full.path(), history)?;
        let rounds = self
            .repeated(&format!("{clients} clients beside {finished} finished sagas"), |conditions| {
                history::measure(conditions, full.path(), ids, clients)
            })?;
        for (at, state) in State::ALL.into_iter().enumerate() {
            let runs = rounds.each(|round| &round[at]);
            self.report.rows(&HISTORY).push(state.row(history, clients, &runs));
        }
        Ok(())
    }

    /// Measures one thing as often as asked.
    fn repeated<R>(
        &self,
        what: &str,
        measure: impl Fn(&Conditions) -> Result<R, BenchError>,
    ) -> Result<Runs<R>, BenchError> {
        let rounds = (1..=self.runs).map(|round| {
            self.begin(what, round);
            measure(&self.conditions)
        });
        Ok(Runs::of(rounds.collect::<Result<_, _>>()?).expect("everything is measured at least once"))
    }

    /// Tells a waiting person what is measured from here on.
    fn begin(&self, what: &str, round: u32) {
        let which = if self.runs == 1 { String::new() } else { format!(", run {round} of {}", self.runs) };
        self.conditions.progress.begin(format!("{what}{which}"));
    }
}

fn in_words(load: Load, clients: u32) -> String {
    match load {
        Load::Closed => format!("{clients} clients"),
        Load::Open { rate } => format!("{rate} a second, at most {clients} concurrently"),
    }
}
