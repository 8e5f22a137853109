//! A process of the bench's own, and what it says.
//!
//! Owns the parent's side: the start of the child, the lines it says, its end. Promises that it does not outlive this
//! process, and that a child which fails is named by what it was there for. What it does is up to `child/`.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use clap::ValueEnum;

use super::args::Role;
use super::error::BenchError;
use super::place::Place;

/// A child at work.
pub(super) struct ChildProcess<'p> {
    place: &'p Place,
    /// What it is there for, for messages.
    what: &'static str,
    lines: BufReader<ChildStdout>,
}

impl<'p> ChildProcess<'p> {
    pub(super) fn start(
        place: &'p Place,
        role: Role,
        directory: &Path,
        sagas: u32,
    ) -> Result<Self, BenchError> {
        let what = role.in_words();
        let program = std::env::current_exe().map_err(|error| failed(what, &error))?;
        let name = role.to_possible_value().expect("no role is hidden");
        let child = Command::new(program)
            .args(["bench-child", name.get_name(), "--sagas", &sagas.to_string(), "--data"])
            .arg(directory)
            // The child ends when this end is closed, so that it does not outlive us.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| failed(what, &error))?;
        let lines = BufReader::new(child.stdout.take().expect("its output was asked for"));
        place.interruption().own_child(child);
        Ok(Self { place, what, lines })
    }

    /// Waits until it says what it has to.
    pub(super) fn expect(&mut self, expected: &str) -> Result<(), BenchError> {
        self.hear(|line| (line == expected).then_some(()))
    }

    /// Waits until it says something, and understands it.
    pub(super) fn hear<T>(&mut self, understand: impl FnOnce(&str) -> Option<T>) -> Result<T, BenchError> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(|error| failed(self.what, &error))?;
        if let Some(understood) = understand(line.trim_end()) {
            return Ok(understood);
        }
        // It said why on its standard error.
        self.wait()?;
        Err(BenchError::Child { what: self.what, how: format!("nobody understands that it said {line:?}") })
    }

    /// Lets it end by itself.
    pub(super) fn end(self) -> Result<(), BenchError> {
        self.wait()
    }

    /// On Unix this is SIGKILL: the process has no chance to tidy up.
    pub(super) fn kill(self) -> Result<(), BenchError> {
        self.place.interruption().kill_child().map_err(|error| failed(self.what, &error))
    }

    fn wait(&self) -> Result<(), BenchError> {
        match self.place.interruption().wait_for_child() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(BenchError::Child { what: self.what, how: status.to_string() }),
            Err(error) => Err(failed(self.what, &error)),
        }
    }
}

fn failed(what: &'static str, error: &io::Error) -> BenchError {
    BenchError::Child { what, how: error.to_string() }
}
