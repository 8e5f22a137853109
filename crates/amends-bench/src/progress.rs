//! What a waiting person sees.
//!
//! Owns one line on the terminal. Promises silence when standard error is not a terminal, and for the first
//! two seconds.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// A run shorter than this needs no progress.
const SILENT_FOR: Duration = Duration::from_secs(2);

/// How often the line is redrawn.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// The line.
pub(super) struct Progress {
    is_seen: bool,
    run_began: Instant,
    what: RefCell<String>,
    began: Cell<Instant>,
    drawn: Cell<Option<Instant>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self::with(std::io::stderr().is_terminal())
    }

    /// One that nobody sees.
    #[cfg(test)]
    pub(super) fn silent() -> Self {
        Self::with(false)
    }

    fn with(is_seen: bool) -> Self {
        let now = Instant::now();
        Self {
            is_seen,
            run_began: now,
            what: RefCell::default(),
            began: Cell::new(now),
            drawn: Cell::new(None),
        }
    }

    /// Something else is measured from here on.
    pub(super) fn begin(&self, what: String) {
        *self.what.borrow_mut() = what;
        self.began.set(Instant::now());
        self.tick();
    }

    /// Time went by.
    pub(super) fn tick(&self) {
        let now = Instant::now();
        let is_due = self.drawn.get().is_none_or(|drawn| now - drawn >= DRAW_EVERY);
        if self.is_seen && is_due && now - self.run_began >= SILENT_FOR {
            self.drawn.set(Some(now));
            let seconds = (now - self.began.get()).as_secs();
            draw(&format!("measuring {} … {seconds} s", self.what.borrow()));
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.drawn.take().is_some() {
            draw("");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn draw(line: &str) {
    let mut terminal = std::io::stderr().lock();
    // A terminal that went away is no reason to stop.
    drop(write!(terminal, "\r\x1b[K{line}").and_then(|()| terminal.flush()));
}
