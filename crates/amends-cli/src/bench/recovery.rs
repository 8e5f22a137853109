//! How long it takes to go on after a kill.
//!
//! Owns the parent's side: one child process fills a journal and is killed, a second one takes up what it left.
//! Promises times from just before the second process is started, so that its own start counts; and a real SIGKILL.
//! The children's side is `child.rs`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::child::{DURABLE, ENDED_ALL, ENDED_FIRST};
use super::error::BenchError;
use super::place::Place;

const FILLS: &str = "starts the sagas";
const RECOVERS: &str = "takes the sagas up";

/// How long one run took.
#[derive(Debug)]
pub(super) struct RecoveryRun {
    /// Until the first saga had ended.
    pub(super) first: Duration,
    /// Until all had.
    pub(super) all: Duration,
}

pub(super) fn measure(place: &Place, in_flight: u32) -> Result<RecoveryRun, BenchError> {
    let directory = place.fresh("recovery")?;
    fill(place, directory.path(), in_flight)?;
    let began = Instant::now();
    let mut lines = start(place, "recover", directory.path(), in_flight, RECOVERS)?;
    expect(place, &mut lines, ENDED_FIRST, RECOVERS)?;
    let first = began.elapsed();
    expect(place, &mut lines, ENDED_ALL, RECOVERS)?;
    let all = began.elapsed();
    end(place, RECOVERS)?;
    Ok(RecoveryRun { first, all })
}

fn fill(place: &Place, directory: &Path, in_flight: u32) -> Result<(), BenchError> {
    let mut lines = start(place, "fill", directory, in_flight, FILLS)?;
    expect(place, &mut lines, DURABLE, FILLS)?;
    // On Unix this is SIGKILL: the process has no chance to tidy up.
    place.interruption().kill_child().map_err(|error| failed(FILLS, &error))
}

type Lines = BufReader<ChildStdout>;

fn start(
    place: &Place,
    half: &str,
    directory: &Path,
    in_flight: u32,
    what: &'static str,
) -> Result<Lines, BenchError> {
    let program = std::env::current_exe().map_err(|error| failed(what, &error))?;
    let child = Command::new(program)
        .args(["bench-child", half, "--in-flight", &in_flight.to_string(), "--data"])
        .arg(directory)
        // The child ends when this end is closed, so that it does not outlive us.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child: Child = child.map_err(|error| failed(what, &error))?;
    let lines = BufReader::new(child.stdout.take().expect("its output was asked for"));
    place.interruption().own_child(child);
    Ok(lines)
}

fn expect(place: &Place, lines: &mut Lines, expected: &str, what: &'static str) -> Result<(), BenchError> {
    let mut line = String::new();
    lines.read_line(&mut line).map_err(|error| failed(what, &error))?;
    if line.trim_end() == expected {
        return Ok(());
    }
    // It said why on its standard error.
    end(place, what)?;
    Err(BenchError::Child { what, how: format!("it said {line:?}, not {expected:?}") })
}

/// Waits for the child to end by itself.
fn end(place: &Place, what: &'static str) -> Result<(), BenchError> {
    match place.interruption().wait_for_child() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(BenchError::Child { what, how: status.to_string() }),
        Err(error) => Err(failed(what, &error)),
    }
}

fn failed(what: &'static str, error: &std::io::Error) -> BenchError {
    BenchError::Child { what, how: error.to_string() }
}
