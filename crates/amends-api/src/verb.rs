//! What operators and programs say to a saga.
//!
//! Owns the bodies of the verbs and the answers of verbs, signals, callbacks and bulk jobs.

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::words::{SagaStatus, VerbName, words};

/// The body of `POST /v1/sagas/{id}/{verb}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerbRequest {
    /// Why; kept in the journal.
    pub reason: String,
    /// Who; kept in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Which step: of `skip`, `resolve`, and of `retry` with a payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What following steps see: of `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Payload>,
    /// The corrected body: of `retry`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// The saga's id once more: of `abandon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// A signal was accepted: the answer of `POST /v1/sagas/{id}/signals/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalAccepted {
    /// The saga.
    pub saga: String,
    /// The signal's name.
    pub signal: String,
    /// The saga's sequence with it.
    pub sequence: u64,
}

/// The body of `POST /v1/bulk`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRequest {
    /// Which sagas: those that match now.
    pub filter: BulkFilter,
    /// What to do: cancel, retry, pause, resume or reverse.
    pub verb: VerbName,
    /// Why; kept in the journal of each.
    pub reason: String,
    /// Who; kept in the journal of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Which sagas a bulk job is about; at least one field is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkFilter {
    /// Of this definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Of this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// That stand so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SagaStatus>,
    /// With this tag, `name=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Started by this saga.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Started at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Started before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A bulk job: the answer of `POST /v1/bulk` and `GET /v1/bulk/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulk {
    /// Its id.
    pub id: String,
    /// What is done.
    pub verb: VerbName,
    /// Where it stands.
    pub status: BulkStatus,
    /// How many sagas matched when it was accepted.
    pub total: u64,
    /// How many took the verb.
    pub done: u64,
    /// How many did not: their state forbade it, or they were gone.
    pub refused: u64,
}

words! {
    /// Where a bulk job stands.
    BulkStatus is "bulk job's status" {
        /// It goes on, after a restart as well.
        Running = "running",
        /// All have been asked.
        Finished = "finished",
    }
}

/// What a participant that answered 202 reports: the body of `POST /v1/callbacks/{token}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// What became of the call.
    pub outcome: CallbackOutcome,
    /// What it returned, if it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Payload>,
    /// Why it was refused, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it was refused, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Payload>,
}

words! {
    /// What a participant reports.
    CallbackOutcome is "callback's outcome" {
        /// The effect took place.
        Completed = "completed",
        /// It did not, for good.
        Refused = "refused",
        /// It is at it.
        Working = "working",
    }
}
