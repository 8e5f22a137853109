//! The open loop: sagas arrive at a stated rate, whether those before have ended or not.
//!
//! Owns the arrivals, the line they wait in while all clients are busy, and the verdict whether the system
//! kept up. Promises that a latency counts from the intended start, not from the moment a client had time;
//! that every arrival of the window has one, those included that ended after it; and that a stall delays no
//! arrival. The generator's own lateness is included in the latency: with turns that do nothing, half of them
//! took 0.08 to 0.16 ms, at 100 to 100,000 a second. Does not know the schedule.
//!
//! To leave out the arrivals that a stall delays is called coordinated omission:
//! <https://youtu.be/lJ8ydIuPFeU> (G. Tene, *How NOT to Measure Latency*).

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::error::BenchError;

use super::arrivals::Arrivals;
use super::{Client, LOOK_EVERY, Shared};

/// How long arrivals that still wait when the window is over are served. What then still waits counts as
/// having waited so long.
const SERVED_FOR: Duration = Duration::from_secs(10);

/// The share of the arrivals that may be left over in a system that keeps up.
const LEFT_OF_ALL: f64 = 0.01;

/// In a short window that is less than a stall at its end leaves over: what comes in this time may always be
/// left.
const STALL: Duration = Duration::from_millis(100);

/// Of very few arrivals one makes a large share.
const FEW: f64 = 10.0;

/// What came of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Offered {
    /// How many arrived within the window, per second: by chance not quite the rate.
    pub(crate) per_second: f64,
    /// Whether as many were completed.
    pub(crate) kept_up: bool,
}

/// Arrivals on their way.
pub(super) struct Arriving {
    line: Arc<Line>,
    /// Gives the number of arrivals in the window.
    thread: JoinHandle<u64>,
}

/// Arrivals that no client serves yet, in order. One permit for each.
pub(super) struct Line {
    waiting: Mutex<VecDeque<Instant>>,
    permits: Semaphore,
    served_until: Instant,
}

impl Line {
    pub(super) fn new(shared: &Shared) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            permits: Semaphore::new(0),
            served_until: shared.until + SERVED_FOR,
        })
    }

    fn arrive(&self, intended: Instant) {
        self.waiting().push_back(intended);
        self.permits.add_permits(1);
    }

    /// The next arrival, once there is one; `None` when no more will come.
    async fn next(&self) -> Option<Instant> {
        // Once it is closed, the arrivals that are left need no permit.
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
        if Instant::now() >= self.served_until {
            return None;
        }
        self.waiting().pop_front()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        // Nothing that could panic half-way runs under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arriving {
    /// Lets them come from now on, so many a second.
    pub(super) fn begin(rate: f64, line: Arc<Line>, shared: Arc<Shared>) -> Result<Self, BenchError> {
        let for_thread = line.clone();
        let arrive = move || {
            let arrived = arrive(Arrivals::at_rate(rate), &for_thread, &shared);
            for_thread.permits.close();
            arrived
        };
        let thread = thread::Builder::new().name("bench-arrivals".to_owned()).spawn(arrive);
        let thread = thread.map_err(|source| BenchError::Threads { what: "the arrivals", source })?;
        Ok(Self { line, thread })
    }

    /// To be called once all clients have ended.
    pub(super) fn end(self, shared: &Shared) -> Result<Offered, BenchError> {
        let arrived = self.thread.join().map_err(|_| BenchError::Panicked)?;
        let mut recorder = shared.latencies.recorder();
        for intended in self.line.waiting().drain(..).filter(|intended| shared.counts(*intended)) {
            recorder.record(self.line.served_until - intended);
        }
        let window = shared.until - shared.from;
        Ok(Offered {
            per_second: arrived as f64 / window.as_secs_f64(),
            kept_up: kept_up(arrived, shared.completed.load(Ordering::Relaxed), window),
        })
    }
}

/// Lets all arrive that are due before the window is over; how many were in it.
fn arrive(arrivals: Arrivals, line: &Line, shared: &Shared) -> u64 {
    let began = Instant::now();
    let mut in_window = 0;
    for intended in arrivals.map(|moment| began + moment).take_while(|intended| *intended < shared.until) {
        loop {
            if shared.failed.load(Ordering::Relaxed) {
                return in_window;
            }
            let left = intended.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(LOOK_EVERY));
        }
        line.arrive(intended);
        in_window += u64::from(shared.counts(intended));
    }
    in_window
}

/// Whether about as many were completed within the window as arrived in it. If not, as many more were left at
/// its end than at its beginning, and the longer it lasts the longer they wait.
fn kept_up(arrived: u64, completed: u64, window: Duration) -> bool {
    let may_be_left = LEFT_OF_ALL.max(STALL.as_secs_f64() / window.as_secs_f64()) * arrived as f64;
    arrived.saturating_sub(completed) as f64 <= may_be_left.max(FEW)
}

/// One client: serves one arrival after the other.
pub(super) async fn serve(
    mut client: impl Client,
    line: Arc<Line>,
    shared: Arc<Shared>,
) -> Result<(), BenchError> {
    let mut recorder = shared.latencies.recorder();
    while let Some(intended) = line.next().await {
        if shared.failed.load(Ordering::Relaxed) {
            break;
        }
        if let Err(error) = client.turn().await {
            shared.failed.store(true, Ordering::Relaxed);
            return Err(error);
        }
        let ended = Instant::now();
        shared.turns.fetch_add(1, Ordering::Relaxed);
        if shared.counts(ended) {
            shared.completed.fetch_add(1, Ordering::Relaxed);
        }
        if shared.counts(intended) {
            recorder.record(ended - intended);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_leaves_more_than_one_of_a_hundred_or_a_stall_does_not_keep_up() {
        for (seconds, arrived, completed, expected) in [
            (10, 200_000, 200_300, true),
            (10, 200_000, 198_000, true),
            (10, 200_000, 197_999, false),
            (100, 200_000, 197_999, false),
            (1, 20_000, 18_000, true),
            (1, 20_000, 17_999, false),
            (1, 50, 40, true),
            (1, 50, 39, false),
        ] {
            let found = kept_up(arrived, completed, Duration::from_secs(seconds));
            assert_eq!(found, expected, "{completed} of {arrived} in {seconds} s");
        }
    }
}
