//! The journal: care of the data of a running server.
//!
//! Owns the call for a backup. Does not write files: the server does, on its own machine.

use serde_json::json;

use crate::client::post;
use crate::client::{Ask, Client};
use crate::error::ClientError;
use crate::limits::BACKUP_TIME_MAX;

impl Client {
    /// Has the server write everything that was answered to one new file on its machine. It takes as long as that takes:
    /// about a second for 100,000 sagas.
    ///
    /// # Errors
    /// When the path is not whole, or the file is there already or cannot be written.
    pub async fn backup_journal(&self, path: &str) -> Result<(), ClientError> {
        let asked = json!({ "path": path });
        self.ask(&Ask { held: BACKUP_TIME_MAX, ..post(&["v1", "journal", "backup"], &asked) }).await?;
        Ok(())
    }
}
