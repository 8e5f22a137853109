//! `amends bench`: what this machine can do, next to what its disk can do.
//!
//! Owns the order of one run: for each number of clients the sagas, then bare appends of the same size by the same
//! clients, then orders over HTTP and their floor, round by round as often as asked, so that what is put side by side was
//! measured side by side; then recovery, memory, and what a long history does.
//! Promises the product's own defaults (shards, workers, journal) and one document at the end. Does not tune anything for
//! the occasion. Start reading at [`run`], then `load/mod.rs`.

mod args;
mod block_device;
mod child;
mod compare;
mod conditions;
mod disk;
mod error;
mod group_commit;
mod history;
mod http_client;
mod interruption;
mod load;
mod machine;
mod memory;
mod place;
mod printed;
mod progress;
mod recovery;
mod report;
mod runs;
mod sagas;
mod shop;
mod shop_server;
mod starters;
mod stderr;
mod table;
mod worker;
mod workload;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

pub use args::{Arguments, ChildArguments};
pub use child::run as run_child;
pub use shop_server::{ShopServerArguments, run as run_shop_server};

use args::Part;
use compare::{Comparison, Document};
use conditions::Conditions;
use disk::Appends;
use error::BenchError;
use history::{History, State};
use load::{Load, Window};
use memory::Held;
use place::Place;
use printed::print;
use progress::Progress;
use report::disk::DiskRow;
use report::history::HistoryRow;
use report::memory::MemoryRow;
use report::recovery::RecoveryRow;
use report::sagas::SagaRow;
use report::shop::ShopRow;
use report::{COMPARED, Report, Settings};
use runs::Runs;
use stderr::complain;
use workload::Workload;

/// How long each measurement runs before it counts: connections are made, caches and the log's file are warm.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures, compares, prints.
pub fn run(args: &Arguments) -> ExitCode {
    end(carry_out(args))
}

fn carry_out(args: &Arguments) -> Result<(), BenchError> {
    // Read first: nobody wants to learn after an hour that the file was the wrong one.
    let before = args.compare.as_deref().map(Document::read).transpose()?;
    if let Some((before, with)) = before.as_ref().zip(args.with.as_deref()) {
        let comparison = Comparison::of(before, &Document::read(with)?, &COMPARED)?;
        warn(&comparison.warnings());
        return print(&comparison.alone(), args.output);
    }
    let mut report = measure(args)?;
    report.compared =
        before.map(|before| Comparison::of(&before, &Document::of(&report), &COMPARED)).transpose()?;
    warn(&report.warnings());
    print(&report, args.output)
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
}

/// Says what went wrong, with its causes, and what that means for whoever called.
fn end(done: Result<(), BenchError>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    complain(&message);
    ExitCode::from(error.exit_code())
}

fn measure(args: &Arguments) -> Result<Report, BenchError> {
    let (parts, loads) = (args.parts(), args.loads());
    let place = Place::choose(args.data.as_deref())?;
    complain(&format!("measuring in {}, which is removed afterwards", place.directory().display()));
    if let Some(warning) = place.warning() {
        complain(&format!("warning: {warning}"));
    }
    if cfg!(debug_assertions) {
        complain("warning: this is a debug build, several times slower than a release build");
    }
    let has_sagas = parts.contains(&Part::Ok) || parts.contains(&Part::Undo);
    if parts.contains(&Part::Disk) && !has_sagas {
        complain(&disk::without_sagas());
    }
    if !has_sagas && loads != [Load::Closed] {
        complain("no sagas are measured: --rate changes nothing");
    }
    if parts.contains(&Part::Shop) {
        shop::require_connections(&args.clients())?;
    }
    let window = Window { warm_up: WARM_UP, measured: Duration::from_secs(u64::from(args.seconds)) };
    let settings = Settings::new(window, args.repeat, &loads);
    let report = Report::new(machine::look(&place), settings);
    let conditions = Conditions { place, window, progress: Progress::new() };
    let mut run = Run { conditions, runs: args.repeat, report };
    for clients in args.clients() {
        run.measure_clients(&parts, &loads, clients)?;
    }
    if parts.contains(&Part::Recovery) {
        for in_flight in args.in_flight() {
            run.measure_recovery(in_flight)?;
        }
    }
    if parts.contains(&Part::Memory) {
        run.measure_memory(args.held())?;
    }
    if parts.contains(&Part::History) {
        let clients = args.clients().into_iter().max().expect("there is a number of clients");
        for history in args.histories() {
            run.measure_history(history, clients)?;
        }
    }
    run.conditions.progress.end();
    run.report.sort();
    Ok(run.report)
}

/// One run of the program under way.
struct Run {
    conditions: Conditions,
    /// How often each measurement is made.
    runs: u32,
    report: Report,
}

impl Run {
    /// Round by round, so that a share of the disk is one of the same minute.
    fn measure_clients(&mut self, parts: &[Part], loads: &[Load], clients: u32) -> Result<(), BenchError> {
        let workloads = [(Part::Ok, Workload::Ok), (Part::Undo, Workload::Undo)];
        let asked = workloads.into_iter().filter(|(part, _)| parts.contains(part));
        let mut sagas: Vec<_> = asked
            .flat_map(|(_, workload)| loads.iter().map(move |load| (workload, *load, Vec::new())))
            .collect();
        let (mut disk, mut shop) = (Vec::new(), Vec::new());
        for round in 1..=self.runs {
            let mut made = Vec::new();
            for (workload, load, runs) in &mut sagas {
                self.begin(&format!("{} sagas, {}", workload.name(), in_words(*load, clients)), round);
                let run = sagas::measure(&self.conditions, *workload, *load, clients)?;
                made.push(run.appends);
                runs.push(run);
            }
            if parts.contains(&Part::Disk) {
                let appends = Appends::mean(&made).unwrap_or(Appends::WITHOUT_SAGAS);
                self.begin(&format!("the disk alone, {clients} clients"), round);
                let run = disk::measure(&self.conditions, clients, appends)?;
                for saga in sagas.iter_mut().filter_map(|(_, _, runs)| runs.last_mut()) {
                    saga.compare_with(&run);
                }
                disk.push(run);
            }
            if parts.contains(&Part::Shop) {
                self.begin(&format!("orders over HTTP, {clients} clients"), round);
                shop.push(shop::measure(&self.conditions, clients)?);
            }
        }
        for (workload, load, runs) in sagas {
            let row = Runs::of(runs).map(|runs| SagaRow::new(workload.name(), load, clients, &runs));
            self.report.sagas.extend(row);
        }
        self.report.disk.extend(Runs::of(disk).map(|runs| DiskRow::new(clients, &runs)));
        self.report.shop.extend(Runs::of(shop).map(|runs| ShopRow::new(clients, &runs)));
        Ok(())
    }

    fn measure_recovery(&mut self, in_flight: u32) -> Result<(), BenchError> {
        let what = format!("recovery of {in_flight} sagas");
        let runs = self.repeated(&what, |conditions| recovery::measure(&conditions.place, in_flight))?;
        self.report.recovery.push(RecoveryRow::new(in_flight, &runs));
        Ok(())
    }

    fn measure_memory(&mut self, held: Held) -> Result<(), BenchError> {
        let runs = self.repeated("memory", |conditions| memory::measure(&conditions.place, held))?;
        self.report.memory.extend(MemoryRow::rows(held, &runs));
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
            self.report.history.push(HistoryRow::new(history, clients, state, &runs));
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
        Load::Open { rate } => format!("{rate} a second, {clients} at once at most"),
    }
}
