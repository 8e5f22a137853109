//! Where time and randomness come in.
//!
//! Owns the one clock of a program and the one source of random bits. Promises that time does not run
//! backwards within a program, whatever the system's clock does, and that ids made later sort later, across
//! restarts too. It runs by the monotonic clock: when the system's clock is set forward it follows, when that
//! is set back it does not. Nothing else in the engine reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use amends_core::limits::CLOCK_SET_BACK_MIN;
use amends_core::retry::splitmix64;
use amends_core::{Entropy, Time, TransactionId};

/// The clock of a program. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    began_at: Time,
    /// Milliseconds by which it went forward besides, with the system's clock.
    ahead: AtomicU64,
    /// Milliseconds by which the system's clock was last found behind.
    behind: AtomicU64,
    /// Ids are made of this moment at least.
    id_floor: AtomicU64,
    counter: AtomicU64,
    wall: fn() -> Time,
}

/// What the system's clock did since it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jump {
    /// Nothing to speak of.
    None,
    /// It was set forward, and so was this one.
    Forward(Duration),
    /// It was set back, by so much in all; this one goes on.
    Back(Duration),
}

impl Clock {
    /// The system's clock, as of now.
    ///
    /// # Panics
    /// When it is set to before 1970, or the system gives no random bytes.
    #[must_use]
    pub fn system() -> Self {
        Self::reading(system_time)
    }

    pub(crate) fn reading(wall: fn() -> Time) -> Self {
        let mut seed = [0; 8];
        fill(&mut seed);
        Self(Arc::new(Inner {
            began: Instant::now(),
            began_at: wall(),
            ahead: AtomicU64::new(0),
            behind: AtomicU64::new(0),
            id_floor: AtomicU64::new(0),
            counter: AtomicU64::new(u64::from_le_bytes(seed)),
            wall,
        }))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        let ahead = Duration::from_millis(self.0.ahead.load(Ordering::Relaxed));
        self.steady().after(ahead)
    }

    /// The time as it would be had the system's clock not been set forward since the program began.
    pub(crate) fn steady(&self) -> Time {
        self.0.began_at.after(self.0.began.elapsed())
    }

    /// Random bits for jitter: these need to be spread, not secret.
    pub(crate) fn entropy(&self) -> Entropy {
        Entropy(splitmix64(self.0.counter.fetch_add(1, Ordering::Relaxed)))
    }

    /// The monotonic instant of a moment, as of now; `None` if that is too far away to wait for.
    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        if time.milliseconds() >= i64::MAX as u64 {
            return None;
        }
        let ahead = Duration::from_millis(self.0.ahead.load(Ordering::Relaxed));
        self.0.began.checked_add(time.since(self.0.began_at).saturating_sub(ahead))
    }

    /// A new id. Its random part comes from the system: ids that repeat after a fork or restart would be a
    /// disaster.
    #[must_use]
    pub fn new_id(&self) -> TransactionId {
        let mut random = [0; 16];
        fill(&mut random);
        let floor = Time::from_milliseconds(self.0.id_floor.load(Ordering::Relaxed));
        TransactionId::from_parts(self.now().max(floor).milliseconds(), u128::from_le_bytes(random))
    }

    /// Ids made from here on sort after those made at `newest`; by how much the clock lies before that.
    pub(crate) fn start_after(&self, newest: Time) -> Duration {
        // Ids of one millisecond are in no order.
        let later = newest.after(Duration::from_millis(1));
        self.0.id_floor.fetch_max(later.milliseconds(), Ordering::Relaxed);
        newest.since(self.now())
    }

    /// Compares itself with the system's clock.
    pub(crate) fn follow(&self) -> Jump {
        let (wall, now) = ((self.0.wall)(), self.now());
        let forward = wall.since(now);
        if forward >= CLOCK_SET_BACK_MIN {
            self.0.ahead.fetch_add(milliseconds(forward), Ordering::Relaxed);
            self.0.behind.store(0, Ordering::Relaxed);
            return Jump::Forward(forward);
        }
        let behind = now.since(wall);
        let known = Duration::from_millis(self.0.behind.load(Ordering::Relaxed));
        if behind.abs_diff(known) < CLOCK_SET_BACK_MIN {
            return Jump::None;
        }
        self.0.behind.store(milliseconds(behind), Ordering::Relaxed);
        if behind > known { Jump::Back(behind) } else { Jump::None }
    }
}

fn system_time() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set to after 1970");
    Time::from_milliseconds(milliseconds(since_epoch))
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system gives random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static WALL: Cell<u64> = const { Cell::new(1_000_000_000_000) };
    }

    fn wall() -> Time {
        Time::from_milliseconds(WALL.get())
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_clock_set_forward_is_followed_and_one_set_back_is_not() {
        let clock = Clock::reading(wall);
        let began = clock.now();
        assert_eq!(clock.follow(), Jump::None);
        WALL.set(WALL.get() + 3_600_000);
        assert!(matches!(clock.follow(), Jump::Forward(by) if by > HOUR - Duration::from_secs(60)));
        assert!(clock.now() >= began.after(HOUR));
        assert_eq!(clock.follow(), Jump::None);
        WALL.set(WALL.get() - 7_200_000);
        assert!(matches!(clock.follow(), Jump::Back(by) if by >= HOUR * 2));
        assert_eq!(clock.follow(), Jump::None, "it is said once");
        assert!(clock.now() >= began.after(HOUR), "time does not run backwards");
        let soon = clock.now().after(HOUR);
        let until = clock.instant(soon).unwrap().saturating_duration_since(Instant::now());
        assert!(until <= HOUR && until > HOUR - Duration::from_secs(60), "{until:?}");
    }

    #[test]
    fn ids_sort_after_those_of_an_earlier_life_whose_clock_was_ahead() {
        let clock = Clock::reading(wall);
        let newest = clock.now().after(HOUR);
        let earlier = TransactionId::from_parts(newest.milliseconds() - 1, u128::MAX);
        assert!(clock.start_after(newest) > Duration::ZERO);
        assert!(clock.new_id() > earlier);
    }
}
