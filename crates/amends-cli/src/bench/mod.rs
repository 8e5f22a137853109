//! `amends bench`: what this machine can do, next to what its disk can do.
//!
//! Owns the order of one run: for each number of clients the sagas, then bare appends of the same size by the same
//! clients, so that what is compared was measured side by side; then recovery. Promises the product's own defaults
//! (shards, workers, journal) and one document at the end. Does not tune anything for the occasion. Start reading at
//! [`run`], then `load/mod.rs`.

mod args;
mod child;
mod disk;
mod error;
mod group_commit;
mod interruption;
mod load;
mod machine;
mod place;
mod progress;
mod recovery;
mod report;
mod sagas;
mod table;
mod workload;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

pub(crate) use args::{BenchArgs, BenchChildArgs};
pub(crate) use child::run as run_child;

use args::{Output, Part};
use disk::Appends;
use error::BenchError;
use load::Window;
use place::Place;
use progress::Progress;
use report::Report;
use workload::Workload;

use crate::process::complain;

/// How long each measurement runs before it counts: connections are made, caches and the log's file are warm.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs) -> ExitCode {
    end(measure(args).and_then(|report| print(&report, args.output)))
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

fn measure(args: &BenchArgs) -> Result<Report, BenchError> {
    let parts = args.parts();
    let place = Place::choose(args.data.as_deref())?;
    complain(&format!("measuring in {}, which is removed afterwards", place.directory().display()));
    if let Some(warning) = place.warning() {
        complain(&format!("warning: {warning}"));
    }
    if cfg!(debug_assertions) {
        complain("warning: this is a debug build, several times slower than a release build");
    }
    if parts.contains(&Part::Disk) && !parts.contains(&Part::Ok) && !parts.contains(&Part::Undo) {
        complain(&disk::without_sagas());
    }
    let window = Window { warm_up: WARM_UP, measured: Duration::from_secs(u64::from(args.seconds)) };
    let mut run =
        Run { window, progress: Progress::new(), report: Report::new(machine::look(&place)), place };
    for clients in args.clients() {
        run.measure_clients(&parts, clients)?;
    }
    if parts.contains(&Part::Recovery) {
        for in_flight in args.in_flight() {
            run.progress.begin(format!("recovery of {in_flight} sagas"));
            let row = recovery::measure(&run.place, in_flight)?;
            run.report.recovery.push(row);
        }
    }
    run.progress.end();
    run.report.sort();
    Ok(run.report)
}

/// One run under way.
struct Run {
    window: Window,
    progress: Progress,
    report: Report,
    place: Place,
}

impl Run {
    fn measure_clients(&mut self, parts: &[Part], clients: u32) -> Result<(), BenchError> {
        let mut made = Vec::new();
        let first = self.report.sagas.len();
        for (part, workload) in [(Part::Ok, Workload::Ok), (Part::Undo, Workload::Undo)] {
            if parts.contains(&part) {
                self.progress.begin(format!("{} sagas, {clients} clients", workload.name()));
                let (row, appends) =
                    sagas::measure(&self.place, workload, clients, self.window, &self.progress)?;
                self.report.sagas.push(row);
                made.push(appends);
            }
        }
        if parts.contains(&Part::Disk) {
            let appends = Appends::mean(&made).unwrap_or(Appends::WITHOUT_SAGAS);
            self.progress.begin(format!("the disk alone, {clients} clients"));
            let row = disk::measure(&self.place, clients, appends, self.window, &self.progress)?;
            for (saga, appends) in self.report.sagas[first..].iter_mut().zip(&made) {
                saga.compare_with(&row, appends.per_saga());
            }
            self.report.disk.push(row);
        }
        Ok(())
    }
}

fn print(report: &Report, output: Output) -> Result<(), BenchError> {
    let document = match output {
        Output::Json => report.json() + "\n",
        Output::Yaml => report.yaml(),
        Output::Table => table::draw(report),
    };
    std::io::stdout().write_all(document.as_bytes()).map_err(BenchError::Print)
}
