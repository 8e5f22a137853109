//! Participants over the API.
//!
//! Owns what `/v1/participants` answers: how each is doing.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// All participants: the answer of `GET /v1/participants`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantList {
    /// The participants, by name and origin.
    pub participants: Vec<Participant>,
    /// Where the next page begins; `null`: there is none.
    pub next_cursor: Option<String>,
}

/// A participant and how it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Its name.
    pub name: String,
    /// Where it is: scheme, host and port.
    pub origin: String,
    /// Its circuit breaker.
    pub breaker: Breaker,
    /// Calls that wait for a place.
    pub queued: u64,
    /// Calls under way.
    pub calls: u64,
    /// Calls that may be under way together.
    pub concurrency: u64,
    /// What it answered since this server started.
    pub outcomes: Outcomes,
    /// The last answer that was not certain.
    pub last_error: Option<ParticipantError>,
}

/// A circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Whether calls go through.
    pub state: BreakerState,
    /// Since when they do not, while it is open or probing.
    pub open_since: Option<String>,
    /// When the next probe is sent, while it is open.
    pub probe_at: Option<String>,
}

words! {
    /// Whether calls go through.
    BreakerState is "breaker's state" {
        /// They do.
        Closed = "closed",
        /// They do not.
        Open = "open",
        /// A few do, to see.
        Probing = "probing",
    }
}

/// How often a participant answered what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Done.
    pub completed: u64,
    /// Not done, for good.
    pub refused: u64,
    /// It is at it.
    pub working: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// It knows the key with another payload.
    pub conflict: u64,
}

/// What went wrong with a participant last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantError {
    /// When.
    pub at: String,
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
}
