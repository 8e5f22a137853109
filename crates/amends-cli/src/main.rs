//! The binary `amends`.
//!
//! Owns the command line: its words, its exit codes, where messages go. Promises that a command that fails
//! says what to do, on stderr, and exits with the code that `--help` names. Does no work itself: each command
//! has its module.

mod completions;
mod config;
mod definition;
mod demo;
mod demo_service;
mod demo_services;
mod directory;
mod failure;
mod input;
mod journal;
mod output;
mod participant;
mod process;
#[cfg(test)]
mod reference;
mod remote;
mod saga;
mod serve;
mod telemetry;
mod times;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::{Code, Failure};

const EXIT_CODES: &str = "Exit codes:
  0  done, or stopped as asked (SIGTERM, Ctrl-C)
  1  it could not be done; the message on stderr says why and what to do
  2  the command line or the configuration makes no sense
  3 to 6  how a saga stands that was waited for: see `amends saga start --help`";

/// Durable transactions across services: when a step fails, Amends makes amends.
#[derive(Parser)]
#[command(name = "amends", version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the shop: four services and the order saga, on one port
    Demo(demo::DemoArgs),
    /// Run the coordinator: definitions and sagas over HTTP
    Serve(serve::ServeArgs),
    /// Start, find, follow and repair sagas
    Saga(saga::SagaArgs),
    /// Register, read, compare and retire definitions
    Definition(definition::DefinitionArgs),
    /// See how participants do
    Participant(participant::ParticipantArgs),
    /// Check, export, import and back up the data
    Journal(journal::JournalArgs),
    /// One service of the shop, as a process of its own
    #[command(hide = true)]
    DemoService(demo_service::ServiceArgs),
    /// Measure this machine: sagas per second, latency and recovery, next to the disk's own limit
    Bench(amends_bench::Arguments),
    /// One process of a measurement
    #[command(hide = true)]
    BenchWorker(amends_bench::WorkerArguments),
    /// Print the completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one per command into a directory
    Man(completions::ManArgs),
}

/// A saga is some sixty small allocations, most of them freed by another thread than the one that made them:
/// a twelfth of its processor time is saved by an allocator made for that (docs/operate/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Demo(args) => demo::run(args).map(|()| Code::Done).map_err(Failure::from),
        Command::Serve(args) => serve::run(args),
        Command::Saga(args) => saga::run(args),
        Command::Definition(args) => definition::run(args),
        Command::Participant(args) => participant::run(args),
        Command::Journal(args) => journal::run(args),
        Command::DemoService(args) => demo_service::run(args).map(|()| Code::Done).map_err(Failure::from),
        Command::Bench(args) => return amends_bench::run(&args),
        Command::BenchWorker(args) => return amends_bench::run_worker(&args, process::start_log),
        Command::Completions(args) => completions::completions(&args, Cli::command()),
        Command::Man(args) => completions::man(&args, Cli::command()),
    };
    match done {
        Ok(code) => code.into(),
        Err(Failure { message, next, code }) => {
            process::complain(&message);
            if let Some(next) = next {
                process::hint(&next);
            }
            code.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
