//! `/orders`: placing and seeing orders; and `/shop/orders`, all of them in pages.

use amends_api::ErrorKind;
use amends_core::DefinitionName;
use amends_engine::{StartRequest, Wait};
use amends_server::{Problem, body, request};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::Shop;
use super::placed::{accepted, placed};
use super::problems;
use crate::cursor::OrdersCursor;
use crate::ids::OrderId;
use crate::order_request::OrderRequest;
use crate::saga::PLACE_ORDER;
use crate::views::{OrderView, OrdersPage, PageLimit};

pub(super) fn router() -> Router<Shop> {
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", get(order))
        .route("/shop/orders", get(orders))
}

async fn place(State(shop): State<Shop>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let body = body::read(&headers, body).await?;
    // Judged before there is a saga: a request that cannot be carried out uses up no key.
    OrderRequest::parse(&body).map_err(|error| problems::of_request(&error))?;
    let key = request::idempotency_key(&headers)?;
    let respond_async = request::prefers_async(&headers);
    let wait = if respond_async { Wait::Accepted } else { Wait::Rest };
    let definition = DefinitionName::new(PLACE_ORDER);
    let view = shop.engine.start(StartRequest { key, wait, ..StartRequest::new(definition, body) }).await?;
    let saga = view.saga().expect("an order is a saga");
    if respond_async { Ok(accepted(saga)) } else { placed(saga) }
}

async fn order(State(shop): State<Shop>, uri: Uri) -> Result<Json<OrderView>, Problem> {
    let id = OrderId::from(request::last_segment(&uri));
    let unknown = Problem::new(ErrorKind::NotFound, format!("no order has the id {:?}", id.as_str()));
    let found = shop.records.order(id).await?;
    found.map(Json).ok_or(unknown)
}

async fn orders(State(shop): State<Shop>, RawQuery(query): RawQuery) -> Result<Json<OrdersPage>, Problem> {
    let (after, limit) = page(query.as_deref().unwrap_or(""))?;
    Ok(Json(shop.records.orders(after, limit).await?))
}

/// The page that a query asks for. An empty value counts as none: `?cursor=&limit=10` is the first page.
pub(super) fn page(query: &str) -> Result<(Option<OrdersCursor>, PageLimit), Problem> {
    let bad = |detail: String| Problem::new(ErrorKind::BadRequest, detail);
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

#[cfg(test)]
mod tests {
    use super::*;

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
