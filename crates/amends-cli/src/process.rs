//! What concerns the whole process: its log, signals, limits and its end.
//!
//! Owns the one place that ends the process from within. Promises that a fatal error is printed before the end.

use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Environment variable that says what is logged, in the syntax of `tracing-subscriber`'s filter.
const LOG: &str = "AMENDS_LOG";

/// Sends the log to stderr.
pub(crate) fn start_log() {
    let filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new("info"));
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).init();
}

/// Prints a line for people. A reader that has gone away is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_err()
    {
        tracing::debug!("nobody reads the standard output");
    }
}

/// Ends the process at once: after a failed flush nobody knows what is on the disk, and going on could lie.
pub(crate) fn end_fatally(message: &str) -> ! {
    // Written by hand: a closed stderr must not keep the process alive.
    drop(writeln!(std::io::stderr(), "amends: {message}"));
    std::process::exit(1);
}

/// As many open files as the system allows: each connection is one.
pub(crate) fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Resolves when the process is asked to stop (SIGTERM or SIGINT).
///
/// # Errors
/// When signals cannot be watched.
pub(crate) fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
