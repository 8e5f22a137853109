//! JSON, sent to somebody who is not Amends.
//!
//! Owns [`Sender`]: one URL, one document at a time, for collectors of traces. Promises that what was not taken
//! is an error. Repeats nothing.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use crate::client::{ClientBuildError, JSON};
use crate::error::ClientError;
use crate::transport::{Address, Failure, Transport, within};

/// Sends documents to one URL.
pub struct Sender {
    transport: Transport,
    address: Address,
}

impl Sender {
    /// A sender to this URL. Connects to nothing yet.
    ///
    /// # Errors
    /// When the URL makes no sense.
    pub fn new(url: &str) -> Result<Self, ClientBuildError> {
        let address = Address::parse(url)
            .map_err(|why| ClientBuildError::Server { server: url.to_owned(), why: why.to_owned() })?;
        let transport = Transport::new(&address).map_err(ClientBuildError::Http)?;
        Ok(Self { transport, address })
    }

    /// Sends a document as JSON.
    ///
    /// # Errors
    /// When it was not taken within this time.
    ///
    /// # Panics
    /// When the document cannot be written as JSON.
    pub async fn post(&self, document: &impl Serialize, time_max: Duration) -> Result<(), ClientError> {
        let server = self.address.to_string();
        let url = self.address.url(&[], &[]).map_err(|_| ClientError::Unsendable("the URL".to_owned()))?;
        let body = serde_json::to_vec(document).expect("what is sent can be written as JSON");
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(JSON))];
        let sent = self.transport.send(Method::POST, url, headers, Bytes::from(body));
        let response = within(time_max, sent).await.map_err(|failure| match failure {
            Failure::NotConnected(why) => ClientError::Unreachable { server: server.clone(), why },
            Failure::Lost(why) => ClientError::Unanswered { server: server.clone(), why },
        })?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(ClientError::NotAmends { server, why: format!("status {}", response.status()) })
    }
}
