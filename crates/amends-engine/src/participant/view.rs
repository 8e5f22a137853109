//! What people see of a participant.
//!
//! Owns [`ParticipantView`]. Does not change anything.

use amends_core::Time;
use amends_definition::Rate;

use crate::participant::breaker::BreakerView;
use crate::participant::shared_gate::{GateView, LastError, OutcomeCounts, SharedGate};

/// A participant outside this program, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantView {
    /// Its name in definitions.
    pub name: String,
    /// Where it is.
    pub origin: String,
    /// Whether it is left alone.
    pub breaker: BreakerView,
    /// Calls under way.
    pub under_way: usize,
    /// Calls that wait for their turn.
    pub queued: usize,
    /// Calls that may be under way together.
    pub limit: usize,
    /// Calls that may begin in a time.
    pub rate: Option<Rate>,
    /// What it answered since the program began.
    pub outcomes: OutcomeCounts,
    /// The newest answer that was none.
    pub last_error: Option<LastError>,
}

impl ParticipantView {
    pub(crate) fn of(name: &str, origin: &str, gate: &SharedGate) -> Self {
        let GateView { breaker, under_way, queued, places, rate, outcomes, last_error } = gate.view();
        let (name, origin) = (name.to_owned(), origin.to_owned());
        Self { name, origin, breaker, under_way, queued, limit: places, rate, outcomes, last_error }
    }

    /// Since when it is left alone, if it is.
    #[must_use]
    pub const fn open_since(&self) -> Option<Time> {
        match self.breaker {
            BreakerView::Open { since, .. } => Some(since),
            BreakerView::HalfOpen { since, .. } => since,
            BreakerView::Closed => None,
        }
    }

    /// When the next call is tried, if it is left alone.
    #[must_use]
    pub const fn next_probe(&self) -> Option<Time> {
        match self.breaker {
            BreakerView::Open { next_probe, .. } => Some(next_probe),
            BreakerView::HalfOpen { .. } | BreakerView::Closed => None,
        }
    }
}
