//! A call, and who answers it.
//!
//! Owns [`Call`] (everything a participant is told) and [`Participant`] (who is told). Promises nothing about
//! how often a call arrives: the same key may come again, with the same payload, and the first answer must be
//! given again. Does not time or repeat calls: the shard does.

mod breaker;
pub mod connect;
pub(crate) mod gate;
mod rate;
pub(crate) mod shared_gate;
pub(crate) mod trace;
mod view;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use amends_core::{AttemptId, Definition, Direction, Outcome, TransactionId};
use bytes::Bytes;

pub use breaker::BreakerView;
pub use shared_gate::{LastError, OutcomeCounts};
pub use view::ParticipantView;

/// The answer to a call, on its way.
pub type Answer = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Whoever carries out actions and compensations.
pub trait Participant: Send + Sync {
    /// Takes one attempt. What the future does before its first wait runs on the engine's own task: blocking
    /// work belongs on a thread of its own.
    fn call(&self, call: Call) -> Answer;
}

/// A participant's place in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParticipantIndex(pub usize);

/// One attempt, as a participant sees it.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose call.
    pub transaction: TransactionId,
    /// The transaction's definition.
    pub definition: Definition,
    /// Which attempt of which call.
    pub attempt: AttemptId,
    /// Whether nobody knows if there is something to undo.
    pub in_doubt: bool,
    /// How long this attempt may take.
    pub limit: Duration,
    /// What is asked: the same bytes in every attempt of the call.
    pub payload: Bytes,
    /// The W3C `traceparent` that the transaction was started with.
    pub trace: Option<String>,
}

impl Call {
    /// The step's name.
    #[must_use]
    pub fn step_name(&self) -> &str {
        self.definition.terms(self.attempt.call).step
    }

    /// The operation that is asked for.
    #[must_use]
    pub fn operation(&self) -> &str {
        self.definition.terms(self.attempt.call).operation
    }

    /// Action or compensation.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.attempt.direction()
    }

    /// The codes that this call's definition takes for a refusal, whatever comes with them.
    #[must_use]
    pub fn refuse_on(&self) -> &[String] {
        self.definition.terms(self.attempt.call).refuse_on
    }

    /// The W3C `traceparent` of this attempt.
    #[must_use]
    pub fn traceparent(&self) -> String {
        trace::traceparent(self.trace.as_deref(), self.transaction, self.attempt)
    }

    /// The key of this call, the same for all its attempts: see [`amends_core::CallId::key`].
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        self.attempt.call.key(self.transaction, self.step_name()).to_string()
    }
}

/// A participant in this process: a function from a call to the future of its outcome.
pub fn local<F, A>(handler: F) -> Arc<dyn Participant>
where
    F: Fn(Call) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    struct Local<F>(F);

    impl<F, A> Participant for Local<F>
    where
        F: Fn(Call) -> A + Send + Sync,
        A: Future<Output = Outcome> + Send + 'static,
    {
        fn call(&self, call: Call) -> Answer {
            Box::pin((self.0)(call))
        }
    }

    Arc::new(Local(handler))
}
