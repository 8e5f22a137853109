//! What concerns the whole process: its log, its messages and its end.
//!
//! Owns the one place that ends the process from within. Promises that a fatal error is printed before the
//! end.

use std::ffi::OsString;
use std::io::Write;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Environment variable that says what is logged, in the syntax of `tracing-subscriber`'s filter.
const LOG: &str = "AMENDS_LOG";

/// What is traced by default.
const LOG_USUAL: &str = "info";

/// Sends the log to stderr, for people, as the environment asks.
///
/// # Errors
/// When the environment asks for a log that cannot be understood.
pub(crate) fn start_log() -> Result<(), String> {
    start(log_filter(std::env::var_os(LOG))?, LogFormat::Text);
    Ok(())
}

/// Sends the log to stderr, as the configuration asks.
///
/// # Errors
/// When it asks for a log that cannot be understood.
pub(crate) fn start_log_as(filter: &str, format: LogFormat) -> Result<(), String> {
    start(log_filter(Some(filter.into()))?, format);
    Ok(())
}

fn start(filter: EnvFilter, format: LogFormat) {
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        // A line that cannot be written would be complained about on stderr, and where that is what is broken
        // the complaint panics, in the midst of whatever wanted to log.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).with_ansi(false).init(),
    }
}

fn log_filter(asked: Option<OsString>) -> Result<EnvFilter, String> {
    let wrong = |text: &dyn std::fmt::Debug, why: &dyn std::fmt::Display| {
        format!(
            "{LOG} is {text:?}, which says nothing about a log ({why}): send info, debug or amends_engine=trace"
        )
    };
    match asked.as_ref().map(|text| text.to_str()) {
        None | Some(Some("")) => Ok(EnvFilter::new(LOG_USUAL)),
        Some(Some(text)) => EnvFilter::try_new(text).map_err(|error| wrong(&text, &error)),
        Some(None) => Err(wrong(&asked, &"it is not UTF-8")),
    }
}

/// Prints a line for people. A reader that has gone away is not a reason to stop.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_err()
    {
        tracing::debug!("nobody reads the standard output");
    }
}

/// Prints why a command failed. Written by hand: a closed stderr must not change the exit code.
pub(crate) fn complain(message: &str) {
    drop(writeln!(std::io::stderr(), "amends: {message}"));
}

/// Prints the next step after what [`complain`] said.
pub(crate) fn hint(next: &str) {
    eprint(&format!("  next: {next}\n"));
}

/// Prints a remark that is not part of the answer.
pub(crate) fn note(text: &str) {
    eprint(&format!("{text}\n"));
}

/// Prints to the standard error. A closed one changes nothing.
pub(crate) fn eprint(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}

/// Ends the process immediately: after a failed flush nobody knows what is on the disk, and going on could
/// lie.
pub(crate) fn end_fatally(message: &str) -> ! {
    complain(message);
    std::process::exit(1);
}
