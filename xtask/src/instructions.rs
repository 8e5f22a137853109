//! `cargo xtask instructions`: how many instructions a saga costs, and whether that has grown.
//!
//! Owns the comparison of a fixed run (`crates/amends-engine/examples/fixed_run.rs`) with what is written
//! down in `xtask/instructions.json`. Promises figures that do not hang on what else the machine is doing:
//! they are counted under valgrind, not timed, and what a process costs before its first saga is taken off.
//! Does not measure speed: waiting and cache misses are not instructions. `cargo run --release -- bench`
//! measures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use crate::cargo;

/// The command line.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Writes down what is counted instead of comparing it.
    #[arg(long)]
    bless: bool,
}

/// What is counted, each an argument of the fixed run.
const WORKLOADS: [&str; 2] = ["ok", "undo"];

/// Two runs of each: their difference is what the sagas cost, without the start of the process.
const SAGAS: [u32; 2] = [1_000, 11_000];

/// How much more may be counted than is written down, in percent. Batches are cut by chance: repeated counts
/// lie within one and a half of each other.
const TOLERANCE_PERCENT: u64 = 3;

/// Instructions of one saga, by workload.
type Counts = BTreeMap<String, u64>;

/// What came of it.
pub(crate) enum Verdict {
    /// Nothing costs more than it may.
    Sound,
    /// Something does.
    Grown,
    /// There is no valgrind.
    NoValgrind,
}

/// What is printed without valgrind.
pub(crate) const NO_VALGRIND: &str =
    "valgrind is missing, so no instructions are counted; install your system's package valgrind";

/// Carries out `cargo xtask instructions`.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match compare(arguments.bless) {
        Ok(Verdict::Sound) => ExitCode::SUCCESS,
        Ok(Verdict::Grown) => ExitCode::FAILURE,
        Ok(Verdict::NoValgrind) => {
            eprintln!("{NO_VALGRIND}");
            ExitCode::from(2)
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Counts, and compares or writes down.
pub(crate) fn compare(bless: bool) -> Result<Verdict, String> {
    if !has_valgrind() {
        return Ok(Verdict::NoValgrind);
    }
    let program = build()?;
    let mut counted = Counts::new();
    for workload in WORKLOADS {
        let [few, many] = SAGAS;
        let more = count(&program, workload, many)?.saturating_sub(count(&program, workload, few)?);
        counted.insert(workload.to_owned(), more / u64::from(many - few));
    }
    let file = cargo::workspace_root().join("xtask/instructions.json");
    if bless {
        let text = serde_json::to_string_pretty(&counted).expect("text and numbers") + "\n";
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{} now says {counted:?}", file.display());
        return Ok(Verdict::Sound);
    }
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let written: Counts =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut has_grown = false;
    for (workload, now) in &counted {
        let before = written.get(workload).ok_or(format!("{} has no {workload}", file.display()))?;
        has_grown |= judge(workload, *before, *now);
    }
    Ok(if has_grown { Verdict::Grown } else { Verdict::Sound })
}

/// Whether it costs more than it may; says what was counted.
fn judge(workload: &str, before: u64, now: u64) -> bool {
    let may_be = before + before * TOLERANCE_PERCENT / 100;
    let need_be = before - before * TOLERANCE_PERCENT / 100;
    print!("a saga of the workload {workload}: {now} instructions, {before} written down");
    if now > may_be {
        println!(
            ": more than {TOLERANCE_PERCENT} % above. Find out what grew (valgrind --tool=callgrind), or, if it is worth it, \
             write it down: cargo xtask instructions --bless"
        );
        return true;
    }
    if now < need_be {
        println!(": less by far. Write it down so that it stays: cargo xtask instructions --bless");
    } else {
        println!(", {TOLERANCE_PERCENT} % more are allowed");
    }
    false
}

fn has_valgrind() -> bool {
    let asked =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

fn build() -> Result<PathBuf, String> {
    let arguments = ["build", "--release", "-p", "amends-engine", "--example", "fixed_run"];
    cargo::run(&arguments).map_err(|error| error.to_string())?;
    let target = cargo::target_directory().map_err(|error| error.to_string())?;
    Ok(target.join("release/examples/fixed_run"))
}

/// Instructions of one run of the program, all its threads together.
fn count(program: &Path, workload: &str, sagas: u32) -> Result<u64, String> {
    let ran = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--fair-sched=yes", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args([workload, &sagas.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() {
        return Err(format!("the fixed run failed under valgrind ({}):\n{said}", ran.status));
    }
    instructions(&said).ok_or(format!("valgrind said nothing about instructions:\n{said}"))
}

/// From `==123== I   refs:      87,893,570`.
fn instructions(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("I") && line.contains("refs:"))?;
    let (_, number) = line.split_once("refs:")?;
    number.trim().replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_valgrind_says() {
        let said = "==9== Cachegrind\n==9== \n==9== I   refs:      87,893,570\n";
        assert_eq!(instructions(said), Some(87_893_570));
        assert_eq!(instructions("==9== killed"), None);
    }

    #[test]
    fn only_what_grew_beyond_the_tolerance_fails() {
        assert!(judge("ok", 100_000, 103_001));
        assert!(!judge("ok", 100_000, 103_000));
        assert!(!judge("ok", 100_000, 50_000));
    }
}
