//! What can be asked of a transaction.
//!
//! Owns [`Command`], imperative, the operator's [`Verb`]s and [`Signal`]s. Promises that what the state
//! forbids is [`Rejected`] with the state named, and changes nothing. Does not decide: each mode does.

use bytes::Bytes;

use crate::attempt::{AttemptId, CallId, StepId};
use crate::effect::Want;
use crate::id::TransactionId;
use crate::outcome::{Outcome, Reason};

/// Something that came in for one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The transaction was loaded after a stop: no call of its is under way any more.
    Recover,
    /// A participant answered.
    Answer {
        /// Which attempt.
        attempt: AttemptId,
        /// What it said.
        outcome: Outcome,
    },
    /// The payload of an attempt could not be made: nothing was sent.
    Unmade {
        /// Which attempt.
        attempt: AttemptId,
        /// Why not.
        why: String,
    },
    /// A participant called back. The report belongs to the call, whichever attempt led to it.
    Callback {
        /// Which call.
        call: CallId,
        /// What it reports: completed, refused or working.
        outcome: Outcome,
    },
    /// A transaction that runs in a step says where it stands.
    Child {
        /// Its id.
        child: TransactionId,
        /// Where it stands.
        stands: ChildStands,
    },
    /// The transaction that this one runs in says what it wants.
    Wanted {
        /// What.
        want: Want,
    },
    /// A moment that [`crate::Transaction::wake_at`] named has come.
    Wake,
    /// Somebody outside has something to say that a step may wait for.
    Signal(Box<Signal>),
    /// An operator's wish.
    Operate {
        /// What to do.
        verb: Verb,
        /// Who and why, for the journal.
        by: By,
        /// How many facts there are to be, where the operator decided by a state seen before.
        expected: Option<u64>,
    },
}

/// Where a transaction stands that runs in a step of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildStands {
    /// On its way.
    UnderWay,
    /// It waits for an operator.
    Parked,
    /// It is done and returned this.
    Completed {
        /// What.
        output: Bytes,
    },
    /// It is undone, or was never to run.
    Compensated {
        /// Why.
        reason: Reason,
    },
    /// An operator stopped it as it was.
    Abandoned,
}

/// An operator's verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Turn back.
    Cancel,
    /// Ask again now, with fresh patience.
    Retry {
        /// Only this step, or run of it; `None`: whatever is stuck.
        step: Option<StepId>,
        /// A corrected body, which this and later attempts carry, under a key of its own.
        payload: Option<Bytes>,
    },
    /// Go on without the step, with this output.
    Skip {
        /// The step, or the run of it.
        step: StepId,
        /// What following steps see.
        output: Bytes,
    },
    /// The step's undo was done by hand.
    Resolve {
        /// The step, or the run of it.
        step: StepId,
    },
    /// Record answers, send nothing, let limits stand still.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Undo what has completed.
    Reverse,
    /// Stop without undo.
    Abandon,
}

impl Verb {
    /// Whatever is stuck is asked again, as it was.
    pub const RETRY: Self = Self::Retry { step: None, payload: None };

    /// The verb's word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry { .. } => "retry",
            Self::Skip { .. } => "skip",
            Self::Resolve { .. } => "resolve",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reverse => "reverse",
            Self::Abandon => "abandon",
        }
    }
}

/// Who asked, and why; kept in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The operator.
    pub who: String,
    /// Their reason.
    pub why: String,
    /// The idempotency key that the verb came with, if it had one.
    pub key: Option<VerbKey>,
}

impl By {
    /// Who and why, of a verb without a key.
    #[must_use]
    pub fn new(who: impl Into<String>, why: impl Into<String>) -> Self {
        Self { who: who.into(), why: why.into(), key: None }
    }
}

/// What a repeated verb is known by: it acts once, also after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerbKey {
    /// The caller's idempotency key, within this transaction.
    pub key: String,
    /// A hash that is equal for equal requests: tells a repeat from another verb under the same key.
    pub fingerprint: [u8; 32],
}

/// Something said to a transaction from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// What steps wait for.
    pub name: String,
    /// The caller's idempotency key, within this transaction and name.
    pub key: String,
    /// What is said: JSON. It becomes the output of the step that waited.
    pub body: Bytes,
    /// A hash that is equal for equal JSON values: tells a repeat from another signal under the same key.
    pub fingerprint: [u8; 32],
}

/// Why a command was not followed; the state is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The state forbids the verb.
    #[error("cannot {verb} while {status}: {because}")]
    Verb {
        /// The verb's word.
        verb: &'static str,
        /// The status's word.
        status: &'static str,
        /// What would have to be otherwise.
        because: String,
    },
    /// A participant called back with something that does not fit.
    #[error("the callback changes nothing: {because}")]
    Callback {
        /// Why not.
        because: &'static str,
    },
    /// What runs in a step of another transaction goes where that goes.
    #[error(
        "cannot {verb} a saga that runs in another: do so to {root}, from where it reaches all below; here there are \
         retry, skip and resolve"
    )]
    OfRoot {
        /// The verb's word.
        verb: &'static str,
        /// The transaction at the top.
        root: TransactionId,
    },
    /// What was refused without a code is not asked again with another payload.
    #[error(
        "it was not refused with a code: the participant may have failed rather than judged the payload, so \
         another one may come second; retry without a payload"
    )]
    RefusalNotCoded,
    /// What may have taken effect is not asked again with another payload.
    #[error(
        "an attempt of it is unknown: it may have taken effect with its first payload; retry without one"
    )]
    AttemptUnknown,
    /// No step waits for a signal of this name.
    #[error("no step waits for the signal {name:?}{}", nearest(.known))]
    UnknownSignal {
        /// The name.
        name: String,
        /// The names that steps wait for.
        known: Vec<String>,
    },
    /// Another signal of this name was sent with this key.
    #[error("the key {key:?} was used before, for a signal {name:?} with another body: use a new one")]
    SignalKeyReused {
        /// The signal's name.
        name: String,
        /// The key.
        key: String,
    },
    /// Another verb was given with this key.
    #[error("the key {key:?} was used before, for another verb or with another body: use a new one")]
    VerbKeyReused {
        /// The key.
        key: String,
    },
    /// More happened since the state that the operator decided by.
    #[error("it has changed: its sequence is {is}, not {expected}; look again and decide anew")]
    Stale {
        /// How many facts there were to be.
        expected: u64,
        /// How many there are.
        is: u64,
    },
    /// Every step that waits for the signal has one, or is past.
    #[error("no step will wait for another signal {name:?}: each has one already, or is past")]
    NotWaited {
        /// The name.
        name: String,
    },
    /// Nothing will ever wait for a signal.
    #[error("no signals are taken while {status}: it will wait for none")]
    NotListening {
        /// The status's word.
        status: &'static str,
    },
    /// Too many signals are kept for waits that have not come yet.
    #[error("{kept} signals are kept already and wait for their steps: send this one later")]
    TooManySignals {
        /// How many there are.
        kept: usize,
    },
    /// What was given is larger than may be stored.
    #[error("{what} has {bytes} bytes; {limit} are allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
}

fn nearest(known: &[String]) -> String {
    if known.is_empty() {
        ": its definition has no step that waits".to_owned()
    } else {
        format!("; its steps wait for {}", known.join(", "))
    }
}
