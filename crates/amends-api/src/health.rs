//! Whether a server lives.
//!
//! Owns the answer of `GET /health`. Does not say whether a server takes work: one that recovers lives too.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// A server that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// How it is.
    pub status: HealthStatus,
    /// Whether everything that was under way at its start goes on.
    pub recovered: bool,
}

words! {
    /// How a server is.
    HealthStatus is "health" {
        /// It answers.
        Ok = "ok",
    }
}
