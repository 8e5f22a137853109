//! Definitions over the API.
//!
//! Owns what `/v1/definitions` answers: what was registered, lists, one version with its text, findings.

use serde::{Deserialize, Serialize};

/// What became of a registration: the answer of `PUT /v1/definitions/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The definition's name.
    pub name: String,
    /// The version that has this text.
    pub version: u32,
    /// Whether it was not there before.
    pub is_new: bool,
    /// What the checker advises; nothing that forbids it.
    pub warnings: Vec<Finding>,
}

/// What the checker has to say about one place of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's code.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where there is more to say.
    pub help: Option<String>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The column after the last one meant.
    pub end_column: u32,
}

/// A page of definitions, by name and version: the answer of `GET /v1/definitions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionList {
    /// The definitions.
    pub definitions: Vec<DefinitionSummary>,
    /// Where the next page begins; `null`: there is none.
    pub next_cursor: Option<String>,
}

/// One version of a definition in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionSummary {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Whether it starts no more.
    pub retired: bool,
    /// When it was registered, where that is known.
    pub registered_at: Option<String>,
}

/// One version of a definition, with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Whether it starts no more.
    pub retired: bool,
    /// When it was registered, where that is known.
    pub registered_at: Option<String>,
    /// The text as it was registered; `null` for a definition that a program brings.
    pub source: Option<String>,
    /// All versions there are, the oldest first.
    pub versions: Vec<u32>,
}

/// The answer of `POST /v1/definitions/{name}/versions/{n}/retire`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// How many sagas of it have not ended.
    pub live: u64,
}
