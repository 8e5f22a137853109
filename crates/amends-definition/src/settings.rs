//! What a definition says of its participants.
//!
//! Owns [`ParticipantSettings`]. Promises figures that were checked: none is zero where that would mean *never*.
//! Does not connect to anything and reads no secret: it knows their names only.

use std::time::Duration;

/// A participant as a definition describes it. `None`: the default of whoever connects it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParticipantSettings {
    /// Where it is: `http://` or `https://`, a host, and a path that stands before that of each call.
    pub url: String,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How many calls may be under way together.
    pub concurrency: Option<u32>,
    /// How many calls may begin in a time.
    pub rate: Option<Rate>,
    /// Names of environment variables whose values sign requests; the first one is used, both are valid.
    pub secrets: Vec<String>,
    /// Names of environment variables whose values are sent as bearer token; the first one is used.
    pub bearers: Vec<String>,
    /// When the breaker opens, and when it probes.
    pub breaker: Option<BreakerSettings>,
}

/// So many calls in such a time: `500/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls; at least one.
    pub calls: u32,
    /// A second, a minute or an hour.
    pub per: Duration,
}

/// When a breaker opens, and how long it rests between probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Unknown answers in a row that open it.
    pub after: u32,
    /// The rest before the first probe.
    pub first: Duration,
    /// The longest rest between two probes.
    pub max: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { after: 20, first: Duration::from_secs(1), max: Duration::from_secs(30) }
    }
}
