//! The shop's HTTP calls.
//!
//! Owns the routes of the contract: orders, sagas, inventory, ledger. Promises that every answer follows from durable
//! facts, so that a repeat with the same key gives the same answer. Does not check orders (that is
//! [`crate::order_request`]) or decide anything about sagas.

use std::sync::Arc;

use amends_core::{DefinitionName, Saga, Status, TransactionId};
use amends_engine::{Engine, SagaView, StartRequest, Wait};
use amends_journal::Filter;
use amends_participant::DataError;
use amends_server::errors::Kind;
use amends_server::saga_json::{self, SagaJson};
use amends_server::serve::markdown;
use amends_server::{Problem, body, request};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tracing::error;

use crate::cursor::OrdersCursor;
use crate::ids::OrderId;
use crate::order_request::{OrderRequest, RequestClass, RequestError};
use crate::saga::{PLACE_ORDER, order_id};
use crate::services::Services;
use crate::views::{Ledger, PageLimit};

/// What the routes need.
#[derive(Clone)]
pub struct Shop {
    /// Runs the sagas.
    pub engine: Engine,
    /// Carry out their steps.
    pub services: Arc<Services>,
}

/// The shop's routes.
pub fn router(shop: Shop) -> Router {
    let router = Router::new();
    PAGES
        .iter()
        .fold(router, |router, (code, page)| {
            router.route(&format!("/errors/{code}"), get(async || markdown(page)))
        })
        .route("/", get(index))
        .route("/health", get(health))
        .route("/orders", post(place))
        .route("/orders/{id}", get(order))
        .route("/sagas/{id}", get(saga))
        .route("/inventory", get(inventory))
        .route("/shop/ledger", get(ledger))
        .route("/shop/orders", get(orders))
        .with_state(shop)
}

async fn index() -> Html<&'static str> {
    Html(include_str!("index.html"))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    recovered: bool,
}

async fn health(State(shop): State<Shop>) -> Json<Health> {
    Json(Health { status: "ok", recovered: shop.engine.is_recovered() })
}

async fn place(State(shop): State<Shop>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let body = body::read(&headers, body).await?;
    // Judged before there is a saga: a request that cannot be carried out uses up no key.
    OrderRequest::parse(&body).map_err(|error| malformed(&error))?;
    let key = request::idempotency_key(&headers)?;
    let respond_async = request::prefers_async(&headers);
    let wait = if respond_async { Wait::Accepted } else { Wait::Rest };
    let definition = DefinitionName::new(PLACE_ORDER);
    let view = shop.engine.start(StartRequest { definition, input: body, id: None, key, wait }).await?;
    if respond_async { Ok(accepted(&view)) } else { placed(&view) }
}

fn malformed(error: &RequestError) -> Problem {
    let kind = match error.class() {
        RequestClass::Malformed => Kind::BadRequest,
        RequestClass::Unprocessable => Kind::Invalid,
    };
    Problem::new(kind, error.to_string()).coded(error.code())
}

#[derive(Serialize)]
struct Accepted {
    saga_id: String,
    status: &'static str,
}

fn accepted(view: &SagaView) -> Response {
    let saga_id = view.saga.id().to_string();
    let location = HeaderValue::from_str(&format!("/sagas/{saga_id}")).expect("an id is visible ASCII");
    let applied = HeaderValue::from_static("respond-async");
    let body = Json(Accepted { saga_id, status: view.saga.status().as_str() });
    let headers =
        [(header::LOCATION, location), (header::HeaderName::from_static("preference-applied"), applied)];
    (StatusCode::ACCEPTED, headers, body).into_response()
}

#[derive(Serialize)]
struct Placed {
    saga_id: String,
    order_id: Option<String>,
    status: &'static str,
}

/// The answer that an ended or parked saga makes; the same for every repeat.
fn placed(view: &SagaView) -> Result<Response, Problem> {
    let saga = &*view.saga;
    match saga.status() {
        Status::Completed => {
            let body = Placed {
                saga_id: saga.id().to_string(),
                order_id: order_id(saga),
                status: saga.status().as_str(),
            };
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Status::Compensated => Err(compensated(saga)),
        Status::Failed => {
            let because = saga
                .parked()
                .map_or_else(String::new, |parked| saga_json::because(saga.definition(), &parked.because));
            let detail = format!("the saga waits for an operator: {because}; see /sagas/{}", saga.id());
            Err(about(Problem::new(Kind::Parked, detail), saga))
        }
        Status::Abandoned => {
            Err(about(Problem::new(Kind::Abandoned, "an operator stopped the saga without undo"), saga))
        }
        Status::Pending | Status::InProgress | Status::Compensating => {
            let detail = format!("the saga has not ended yet; see /sagas/{}", saga.id());
            Err(about(Problem::new(Kind::Internal, detail), saga))
        }
    }
}

fn compensated(saga: &Saga) -> Problem {
    let (step, reason) = saga_json::failure(saga).expect("a saga that went back had a reason");
    let detail = format!("the order was not placed, and everything is undone: {}", reason.message);
    about(Problem::new(Kind::Compensated, detail), saga)
        .coded(reason.code)
        .with("failed_step", step)
        .with("reason", reason.message)
}

fn about(problem: Problem, saga: &Saga) -> Problem {
    problem
        .with("saga_id", saga.id().to_string())
        .with("order_id", order_id(saga))
        .with("status", saga.status().as_str())
}

async fn saga(State(shop): State<Shop>, uri: Uri) -> Result<Json<SagaJson>, Problem> {
    let text = last_segment(&uri);
    let unknown = || Problem::new(Kind::NotFound, format!("no saga has the id {text:?}"));
    // The path is looked at as it came: whatever is no saga's id is not found, undecodable or not.
    let id: TransactionId = text.parse().map_err(|_| unknown())?;
    let view = shop.engine.saga(id).await?.ok_or_else(unknown)?;
    Ok(Json(SagaJson::of(&view)))
}

async fn order(State(shop): State<Shop>, uri: Uri) -> Result<Response, Problem> {
    let id = OrderId::from(last_segment(&uri));
    let found = look(&shop, {
        let id = id.clone();
        move |services| services.order(&id)
    })
    .await?;
    let order = found
        .ok_or_else(|| Problem::new(Kind::NotFound, format!("no order has the id {:?}", id.as_str())))?;
    Ok(Json(order).into_response())
}

async fn inventory(State(shop): State<Shop>) -> Result<Response, Problem> {
    Ok(Json(look(&shop, Services::inventory).await?).into_response())
}

#[derive(Serialize)]
struct LedgerAnswer {
    #[serde(flatten)]
    services: Ledger,
    live_sagas: u64,
    parked_sagas: u64,
}

async fn ledger(State(shop): State<Shop>) -> Result<Json<LedgerAnswer>, Problem> {
    let count = |status| shop.engine.count(Filter { status: Some(status), definition: None });
    let mut live_sagas = 0;
    for status in [Status::Pending, Status::InProgress, Status::Compensating] {
        live_sagas += count(status).await?;
    }
    let parked_sagas = count(Status::Failed).await?;
    let services = look(&shop, Services::ledger).await?;
    Ok(Json(LedgerAnswer { services, live_sagas, parked_sagas }))
}

async fn orders(State(shop): State<Shop>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (after, limit) = page(query.as_deref().unwrap_or(""))?;
    Ok(Json(look(&shop, move |services| services.orders(after, limit)).await?).into_response())
}

/// The page that a query asks for. An empty value is no value: `?cursor=&limit=10` is the first page.
fn page(query: &str) -> Result<(Option<OrdersCursor>, PageLimit), Problem> {
    let bad = |detail: String| Problem::new(Kind::BadRequest, detail);
    let (mut after, mut limit) = (None, PageLimit::USUAL);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("cursor" | "limit", "") => {}
            ("cursor", text) => after = Some(text.parse().map_err(|error| bad(format!("{error}")))?),
            ("limit", text) => {
                let number = text
                    .parse()
                    .map_err(|_| bad(format!("limit is {text:?}: send a number from 1 to 1000")))?;
                limit = PageLimit::new(number).map_err(|error| bad(error.to_string()))?;
            }
            (name, _) => return Err(bad(format!("{name:?} is no parameter here: cursor and limit are"))),
        }
    }
    Ok((after, limit))
}

/// Reads from the services' databases, on a thread that may block.
async fn look<T: Send + 'static>(
    shop: &Shop,
    read: impl FnOnce(&Services) -> Result<T, DataError> + Send + 'static,
) -> Result<T, Problem> {
    let services = shop.services.clone();
    let read = tokio::task::spawn_blocking(move || read(&services)).await;
    match read {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => {
            error!(%error, "the services' records cannot be read");
            let kind = match &error {
                DataError::Damaged { .. } => Kind::Damaged,
                DataError::Database(_) => Kind::Internal,
            };
            Err(Problem::new(kind, error.to_string()))
        }
        Err(error) => Err(Problem::new(Kind::Internal, error.to_string())),
    }
}

macro_rules! pages {
    ($($code:literal)*) => { &[$(($code, include_str!(concat!("../docs/errors/", $code, ".md")))),*] };
}

/// The shop's own codes, those of requests first and then those of refusals, each with its page.
const PAGES: &[(&str, &str)] = pages! {
    "not_json" "nesting_too_deep" "missing_field" "wrong_type"
    "empty_user_id" "empty_order" "quantity_not_positive" "price_not_positive" "too_many_decimals" "overflow"
    "amount_over_limit" "unknown_product" "insufficient_stock"
};

fn last_segment(uri: &Uri) -> &str {
    uri.path().rsplit('/').next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_begins_with_its_code_and_says_what_to_do() {
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}\n")), "{code}");
            assert!(page.contains("**What to do.**"), "{code}");
        }
    }

    #[test]
    fn a_page_is_cursor_and_limit_and_nothing_else() {
        assert!(page("").is_ok());
        assert!(page("cursor=&limit=").is_ok());
        assert!(page("limit=1000").is_ok());
        for query in ["limit=0", "limit=1001", "limit=x", "limit=-1", "cursor=zzz", "offset=3"] {
            assert!(page(query).is_err(), "{query}");
        }
    }
}
