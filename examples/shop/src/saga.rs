//! The saga `PlaceOrder`, and how its steps become calls to the services.
//!
//! Owns the definition, and the mappings that make the payload of each call of the saga's input and the outputs of earlier
//! steps. Promises that a service that cannot answer gives *unknown*, never a refusal.
//! Does not repeat, time or undo anything: the engine does.

use std::sync::Arc;

use amends_core::{DefinitionName, Outcome, Payload, Refusal, SagaDefinition, SagaSpec, Scope, StepSpec};
use amends_engine::{Call, EngineBuilder, local};
use amends_participant::Answer;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::limits::{ATTEMPT_TIME_MAX, CALLS_PER_SERVICE_MAX, SAGA_TIME_MAX};
use crate::messages::{
    CancelOrder, CancelShipment, ConfirmOrder, Line, OrderCreated, ProcessPayment, RefundPayment,
    ReleaseReservation, ReserveInventory, ScheduleShipment,
};
use crate::operation::{Operation, ServiceName};
use crate::order_request::OrderRequest;
use crate::service::{CallError, Form, ServiceCall};
use crate::services::Services;

/// The saga's name.
pub const PLACE_ORDER: &str = "PlaceOrder";

/// The same saga as data, over services behind HTTP.
pub const PLACE_ORDER_DOCUMENT: &str = include_str!("../place-order.yaml");

/// Create the order, take the money, reserve the goods, book the shipment, confirm; undone in reverse until the
/// shipment is booked.
///
/// # Panics
/// Never: a test checks the definition.
#[must_use]
pub fn place_order() -> SagaDefinition {
    let step = |action: Operation| {
        StepSpec::new(action.step(), action.service().as_str(), action.as_str())
            .attempt_limit(ATTEMPT_TIME_MAX)
            .payload(mapping_of(action))
    };
    let undone =
        |action, undo: Operation| step(action).undone_by(undo.as_str()).undo_payload(mapping_of(undo));
    SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new(PLACE_ORDER),
        version: 1,
        limit: SAGA_TIME_MAX,
        pivot: Some(Operation::ScheduleShipment.step().to_owned()),
        steps: vec![
            undone(Operation::CreateOrder, Operation::CancelOrder),
            undone(Operation::ProcessPayment, Operation::RefundPayment),
            undone(Operation::ReserveInventory, Operation::ReleaseReservation),
            undone(Operation::ScheduleShipment, Operation::CancelShipment),
            step(Operation::ConfirmOrder).without_undo(),
        ],
    })
    .expect("the definition has no findings")
}

/// Each operation's payload is made by the mapping of its name.
fn mapping_of(operation: Operation) -> Payload {
    Payload::Mapping(operation.as_str().to_owned())
}

/// Registers the saga and its participants.
#[must_use]
pub fn register(mut engine: EngineBuilder, services: &Arc<Services>) -> EngineBuilder {
    for name in ServiceName::ALL {
        let services = services.clone();
        let participant = local(move |call| carry_out(services.clone(), call));
        engine = engine.limited_participant(name.as_str(), participant, CALLS_PER_SERVICE_MAX);
    }
    for operation in Operation::ALL {
        let mapping = Arc::new(move |scope: &Scope<'_>| payload(operation, scope));
        engine = engine.mapping(operation.as_str(), mapping);
    }
    engine.definition(place_order())
}

/// One attempt: call and outcome.
async fn carry_out(services: Arc<Services>, call: Call) -> Outcome {
    let Some(operation) = Operation::named(call.operation()) else {
        return Outcome::unknown("unknown_operation", format!("no service knows {}", call.operation()));
    };
    let (answered, answer) = oneshot::channel();
    let key = match call.idempotency_key().try_into() {
        Ok(key) => key,
        Err(error) => return Outcome::unknown("unreadable", format!("{error}")),
    };
    let (in_doubt, payload) = (call.in_doubt, call.payload);
    let call = ServiceCall { operation, key, in_doubt, payload, form: Form::Inside };
    services.call(call, move |result| {
        // Nobody waits any more only when the engine stops; the answer is in the barrier.
        drop(answered.send(result));
    });
    match answer.await {
        Ok(result) => outcome(result),
        Err(_) => Outcome::unknown("no_answer", "the service stopped before it answered"),
    }
}

fn outcome(result: Result<Answer, CallError>) -> Outcome {
    match result {
        Ok(Answer::Completed(output)) => Outcome::Completed { output: Bytes::from(output) },
        Ok(Answer::Refused(refusal)) => Outcome::Refused(Refusal {
            code: refusal.code,
            message: refusal.message,
            details: refusal.details.map(Bytes::from),
        }),
        Err(error) if error.is_conflict() => Outcome::Conflict { message: error.to_string() },
        Err(error) => Outcome::unknown("service_failed", error.to_string()),
    }
}

/// What the service is told. It depends on the saga's input and on outputs of completed steps only.
fn payload(operation: Operation, scope: &Scope<'_>) -> Result<Bytes, String> {
    let request = || OrderRequest::parse(scope.input).map_err(|error| error.to_string());
    let created = || output::<OrderCreated>(scope, Operation::CreateOrder);
    match operation {
        Operation::CreateOrder => json(request()?.order()),
        Operation::ProcessPayment => {
            let OrderCreated { order_id, total } = created()?;
            json(&ProcessPayment { order_id, amount: total })
        }
        Operation::ReserveInventory => {
            let lines = request()?.into_order().items;
            let lines =
                lines.into_iter().map(|item| Line { product_id: item.product_id, quantity: item.quantity });
            json(&ReserveInventory { order_id: created()?.order_id, lines: lines.collect() })
        }
        Operation::ScheduleShipment => json(&ScheduleShipment { order_id: created()?.order_id }),
        Operation::ConfirmOrder => json(&ConfirmOrder { order_id: created()?.order_id }),
        // Undone by the saga's id alone, so that a step in doubt can be undone without its output.
        Operation::CancelOrder => json(&CancelOrder {}),
        Operation::RefundPayment => json(&RefundPayment {}),
        Operation::ReleaseReservation => json(&ReleaseReservation {}),
        Operation::CancelShipment => json(&CancelShipment {}),
    }
}

fn output<T: DeserializeOwned>(scope: &Scope<'_>, operation: Operation) -> Result<T, String> {
    let step = operation.step();
    let output = scope.output_of(step).ok_or_else(|| format!("the output of {step} is missing"))?;
    serde_json::from_slice(output).map_err(|error| format!("the output of {step} cannot be read: {error}"))
}

fn json(payload: &impl Serialize) -> Result<Bytes, String> {
    serde_json::to_vec(payload).map(Bytes::from).map_err(|error| error.to_string())
}

/// Relations between limits that must hold.
const _: () =
    assert!(ATTEMPT_TIME_MAX.as_millis() < SAGA_TIME_MAX.as_millis(), "an attempt fits into a saga");

/// The order's id, once there is an order. The amount beside it is written differently by services that are
/// processes of their own.
#[must_use]
pub fn order_id(saga: &amends_core::Saga) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct OrderCreated {
        order_id: String,
    }

    let step = saga.definition().find(Operation::CreateOrder.step())?;
    let output = saga.output(step)?;
    serde_json::from_slice::<OrderCreated>(output).ok().map(|created| created.order_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use amends_core::{CallId, Direction, Role, StepIndex};

    #[test]
    fn the_plan_is_the_contracts() {
        let definition = place_order();
        let rows: Vec<String> = definition
            .order()
            .iter()
            .map(|step| {
                let terms = |direction| definition.terms(CallId::first(*step, direction));
                let has_undo = definition.has_undo(*step);
                let undo = if has_undo { terms(Direction::Compensation).operation } else { "-" };
                let action = terms(Direction::Action);
                format!("{} {} {undo}", action.operation, action.participant)
            })
            .collect();
        assert_eq!(
            rows,
            [
                "CreateOrder order CancelOrder",
                "ProcessPayment payment RefundPayment",
                "ReserveInventory inventory ReleaseReservation",
                "ScheduleShipment shipping CancelShipment",
                "ConfirmOrder order -",
            ]
        );
        assert_eq!(definition.step(StepIndex(3)).role, Role::Pivot);
        assert_eq!(
            definition.step(StepIndex(0)).calls().unwrap().action.retry.attempts,
            Some(4),
            "three retries"
        );
        assert_eq!(
            definition.step(StepIndex(4)).calls().unwrap().action.retry.attempts,
            None,
            "after the pivot until it succeeds"
        );
    }

    #[test]
    fn every_operation_of_the_plan_is_known_to_a_service() {
        let definition = place_order();
        for step in definition.order() {
            for direction in [Direction::Action, Direction::Compensation] {
                if direction == Direction::Action || definition.has_undo(*step) {
                    let terms = definition.terms(CallId::first(*step, direction));
                    let operation = Operation::named(terms.operation).unwrap();
                    assert_eq!(operation.service().as_str(), terms.participant);
                    assert_eq!(operation.step(), terms.step);
                }
            }
        }
    }
}
