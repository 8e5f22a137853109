//! Why a campaign says nothing.

/// What was missing, or failed.
#[derive(Debug)]
pub struct CouldNotRun(
    /// For people.
    pub String,
);
