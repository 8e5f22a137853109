//! Facts over the API.
//!
//! Owns [`Fact`], the one shape of what happened: in a saga's journal, in its events and in the events of all.
//! Promises that facts are numbered without gaps within a saga, and that a field which a fact does not have is
//! not there.

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::saga::Reason;

/// One thing that happened to a saga.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The saga.
    pub saga: String,
    /// Its number within the saga, from 1.
    pub sequence: u64,
    /// What happened, in a word: past tense, such as `step_completed`; newer servers have more.
    pub fact: String,
    /// When.
    pub at: String,
    /// The step; of a leg with its number: `Leg[3]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Of a call: who was, or is to be, called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// Of a call: `action` or `compensation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Of an attempt: its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Of a start: what it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Of a start: the version of what it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Of a start: what it was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// What was returned, supplied or said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Payload>,
    /// What was refused, or went wrong, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Of a signal: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Until when something is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Of an operator's verb: who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Of an operator's verb: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of a sub-saga: its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<String>,
    /// Of the feed of all sagas: the place in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
}

/// A page of a saga's facts: the answer of `GET /v1/sagas/{id}/journal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The saga.
    pub saga: String,
    /// The facts, the oldest first.
    pub facts: Vec<Fact>,
    /// Where the next page begins; `null`: there is none.
    pub next_cursor: Option<String>,
}
