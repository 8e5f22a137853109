//! The binary `amends`.
//!
//! Owns the command line: its words, its exit codes, where messages go. Promises that a command that fails
//! says what to do, on stderr, and exits with the code that `--help` names. Does no work itself: each command
//! has its module.

mod demo;
mod directory;
mod process;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "Exit codes:
  0  done, or stopped as asked (SIGTERM, Ctrl-C)
  1  it could not be done; the message on stderr says why and what to do
  2  the command line makes no sense";

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
    /// Measure this machine: sagas per second, latency and recovery, next to the disk's own limit
    Bench(amends_bench::Arguments),
    /// One process of a measurement
    #[command(hide = true)]
    BenchWorker(amends_bench::WorkerArguments),
}

/// A saga is some sixty small allocations, most of them freed by another thread than the one that made them:
/// a twelfth of its processor time is saved by an allocator made for that (docs/operate/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Bench(args) => return amends_bench::run(&args),
        Command::BenchWorker(args) => return amends_bench::run_worker(&args, process::start_log),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            process::complain(&message);
            ExitCode::FAILURE
        }
    }
}
