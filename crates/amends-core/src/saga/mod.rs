//! Sagas: one mode of transaction.
//!
//! Owns [`Saga`], the state of one run of a [`definition::SagaDefinition`], and what the parts of this folder
//! do with it: `decide.rs` and `operate.rs` choose events, `apply.rs` takes them in, `graph.rs` answers who
//! may go next, `owed.rs` says what is to be done. Promises that the state is a function of the events alone.
//! Start reading at [`Saga::handle`].

mod apply;
mod callback;
mod child;
mod decide;
pub mod definition;
mod event;
mod failure;
mod graph;
mod invariant;
mod operate;
mod owed;
pub mod step_state;
pub mod transition;

use std::sync::Arc;

use bytes::Bytes;

use crate::command::{Signal, VerbKey};
use crate::id::TransactionId;
use crate::moment::Time;
use crate::origin::{Origin, Parent};
use crate::outcome::Reason;
use crate::standing::Standing;

pub use event::{Cause, Event, GivenUp, ParkReason};
pub use step_state::{StepRun, StepState};
pub use transition::{Status, StepStatus};

use definition::SagaDefinition;

/// One run of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saga {
    id: TransactionId,
    definition: Arc<SagaDefinition>,
    input: Bytes,
    status: Status,
    turned_back: Option<Cause>,
    parked: Option<Parked>,
    paused_since: Option<Time>,
    deadline: Time,
    started_at: Time,
    ended_at: Option<Time>,
    /// When the newest fact became true, by the clock of its time.
    as_of: Time,
    /// How many facts there are.
    facts: u64,
    /// About how many bytes its records have.
    bytes: u64,
    steps: Vec<StepRun>,
    /// Tags, parent and trace. Apart: most sagas have none.
    origin: Option<Box<Origin>>,
    /// Whether the saga that it runs in wants it undone as a whole.
    is_recalled: bool,
    /// What it returns, if its definition says, or why that could not be made. Apart: most sagas have none.
    result: Option<Box<Result<Bytes, Reason>>>,
    /// Apart: most sagas have none.
    signals: Option<Box<Signals>>,
    /// The keys of operators' verbs, the oldest first. Apart: most sagas have none.
    #[expect(clippy::box_collection, reason = "a saga without verbs is to have no room for a list of them")]
    verbs: Option<Box<Vec<VerbKey>>>,
}

/// Why and since when a saga waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Since when.
    pub since: Time,
    /// Why.
    pub because: ParkReason,
}

/// What was said to a saga from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Signals {
    /// For waits that have not come yet, in the order they came.
    kept: Vec<Signal>,
    /// Taken; the bodies are the outputs of those who took them.
    taken: Vec<Signal>,
}

impl Saga {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The definition it runs.
    #[must_use]
    pub fn definition(&self) -> &Arc<SagaDefinition> {
        &self.definition
    }

    /// What it was started with.
    #[must_use]
    pub fn input(&self) -> &Bytes {
        &self.input
    }

    /// How many facts there are about it.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.facts
    }

    /// Whatever it is to be found by.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let tags = self.origin.iter().flat_map(|origin| &origin.tags);
        tags.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The step that started it, if one did.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        self.origin.as_ref().and_then(|origin| origin.parent.as_ref())
    }

    /// The trace of whoever started it: a W3C `traceparent`.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.origin.as_ref().and_then(|origin| origin.trace.as_deref())
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Where it stands, in terms of every mode.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.status.standing()
    }

    /// Why it turned back, if it did.
    #[must_use]
    pub fn turned_back(&self) -> Option<&Cause> {
        self.turned_back.as_ref()
    }

    /// Why it waits for an operator, if it does.
    #[must_use]
    pub fn parked(&self) -> Option<&Parked> {
        self.parked.as_ref()
    }

    /// Whether nothing is sent for it.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// When it started.
    #[must_use]
    pub fn started_at(&self) -> Time {
        self.started_at
    }

    /// When it ended.
    #[must_use]
    pub fn ended_at(&self) -> Option<Time> {
        self.ended_at
    }

    /// What happened to each step, in the order of the definition.
    #[must_use]
    pub fn steps(&self) -> &[StepRun] {
        &self.steps
    }

    /// The output of a step that is done or being undone.
    #[must_use]
    pub fn output(&self, step: crate::attempt::StepIndex) -> Option<&Bytes> {
        self.steps.get(step.at()).and_then(StepRun::output)
    }

    /// What it returned: what its definition says, or else its last step's output. `None` before it has completed.
    #[must_use]
    pub fn returned(&self) -> Option<&Bytes> {
        let made = self.result.as_deref().and_then(|result| result.as_ref().ok());
        made.or_else(|| {
            let last = self.steps.last().filter(|_| self.status == Status::Completed);
            last.and_then(StepRun::output)
        })
    }

    /// The signals that are kept for waits that have not come yet, in the order they came.
    #[must_use]
    pub fn kept_signals(&self) -> &[Signal] {
        self.signals.as_ref().map_or(&[], |signals| &signals.kept)
    }

    fn is_at_rest(&self) -> bool {
        self.standing().is_at_rest()
    }

    fn is_forward(&self) -> bool {
        self.turned_back.is_none()
    }
}
