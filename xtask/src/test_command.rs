//! `cargo xtask test`: everything CI runs, from nothing; with `--quick`, what one wants after each change.
//!
//! Owns the lists of stages and their order, from the quickest to the slowest.
//! Promises that the first stage that fails ends it, with the command that repeats just that stage, and that
//! the last line reads `N passed, N failed`.
//! Does not install anything: what is missing is named, with how to get it.

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use amends_campaign::{self as campaign, CouldNotRun, Seed};
use clap::Args;

use crate::book;
use crate::cargo;
use crate::check;
use crate::instructions::{self, Verdict};
use crate::participants;

/// The command line of the tests.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Repeats the crash campaign of an earlier run.
    #[arg(long, conflicts_with = "quick")]
    seed: Option<Seed>,
    /// The daily loop, in under three minutes on a warm tree: no release build, no crash campaign, no slow
    /// test.
    #[arg(long)]
    quick: bool,
}

/// One stage.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// What is needed is installed.
    Tools,
    /// Every file is formatted.
    Format,
    /// What is generated is what its sources make.
    Generated,
    /// Links and names in documents lead somewhere, crates depend downwards, files of a crate in no circle.
    Check,
    /// The book can be built of its pages.
    Book,
    /// No warning, from the compiler or from clippy.
    Lint,
    /// Links in the documentation of the code lead somewhere.
    Documentation,
    /// Every test but the slow ones.
    QuickTests,
    /// Every test of the workspace.
    Tests,
    /// The binary users get.
    Release,
    /// The example participants in five languages do what a participant owes.
    Participants,
    /// A saga costs no more instructions than is written down.
    Instructions,
    /// The short crash campaign on that binary.
    Kill,
    /// The same over services that are processes of their own.
    KillServices,
    /// The crash campaign catches broken builds.
    KillSelfTest,
}

/// Why a stage failed, and what repeats it.
#[derive(Debug)]
struct Failed {
    why: String,
    repeat: String,
}

/// Carries out `cargo xtask test`.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let seed = arguments.seed.unwrap_or_else(Seed::fresh);
    let mut passed = 0;
    let stages: &[Stage] = if arguments.quick { &QUICK } else { &ALL };
    for stage in stages {
        println!("\n== {} ==", stage.heading());
        // What a stage prints goes past our buffer.
        let _ = io::stdout().flush();
        let began = Instant::now();
        let result = stage.run(seed);
        let seconds = began.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                passed += 1;
                println!("== {}: passed in {seconds:.1} s ==", stage.heading());
            }
            Err(Failed { why, repeat }) => {
                println!("== {}: FAILED after {seconds:.1} s ==", stage.heading());
                println!("{why}\nto repeat just this stage: {repeat}\n");
                println!("{passed} passed, 1 failed");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("\n{passed} passed, 0 failed");
    ExitCode::SUCCESS
}

impl Stage {
    fn heading(self) -> &'static str {
        match self {
            Stage::Tools => "tools",
            Stage::Format => "format",
            Stage::Generated => "generated files",
            Stage::Check => "documents and structure",
            Stage::Book => "book",
            Stage::Lint => "lint",
            Stage::Documentation => "documentation",
            Stage::QuickTests => "quick tests",
            Stage::Tests => "tests",
            Stage::Release => "release build",
            Stage::Participants => "participants in five languages",
            Stage::Instructions => "instruction counts",
            Stage::Kill => "crash campaign",
            Stage::KillServices => "crash campaign over services",
            Stage::KillSelfTest => "self-test of the crash campaign",
        }
    }

    fn run(self, seed: Seed) -> Result<(), Failed> {
        match self {
            Stage::Tools => look_for_tools(),
            Stage::Format => call(&["fmt", "--all", "--check"]),
            Stage::Generated => call(&["xtask", "generate", "--check"]),
            Stage::Lint => call(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
            Stage::Check => check_documents(),
            Stage::Book => build_book(),
            Stage::Documentation => make_documentation(),
            Stage::QuickTests => run_quick_tests(),
            Stage::Tests => call(&["test", "--workspace"]),
            Stage::Release => call(&["build", "--release", "-p", "amends-cli"]),
            Stage::Participants => try_participants(),
            Stage::Instructions => count_instructions(),
            Stage::Kill => run_campaign(seed),
            Stage::KillServices => run_services_campaign(seed),
            Stage::KillSelfTest => run_self_test(seed),
        }
    }
}

fn call(arguments: &[&str]) -> Result<(), Failed> {
    cargo::run(arguments).map_err(|error| Failed { why: error.to_string(), repeat: error.command })
}

fn check_documents() -> Result<(), Failed> {
    let findings = check::findings().unwrap_or_else(|why| vec![why]);
    let failed = || Failed { why: findings.join("\n"), repeat: "cargo xtask check".to_owned() };
    if findings.is_empty() { Ok(()) } else { Err(failed()) }
}

fn run_quick_tests() -> Result<(), Failed> {
    call(&["test", "--workspace", "--exclude", BINARY])?;
    let skipped: Vec<&str> = SLOW_TESTS.iter().flat_map(|name| ["--skip", name]).collect();
    call(&[&["test", "--package", BINARY, "--test", "demo", "--"], skipped.as_slice()].concat())
}

/// In two calls: the binary `amends` and the library `amends` have pages of the same name.
fn make_documentation() -> Result<(), Failed> {
    let doc = |which: &[&str]| call(&[&["doc", "--no-deps", "--document-private-items"], which].concat());
    doc(&["--workspace", "--exclude", BINARY])?;
    doc(&["--package", BINARY])
}

/// Everything that is missing is named together, to be installed in one go.
fn look_for_tools() -> Result<(), Failed> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let has_compiler = Command::new(&compiler)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut why = String::new();
    for (is_there, name, remedy) in [
        (
            cargo::knows("fmt"),
            "cargo fmt",
            "`rustup component add rustfmt`, or your system's package rustfmt",
        ),
        (
            cargo::knows("clippy"),
            "cargo clippy",
            "`rustup component add clippy`, or your system's package rust-clippy",
        ),
        (
            has_compiler,
            compiler.as_str(),
            "a C compiler (`apt install build-essential`, `xcode-select --install`, …)",
        ),
    ] {
        if !is_there {
            writeln!(why, "`{name}` is missing; install {remedy}")
                .expect("writing to a string does not fail");
        }
    }
    if why.is_empty() { Ok(()) } else { Err(Failed { why, repeat: "cargo xtask test".to_owned() }) }
}

fn build_book() -> Result<(), Failed> {
    match book::build() {
        Ok(book::Verdict::Built(_)) => Ok(()),
        Ok(book::Verdict::NoMdBook) => {
            println!("left out: {}", book::NO_MDBOOK);
            Ok(())
        }
        Err(why) => Err(Failed { why, repeat: "cargo xtask book".to_owned() }),
    }
}

fn try_participants() -> Result<(), Failed> {
    let failed = |why| Failed { why, repeat: "cargo xtask participants".to_owned() };
    let binary = cargo::build_amends().map_err(|error| failed(error.to_string()))?;
    let tally = participants::try_all(&binary, None).map_err(failed)?;
    if tally.is_sound() {
        Ok(())
    } else {
        Err(failed("a participant breaks a promise: see above".to_owned()))
    }
}

fn count_instructions() -> Result<(), Failed> {
    let failed = |why| Failed { why, repeat: "cargo xtask instructions".to_owned() };
    match instructions::compare(false) {
        Ok(Verdict::Sound) => Ok(()),
        Ok(Verdict::NoValgrind) => {
            println!("left out: {}", instructions::NO_VALGRIND);
            Ok(())
        }
        Ok(Verdict::Grown) => Err(failed("a saga costs more than it did: see above".to_owned())),
        Err(why) => Err(failed(why)),
    }
}

fn run_campaign(seed: Seed) -> Result<(), Failed> {
    let repeat = format!("cargo xtask kill --rounds {} --seed {seed}", campaign::ROUNDS);
    let failed = |why| Failed { why, repeat: repeat.clone() };
    let binary = cargo::build_amends().map_err(|error| failed(error.to_string()))?;
    match campaign::run_short(&binary, seed) {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed("something was lost, doubled or changed: see above".to_owned())),
        Err(CouldNotRun(why)) => Err(failed(why)),
    }
}

fn run_services_campaign(seed: Seed) -> Result<(), Failed> {
    let repeat = format!("cargo xtask kill --services --rounds {} --seed {seed}", campaign::SERVICES_ROUNDS);
    let failed = |why| Failed { why, repeat: repeat.clone() };
    let binary = cargo::build_amends().map_err(|error| failed(error.to_string()))?;
    match campaign::run_short_services(&binary, seed) {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed("something was lost, doubled or changed: see above".to_owned())),
        Err(CouldNotRun(why)) => Err(failed(why)),
    }
}

fn run_self_test(seed: Seed) -> Result<(), Failed> {
    let failed = |why| Failed { why, repeat: format!("cargo xtask kill --self-test --seed {seed}") };
    let binary = cargo::build_sabotaged_amends().map_err(|error| failed(error.to_string()))?;
    match campaign::run_short_self_test(&binary, seed) {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed("the campaign passed on a build that is broken on purpose".to_owned())),
        Err(CouldNotRun(why)) => Err(failed(why)),
    }
}

/// The crate of the binary.
const BINARY: &str = "amends-cli";

/// Of the tests of the demo, those that take longer than ten seconds each: nine tenths of their time. The
/// tests of the bench are left out whole.
const SLOW_TESTS: [&str; 3] = [
    "sweep_no_damage_ever_changes_an_answer",
    "a_body_that_does_not_come_is_408",
    "a_log_that_is_broken_before_its_last_transaction",
];

/// What one wants after each change.
const QUICK: [Stage; 8] = [
    Stage::Tools,
    Stage::Format,
    Stage::Generated,
    Stage::Check,
    Stage::Book,
    Stage::Lint,
    Stage::Documentation,
    Stage::QuickTests,
];

/// From the quickest to the slowest.
const ALL: [Stage; 14] = [
    Stage::Tools,
    Stage::Format,
    Stage::Generated,
    Stage::Check,
    Stage::Book,
    Stage::Lint,
    Stage::Documentation,
    Stage::Tests,
    Stage::Release,
    Stage::Participants,
    Stage::Instructions,
    Stage::Kill,
    Stage::KillServices,
    Stage::KillSelfTest,
];
