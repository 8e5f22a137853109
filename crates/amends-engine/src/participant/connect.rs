//! How the participants of definitions that are data come to be.
//!
//! Owns [`Connect`], which a transport implements, and what it gives. Promises that a participant is told
//! apart by its name and origin. Does not know any transport.

use std::sync::Arc;

use amends_definition::{BreakerSettings, ParticipantSettings, Rate};

use crate::participant::Participant;

/// Makes participants of what definitions say about them.
pub trait Connect: Send + Sync {
    /// The participant of this name and these settings. Asked when a definition is registered, and again at
    /// each start of the engine.
    ///
    /// # Errors
    /// Why there is none, for the definition's author: it becomes a finding.
    fn connect(&self, name: &str, settings: &ParticipantSettings) -> Result<Connected, String>;
}

/// A participant, and how much it may be asked.
#[derive(Clone)]
pub struct Connected {
    /// Where it is: scheme, host and port. Limits, breaker and queue belong to name and origin.
    pub origin: String,
    /// Who is called.
    pub participant: Arc<dyn Participant>,
    /// How much it may be asked.
    pub limits: GateLimits,
}

/// How much a participant may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Calls under way together.
    pub calls_max: usize,
    /// Calls that may begin in a time; `None`: as many as there are.
    pub rate: Option<Rate>,
    /// When it is left alone.
    pub breaker: BreakerSettings,
}
