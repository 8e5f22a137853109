//! A process beside this one, and the line between the two.
//!
//! Owns the hidden command that starts one, and both ends of the line: the parent reads the worker's standard
//! output line by line, the worker ends with its standard input. Promises that a worker does not outlive its
//! parent, and that one which is no longer wanted is gone. Does not do their work: each measurement has that
//! of its own workers.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal, kill_process};

use super::error::BenchError;
use super::place::Place;

/// The hidden command as the binary must call it.
const COMMAND: &str = "bench-worker";

/// The arguments of a worker.
#[derive(Debug, Args)]
pub struct WorkerArguments {
    /// What it is there for
    #[arg(value_enum)]
    pub(super) role: Role,
    /// The directory of its data
    #[arg(long)]
    pub(super) data: PathBuf,
    /// How many sagas
    #[arg(long, default_value_t = 0)]
    pub(super) sagas: u32,
}

/// What a worker is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Starts sagas that go no further, and waits to be killed.
    Fill,
    /// Takes them up and carries them to their end.
    Recover,
    /// Does nothing, and says how much memory it takes.
    Idle,
    /// Holds sagas in memory, and says how much they take.
    Live,
    /// Lets sagas wait in the journal, and says how much memory is left of them.
    Waiting,
    /// Serves the shop as `amends demo` does.
    Shop,
    /// Serves a handler that does nothing.
    Floor,
}

impl Role {
    /// For messages: the process that …
    const fn in_words(self) -> &'static str {
        match self {
            Self::Fill => "starts the sagas",
            Self::Recover => "takes the sagas up",
            Self::Idle => "does nothing",
            Self::Live => "holds live sagas",
            Self::Waiting => "lets sagas wait",
            Self::Shop => "serves the orders",
            Self::Floor => "serves nothing",
        }
    }
}

/// The parent's end.
pub(super) struct Worker<'a> {
    place: &'a Place,
    role: Role,
    id: Pid,
    lines: BufReader<ChildStdout>,
}

impl<'a> Worker<'a> {
    /// Starts this program again, as a worker.
    pub(super) fn start(
        place: &'a Place,
        role: Role,
        directory: &Path,
        sagas: u32,
    ) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(|error| failed(role, &error))?;
        let name = role.to_possible_value().expect("no role is hidden");
        let child = Command::new(program)
            .args([COMMAND, name.get_name(), "--sagas", &sagas.to_string(), "--data"])
            .arg(directory)
            // The worker ends when this end is closed, so that it does not outlive us.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| failed(role, &error))?;
        let lines = BufReader::new(child.stdout.take().expect("its output was asked for"));
        let id = Pid::from_child(&child);
        place.interruption().own_child(child);
        Ok(Self { place, role, id, lines })
    }

    /// Its process.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// What follows the word on the next line, which must be this one.
    pub(super) fn told(&mut self, expected: &str) -> Result<String, BenchError> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(|error| failed(self.role, &error))?;
        if line.is_empty() {
            // It has ended, and said why on its standard error.
            self.wait()?;
        }
        let line = line.trim_end();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == expected {
            return Ok(rest.to_owned());
        }
        Err(self.misunderstood(&format!("{line:?}, not {expected:?}")))
    }

    /// Reads a word of what it said.
    pub(super) fn parse<T: FromStr>(&self, told: &str) -> Result<T, BenchError> {
        told.parse().map_err(|_| self.misunderstood(&format!("{told:?}")))
    }

    fn misunderstood(&self, said: &str) -> BenchError {
        BenchError::Child { what: self.role.in_words(), how: format!("it said {said}") }
    }

    /// Waits for it to end by itself, and well.
    pub(super) fn wait(&self) -> Result<(), BenchError> {
        match self.place.interruption().wait_for_child() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(BenchError::Child { what: self.role.in_words(), how: status.to_string() }),
            Err(error) => Err(failed(self.role, &error)),
        }
    }

    /// Asks it to end in good order.
    pub(super) fn ask_to_end(&self) -> Result<(), BenchError> {
        kill_process(self.id, Signal::TERM).map_err(|error| failed(self.role, &error.into()))
    }

    /// Ends it. On Unix this is SIGKILL: it has no chance to tidy up.
    pub(super) fn kill(self) -> Result<(), BenchError> {
        self.place.interruption().kill_child().map_err(|error| failed(self.role, &error))
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // There is one only when something else has failed, and that is what is reported.
        let _ = self.place.interruption().kill_child();
    }
}

fn failed(role: Role, error: &std::io::Error) -> BenchError {
    BenchError::Child { what: role.in_words(), how: error.to_string() }
}

/// The worker's end: its parent holds the other end of our standard input for as long as it lives.
pub(super) fn end_with_parent() {
    std::thread::spawn(|| {
        // Whether it ends or fails, the parent is gone.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

/// The worker's end: a line for the parent.
pub(super) fn tell(line: &str) -> Result<(), BenchError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(BenchError::Print)
}
