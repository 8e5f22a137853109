//! The crash campaign: real orders, SIGKILL at random instants, and a check that nothing was lost.
//!
//! Owns its command line (`cargo xtask kill`), its exit codes and its self-test.
//! Promises to tell three things apart: nothing was lost (0), something was (1), nothing was proved (2).
//! Does not look into the product, and depends on none of its crates: it starts the binary, posts orders,
//! kills it, and compares what it shows with what it said. Start reading at `campaign::Plan::run`.

mod answer;
mod campaign;
mod check;
mod client;
mod could_not_run;
mod crew;
mod http;
mod order;
mod place;
mod process;
mod progress;
mod random;
mod record;
mod report;
mod scene;
mod self_test;
mod settle;
mod views;
mod violation;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use self::campaign::{Checks, Outcome, Plan};
pub use self::could_not_run::CouldNotRun;
use self::process::Services;
pub use self::random::Seed;
use self::self_test::SelfTest;

/// The command line of the crash campaign.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How often the process is killed under load.
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Repeats the decisions of the clients and the instants of the kills of an earlier campaign.
    #[arg(long)]
    seed: Option<Seed>,
    /// How many clients post orders concurrently.
    #[arg(long, default_value_t = CLIENTS, value_parser = clap::value_parser!(u16).range(1..=CLIENTS_MAX))]
    clients: u16,
    /// The `amends` to kill [default: a release build of this checkout].
    #[arg(long)]
    binary: Option<PathBuf>,
    /// An empty or new directory for the data [default: a temporary one].
    #[arg(long)]
    data: Option<PathBuf>,
    /// Leaves the temporary directory even if all is well; after a violation it always stays.
    #[arg(long)]
    keep: bool,
    /// Checks everything after each round and not only after the last: slower, and names the round.
    #[arg(long)]
    check_each_round: bool,
    /// Runs the four services as processes of their own, and kills those as well.
    #[arg(long)]
    services: bool,
    /// Proves that the campaign catches deliberately broken builds; `--binary` is then one with the feature
    /// `sabotage`.
    #[arg(long, conflicts_with_all = ["rounds", "data", "keep", "check_each_round", "sabotage", "services"])]
    self_test: bool,
    /// A deliberately broken variant to run against.
    #[arg(long, hide = true)]
    sabotage: Option<String>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// What is to be built when the command line names no binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// What users get.
    Release,
    /// With the feature `sabotage`.
    Sabotaged,
}

/// Carries out the command. `build` makes the binary if the command line names none, or says why it cannot.
pub fn run(arguments: &Arguments, build: impl FnOnce(Build) -> Result<PathBuf, String>) -> ExitCode {
    let seed = arguments.seed.unwrap_or_else(Seed::fresh);
    let build = |variant| match &arguments.binary {
        Some(binary) => Ok(binary.clone()),
        None => build(variant).map_err(CouldNotRun),
    };
    let ran = if arguments.self_test {
        build(Build::Sabotaged).and_then(|binary| run_self_test(arguments, &binary, seed))
    } else {
        build(Build::Release).and_then(|binary| run_campaign(arguments, binary, seed))
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_VIOLATION),
        Err(CouldNotRun(why)) => {
            match arguments.output {
                Output::Text => {}
                Output::Json => {
                    println!("{}", json!({"passed": null, "seed": seed.to_string(), "could_not_run": why}))
                }
            }
            eprintln!("kill: could not run (seed {seed}): {why}");
            ExitCode::from(EXIT_COULD_NOT_RUN)
        }
    }
}

/// The short campaign, as `cargo xtask test` runs it: whether it passed, with its report on standard output.
///
/// # Errors
/// It could not be run.
pub fn run_short(binary: &Path, seed: Seed) -> Result<bool, CouldNotRun> {
    short(binary, seed, ROUNDS, Services::Inside)
}

/// The short campaign over services that are processes of their own.
///
/// # Errors
/// It could not be run.
pub fn run_short_services(binary: &Path, seed: Seed) -> Result<bool, CouldNotRun> {
    short(binary, seed, SERVICES_ROUNDS, Services::Apart)
}

fn short(binary: &Path, seed: Seed, rounds: u32, services: Services) -> Result<bool, CouldNotRun> {
    let plan = Plan {
        binary: binary.to_owned(),
        rounds,
        seed,
        clients: CLIENTS,
        data: None,
        keeps_data: false,
        sabotage: None,
        checks: Checks::AtTheEnd,
        services,
    };
    plan.run().map(|outcome| print(&outcome, Output::Text))
}

/// The self-test, as `cargo xtask test` runs it: whether every broken variant was caught.
///
/// # Errors
/// A campaign could not be run.
pub fn run_short_self_test(binary: &Path, seed: Seed) -> Result<bool, CouldNotRun> {
    let test = SelfTest { binary, seed, clients: CLIENTS };
    test.run(&mut |line| println!("{line}")).map(|verdicts| self_test::all_caught(&verdicts))
}

fn run_campaign(arguments: &Arguments, binary: PathBuf, seed: Seed) -> Result<bool, CouldNotRun> {
    let plan = Plan {
        binary,
        rounds: arguments.rounds,
        seed,
        clients: arguments.clients,
        data: arguments.data.clone(),
        keeps_data: arguments.keep,
        sabotage: arguments.sabotage.clone(),
        checks: if arguments.check_each_round { Checks::AfterEachRound } else { Checks::AtTheEnd },
        services: if arguments.services { Services::Apart } else { Services::Inside },
    };
    plan.run().map(|outcome| print(&outcome, arguments.output))
}

fn run_self_test(arguments: &Arguments, binary: &Path, seed: Seed) -> Result<bool, CouldNotRun> {
    let test = SelfTest { binary, seed, clients: arguments.clients };
    match arguments.output {
        Output::Text => {
            test.run(&mut |line| println!("{line}")).map(|verdicts| self_test::all_caught(&verdicts))
        }
        Output::Json => {
            let verdicts = test.run(&mut |line| eprintln!("{line}"))?;
            println!("{}", self_test::json(&verdicts, seed));
            Ok(self_test::all_caught(&verdicts))
        }
    }
}

fn print(outcome: &Outcome, output: Output) -> bool {
    match output {
        Output::Text => println!("{}", report::text(outcome)),
        Output::Json => println!("{}", report::json(outcome)),
    }
    outcome.violations.is_empty()
}

/// Rounds of the short campaign: about twenty seconds, for every push.
pub const ROUNDS: u32 = 20;
/// Rounds of the short campaign over services that are processes of their own.
pub const SERVICES_ROUNDS: u32 = 10;
/// Concurrent clients: enough for group commits to hold several sagas, few enough for a laptop.
const CLIENTS: u16 = 64;
/// More clients would be more threads than a laptop likes.
const CLIENTS_MAX: i64 = 1_024;
/// Something was lost, doubled or changed.
const EXIT_VIOLATION: u8 = 1;
/// Nothing was proved.
const EXIT_COULD_NOT_RUN: u8 = 2;
