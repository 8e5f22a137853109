//! Random numbers that a seed brings back.
//!
//! Owns the generator (splitmix64) and the rule that every decision draws from a stream of its own.
//! Promises that the same seed and stream give the same numbers on every machine and in every release.
//! Does not serve secrets: anybody who knows the seed knows every number.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What a campaign is repeated by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// A seed nobody chose.
    ///
    /// # Panics
    /// When the operating system has no entropy to give, which it always has once it is up.
    #[must_use]
    pub fn fresh() -> Seed {
        // 32 bits are plenty of campaigns, and short enough to be typed again.
        Seed(u64::from(getrandom::u32().expect("the operating system gives entropy")))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Seed {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Seed, Self::Err> {
        text.parse().map(Seed)
    }
}

/// Which decisions a stream of numbers is for; each has its own, so that one more draw in one of them moves
/// no other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    /// What the order `sequence` of `client` looks like.
    Order { client: u16, sequence: u32 },
    /// What `client` does in a round.
    Client { round: u32, client: u16 },
    /// When the process is killed before it was ever up.
    FirstStarts,
    /// When the process is killed in a round.
    Round { round: u32 },
    /// Which services are killed in a round, and when.
    Services { round: u32 },
    /// Which keys are looked at again.
    Sample { round: u32 },
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: Seed, stream: Stream) -> Random {
        let words = match stream {
            Stream::Order { client, sequence } => [1, u64::from(client), u64::from(sequence)],
            Stream::Client { round, client } => [2, u64::from(round), u64::from(client)],
            Stream::Round { round } => [3, u64::from(round), 0],
            Stream::FirstStarts => [5, 0, 0],
            Stream::Services { round } => [6, u64::from(round), 0],
            Stream::Sample { round } => [4, u64::from(round), 0],
        };
        words.into_iter().fold(Random { state: seed.0 }, |mut random, word| {
            // Mixed after each word, so that (1, 2) and (2, 1) lie nowhere near each other.
            Random { state: random.word() ^ word }
        })
    }

    /// A number below `end`.
    ///
    /// # Panics
    /// When `end` is zero: there is no such number.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "a random number below zero was asked for");
        // The bias of the remainder is below 2^-40 for every `end` used here.
        self.word() % end
    }

    pub(crate) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u64, stream: Stream) -> u64 {
        Random::new(Seed(seed), stream).word()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random { state: 1_234_567 };
        assert_eq!([random.word(), random.word()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn the_same_stream_of_the_same_seed_is_the_same() {
        let stream = Stream::Client { round: 3, client: 7 };
        assert_eq!(first(42, stream), first(42, stream));
    }

    #[test]
    fn another_seed_or_stream_is_another_one() {
        let one = first(42, Stream::Client { round: 3, client: 7 });
        assert_ne!(one, first(43, Stream::Client { round: 3, client: 7 }));
        assert_ne!(one, first(42, Stream::Client { round: 7, client: 3 }));
        assert_ne!(one, first(42, Stream::Order { client: 7, sequence: 3 }));
    }

    #[test]
    fn a_range_includes_both_of_its_ends() {
        let mut random = Random { state: 0 };
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| random.within(2..=4)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [2, 3, 4]);
    }
}
