//! `amends bench`: what this machine can do, next to what its disk can do.
//!
//! Owns the command, and the hidden one of the processes it starts. Promises one document on standard output,
//! and an exit code that says who has to act. Start reading at [`run`], then `session.rs` for the order of
//! the measurements, `load/mod.rs` for how each is made, and `parts.rs` for what the document holds.

mod args;
mod block_device;
mod compare;
mod conditions;
mod disk;
mod error;
mod figure;
mod group_commit;
mod history;
mod http_client;
mod interruption;
mod load;
mod machine;
mod memory;
mod orders;
mod over_http;
mod parts;
mod place;
mod progress;
mod recovery;
mod report;
mod row;
mod runs;
mod sagas;
#[cfg(test)]
mod sample;
mod session;
mod shop_server;
mod starters;
mod stderr;
mod table;
mod worker;
mod workload;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

pub use args::Arguments;
pub use worker::WorkerArguments;

use args::Output;
use compare::{Comparison, Document};
use error::BenchError;
use shop_server::Served;
use stderr::complain;
use worker::Role;

/// Measures, compares, prints.
pub fn run(args: &Arguments) -> ExitCode {
    end(carry_out(args))
}

fn carry_out(args: &Arguments) -> Result<(), BenchError> {
    // Read first: a wrong file should be found before an hour of measuring, not after it.
    let before = args.compare.as_deref().map(Document::read).transpose()?;
    if let Some((before, with)) = before.as_ref().zip(args.with.as_deref()) {
        let compared = Comparison::of(before, &Document::read(with)?)?;
        warn(&compared.warnings());
        return print(
            &json!({"compared": compared}),
            || compared.draw().trim_start().to_owned(),
            args.output,
        );
    }
    let mut report = session::measure(args)?;
    report.compared = before.map(|before| Comparison::of(&before, &Document::of(&report))).transpose()?;
    warn(&report.warnings());
    print(&report, || report.draw(), args.output)
}

/// One document on standard output, and nothing else there.
fn print(document: &impl Serialize, page: impl FnOnce() -> String, output: Output) -> Result<(), BenchError> {
    let text = match output {
        Output::Json => {
            serde_json::to_string_pretty(document).expect("the keys are text and the figures finite") + "\n"
        }
        Output::Table => page(),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(BenchError::Print)
}

/// Carries out the hidden command `bench-worker`, which the bench starts for each process of a measurement.
/// `start_log` is called where the product would trace.
pub fn run_worker(args: &WorkerArguments, start_log: impl FnOnce() -> Result<(), String>) -> ExitCode {
    worker::end_with_parent();
    let serve = |served| {
        start_log().map_err(BenchError::Log)?;
        shop_server::serve(&served)
    };
    end(match args.role {
        Role::Fill => recovery::fill(args),
        Role::Recover => recovery::recover(args),
        Role::Idle => memory::idle(args),
        Role::Live => memory::live(args),
        Role::Waiting => memory::waiting(args),
        Role::Shop => serve(Served::Shop(&args.data)),
        Role::Floor => serve(Served::Floor),
    })
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
}

/// Prints what went wrong, with its causes, and gives the exit code.
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
