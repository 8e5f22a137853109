//! One service behind HTTP: the calls of sagas, and looks at its records.
//!
//! Owns the paths of each service, and the way from a request to [`Service::call`] and back. Promises that a
//! call is answered after its flush, by the table of [`amends_participant::http`]. Does not know who calls:
//! whoever knows the key gets the first answer.

use std::sync::Arc;

use amends_api::ErrorKind;
use amends_participant::http::{Request, unknown, written};
use amends_participant::{DataError, Direction};
use amends_server::{Problem, body, request};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::orders::page;
use super::problems;
use crate::cursor::OrdersCursor;
use crate::ids::OrderId;
use crate::operation::{Operation, ServiceName};
use crate::records;
use crate::service::{CallError, Form, Service, ServiceCall};
use crate::views::{InventoryView, OrderView, OrdersPage};

type Here = State<Arc<Service>>;

/// The routes of a service.
pub fn router(service: Service) -> Router {
    let name = service.name();
    let calls = Operation::ALL.into_iter().filter(|operation| operation.service() == name);
    let calls = calls.fold(Router::new(), |router, operation| {
        let carry_out = move |service, headers, body| carry_out(service, operation, headers, body);
        router.route(path(operation), post(carry_out))
    });
    let looks = match name {
        ServiceName::Order => Router::new()
            .route("/orders", get(orders))
            .route("/orders/{id}", get(order))
            .route("/ledger", get(|here: Here| look(here, |s| records::order_sums(s.database())))),
        ServiceName::Payment => Router::new()
            .route("/payments/of-orders", post(|here, body| of_orders(here, body, records::payments)))
            .route("/ledger", get(|here: Here| look(here, |s| records::payment_sums(s.database())))),
        ServiceName::Inventory => Router::new()
            .route("/inventory", get(inventory))
            .route("/reservations/of-orders", post(|here, body| of_orders(here, body, records::reservations)))
            .route("/ledger", get(|here: Here| look(here, |s| records::reservation_sums(s.database())))),
        ServiceName::Shipping => Router::new()
            .route("/shipments/of-orders", post(|here, body| of_orders(here, body, records::shipments)))
            .route("/ledger", get(|here: Here| look(here, |s| records::shipment_sums(s.database())))),
    };
    let general = Router::new().route("/", get(about)).route("/health", get(about));
    calls.merge(looks).merge(general).with_state(Arc::new(service))
}

/// Where a service takes the calls of an operation.
pub const fn path(operation: Operation) -> &'static str {
    match operation {
        Operation::CreateOrder => "/orders",
        Operation::CancelOrder => "/orders/cancel",
        Operation::ConfirmOrder => "/orders/confirm",
        Operation::ProcessPayment => "/payments",
        Operation::RefundPayment => "/payments/refund",
        Operation::ReserveInventory => "/reservations",
        Operation::ReleaseReservation => "/reservations/release",
        Operation::ScheduleShipment => "/shipments",
        Operation::CancelShipment => "/shipments/cancel",
    }
}

/// What runs here, and as which process: somebody may want to kill it and watch.
async fn about(State(service): Here) -> Json<Value> {
    let calls = Operation::ALL.into_iter().filter(|operation| operation.service() == service.name());
    let calls: Vec<Value> = calls
        .map(
            |operation| json!({"operation": operation.as_str(), "call": format!("POST {}", path(operation))}),
        )
        .collect();
    Json(json!({
        "status": "ok",
        "service": service.name().as_str(),
        "process": std::process::id(),
        "calls": calls,
    }))
}

async fn carry_out(
    State(service): Here,
    operation: Operation,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let call = match Request::read(&headers, operation.direction()) {
        Ok(call) => call,
        Err(error) => return Ok(error.response().map(Body::from)),
    };
    let payload = body::read(&headers, body).await?;
    let payload = match operation.direction() {
        // An undo goes by the saga of its key alone: it takes any body, none included.
        Direction::Compensation if payload.is_empty() => "{}".into(),
        Direction::Compensation | Direction::Action => payload,
    };
    let (answered, answer) = oneshot::channel();
    let (key, in_doubt) = (call.key().clone(), call.is_in_doubt());
    let call = ServiceCall { operation, key, in_doubt, payload, form: Form::Outside };
    // Nobody waits any more only when the caller has gone away: the answer is in the barrier.
    service.call(call, move |result| drop(answered.send(result)));
    let response = match answer.await {
        Ok(Ok(answer)) => written(Ok(answer)),
        Ok(Err(CallError::Write(error))) => written(Err(error)),
        Ok(Err(error @ (CallError::WrongService { .. } | CallError::NoRandomness(_)))) => {
            unknown(&error.to_string())
        }
        Err(_) => unknown("the service stopped before it answered"),
    };
    Ok(response.map(Body::from))
}

async fn orders(here: Here, RawQuery(query): RawQuery) -> Result<Json<OrdersPage>, Problem> {
    let (after, limit) = page(query.as_deref().unwrap_or(""))?;
    let after = after.unwrap_or(OrdersCursor::START);
    look(here, move |service| records::orders(service.database(), after, limit)).await
}

async fn order(here: Here, uri: Uri) -> Result<Json<OrderView>, Problem> {
    let id = OrderId::from(request::last_segment(&uri));
    let unknown = Problem::new(ErrorKind::NotFound, format!("no order has the id {:?}", id.as_str()));
    let Json(found) = look(here, move |service| records::order(service.database(), &id)).await?;
    found.map(Json).ok_or(unknown)
}

async fn inventory(here: Here) -> Result<Json<InventoryView>, Problem> {
    look(here, |service| records::inventory(service.database())).await
}

/// What was done for the orders of a list.
async fn of_orders<T: Send + 'static>(
    here: Here,
    body: Body,
    read: fn(&amends_participant::database::Database, &[OrderId]) -> Result<T, DataError>,
) -> Result<Json<T>, Problem> {
    let ids: Vec<OrderId> = list(&body::read(&HeaderMap::new(), body).await?)?;
    look(here, move |service| read(service.database(), &ids)).await
}

fn list<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(ErrorKind::BadRequest, format!("send a JSON list of the ids of orders ({error})"))
    })
}

/// Looks at the records, on a thread that may block.
async fn look<T: Send + 'static>(
    State(service): Here,
    read: impl FnOnce(&Service) -> Result<T, DataError> + Send + 'static,
) -> Result<Json<T>, Problem> {
    match tokio::task::spawn_blocking(move || read(&service)).await {
        Ok(Ok(found)) => Ok(Json(found)),
        Ok(Err(error)) => Err(problems::of_data(&error)),
        Err(error) => Err(Problem::new(ErrorKind::Internal, error.to_string())),
    }
}
