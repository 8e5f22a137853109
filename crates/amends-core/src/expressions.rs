//! What a definition that is data computes.
//!
//! Owns [`Expressions`], one pure method for each place where an expression may stand. Promises nothing about
//! the language: core asks, whoever compiled the definition answers. Does not record answers: `decide.rs`
//! does, so that no question is asked twice of a saga that goes on.

use std::fmt;

use bytes::Bytes;

use crate::attempt::{CallId, StepIndex};
use crate::payload::Scope;

/// What a definition that is data computes. Pure: the same scope gives the same answer in every process and
/// release.
pub trait Expressions: fmt::Debug + Send + Sync {
    /// Whether the step is to run (`when`). Asked once, when it may start.
    ///
    /// # Errors
    /// Says what is wrong; a guard that fails is never false.
    fn guard(&self, step: StepIndex, scope: &Scope<'_>) -> Result<bool, String>;

    /// The elements of a step that runs once for each (`each`): JSON values.
    ///
    /// # Errors
    /// Says what is wrong; nothing is then started.
    fn elements(&self, step: StepIndex, scope: &Scope<'_>) -> Result<Vec<Bytes>, String>;

    /// The payload of a call. For a participant over HTTP: a request.
    ///
    /// # Errors
    /// Says what is wrong; nothing is then sent.
    fn payload(&self, call: CallId, scope: &Scope<'_>) -> Result<Bytes, String>;

    /// What the child of a step is started with.
    ///
    /// # Errors
    /// Says what is wrong; no child is then started.
    fn child_input(&self, step: StepIndex, scope: &Scope<'_>) -> Result<Bytes, String>;

    /// What the saga returns; `None` when the definition does not say.
    ///
    /// # Errors
    /// Inside: says what is wrong.
    fn output(&self, scope: &Scope<'_>) -> Option<Result<Bytes, String>>;
}
