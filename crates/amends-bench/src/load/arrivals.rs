//! When the next one arrives, in an open loop.
//!
//! Owns the schedule: a Poisson process, as independent users make it. Even gaps would flatter: with them no
//! arrival falls into the time of another. Promises the same schedule for the same rate in every run, so that
//! no difference between two runs is the schedule's. Reads no clock.

use std::time::Duration;

/// Where the random numbers begin. Any would do.
const SEED: u64 = 1;

/// What the document says of it.
pub(crate) const IN_WORDS: &str = "Poisson process, seed 1";

/// Moments, counted from the beginning.
#[derive(Debug, Clone)]
pub(super) struct Arrivals {
    mean_gap_s: f64,
    at_s: f64,
    random: SplitMix,
}

impl Arrivals {
    /// So many a second, on average.
    pub(super) fn at_rate(per_second: f64) -> Self {
        Self { mean_gap_s: 1.0 / per_second, at_s: 0.0, random: SplitMix(SEED) }
    }
}

/// Never ends.
impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // The gaps of a Poisson process are exponentially distributed.
        self.at_s -= self.random.next_fraction().ln() * self.mean_gap_s;
        Some(Duration::from_secs_f64(self.at_s))
    }
}

/// SplitMix64: G. Steele, D. Lea, C. Flood, *Fast Splittable Pseudorandom Number Generators*, 2014.
#[derive(Debug, Clone)]
struct SplitMix(u64);

impl SplitMix {
    /// Above zero, up to one.
    fn next_fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        // A fraction has 53 bits.
        ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 100_000;

    #[test]
    fn the_rate_is_the_one_asked_for() {
        for rate in [0.5, 20_000.0, 1_000_000.0] {
            let last = Arrivals::at_rate(rate).nth(MANY - 1).unwrap();
            let found = MANY as f64 / last.as_secs_f64();
            assert!((found / rate - 1.0).abs() < 0.01, "{found} for {rate}");
        }
    }

    #[test]
    fn the_gaps_are_those_of_independent_users() {
        let moments: Vec<f64> =
            Arrivals::at_rate(1_000.0).take(MANY).map(|moment| moment.as_secs_f64()).collect();
        assert!(moments.is_sorted());
        let longer_than = |gap: f64| {
            let longer = moments.windows(2).filter(|pair| pair[1] - pair[0] > gap).count();
            longer as f64 / MANY as f64
        };
        for means in [0.1, 1.0, 3.0] {
            let found = longer_than(means / 1_000.0);
            assert!(
                (found - (-means).exp()).abs() < 0.005,
                "{found} of the gaps are longer than {means} means"
            );
        }
    }

    #[test]
    fn every_run_has_the_same_schedule() {
        let schedule = || Arrivals::at_rate(77.0).take(1_000).collect::<Vec<_>>();
        assert_eq!(schedule(), schedule());
        assert!(IN_WORDS.ends_with(&format!("seed {SEED}")), "{IN_WORDS}");
    }
}
