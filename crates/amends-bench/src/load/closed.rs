//! The closed loop: each client does one thing after the other.
//!
//! Owns the turns of one client. Promises to be light: one clock reading and no allocation of its own per
//! turn. Shows what a system can do at most, and hides its stalls: while it stalls, no client begins a turn.
//! For those there is `open.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::error::BenchError;

use super::{Client, Shared};

/// Until the window is over.
pub(super) async fn run(mut client: impl Client, shared: Arc<Shared>) -> Result<(), BenchError> {
    let mut recorder = shared.latencies.recorder();
    let (mut turns, mut completed) = (0, 0);
    let mut began = Instant::now();
    let result = loop {
        if let Err(error) = client.turn().await {
            shared.failed.store(true, Ordering::Relaxed);
            break Err(error);
        }
        turns += 1;
        let ended = Instant::now();
        if ended >= shared.until || shared.failed.load(Ordering::Relaxed) {
            break Ok(());
        }
        if ended >= shared.from {
            completed += 1;
            recorder.record(ended - began);
        }
        began = ended;
    };
    shared.turns.fetch_add(turns, Ordering::Relaxed);
    shared.completed.fetch_add(completed, Ordering::Relaxed);
    result
}
