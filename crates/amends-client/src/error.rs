//! Why a call has no good answer.
//!
//! Owns [`ClientError`] and what it knows about doing the call again. Promises that *nothing was sent* and
//! *nobody knows* are different answers. Does not repeat anything.

use std::fmt;
use std::time::Duration;

use amends_api::{ErrorKind, Problem};

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server says no, and why.
    #[error("{}", .0.problem.detail)]
    Refused(Box<Refused>),
    /// Nothing was sent: there is no connection to the server.
    #[error("no connection to {server}: {why}")]
    Unreachable {
        /// The server.
        server: String,
        /// What the system says.
        why: String,
    },
    /// It was sent, and no whole answer came: nobody knows whether it was done.
    #[error("{server} did not answer: {why}")]
    Unanswered {
        /// The server.
        server: String,
        /// What happened.
        why: String,
    },
    /// Whoever answered does not speak this API.
    #[error("{server} does not answer as it should: {why}")]
    NotAmends {
        /// The server.
        server: String,
        /// What came instead.
        why: String,
    },
    /// The request cannot be written as HTTP.
    #[error("this cannot be sent: {0}")]
    Unsendable(String),
}

/// What a server said instead of doing what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The problem, with its detail.
    pub problem: Problem,
    /// When to come back, if the server says so.
    pub retry_after: Option<Duration>,
}

impl Refused {
    /// The saga that it is about, if the server names one.
    #[must_use]
    pub fn saga(&self) -> Option<&str> {
        ["saga_id", "saga", "id"].iter().find_map(|name| self.problem.members.get(*name)?.as_str())
    }
}

impl ClientError {
    /// What the server said, if it said no.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Unreachable { .. }
            | Self::Unanswered { .. }
            | Self::NotAmends { .. }
            | Self::Unsendable(_) => None,
        }
    }

    /// The kind of error, if the server named one of those we know.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        self.refused()?.problem.kind()
    }

    /// How long to rest before the same is sent again; `None` if that would not help. The call must be one
    /// that may be repeated.
    pub(crate) fn rest(&self, usual: Duration) -> Option<Duration> {
        match self {
            Self::Refused(refused) => match refused.retry_after {
                Some(rest) => Some(rest.max(usual)),
                None => refused.problem.kind().filter(|kind| kind.is_retryable()).map(|_| usual),
            },
            Self::Unreachable { .. } | Self::Unanswered { .. } => Some(usual),
            Self::NotAmends { .. } | Self::Unsendable(_) => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.problem.detail, self.problem.code, self.status)
    }
}
