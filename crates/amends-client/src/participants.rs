//! Participants: how they do.
//!
//! Owns the calls under `/v1/participants`. Does not call participants: the server does.

use amends_api::ParticipantList;
use hyper::Method;

use crate::client::{Ask, Client, get};
use crate::error::ClientError;

impl Client {
    /// A page of all participants, by name and origin.
    ///
    /// # Errors
    /// When the cursor makes no sense.
    pub async fn participants(&self, cursor: Option<&str>) -> Result<ParticipantList, ClientError> {
        let query = cursor.map(|cursor| ("cursor", cursor.to_owned())).into_iter().collect();
        self.ask_for(&Ask { query, ..get(&["v1", "participants"]) }).await
    }

    /// The participants of one name: one for each origin.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn participant(&self, name: &str) -> Result<ParticipantList, ClientError> {
        self.ask_for(&get(&["v1", "participants", name])).await
    }

    /// Closes the breakers of the participants of one name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn reset_participant(&self, name: &str) -> Result<ParticipantList, ClientError> {
        self.ask_for(&Ask { method: Method::POST, ..get(&["v1", "participants", name, "reset"]) }).await
    }
}
