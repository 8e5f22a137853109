//! A fact that does not fit.
//!
//! Owns the error that every mode gives when a stored fact cannot have become true in the state that is
//! there.

/// The event does not fit the state: the journal is damaged, or written under another definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not fit a transaction that is {status}: {because}")]
pub struct ApplyError {
    /// The event.
    pub event: String,
    /// The status's word.
    pub status: &'static str,
    /// What would have to be otherwise.
    pub because: &'static str,
}
