//! What a process that serves asks of its system.
//!
//! Owns the signals that ask it to stop, and its limit of open files. Does not end the process.

use tokio::signal::unix::{SignalKind, signal};

/// As many open files as the system allows: each connection is one.
pub fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Resolves when the process is asked to stop (SIGTERM or SIGINT). Signals are kept from the call on, not
/// from the first poll.
///
/// # Errors
/// When signals cannot be watched.
///
/// # Panics
/// Outside a tokio runtime.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
