//! Starting a saga, and finding sagas.
//!
//! Owns what `POST /v1/sagas` takes, and the lists and counts of `GET /v1/sagas`. Does not own the saga itself:
//! that is [`crate::Saga`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::words::{Mode, SagaStatus};

/// What to start: the body of `POST /v1/sagas`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartSaga {
    /// The name of the definition.
    pub definition: String,
    /// Its version; the newest that is not retired unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The saga's id, if the caller chooses it: a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What to start it with.
    pub input: Payload,
    /// What it is to be found by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A page of sagas, the newest first: the answer of `GET /v1/sagas`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaList {
    /// The sagas.
    pub sagas: Vec<SagaSummary>,
    /// Where the next page begins; `null`: there is none.
    pub next_cursor: Option<String>,
}

/// A saga in a list: what is known of it without reading its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaSummary {
    /// Its id.
    pub id: String,
    /// The name of what it runs.
    pub definition: String,
    /// The version of what it runs.
    pub version: u32,
    /// The kind of transaction.
    pub mode: Mode,
    /// Where it stands.
    pub status: SagaStatus,
    /// What the caller wants it to be found by.
    pub tags: BTreeMap<String, String>,
    /// The id of the saga that started it, if one did.
    pub parent: Option<String>,
    /// When it started.
    pub started_at: String,
    /// When it ended, if it has.
    pub finished_at: Option<String>,
}

/// How many sagas match: the answer of `GET /v1/sagas/count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many, at least.
    pub count: u64,
    /// Whether there are no more.
    pub exact: bool,
}
