//! Definitions that are data.
//!
//! Owns the way from a YAML or JSON text to a definition that core can run: reading, checking, and the
//! expressions in it. Promises that a text gives the same plan in every process and release, that every fault
//! in it is a [`Finding`] with a position, a rule and help, and that nothing written is ignored. Pure: reads no
//! file, no clock and no environment. Start reading at [`compile`].

mod call;
mod children;
mod document;
mod expression;
mod expressions;
mod finding;
mod graph;
mod input;
mod keys;
pub mod limits;
mod mask;
mod node;
mod plan;
mod read;
mod reference;
mod render;
pub mod request;
mod schema;
mod settings;
mod source;
mod template;

pub use children::Look;
pub use document::{Document, SECRET_PREFIX, compile};
pub use finding::{Finding, Findings, Severity};
pub use input::InputFlaw;
pub use mask::Place;
pub use reference::key_reference;
pub use render::{Given, Rendered, RenderedWhat};
pub use schema::format_schema;
pub use settings::{BreakerSettings, ParticipantSettings, Rate};

/// What a text of YAML or JSON says, as JSON: numbers with all their digits. For tools that look at a definition
/// without compiling it.
///
/// # Errors
/// Findings, where it is neither.
pub fn to_json(text: &str) -> Result<serde_json::Value, Findings> {
    let mut source = source::Source::new(text);
    let root = node::read(&mut source);
    source.into_verdict()?;
    Ok(root.as_ref().map(input::value_of).unwrap_or_default())
}
