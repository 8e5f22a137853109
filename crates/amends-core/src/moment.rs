//! Moments, and what arrives with them from outside.
//!
//! Owns [`Time`] (milliseconds since the Unix epoch), [`Entropy`] (random bits) and [`Moment`], everything
//! that a decision may lean on besides state and command. Promises saturating arithmetic: a limit of a
//! million years is "never", not a wrap-around. Does not read a clock and draws nothing.

use std::time::Duration;

use crate::limits::{PAYLOAD_BYTES_MAX, SAGA_BYTES_MAX};
use crate::retry::splitmix64;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `milliseconds` after the Unix epoch.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn milliseconds(self) -> u64 {
        self.0
    }

    /// The moment `span` later; [`Time::NEVER`] if there is no such moment.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The moment `span` earlier, at the earliest the Unix epoch; [`Time::NEVER`] stays what it is.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        if self == Self::NEVER {
            return self;
        }
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long from `earlier` until this moment; zero if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Random bits for one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entropy(pub u64);

impl Entropy {
    /// Bits of its own for each number, so that parallel steps that fail together do not come back together.
    #[must_use]
    pub const fn for_place(self, place: u16) -> u64 {
        splitmix64(self.0 ^ ((place as u64 + 1) << 48))
    }
}

/// How much a transaction may hold, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimits {
    /// Bytes of one payload: an output, a signal's body, an output supplied by an operator.
    pub payload_bytes_max: u64,
    /// Bytes of all records of one saga together.
    pub saga_bytes_max: u64,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self { payload_bytes_max: PAYLOAD_BYTES_MAX, saga_bytes_max: SAGA_BYTES_MAX }
    }
}

/// What a decision may lean on besides the state and the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Time,
    /// Random bits.
    pub entropy: Entropy,
    /// How much a transaction may hold.
    pub sizes: SizeLimits,
}
