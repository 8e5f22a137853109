//! The payload of a call.
//!
//! Owns [`Payload`], what a definition says of it, [`Scope`], what it may be made of, and [`Mapping`], what
//! makes one. Promises that a scope shows a step the outputs of its ancestors and nothing else, and an undo
//! its own action's output besides: whatever finishes meanwhile beside the step, every attempt is made of the
//! same values. Does not parse, send or keep a payload.

use bytes::Bytes;

use crate::id::TransactionId;
use crate::moment::Time;
use crate::name::DefinitionName;

/// What the payload of a call is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The saga's input, byte for byte.
    Input,
    /// In an undo: what its own action returned; `null` where that is not known.
    Output,
    /// Whatever the mapping of this name makes of the scope. Whoever runs the definition brings it along, as
    /// with participants.
    Mapping(String),
    /// Whatever the definition's own expressions make of the scope: see [`crate::Expressions`].
    Expression,
}

/// The terms of one call: who is asked for what, and with which payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms<'a> {
    /// What the step is called.
    pub step: &'a str,
    /// Who carries the call out.
    pub participant: &'a str,
    /// The operation's name there.
    pub operation: &'a str,
    /// What the payload is made of.
    pub payload: &'a Payload,
    /// Codes of the participant that are final whatever the status.
    pub refuse_on: &'a [String],
}

/// What the payload of one call may be made of.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The transaction.
    pub transaction: TransactionId,
    /// The definition's name.
    pub definition: &'a DefinitionName,
    /// The definition's version.
    pub version: u32,
    /// When it started.
    pub started_at: Time,
    /// What it was started with.
    pub input: &'a Bytes,
    /// In an undo: what its own action returned; `None` if that is not known.
    pub output: Option<&'a Bytes>,
    /// In a run of a step that runs once for each element: the element.
    pub element: Option<&'a Bytes>,
    /// The body that an operator gave the call in place of its own.
    pub corrected: Option<&'a Bytes>,
    /// Finds the output of an ancestor.
    pub(crate) outputs: &'a dyn Outputs,
}

/// Outputs by the name of their step.
pub(crate) trait Outputs: std::fmt::Debug {
    fn output_of(&self, step: &str) -> Option<&Bytes>;
}

impl Scope<'_> {
    /// What the named step returned; `None` if it is not an ancestor of the step that is asked. A step that
    /// was skipped returned what the operator supplied.
    #[must_use]
    pub fn output_of(&self, step: &str) -> Option<&Bytes> {
        self.outputs.output_of(step)
    }
}

/// Makes payloads. The same scope gives the same bytes, in every process and release that runs the
/// definition: a participant takes other bytes under one key for another call. What has to change gets
/// another name.
pub trait Mapping: Send + Sync {
    /// The payload for this scope.
    ///
    /// # Errors
    /// Says what is wrong with the scope; nothing is then sent.
    fn payload(&self, scope: &Scope<'_>) -> Result<Bytes, String>;
}

impl<F> Mapping for F
where
    F: Fn(&Scope<'_>) -> Result<Bytes, String> + Send + Sync,
{
    fn payload(&self, scope: &Scope<'_>) -> Result<Bytes, String> {
        self(scope)
    }
}
