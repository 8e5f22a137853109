//! Services that are processes of their own, seen from the shop.
//!
//! Owns the looks at their records over HTTP. Promises what [`Services`](crate::services::Services) shows, put
//! together from what each service shows of its own. Does not call them for sagas: the engine does. A service
//! that is being started again is asked again for a while.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use crate::cursor::OrdersCursor;
use crate::ids::OrderId;
use crate::limits::{LOOK_BYTES_MAX, LOOK_REST, LOOK_TIME_MAX};
use crate::operation::ServiceName;
use crate::views::{InventoryView, Ledger, OrderView, OrdersPage, PageLimit};

/// Where the four services are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The order service.
    pub order: SocketAddr,
    /// The payment service.
    pub payment: SocketAddr,
    /// The inventory service.
    pub inventory: SocketAddr,
    /// The shipping service.
    pub shipping: SocketAddr,
}

impl Addresses {
    /// Where one of them is.
    #[must_use]
    pub fn of(&self, name: ServiceName) -> SocketAddr {
        match name {
            ServiceName::Order => self.order,
            ServiceName::Payment => self.payment,
            ServiceName::Inventory => self.inventory,
            ServiceName::Shipping => self.shipping,
        }
    }
}

/// The four services, over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Apart {
    addresses: Addresses,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Why a look shows nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// It does not answer.
    #[error(
        "the {service} service at {address} does not answer ({reason}): it is started again when it has \
         ended, so try again"
    )]
    Unreachable { service: ServiceName, address: SocketAddr, reason: String },
    /// It answers, but not with what was asked for.
    #[error("the {service} service at {address} answers {status} to a look: {said}")]
    Failed { service: ServiceName, address: SocketAddr, status: StatusCode, said: String },
    /// What it shows has another shape.
    #[error("what the {service} service at {address} shows cannot be read: {reason}")]
    Unreadable { service: ServiceName, address: SocketAddr, reason: String },
}

impl Apart {
    pub(crate) fn new(addresses: Addresses) -> Apart {
        Apart { addresses, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn order(&self, id: &OrderId) -> Result<Option<OrderView>, LookError> {
        // What is not an id of ours is no order's; and it must not become another path.
        if !id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Ok(None);
        }
        let path = format!("/orders/{}", id.as_str());
        match self.see(ServiceName::Order, &path).await {
            Ok(order) => Ok(self.complete(vec![order]).await?.pop()),
            Err(LookError::Failed { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn orders(
        &self,
        after: Option<OrdersCursor>,
        limit: PageLimit,
    ) -> Result<OrdersPage, LookError> {
        let after = after.map_or(String::new(), |after| format!("&cursor={after}"));
        let path = format!("/orders?limit={}{after}", limit.orders());
        let page: OrdersPage = self.see(ServiceName::Order, &path).await?;
        Ok(OrdersPage { orders: self.complete(page.orders).await?, next_cursor: page.next_cursor })
    }

    pub(crate) async fn inventory(&self) -> Result<InventoryView, LookError> {
        self.see(ServiceName::Inventory, "/inventory").await
    }

    pub(crate) async fn ledger(&self) -> Result<Ledger, LookError> {
        let orders = self.see(ServiceName::Order, "/ledger").await?;
        let payments = self.see(ServiceName::Payment, "/ledger").await?;
        let reservations = self.see(ServiceName::Inventory, "/ledger").await?;
        let shipments = self.see(ServiceName::Shipping, "/ledger").await?;
        Ok(Ledger::of(orders, payments, reservations, shipments))
    }

    /// Adds what the other services did for these orders. The orders were read first, so that whatever a
    /// confirmed order needs is there when it is looked for.
    async fn complete(&self, mut orders: Vec<OrderView>) -> Result<Vec<OrderView>, LookError> {
        let ids: Vec<&OrderId> = orders.iter().map(|order| &order.id).collect();
        let ids = Bytes::from(serde_json::to_vec(&ids).expect("a list of texts is always JSON"));
        let mut payments = self.ask(ServiceName::Payment, "/payments/of-orders", ids.clone()).await?;
        let mut reservations =
            self.ask(ServiceName::Inventory, "/reservations/of-orders", ids.clone()).await?;
        let mut shipments = self.ask(ServiceName::Shipping, "/shipments/of-orders", ids).await?;
        for order in &mut orders {
            order.add(&mut payments, &mut reservations, &mut shipments);
        }
        Ok(orders)
    }

    async fn see<T: DeserializeOwned>(&self, service: ServiceName, path: &str) -> Result<T, LookError> {
        self.look(service, Method::GET, path, Bytes::new()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        service: ServiceName,
        path: &str,
        body: Bytes,
    ) -> Result<T, LookError> {
        self.look(service, Method::POST, path, body).await
    }

    /// Looks until there is an answer: a look changes nothing, so it may be repeated.
    async fn look<T: DeserializeOwned>(
        &self,
        service: ServiceName,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, LookError> {
        let address = self.addresses.of(service);
        let deadline = tokio::time::Instant::now() + LOOK_TIME_MAX;
        loop {
            let once = self.once(address, method.clone(), path, body.clone());
            let reason = match tokio::time::timeout_at(deadline, once).await {
                Ok(Ok((StatusCode::OK, body))) => {
                    let unreadable = |error: serde_json::Error| LookError::Unreadable {
                        service,
                        address,
                        reason: error.to_string(),
                    };
                    return serde_json::from_slice(&body).map_err(unreadable);
                }
                Ok(Ok((status, body))) => {
                    let said = String::from_utf8_lossy(&body).into_owned();
                    return Err(LookError::Failed { service, address, status, said });
                }
                Ok(Err(reason)) => reason,
                Err(_) => format!("not within {LOOK_TIME_MAX:?}"),
            };
            if tokio::time::Instant::now() + LOOK_REST >= deadline {
                return Err(LookError::Unreachable { service, address, reason });
            }
            tokio::time::sleep(LOOK_REST).await;
        }
    }

    async fn once(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LOOK_BYTES_MAX);
        let body = body.collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }
}

/// Relations between limits that must hold.
const _: () = assert!(LOOK_REST.as_millis() < LOOK_TIME_MAX.as_millis(), "a look is repeated at least once");
