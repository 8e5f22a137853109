//! Tasks for those who work on Amends, run as `cargo xtask <task>`.
//!
//! Owns the command line of the tasks and their exit codes: 0 all is well, 1 something is wrong with
//! Amends, 2 the task could not be carried out.
//! Promises that `cargo xtask test` is what CI runs.
//! Does not depend on any crate of the product: it builds and watches the product from outside, as a user
//! would.

mod book;
mod cargo;
mod check;
mod circles;
mod contract;
mod documents;
mod generate;
mod instructions;
mod markdown;
mod participants;
mod source;
mod test_command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Tasks for those who work on Amends")]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything CI runs: format, lints, tests, release build, instruction counts, crash campaign and its
    /// self-test.
    Test(test_command::Arguments),
    /// Looks for links and names in the documents that lead nowhere, arrows upwards between crates, and
    /// import circles.
    Check,
    /// Makes what is made from something else: the reference of limits, the OpenAPI document.
    Generate(generate::Arguments),
    /// Builds the documentation as a book, where mdBook is installed.
    Book,
    /// Tries the example participants, each in its language, against a real server.
    Participants(participants::Arguments),
    /// Counts what a saga costs in instructions, and whether that has grown.
    Instructions(instructions::Arguments),
    /// Tries the whole API from its OpenAPI document with schemathesis, where that is installed.
    Contract,
    /// The crash campaign: real orders, SIGKILL at random instants, and a check that nothing was lost.
    Kill(amends_campaign::Arguments),
}

fn main() -> ExitCode {
    match CommandLine::parse().task {
        Task::Test(arguments) => test_command::run(&arguments),
        Task::Check => check::run(),
        Task::Generate(arguments) => generate::run(&arguments),
        Task::Book => book::run(),
        Task::Participants(arguments) => participants::run(&arguments),
        Task::Instructions(arguments) => instructions::run(&arguments),
        Task::Contract => contract::run(),
        Task::Kill(arguments) => amends_campaign::run(&arguments, cargo::build_for_campaign),
    }
}
