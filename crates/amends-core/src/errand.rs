//! Errands: the smallest mode there can be.
//!
//! Owns a mode that exists only to show what a mode is: one call, repeated until its answer is certain. A
//! completed call ends the errand, a refused one parks it. Built with the feature `errand` alone, which tests
//! turn on: they run, crash and recover errands beside sagas through the real shard and journal. Whoever adds
//! a mode greps for `errand`: `docs/contribute/adding-a-mode.md`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::attempt::{CallId, Direction, StepIndex};
use crate::command::{Command, Rejected, Verb};
use crate::effect::{Effect, OwedCall};
use crate::id::TransactionId;
use crate::misfit::ApplyError;
use crate::moment::{Moment, Time};
use crate::name::DefinitionName;
use crate::outcome::Outcome;
use crate::payload::{Outputs, Payload, Scope, Terms};
use crate::standing::{End, Standing, Way};

/// What an errand does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrandDefinition {
    /// Its name.
    pub name: DefinitionName,
    /// Its version.
    pub version: u32,
    /// Who is asked.
    pub participant: String,
    /// For what.
    pub operation: String,
    /// How long it rests between two attempts.
    pub rest: Duration,
}

/// One fact about one errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The errand exists, and its first attempt may be sent.
    Started {
        /// What it was started with.
        input: Bytes,
    },
    /// A further attempt may be sent.
    AttemptStarted,
    /// Nobody knows what the attempt did.
    AttemptUnknown {
        /// When to ask again.
        retry_at: Time,
    },
    /// The participant did it.
    Completed,
    /// The participant refused it.
    Refused,
    /// An operator stopped it.
    Abandoned,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    id: TransactionId,
    definition: Arc<ErrandDefinition>,
    input: Bytes,
    started_at: Time,
    attempts: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Resting { until: Time },
    Refused,
    Ended(End),
}

impl ErrandDefinition {
    /// The only call.
    pub(crate) const CALL: CallId = CallId::first(StepIndex(0), Direction::Action);

    pub(crate) fn terms(&self) -> Terms<'_> {
        let payload = &Payload::Input;
        Terms {
            step: "Errand",
            participant: &self.participant,
            operation: &self.operation,
            payload,
            refuse_on: &[],
        }
    }
}

impl Errand {
    pub(crate) fn start(
        id: TransactionId,
        definition: Arc<ErrandDefinition>,
        input: Bytes,
        moment: Moment,
    ) -> (Self, Vec<Event>) {
        let events = vec![Event::Started { input }];
        let errand = Self::begin(id, definition, &events, moment.now).expect("it begins with its start");
        (errand, events)
    }

    pub(crate) fn begin(
        id: TransactionId,
        definition: Arc<ErrandDefinition>,
        events: &[Event],
        at: Time,
    ) -> Result<Self, ApplyError> {
        let [Event::Started { input }, others @ ..] = events else {
            return Err(misfit(events, "an errand begins with its start"));
        };
        let state = State::Calling;
        let mut errand = Self { id, definition, input: input.clone(), started_at: at, attempts: 1, state };
        errand.apply(others, at)?;
        Ok(errand)
    }

    pub(crate) fn apply(&mut self, events: &[Event], _at: Time) -> Result<(), ApplyError> {
        for event in events {
            self.state = match (event, self.state) {
                (Event::AttemptStarted, State::Resting { .. } | State::Refused) => {
                    self.attempts += 1;
                    State::Calling
                }
                (Event::AttemptUnknown { retry_at }, State::Calling) => State::Resting { until: *retry_at },
                (Event::Completed, State::Calling | State::Resting { .. }) => State::Ended(End::Completed),
                (Event::Refused, State::Calling) => State::Refused,
                (Event::Abandoned, State::Calling | State::Resting { .. } | State::Refused) => {
                    State::Ended(End::Abandoned)
                }
                (
                    Event::Started { .. }
                    | Event::AttemptStarted
                    | Event::AttemptUnknown { .. }
                    | Event::Completed
                    | Event::Refused
                    | Event::Abandoned,
                    State::Calling | State::Resting { .. } | State::Refused | State::Ended(_),
                ) => return Err(misfit(events, "the errand's state forbids it")),
            };
        }
        Ok(())
    }

    pub(crate) fn handle(&mut self, command: Command, moment: Moment) -> Result<Vec<Event>, Rejected> {
        let unknown = Event::AttemptUnknown { retry_at: moment.now.after(self.definition.rest) };
        let event = match (command, self.state) {
            (_, State::Ended(_)) => None,
            (Command::Recover, State::Calling) => Some(unknown),
            (Command::Answer { attempt, outcome }, State::Calling) if attempt.number == self.attempts => {
                match outcome {
                    Outcome::Completed { .. } | Outcome::CompletedTooLarge { .. } => Some(Event::Completed),
                    Outcome::Refused(_) | Outcome::Conflict { .. } => Some(Event::Refused),
                    Outcome::Working { .. } | Outcome::Unknown { .. } => Some(unknown),
                }
            }
            (Command::Unmade { .. }, State::Calling) => Some(Event::Refused),
            (Command::Wake, State::Resting { until }) if until <= moment.now => Some(Event::AttemptStarted),
            (Command::Operate { verb: Verb::Retry { .. }, .. }, State::Refused) => {
                Some(Event::AttemptStarted)
            }
            (
                Command::Operate { verb: Verb::Abandon, .. },
                State::Calling | State::Resting { .. } | State::Refused,
            ) => Some(Event::Abandoned),
            (Command::Operate { verb, .. }, State::Calling | State::Resting { .. } | State::Refused) => {
                let because = "an errand knows `retry` and `abandon`".to_owned();
                return Err(Rejected::Verb { verb: verb.as_str(), status: "under way", because });
            }
            (Command::Signal(signal), State::Calling | State::Resting { .. } | State::Refused) => {
                return Err(Rejected::UnknownSignal { name: signal.name, known: Vec::new() });
            }
            (
                Command::Recover
                | Command::Answer { .. }
                | Command::Callback { .. }
                | Command::Child { .. }
                | Command::Wanted { .. }
                | Command::Unmade { .. }
                | Command::Wake,
                State::Calling | State::Resting { .. } | State::Refused,
            ) => None,
        };
        let events: Vec<Event> = event.into_iter().collect();
        self.apply(&events, moment.now).expect("an errand decides only what it can take in");
        Ok(events)
    }

    pub(crate) fn owed(&self) -> Option<Effect> {
        let attempt = ErrandDefinition::CALL.attempt(self.attempts);
        let call = OwedCall { attempt, in_doubt: false, limit: Duration::from_secs(2) };
        (self.state == State::Calling).then_some(Effect::Call(call))
    }

    pub(crate) fn wake_at(&self) -> Time {
        match self.state {
            State::Resting { until } => until,
            State::Calling | State::Refused | State::Ended(_) => Time::NEVER,
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.state {
            State::Calling | State::Resting { .. } => Standing::Active(Way::Forward),
            State::Refused => Standing::Parked,
            State::Ended(end) => Standing::Ended(end),
        }
    }

    pub(crate) fn with_scope<R>(&self, look: impl FnOnce(&Scope<'_>) -> R) -> R {
        let Self { id: transaction, started_at, ref input, .. } = *self;
        look(&Scope {
            transaction,
            definition: &self.definition.name,
            version: self.definition.version,
            started_at,
            input,
            output: None,
            element: None,
            corrected: None,
            outputs: &NoOutputs,
        })
    }

    pub(crate) fn id(&self) -> TransactionId {
        self.id
    }

    pub(crate) fn definition(&self) -> &Arc<ErrandDefinition> {
        &self.definition
    }

    pub(crate) fn input(&self) -> &Bytes {
        &self.input
    }
}

#[derive(Debug)]
struct NoOutputs;

impl Outputs for NoOutputs {
    fn output_of(&self, _step: &str) -> Option<&Bytes> {
        None
    }
}

fn misfit(events: &[Event], because: &'static str) -> ApplyError {
    ApplyError { event: format!("{events:?}"), status: "under way", because }
}
