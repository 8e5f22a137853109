//! What the measured sagas do.
//!
//! Owns the definitions and the participants of the workloads. Promises the work that other systems were
//! measured with: four steps in this process that do nothing, 200 bytes of input, 60 bytes of output each.
//! Does not run them.

use std::sync::Arc;
use std::time::Duration;

use amends_core::{DefinitionName, Outcome, SagaDefinition, SagaSpec, Status, StepSpec};
use amends_engine::{EngineBuilder, Participant, StartRequest, View, Wait, local};
use bytes::Bytes;

/// The input of every saga: 200 bytes.
pub(super) const INPUT: &str = concat!(
    r#"{"user_id":"user_0123456789","items":[{"product_id":"product_1","quantity":2,"price":100.00},"#,
    r#"{"product_id":"product_2","quantity":1,"price":49.50}],"#,
    r#""note":"leave it at the door, please; thank you 12"}"#
);

/// The output of every step: 60 bytes.
const OUTPUT: &str = r#"{"id":"res_0193e0a57b2c7d118f000242ac1","status":"reserved"}"#;

const STEPS: [&str; 4] = ["CreateOrder", "ProcessPayment", "ReserveInventory", "ScheduleShipment"];

/// The step that says no.
const REFUSING: usize = 2;

/// Long enough that no limit passes while sagas wait for the kill and are loaded again.
const NO_LIMIT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A kind of saga that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// Four steps complete.
    Ok,
    /// The third step refuses, and two compensations run.
    Undo,
}

impl Workload {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Undo => "undo",
        }
    }

    /// How its sagas end.
    pub(super) const fn end(self) -> Status {
        match self {
            Self::Ok => Status::Completed,
            Self::Undo => Status::Compensated,
        }
    }

    /// Registers it with the engine.
    pub(super) fn set_up(self, engine: EngineBuilder) -> EngineBuilder {
        let plan = SagaSpec { limit: Duration::from_secs(120), ..spec(STEPS.map(step)) };
        with_participants(engine.definition(check(plan)), |at| match self {
            Self::Undo if at == REFUSING => {
                local(|_| async { Outcome::refused("out_of_stock", "none left") })
            }
            Self::Ok | Self::Undo => completing(),
        })
    }
}

/// Registers the sagas of the recovery measurement: those of `ok`, without limits, and with a first and a
/// last step of the caller's choice.
pub(super) fn set_up_patient(
    engine: EngineBuilder,
    first: Arc<dyn Participant>,
    last: Arc<dyn Participant>,
) -> EngineBuilder {
    let plan = SagaSpec { limit: NO_LIMIT, ..spec(STEPS.map(|name| step(name).attempt_limit(NO_LIMIT))) };
    with_participants(engine.definition(check(plan)), |at| match at {
        0 => first.clone(),
        3 => last.clone(),
        _ => completing(),
    })
}

/// How one of the sagas stands.
pub(super) fn ended_as(view: &View) -> Status {
    view.saga().expect("the workloads are sagas").status()
}

/// A step that has nothing to do.
pub(super) fn completed() -> Outcome {
    Outcome::Completed { output: Bytes::from_static(OUTPUT.as_bytes()) }
}

/// What starts one of the sagas.
pub(super) fn request(wait: Wait) -> StartRequest {
    let request = StartRequest::new(DefinitionName::new("PlaceOrder"), Bytes::from_static(INPUT.as_bytes()));
    StartRequest { wait, ..request }
}

fn completing() -> Arc<dyn Participant> {
    local(|_| async { completed() })
}

fn step(name: &str) -> StepSpec {
    StepSpec::new(name, name, name).undone_by("Undo")
}

fn spec(steps: [StepSpec; 4]) -> SagaSpec {
    SagaSpec {
        name: DefinitionName::new("PlaceOrder"),
        version: 1,
        limit: NO_LIMIT,
        pivot: Some(STEPS[3].to_owned()),
        steps: steps.into(),
    }
}

fn check(plan: SagaSpec) -> SagaDefinition {
    SagaDefinition::from_spec(plan).expect("our own plans are sound")
}

fn with_participants(
    engine: EngineBuilder,
    participant: impl Fn(usize) -> Arc<dyn Participant>,
) -> EngineBuilder {
    STEPS.iter().enumerate().fold(engine, |engine, (at, name)| engine.participant(name, participant(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_outputs_are_json_of_the_size_that_others_were_measured_with() {
        for (text, bytes) in [(INPUT, 200), (OUTPUT, 60)] {
            assert_eq!(text.len(), bytes, "{text}");
            serde_json::from_str::<serde_json::Value>(text).unwrap();
        }
    }
}
