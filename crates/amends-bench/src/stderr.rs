//! What people read on standard error beside the document.
//!
//! Promises that a standard error that is closed changes no exit code.

use std::io::Write;

/// Prints a line.
pub(crate) fn complain(message: &str) {
    drop(writeln!(std::io::stderr(), "amends: {message}"));
}

/// Ends a measurement whose journal or database failed to commit: its figures would be of nothing durable.
pub(crate) fn end_fatally(message: &str) -> ! {
    complain(message);
    std::process::exit(1);
}
