//! How far a campaign is.
//!
//! Owns what is said about it while it runs.
//! Promises to keep to standard error, to draw in place only on a terminal, and never to stop a campaign.
//! Does not say how it ended: that is the report's.

use std::io::{self, IsTerminal, Write};

use super::record::Tally;

/// Says on standard error how far the campaign is: in place on a terminal, in a plain line now and then
/// elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    rounds: u32,
    played: u32,
    is_terminal: bool,
}

impl Progress {
    /// Progress through that many rounds.
    pub(crate) fn new(rounds: u32) -> Progress {
        Progress { rounds, played: 0, is_terminal: io::stderr().is_terminal() }
    }

    /// Says how far it is after another round.
    pub(crate) fn after(&mut self, played: u32, tally: Tally) {
        self.played = played;
        let orders = tally.completed + tally.compensated;
        let line = format!("round {played} of {}, {orders} orders acknowledged", self.rounds);
        // Progress that cannot be shown is no reason to stop.
        let _ = if self.is_terminal {
            write!(io::stderr(), "\r{line}")
        } else if played.is_multiple_of(PLAIN_LINE_ROUNDS) {
            writeln!(io::stderr(), "{line}")
        } else {
            Ok(())
        };
    }

    pub(crate) fn played(&self) -> u32 {
        self.played
    }

    /// Leaves the line to whatever comes next.
    pub(crate) fn end(&self) {
        if self.is_terminal && self.played > 0 {
            let _ = writeln!(io::stderr());
        }
    }
}

/// Rounds between two plain lines of progress.
const PLAIN_LINE_ROUNDS: u32 = 50;
