//! What a transaction owes the world.
//!
//! Owns [`Effect`], work for the shell, and [`EffectId`], by which the shell knows again what it has begun.
//! Promises that effects are values: nothing happens here. Does not know who carries an effect out.

use std::time::Duration;

use crate::attempt::AttemptId;

/// Work for the shell, owed from the moment that the facts behind it are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Call a participant.
    Call(OwedCall),
}

/// The name of an effect: what is owed under a name is begun once, until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// One attempt of a call.
    Call(AttemptId),
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

impl Effect {
    /// The effect's name.
    #[must_use]
    pub const fn id(&self) -> EffectId {
        match self {
            Self::Call(call) => EffectId::Call(call.attempt),
        }
    }
}
