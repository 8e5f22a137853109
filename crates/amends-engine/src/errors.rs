//! Why the engine did not do what was asked.
//!
//! Owns one enum for each operation. Promises that every error says who has to act, in this order: the
//! caller, whoever sees to capacity or waits, an operator, nobody knows.

use amends_core::limits::SIGNAL_KEY_BYTES_MAX;
use amends_core::{DefinitionName, Rejected, TransactionId};
use amends_definition::{Findings, InputFlaw};
use amends_journal::JournalError;

use crate::limits::{INPUT_BYTES_MAX, KEY_BYTES_MAX, QUESTIONS_MAX};
use crate::registry::Missing;

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartUpError {
    /// A definition needs something that is not registered.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A definition's version has other content than when it was first registered.
    #[error(
        "the definition {name} version {version} differs from the one stored: give the changed one the next version"
    )]
    DefinitionChanged {
        /// Its name.
        name: DefinitionName,
        /// Its version.
        version: u32,
    },
    /// The limit of a saga's records leaves no room for what an operator does about a saga that has reached it.
    #[error(
        "saga_bytes_max is {given}; {limit} are allowed, half of what the journal takes of one transaction"
    )]
    SagaBytesMax {
        /// What was given.
        given: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a definition was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Something is wrong with the text.
    #[error("{0}")]
    Findings(Findings),
    /// The text names itself otherwise than its caller does.
    #[error("the text defines {name}, not {expected}: give both the same name")]
    NameDiffers {
        /// The name in the text.
        name: DefinitionName,
        /// The caller's.
        expected: String,
    },
    /// The name is taken by a definition in code.
    #[error("{0} is a definition of the program itself: choose another name")]
    OfProgram(DefinitionName),
    /// The engine was built without anything that calls services.
    #[error("this program calls no services: definitions that are data cannot be registered")]
    NoTransport,
    /// It needs something that is not registered.
    #[error(transparent)]
    Missing(Missing),
    /// Another coordinator registered a version meanwhile.
    #[error("another version was registered meanwhile: look at it, and send this one again")]
    Overtaken,
    /// The journal failed.
    #[error("the definition could not be stored: {0}")]
    Journal(String),
    /// The engine is being stopped.
    #[error("the engine is stopping")]
    Stopping,
}

/// Why a definition was not retired.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// There is none.
    #[error("{name} has no version {version}")]
    NotFound {
        /// The definition's name.
        name: DefinitionName,
        /// The version asked for.
        version: u32,
    },
    /// The journal failed.
    #[error("the journal failed: {0}")]
    Journal(String),
    /// The engine is being stopped.
    #[error("the engine is stopping")]
    Stopping,
}

/// Why a transaction was not started, or nobody can say.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing of this name is registered.
    #[error("no definition is named {0}")]
    UnknownDefinition(DefinitionName),
    /// Something of this name is registered, but not this version.
    #[error("{name} has no version {version}")]
    UnknownVersion {
        /// The definition's name.
        name: DefinitionName,
        /// The version asked for.
        version: u32,
    },
    /// The version starts no more transactions.
    #[error(
        "{name} version {version} is retired and starts nothing more: start another version, or leave the version out"
    )]
    Retired {
        /// The definition's name.
        name: DefinitionName,
        /// The version asked for.
        version: u32,
    },
    /// The input is not JSON.
    #[error("the input is not JSON")]
    InputNotJson,
    /// An object in the input gives a name twice: readers disagree about which counts.
    #[error("the input gives the name {0:?} twice in one object: remove one")]
    DuplicateName(String),
    /// The input is not what the definition's schema asks for.
    #[error("the input is not what the definition asks for: {}", flaws(.0))]
    InputInvalid(Vec<InputFlaw>),
    /// The input is too large.
    #[error("the input has {0} bytes; {INPUT_BYTES_MAX} are allowed")]
    InputTooLarge(usize),
    /// The key is empty or too long.
    #[error("an idempotency key has 1 to {KEY_BYTES_MAX} bytes")]
    BadKey,
    /// The id or key belongs to a transaction with another definition or input.
    #[error("this key or id was used before, for {id} and with another definition or input: use a new one")]
    KeyReused {
        /// That transaction.
        id: TransactionId,
    },
    /// The id or key belongs to a transaction that ended and was removed since: it was carried out, and is
    /// not again.
    #[error("{id}, started with this key or id, ended and was removed since: use a new one to start another")]
    Removed {
        /// That transaction.
        id: TransactionId,
    },
    /// Too many transactions are live.
    #[error("the engine is full: {0} transactions are under way; try again shortly")]
    Full(usize),
    /// The disk is nearly full.
    #[error("the disk is nearly full: nothing new is started, what is under way goes on; free some space")]
    DiskLow,
    /// Another coordinator owns the partition now.
    #[error("another coordinator has taken over: repeat the request there")]
    NotOwner,
    /// The engine is being stopped.
    #[error("the engine is stopping; what was started goes on when it runs again")]
    Stopping,
    /// The transaction is parked because its records cannot be read.
    #[error("{id} cannot be read: {why}")]
    Unreadable {
        /// The transaction.
        id: TransactionId,
        /// What is wrong.
        why: String,
    },
    /// The journal failed; the transaction may have been started.
    #[error("nobody knows whether it was started ({0}): repeat with the same key")]
    Unknown(String),
}

/// Why a transaction could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It ended and was removed since; its id stays reserved.
    #[error("{id} ended and was removed since")]
    Removed {
        /// The transaction.
        id: TransactionId,
    },
    /// Too many questions wait for an answer.
    #[error("{QUESTIONS_MAX} questions wait for an answer already: try again shortly")]
    Full,
    /// Another coordinator owns the partition now.
    #[error("another coordinator has taken over: repeat the request there")]
    NotOwner,
    /// The engine is being stopped.
    #[error("the engine is stopping")]
    Stopping,
    /// Its records cannot be read; it is parked.
    #[error("{id} cannot be read: {why}")]
    Unreadable {
        /// The transaction.
        id: TransactionId,
        /// What is wrong.
        why: String,
    },
    /// The journal failed.
    #[error("the journal could not be read: {0}")]
    Journal(String),
}

/// Why an operator's verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// No such transaction.
    #[error("nothing has this id")]
    NotFound,
    /// The output supplied is not JSON.
    #[error("the output is not JSON")]
    OutputNotJson,
    /// An object in the output supplied gives a name twice.
    #[error("the output gives the name {0:?} twice in one object: remove one")]
    DuplicateName(String),
    /// The transaction's state forbids it.
    #[error(transparent)]
    Rejected(Rejected),
    /// Its payloads were erased.
    #[error("its payloads were erased: nothing of it can be undone any more")]
    Erased,
    /// The transaction could not be read.
    #[error(transparent)]
    Read(ReadError),
}

/// Why payloads were not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// No such transaction.
    #[error("nothing has this id")]
    NotFound,
    /// It has not ended.
    #[error("it has not ended: its payloads are still needed")]
    Live,
    /// It belongs to one that has not ended.
    #[error("it belongs to {ancestor}, which has not ended: its payloads are still needed")]
    ChildOfLive {
        /// The one above it.
        ancestor: TransactionId,
    },
    /// The journal could not be read or written.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a signal was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// No such transaction.
    #[error("nothing has this id")]
    NotFound,
    /// The body is not JSON.
    #[error("the signal's body is not JSON")]
    BodyNotJson,
    /// An object in the body gives a name twice.
    #[error("the signal's body gives the name {0:?} twice in one object: remove one")]
    DuplicateName(String),
    /// The key is empty or too long.
    #[error("a signal's key has 1 to {SIGNAL_KEY_BYTES_MAX} bytes")]
    BadKey,
    /// The transaction's state or definition forbids it.
    #[error(transparent)]
    Rejected(Rejected),
    /// The transaction could not be read.
    #[error(transparent)]
    Read(ReadError),
}

/// Why a participant's report changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The token is none of ours.
    #[error("no call has this token: report to the URL that came as Amends-Callback, as it is")]
    UnknownToken,
    /// The call's transaction is gone.
    #[error("the transaction of this call is not there any more")]
    NotFound,
    /// The call was decided otherwise.
    #[error(transparent)]
    Rejected(Rejected),
    /// The transaction could not be read.
    #[error(transparent)]
    Read(ReadError),
}

fn flaws(flaws: &[InputFlaw]) -> String {
    let one = |InputFlaw { pointer, message }: &InputFlaw| match pointer.as_str() {
        "" => message.clone(),
        pointer => format!("{pointer}: {message}"),
    };
    flaws.iter().map(one).collect::<Vec<_>>().join("; ")
}
