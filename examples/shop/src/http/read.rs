//! Reading from the services' databases.
//!
//! Owns the way to a thread that may block, and back. Does not know what is read.

use amends_api::ErrorKind;
use amends_participant::DataError;
use amends_server::Problem;
use tracing::error;

use super::Shop;
use super::problems;
use crate::services::Services;

/// What `read` finds.
pub(super) async fn read<T: Send + 'static>(
    shop: &Shop,
    read: impl FnOnce(&Services) -> Result<T, DataError> + Send + 'static,
) -> Result<T, Problem> {
    let services = shop.services.clone();
    match tokio::task::spawn_blocking(move || read(&services)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => {
            error!(%error, "the services' records cannot be read");
            Err(problems::of_data(&error))
        }
        Err(error) => Err(Problem::new(ErrorKind::Internal, error.to_string())),
    }
}
