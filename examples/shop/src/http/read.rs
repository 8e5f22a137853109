//! Reading what the services recorded.
//!
//! Owns the two ways there: to the databases in this process, on a thread that may block, and over HTTP to
//! services that are processes of their own. Promises the same views either way. Does not know what is done
//! with them.

use std::sync::Arc;

use amends_api::ErrorKind;
use amends_participant::DataError;
use amends_server::Problem;
use tracing::error;

use super::problems;
use crate::apart::{Apart, LookError};
use crate::cursor::OrdersCursor;
use crate::ids::OrderId;
use crate::services::Services;
use crate::views::{InventoryView, Ledger, OrderView, OrdersPage, PageLimit};

/// Where the records are.
#[derive(Debug, Clone)]
pub(crate) enum Records {
    /// In this process.
    Here(Arc<Services>),
    /// In the services' own processes.
    Apart(Arc<Apart>),
}

impl Records {
    pub(super) async fn order(&self, id: OrderId) -> Result<Option<OrderView>, Problem> {
        match self {
            Self::Here(services) => here(services, move |services| services.order(&id)).await,
            Self::Apart(apart) => apart.order(&id).await.map_err(|error| looked(&error)),
        }
    }

    pub(super) async fn orders(
        &self,
        after: Option<OrdersCursor>,
        limit: PageLimit,
    ) -> Result<OrdersPage, Problem> {
        match self {
            Self::Here(services) => here(services, move |services| services.orders(after, limit)).await,
            Self::Apart(apart) => apart.orders(after, limit).await.map_err(|error| looked(&error)),
        }
    }

    pub(super) async fn inventory(&self) -> Result<InventoryView, Problem> {
        match self {
            Self::Here(services) => here(services, Services::inventory).await,
            Self::Apart(apart) => apart.inventory().await.map_err(|error| looked(&error)),
        }
    }

    pub(super) async fn ledger(&self) -> Result<Ledger, Problem> {
        match self {
            Self::Here(services) => here(services, Services::ledger).await,
            Self::Apart(apart) => apart.ledger().await.map_err(|error| looked(&error)),
        }
    }
}

async fn here<T: Send + 'static>(
    services: &Arc<Services>,
    read: impl FnOnce(&Services) -> Result<T, DataError> + Send + 'static,
) -> Result<T, Problem> {
    let services = services.clone();
    match tokio::task::spawn_blocking(move || read(&services)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => {
            error!(%error, "the services' records cannot be read");
            Err(problems::of_data(&error))
        }
        Err(error) => Err(Problem::new(ErrorKind::Internal, error.to_string())),
    }
}

fn looked(error: &LookError) -> Problem {
    error!(%error, "a service's records cannot be read");
    problems::of_look(error)
}
