//! A saga over the API.
//!
//! Owns the one shape of a saga that servers answer and clients read. Promises durable facts only, times in
//! RFC 3339 (UTC, milliseconds), and payloads to the byte. A field that has no value is there all the same
//! and says so (`null`). Does not say what may happen next, but for the verbs of a parked saga.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::words::{CompensationStatus, Mode, SagaStatus, StepStatus, VerbName};

/// One run of a definition. A client skips fields it does not know: later servers send more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saga {
    /// Its id.
    pub id: String,
    /// The id by the name that the shop's contract (`GET /sagas/{id}`) and problem documents give it. One
    /// shape with one field more serves both contracts; a second shape would have to follow the first in
    /// everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga_id: Option<String>,
    /// The name of what it runs.
    pub definition: String,
    /// The version of what it runs.
    pub version: u32,
    /// The kind of transaction.
    pub mode: Mode,
    /// Where it stands.
    pub status: SagaStatus,
    /// Whether nothing is sent for it.
    pub paused: bool,
    /// How many facts there are about it; changes whenever anything does. The id of its newest event.
    pub sequence: u64,
    /// What it was started with.
    pub input: Payload,
    /// What it returned; `null` unless it completed.
    pub output: Payload,
    /// What the caller wants it to be found by.
    pub tags: BTreeMap<String, String>,
    /// The saga and step that started it, if one did.
    pub parent: Option<Parent>,
    /// The step that made it turn back, if one did.
    pub failed_step: Option<String>,
    /// Why it turned back, if it did.
    pub reason: Option<Reason>,
    /// What it waits for an operator for, if it does.
    pub parked: Option<Parked>,
    /// When it started.
    pub started_at: String,
    /// When it ended, if it has.
    pub finished_at: Option<String>,
    /// What happened to each step, in the order of the definition.
    pub steps: Vec<Step>,
}

/// Who started a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The saga's id.
    pub id: String,
    /// Its step.
    pub step: String,
}

/// A code for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable: the participant's own, or one of ours.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What a saga waits for an operator for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Since when.
    pub since: String,
    /// Why, for people.
    pub because: String,
    /// What an operator may do about it.
    pub verbs: Vec<VerbName>,
}

/// One step of a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: StepStatus,
    /// Attempts of the action, counted when they became durable.
    pub attempts: u32,
    /// Whether it may have taken effect although no answer says so for certain.
    pub in_doubt: bool,
    /// When it started.
    pub started_at: Option<String>,
    /// When it was decided.
    pub finished_at: Option<String>,
    /// What it returned; `null` if it did not.
    pub output: Payload,
    /// The last thing that went wrong with the action.
    pub error: Option<Reason>,
    /// The saga that this step is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<String>,
    /// Its undo, once that has begun.
    pub compensation: Option<Compensation>,
}

/// The undo of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compensation {
    /// Where it stands.
    pub status: CompensationStatus,
    /// Attempts, counted when they became durable.
    pub attempts: u32,
    /// The last thing that went wrong with it.
    pub error: Option<Reason>,
}
