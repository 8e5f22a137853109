//! Definitions that are data.
//!
//! Owns the way from a YAML or JSON text to a definition that core can run: reading, checking, and the
//! expressions in it. Promises that a text gives the same plan in every process and release, that every fault
//! in it is a [`Finding`] with a position, a rule and help, and that nothing written is ignored. Pure: reads no
//! file, no clock and no environment. Start reading at [`compile`].

mod document;
mod finding;
pub mod limits;
pub mod request;
mod settings;

pub use document::{Document, InputFlaw, Place, compile};
pub use finding::{Finding, Findings};
pub use settings::{BreakerSettings, ParticipantSettings, Rate};
