//! A saga as JSON.
//!
//! Owns the shape that `GET /sagas/{id}` answers: names and statuses as in the glossary, times in RFC 3339 (UTC).
//! Promises that it says durable facts only. Payloads are left out here: they may be large.

use amends_core::event::ParkReason;
use amends_core::{Definition, Reason, Saga, StepIndex, StepRun, Time};
use amends_engine::SagaView;
use serde::Serialize;

/// A saga for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SagaJson {
    saga_id: String,
    definition: String,
    version: u32,
    status: &'static str,
    paused: bool,
    sequence: u64,
    started_at: String,
    finished_at: Option<String>,
    failed_step: Option<String>,
    reason: Option<ReasonJson>,
    parked: Option<ParkedJson>,
    steps: Vec<StepJson>,
}

/// A code for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonJson {
    code: String,
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ParkedJson {
    since: String,
    because: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct StepJson {
    name: String,
    status: &'static str,
    attempts: u32,
    started_at: Option<String>,
    finished_at: Option<String>,
    error: Option<ReasonJson>,
    compensation: Option<CompensationJson>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct CompensationJson {
    attempts: u32,
    error: Option<ReasonJson>,
}

impl SagaJson {
    /// The view of a durable state.
    #[must_use]
    pub fn of(view: &SagaView) -> Self {
        let saga = &*view.saga;
        let definition = saga.definition();
        let failure = saga.failure();
        let steps = definition.spec().steps.iter().zip(saga.steps());
        Self {
            saga_id: saga.id().to_string(),
            definition: definition.name().to_string(),
            version: definition.version(),
            status: saga.status().as_str(),
            paused: saga.is_paused(),
            sequence: view.sequence,
            started_at: rfc3339(saga.started_at()),
            finished_at: saga.ended_at().map(rfc3339),
            failed_step: failure.as_ref().and_then(|(step, _)| step.map(|step| name(definition, step))),
            reason: failure.map(|(_, reason)| ReasonJson::of(&reason)),
            parked: saga.parked().map(|parked| ParkedJson {
                since: rfc3339(parked.since),
                because: because(definition, &parked.because),
            }),
            steps: steps.map(|(step, run)| step_json(&step.name, run)).collect(),
        }
    }
}

impl ReasonJson {
    fn of(reason: &Reason) -> Self {
        Self { code: reason.code.clone(), message: reason.message.clone() }
    }
}

/// The step, if there is one, and the reason that made a saga go back.
#[must_use]
pub fn failure(saga: &Saga) -> Option<(Option<String>, Reason)> {
    let (step, reason) = saga.failure()?;
    Some((step.map(|step| name(saga.definition(), step)), reason))
}

/// A moment in RFC 3339, UTC, milliseconds.
#[must_use]
pub fn rfc3339(time: Time) -> String {
    let milliseconds = i64::try_from(time.milliseconds()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        // Beyond the year 9999 there is no RFC 3339; the number says what is stored.
        Err(_) => milliseconds.to_string(),
    }
}

/// Why a parked saga waits, as a sentence.
#[must_use]
pub fn because(definition: &Definition, reason: &ParkReason) -> String {
    match reason {
        ParkReason::PivotExhausted(step) => {
            format!("{} ran out of attempts and may have taken effect", name(definition, *step))
        }
        ParkReason::PivotInDoubt(step) => {
            format!("{} was refused after an attempt whose outcome is unknown", name(definition, *step))
        }
        ParkReason::RefusedAfterPivot(step) => {
            format!("{} was refused after the point of no return", name(definition, *step))
        }
        ParkReason::PayloadConflict(step) => {
            format!("the participant of {} knows this key with another payload", name(definition, *step))
        }
        ParkReason::CompensationFailed => "at least one compensation failed; the others ran".to_owned(),
    }
}

fn name(definition: &Definition, step: StepIndex) -> String {
    definition.written(step).name.clone()
}

fn step_json(name: &str, run: &StepRun) -> StepJson {
    let was_undone = run.compensation_attempts > 0;
    StepJson {
        name: name.to_owned(),
        status: run.state.status().as_str(),
        attempts: run.attempts,
        started_at: run.started_at.map(rfc3339),
        finished_at: run.finished_at.map(rfc3339),
        error: run.error.as_deref().map(ReasonJson::of),
        compensation: was_undone.then(|| CompensationJson {
            attempts: run.compensation_attempts,
            error: run.compensation_error.as_deref().map(ReasonJson::of),
        }),
    }
}
