//! A process beside this one, and the line between the two.
//!
//! Owns both ends of it: the parent reads the worker's standard output line by line, the worker ends with its standard
//! input. Promises that a worker does not outlive its parent, and that one which is no longer wanted is gone. Does not
//! know what a worker does.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::error::BenchError;
use super::place::Place;

/// The parent's end.
pub(super) struct Worker<'a> {
    place: &'a Place,
    what: &'static str,
    id: Pid,
    lines: BufReader<ChildStdout>,
}

impl<'a> Worker<'a> {
    /// Starts this program again with other arguments; `what` completes "the process that …".
    pub(super) fn start<A: AsRef<OsStr>>(
        place: &'a Place,
        what: &'static str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(|error| failed(what, &error))?;
        let child = Command::new(program)
            .args(arguments)
            // The worker ends when this end is closed, so that it does not outlive us.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| failed(what, &error))?;
        let lines = BufReader::new(child.stdout.take().expect("its output was asked for"));
        let id = Pid::from_child(&child);
        place.interruption().own_child(child);
        Ok(Self { place, what, id, lines })
    }

    /// Its process.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// What follows the word on the next line, which must be this one.
    pub(super) fn told(&mut self, expected: &str) -> Result<String, BenchError> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(|error| failed(self.what, &error))?;
        if line.is_empty() {
            // It has ended, and said why on its standard error.
            self.wait()?;
        }
        let line = line.trim_end();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == expected {
            return Ok(rest.to_owned());
        }
        Err(BenchError::Child { what: self.what, how: format!("it said {line:?}, not {expected:?}") })
    }

    /// Waits for it to end by itself, and well.
    pub(super) fn wait(&self) -> Result<(), BenchError> {
        match self.place.interruption().wait_for_child() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(BenchError::Child { what: self.what, how: status.to_string() }),
            Err(error) => Err(failed(self.what, &error)),
        }
    }

    /// Asks it to end in good order.
    pub(super) fn ask_to_end(&self) -> Result<(), BenchError> {
        kill_process(self.id, Signal::TERM).map_err(|error| failed(self.what, &error.into()))
    }

    /// Ends it. On Unix this is SIGKILL: it has no chance to tidy up.
    pub(super) fn kill(self) -> Result<(), BenchError> {
        self.place.interruption().kill_child().map_err(|error| failed(self.what, &error))
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // There is one only when something else has failed, and that is what is told.
        let _ = self.place.interruption().kill_child();
    }
}

fn failed(what: &'static str, error: &std::io::Error) -> BenchError {
    BenchError::Child { what, how: error.to_string() }
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
