//! The load: clients that each do one thing after the other.
//!
//! Owns the closed loop, the measured window in it and what is read off at its ends. Promises the same loop for
//! sagas and for bare appends, so that their numbers compare; and that it is light: one clock reading and no allocation
//! of its own per turn. Does not know what a client does.

mod cores;
mod flushes;
mod latency;
mod meters;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::error::BenchError;
use super::progress::Progress;
use latency::{Latencies, Recorder};

pub(crate) use flushes::{Flushed, LogCounts};
pub(crate) use meters::Meters;

/// How often the measuring thread looks whether a client failed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One client.
pub(crate) trait Client: Send + 'static {
    /// Does it once.
    fn turn(&mut self) -> impl Future<Output = Result<(), BenchError>> + Send;
}

/// When it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// How long it does not count yet.
    pub(crate) warm_up: Duration,
    /// How long it counts.
    pub(crate) measured: Duration,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Turns per second within the window.
    pub(crate) per_second: f64,
    /// Of the turns that ended within the window.
    pub(crate) p50_us: u64,
    /// Of the turns that ended within the window.
    pub(crate) p99_us: u64,
    /// Of the turns that ended within the window.
    pub(crate) p999_us: u64,
    /// Of the turns that ended within the window: the longest.
    pub(crate) max_us: u64,
    /// Processor time of the whole process per thousand turns, in seconds.
    pub(crate) cpu_s_per_1000: f64,
    /// Processors that this process kept busy, the load's own part included.
    pub(crate) cpus_used: f64,
    /// Which share of the time each core of the machine was busy, with all programs; `None` if that is not known.
    pub(crate) cores: Option<Vec<f64>>,
    /// What the log behind it flushed, and the disk.
    pub(crate) flushed: Flushed,
    /// Turns in all, those outside the window included.
    pub(crate) turns: u64,
}

/// A runtime like the product's: a worker per processor.
pub(crate) fn runtime() -> Result<Runtime, BenchError> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| BenchError::Threads { what: "the runtime", source })
}

/// Lets the clients loose and measures.
pub(crate) fn measure(
    runtime: &Runtime,
    clients: impl IntoIterator<Item = impl Client>,
    meters: &Meters<'_>,
    window: Window,
    progress: &Progress,
) -> Result<Measured, BenchError> {
    let from = Instant::now() + window.warm_up;
    let until = from + window.measured;
    let latencies = Latencies::new();
    let shared = Arc::new(Shared { from, until, turns: AtomicU64::new(0), failed: AtomicBool::new(false) });
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn_on(run_client(client, latencies.recorder(), shared.clone()), runtime.handle());
    }
    wait_until(from, &shared, progress);
    let before = meters.at_the_beginning();
    wait_until(until, &shared, progress);
    let spent = meters.at_the_end(&before);
    runtime.block_on(async {
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| BenchError::Panicked)??;
        }
        Ok::<(), BenchError>(())
    })?;
    let counted = latencies.count();
    if counted == 0 {
        return Err(BenchError::NothingMeasured);
    }
    let per_second = counted as f64 / window.measured.as_secs_f64();
    Ok(Measured {
        per_second,
        p50_us: latencies.percentile_us(50.0),
        p99_us: latencies.percentile_us(99.0),
        p999_us: latencies.percentile_us(99.9),
        max_us: latencies.percentile_us(100.0),
        cpu_s_per_1000: spent.cpus_used / per_second * 1_000.0,
        cpus_used: spent.cpus_used,
        cores: spent.cores,
        flushed: spent.flushed,
        turns: shared.turns.load(Ordering::Relaxed),
    })
}

struct Shared {
    from: Instant,
    until: Instant,
    turns: AtomicU64,
    failed: AtomicBool,
}

async fn run_client(
    mut client: impl Client,
    mut recorder: Recorder,
    shared: Arc<Shared>,
) -> Result<(), BenchError> {
    let mut began = Instant::now();
    let mut turns = 0;
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
            recorder.record(ended - began);
        }
        began = ended;
    };
    shared.turns.fetch_add(turns, Ordering::Relaxed);
    result
}

/// Waits on the measuring thread, which is none of the runtime's.
fn wait_until(moment: Instant, shared: &Shared, progress: &Progress) {
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() || shared.failed.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(left.min(LOOK_EVERY));
        progress.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counts(Arc<AtomicU64>);

    impl Client for Counts {
        async fn turn(&mut self) -> Result<(), BenchError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(())
        }
    }

    struct Fails;

    impl Client for Fails {
        async fn turn(&mut self) -> Result<(), BenchError> {
            Err(BenchError::Append("on purpose".to_owned()))
        }
    }

    const NO_LOG: Meters<'_> = Meters { disk: None, log: &|| LogCounts { appends: 0, flushes: 0 } };

    const SHORT: Window = Window { warm_up: Duration::from_millis(5), measured: Duration::from_millis(20) };

    #[test]
    fn every_turn_is_counted_and_those_in_the_window_are_measured() {
        let counter = Arc::new(AtomicU64::new(0));
        let clients = (0..4).map(|_| Counts(counter.clone()));
        let measured = measure(&runtime().unwrap(), clients, &NO_LOG, SHORT, &Progress::silent()).unwrap();
        assert_eq!(measured.turns, counter.load(Ordering::Relaxed));
        let in_window = measured.per_second * SHORT.measured.as_secs_f64();
        assert!(in_window >= 1.0 && in_window < measured.turns as f64, "{measured:?}");
        let Measured { p50_us, p99_us, p999_us, max_us, .. } = measured;
        assert!(
            [p50_us, p99_us, p999_us, max_us].is_sorted() && measured.cpu_s_per_1000 > 0.0,
            "{measured:?}"
        );
    }

    #[test]
    fn a_client_that_fails_stops_the_measurement() {
        let long = Window { warm_up: Duration::from_secs(3_600), measured: Duration::from_secs(1) };
        let result = measure(&runtime().unwrap(), [Fails], &NO_LOG, long, &Progress::silent());
        assert!(matches!(result, Err(BenchError::Append(_))));
    }
}
