//! The load: clients, and how their turns come.
//!
//! Owns the measured window, what is read off at its ends, and the two loops (`closed.rs`, `open.rs`).
//! Promises the same loops for sagas and for bare appends, so that their numbers compare. Does not know what
//! a client does. Start reading at [`measure`].

mod arrivals;
mod closed;
mod cores;
mod figures;
mod flushes;
mod latency;
mod meters;
mod open;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::error::BenchError;
use super::progress::Progress;
use latency::Latencies;
use open::{Arriving, Line};

pub(crate) use arrivals::IN_WORDS as ARRIVALS_IN_WORDS;
pub(crate) use figures::{cores, latency, of_every_load, row};
pub(crate) use flushes::{Flushed, LogCounts};
pub(crate) use meters::Meters;
pub(crate) use open::Offered;

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

/// How the load comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Load {
    /// Each client begins its next turn when its last one has ended.
    Closed,
    /// Turns are due at so many a second, and wait in line while all clients are busy.
    Open { rate: f64 },
}

/// What was measured. Latencies are of the turns that ended within the window; in an open loop, of those that
/// were due in it.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Turns that ended within the window, per second.
    pub(crate) per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
    /// Processor time of the whole process per thousand turns, in seconds.
    pub(crate) cpu_s_per_1000: f64,
    /// Processors that this process kept busy, the load's own part included.
    pub(crate) cpus_used: f64,
    /// Which share of the time each core of the machine was busy, with all programs; `None` if that is not
    /// known.
    pub(crate) cores: Option<Vec<f64>>,
    /// What the log behind it flushed, and the disk.
    pub(crate) flushed: Flushed,
    /// What came of the rate of an open loop.
    pub(crate) offered: Option<Offered>,
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
    load: Load,
    clients: impl IntoIterator<Item = impl Client>,
    meters: &Meters<'_>,
    window: Window,
    progress: &Progress,
) -> Result<Measured, BenchError> {
    let shared = Arc::new(Shared::new(window));
    let mut tasks = JoinSet::new();
    let arriving = match load {
        Load::Closed => {
            for client in clients {
                tasks.spawn_on(closed::run(client, shared.clone()), runtime.handle());
            }
            None
        }
        Load::Open { rate } => {
            let line = Line::new(&shared);
            for client in clients {
                tasks.spawn_on(open::serve(client, line.clone(), shared.clone()), runtime.handle());
            }
            Some(Arriving::begin(rate, line, shared.clone())?)
        }
    };
    wait_until(shared.from, &shared, progress);
    let before = meters.at_the_beginning();
    wait_until(shared.until, &shared, progress);
    let spent = meters.at_the_end(&before);
    let ended = runtime.block_on(async {
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| BenchError::Panicked)??;
        }
        Ok::<(), BenchError>(())
    });
    let offered = arriving.map(|arriving| arriving.end(&shared)).transpose();
    ended?;
    let offered = offered?;
    let completed = shared.completed.load(Ordering::Relaxed);
    if completed == 0 || shared.latencies.count() == 0 {
        return Err(BenchError::NothingMeasured);
    }
    let per_second = completed as f64 / window.measured.as_secs_f64();
    Ok(Measured {
        per_second,
        p50_us: shared.latencies.percentile_us(50.0),
        p99_us: shared.latencies.percentile_us(99.0),
        p999_us: shared.latencies.percentile_us(99.9),
        max_us: shared.latencies.percentile_us(100.0),
        cpu_s_per_1000: spent.cpus_used / per_second * 1_000.0,
        cpus_used: spent.cpus_used,
        cores: spent.cores,
        flushed: spent.flushed,
        offered,
        turns: shared.turns.load(Ordering::Relaxed),
    })
}

/// What all clients know and add to.
struct Shared {
    from: Instant,
    until: Instant,
    latencies: Latencies,
    /// Turns that ended within the window.
    completed: AtomicU64,
    turns: AtomicU64,
    failed: AtomicBool,
}

impl Shared {
    fn new(window: Window) -> Self {
        let from = Instant::now() + window.warm_up;
        Self {
            from,
            until: from + window.measured,
            latencies: Latencies::new(),
            completed: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// Whether a moment is in the window.
    fn counts(&self, moment: Instant) -> bool {
        (self.from..self.until).contains(&moment)
    }
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
        let measured =
            measure(&runtime().unwrap(), Load::Closed, clients, &NO_LOG, SHORT, &Progress::silent()).unwrap();
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
        for load in [Load::Closed, Load::Open { rate: 100.0 }] {
            let result =
                measure(&runtime().unwrap(), load, [Fails, Fails], &NO_LOG, long, &Progress::silent());
            assert!(matches!(result, Err(BenchError::Append(_))), "{load:?}");
        }
    }

    /// A system that does nothing for a while, and is quick otherwise.
    #[derive(Clone)]
    struct Stalls {
        from: Instant,
        until: Instant,
    }

    impl Client for Stalls {
        async fn turn(&mut self) -> Result<(), BenchError> {
            let now = Instant::now();
            if (self.from..self.until).contains(&now) {
                tokio::time::sleep(self.until - now).await;
            }
            tokio::task::yield_now().await;
            Ok(())
        }
    }

    const STALL: Duration = Duration::from_millis(150);

    /// Of 200 ms, three quarters of which are a stall.
    fn stalled(load: Load) -> Measured {
        let window = Window { warm_up: Duration::from_millis(20), measured: Duration::from_millis(200) };
        let from = Instant::now() + window.warm_up;
        let clients = std::iter::repeat_n(Stalls { from, until: from + STALL }, 4);
        measure(&runtime().unwrap(), load, clients, &NO_LOG, window, &Progress::silent()).unwrap()
    }

    #[test]
    fn an_arrival_while_the_system_stalls_waits_and_is_counted() {
        let open = stalled(Load::Open { rate: 1_000.0 });
        assert!(open.p50_us > 20_000, "half of all come in the first two thirds of the stall: {open:?}");
        // As a closed loop tells it: four clients waited once each.
        let closed = stalled(Load::Closed);
        assert!(closed.p50_us < open.p50_us && closed.offered.is_none(), "{closed:?}");
    }

    /// Can do fifty turns a second.
    struct Slow;

    impl Client for Slow {
        async fn turn(&mut self) -> Result<(), BenchError> {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(())
        }
    }

    #[test]
    fn a_system_that_does_not_keep_up_is_found_out_and_every_arrival_in_the_line_is_served() {
        let window = Window { warm_up: Duration::from_millis(10), measured: Duration::from_millis(400) };
        let load = Load::Open { rate: 100.0 };
        let measured =
            measure(&runtime().unwrap(), load, [Slow], &NO_LOG, window, &Progress::silent()).unwrap();
        let offered = measured.offered.unwrap();
        assert!(!offered.kept_up && (75.0..125.0).contains(&offered.per_second), "{measured:?}");
        assert!(measured.per_second <= 50.0 + 1.0 / window.measured.as_secs_f64(), "{measured:?}");
        // About forty come; the last are served when the window is long over.
        assert!(measured.max_us > 200_000 && measured.turns > 30, "{measured:?}");
    }
}
