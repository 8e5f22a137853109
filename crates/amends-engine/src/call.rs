//! A call, and who answers it.
//!
//! Owns [`Call`] (everything a participant is told) and [`Participant`] (who is told). Promises nothing about how often
//! a call arrives: the same key may come again, and the first answer must be given again. Does not time or repeat
//! calls: the shard does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use amends_core::{Definition, Direction, Outcome, StepIndex, TransactionId};
use bytes::Bytes;

/// The answer to a call, on its way.
pub type Answer = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Whoever carries out actions and compensations.
pub trait Participant: Send + Sync {
    /// Takes one attempt. What the future does before its first wait runs on the engine's own task: blocking work
    /// belongs on a thread of its own.
    fn call(&self, call: Call) -> Answer;
}

/// One attempt, as a participant sees it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The saga.
    pub saga: TransactionId,
    /// The saga's definition.
    pub definition: Arc<Definition>,
    /// The step.
    pub step: StepIndex,
    /// Action or compensation.
    pub direction: Direction,
    /// The attempt's number, from one.
    pub attempt: u32,
    /// Whether nobody knows if there is something to undo.
    pub in_doubt: bool,
    /// How long this attempt may take.
    pub limit: Duration,
    /// What the saga was started with.
    pub input: Bytes,
    /// What each step returned, where it did, in the order of the definition.
    pub outputs: Vec<Option<Bytes>>,
}

impl Call {
    /// The step's name.
    #[must_use]
    pub fn step_name(&self) -> &str {
        &self.definition.written(self.step).name
    }

    /// The operation that is asked for.
    #[must_use]
    pub fn operation(&self) -> &str {
        self.definition.operation(self.step, self.direction)
    }

    /// The key of this call, the same for all its attempts: `<saga>/<step>/<action|compensation>`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}/{}", self.saga, self.step_name(), self.direction.as_str())
    }

    /// What the named step returned, if it did.
    #[must_use]
    pub fn output_of(&self, step: &str) -> Option<&Bytes> {
        let step = self.definition.find(step)?;
        self.outputs.get(step.at())?.as_ref()
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
