//! What a transaction owes the world.
//!
//! Owns [`Effect`], work for the shell, and [`EffectId`], by which the shell knows again what it has begun.
//! Promises that effects are values: nothing happens here. Does not know who carries an effect out.

use std::time::Duration;

use crate::attempt::{AttemptId, StepId};
use crate::id::TransactionId;

/// Work for the shell, owed from the moment that the facts behind it are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Call a participant.
    Call(OwedCall),
    /// See to it that another transaction runs, pauses, is undone or abandoned.
    Child(OwedChild),
}

/// The name of an effect: what is owed under a name is begun once, until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// One attempt of a call.
    Call(AttemptId),
    /// What is wanted of a child.
    Child(TransactionId, Want),
}

/// One attempt of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwedCall {
    /// Which.
    pub attempt: AttemptId,
    /// Whether nobody knows if there is something to undo; the participant is told.
    pub in_doubt: bool,
    /// How long the attempt may take, counted from when it is sent.
    pub limit: Duration,
}

/// A transaction that runs in a step of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwedChild {
    /// Its id: always the same one.
    pub id: TransactionId,
    /// The step, or the run of it.
    pub step: StepId,
    /// What is wanted of it.
    pub want: Want,
}

/// What is wanted of a child, by where its parent stands. Whoever carries it out starts a child that is not there, unless
/// it is to be undone: then nothing is left to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Want {
    /// It is to be undone as a whole.
    pub undo: bool,
    /// Nothing is to be sent for it.
    pub pause: bool,
    /// It is to be stopped as it is.
    pub abandon: bool,
}

impl Effect {
    /// The effect's name.
    #[must_use]
    pub const fn id(&self) -> EffectId {
        match self {
            Self::Call(call) => EffectId::Call(call.attempt),
            Self::Child(child) => EffectId::Child(child.id, child.want),
        }
    }
}
