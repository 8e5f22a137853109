//! What a service takes from the world around it: the time and random bits.
//!
//! Owns the one place where both come from. Promises nothing about the time; ids do not lean on it. Does not
//! read a clock: a program has one, and hands it in. Does not hand time and bits to business code at any
//! moment either: each call draws once, before it is queued.

use jiff::Timestamp;

/// Where the time and the random bits come from.
pub trait Surroundings: Send + Sync {
    /// Milliseconds since 1970 in UTC.
    fn now_ms(&self) -> i64;

    /// 256 random bits.
    ///
    /// # Errors
    /// When the system has none to give.
    fn random(&self) -> Result<[u128; 2], NoRandomness>;
}

/// The system had no random bits.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random bits: {0}")]
pub struct NoRandomness(pub String);

/// The program's clock, in milliseconds since 1970 in UTC, and the machine's random source.
#[derive(Debug, Clone, Copy)]
pub struct Machine<C>(pub C);

impl<C: Fn() -> i64 + Send + Sync> Surroundings for Machine<C> {
    fn now_ms(&self) -> i64 {
        (self.0)()
    }

    fn random(&self) -> Result<[u128; 2], NoRandomness> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
        let (first, second) = bytes.split_at(16);
        let number = |half: &[u8]| u128::from_ne_bytes(half.try_into().expect("32 bytes were cut in half"));
        Ok([number(first), number(second)])
    }
}

/// What one call drew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn {
    pub(crate) now_ms: i64,
    pub(crate) random: [u128; 2],
}

impl Drawn {
    pub(crate) fn from(surroundings: &dyn Surroundings) -> Result<Drawn, NoRandomness> {
        Ok(Drawn { now_ms: surroundings.now_ms(), random: surroundings.random()? })
    }
}

/// A moment in RFC 3339 and UTC; nothing if it is beyond the years such a text can have.
pub(crate) fn rfc_3339(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|moment| moment.to_string())
}
