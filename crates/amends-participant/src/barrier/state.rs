//! What has become of a call so far.
//!
//! Owns the states of a row. Does not know how they are stored (that is `row`) or which follows which (that
//! is the forms' own).

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::answer::Refusal;
use crate::delivery::Delivery;

/// What has become of a call so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The effect elsewhere may be under way, or may have taken place.
    Intended { action: Asked },
    /// The action took effect.
    Acted { action: Asked, answer: Vec<u8> },
    /// The action was refused.
    Refused { action: Asked, refusal: Refusal },
    /// The undo elsewhere may be under way, or may have taken place. The action may no longer take effect.
    Undoing { action: Asked, effect: Effect, undo: Asked },
    /// The action was undone, and may no longer take effect.
    Undone { action: Asked, effect: Effect, undo: Asked, undo_answer: Vec<u8> },
    /// The undo came when there was nothing to undo: the action may no longer take effect.
    Blocked,
}

/// Where the effect takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In the database of the barrier, in the same transaction.
    Here,
    /// In another system.
    Elsewhere,
}

/// What is known of the effect of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It took place; the output as JSON.
    TookPlace(Vec<u8>),
    /// The other system refused it, as far as is known.
    Refused(Refusal),
    /// It may have taken place: it was intended, and its outcome never recorded.
    Unknown,
}

/// What a call asked for, to be compared with what a repeat asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) operation: Cow<'static, str>,
    pub(super) payload: Hash,
}

/// SHA-256 of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hash(pub(super) [u8; 32]);

impl Asked {
    pub(super) fn of(delivery: &Delivery<'_>) -> Asked {
        let payload = Hash(Sha256::digest(delivery.payload).into());
        Asked { operation: Cow::Borrowed(delivery.operation), payload }
    }
}
