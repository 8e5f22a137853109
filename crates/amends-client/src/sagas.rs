//! Sagas: start, look, list, follow, operate.
//!
//! Owns the calls under `/v1/sagas`. Promises that a verb or a signal that is sent twice, because its answer
//! was lost, acts once. Does not decide what a saga may do.

use std::time::Duration;

use amends_api::{
    Bulk, BulkRequest, Count, Journal, Payload, Saga, SagaList, SignalAccepted, StartSaga, VerbName,
    VerbRequest,
};
use hyper::Method;

use crate::client::{Ask, Client, JSON, Repeat, get, post};
use crate::error::ClientError;
use crate::events::Events;
use crate::filter::Filter;

/// When a start is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// When the saga is durable.
    Accepted,
    /// When the saga has ended or is parked, or this time has passed (a minute at most).
    Rest(Duration),
}

impl Client {
    /// Starts a saga, or finds the one that was started with the same id or key.
    ///
    /// Without id and key a lost answer leaves open whether it was started: it is not sent again then.
    ///
    /// # Errors
    /// When it was not started; or, with [`Wait::Rest`], when it has gone back or is parked:
    /// [`crate::Refused::saga`] says which it is.
    pub async fn start(&self, start: &StartSaga, key: Option<&str>, wait: Wait) -> Result<Saga, ClientError> {
        self.start_traced(start, key, wait, None).await
    }

    /// Like [`Client::start`], as a part of this trace (W3C `traceparent`).
    ///
    /// # Errors
    /// As [`Client::start`].
    pub async fn start_traced(
        &self,
        start: &StartSaga,
        key: Option<&str>,
        wait: Wait,
        trace: Option<&str>,
    ) -> Result<Saga, ClientError> {
        let (prefer, held) = match wait {
            Wait::Accepted => ("respond-async".to_owned(), Duration::ZERO),
            Wait::Rest(time) => (format!("wait={}", time.as_secs()), time),
        };
        let mut headers = vec![("prefer", prefer)];
        headers.extend(key.map(|key| ("idempotency-key", key.to_owned())));
        headers.extend(trace.map(|trace| ("traceparent", trace.to_owned())));
        let is_known_again = key.is_some() || start.id.is_some();
        let repeat = if is_known_again { Repeat::Safe } else { Repeat::IfUnsent };
        let ask = Ask { headers, held, repeat, ..post(&["v1", "sagas"], start) };
        self.ask_for(&ask).await
    }

    /// A saga as it stands.
    ///
    /// # Errors
    /// When there is none with this id, or it cannot be read.
    pub async fn saga(&self, id: &str) -> Result<Saga, ClientError> {
        self.ask_for(&get(&["v1", "sagas", id])).await
    }

    /// A page of the facts of a saga, the oldest first.
    ///
    /// # Errors
    /// When there is no such saga, or its records cannot be read.
    pub async fn saga_journal(&self, id: &str, cursor: Option<&str>) -> Result<Journal, ClientError> {
        let query = cursor.map(|cursor| ("cursor", cursor.to_owned())).into_iter().collect();
        self.ask_for(&Ask { query, ..get(&["v1", "sagas", id, "journal"]) }).await
    }

    /// A page of the sagas that match.
    ///
    /// # Errors
    /// When filter or cursor make no sense.
    pub async fn sagas(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<SagaList, ClientError> {
        let mut query = filter.query();
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        query.push(("limit", limit.to_string()));
        self.ask_for(&Ask { query, ..get(&["v1", "sagas"]) }).await
    }

    /// How many sagas match.
    ///
    /// # Errors
    /// When the filter makes no sense.
    pub async fn count_sagas(&self, filter: &Filter) -> Result<Count, ClientError> {
        self.ask_for(&Ask { query: filter.query(), ..get(&["v1", "sagas", "count"]) }).await
    }

    /// The diagram of what happened to a saga, in this format (`mermaid`, `svg`).
    ///
    /// # Errors
    /// When there is no such saga or format.
    pub async fn saga_diagram(&self, id: &str, format: &str) -> Result<String, ClientError> {
        let query = vec![("format", format.to_owned())];
        let answer = self.ask(&Ask { query, ..get(&["v1", "sagas", id, "diagram"]) }).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// What a saga does from now on, or from the fact after this one; ends when the saga has ended and
    /// everything was given.
    #[must_use]
    pub fn saga_events(&self, id: &str, after: Option<&str>) -> Events {
        let path = ["v1", "sagas", id, "events"].map(str::to_owned).to_vec();
        Events::new(self.clone(), path, after.map(str::to_owned))
    }

    /// What all sagas do from now on, or from the fact after this one. Never ends by itself.
    #[must_use]
    pub fn all_events(&self, after: Option<&str>) -> Events {
        let path = ["v1", "events"].map(str::to_owned).to_vec();
        Events::new(self.clone(), path, after.map(str::to_owned))
    }

    /// Does what an operator asks for. `if_match` is the `sequence` that the saga must still have.
    ///
    /// # Errors
    /// When the saga's state does not allow it.
    pub async fn operate(
        &self,
        id: &str,
        verb: VerbName,
        request: &VerbRequest,
        if_match: Option<u64>,
    ) -> Result<Saga, ClientError> {
        let mut headers = vec![("idempotency-key", new_key())];
        headers.extend(if_match.map(|sequence| ("if-match", format!("\"{sequence}\""))));
        let path = ["v1", "sagas", id, verb.as_str()];
        self.ask_for(&Ask { headers, ..post(&path, request) }).await
    }

    /// Sends a signal; delivered once, however often it is sent with this key. Without a key one is made.
    ///
    /// # Errors
    /// When the saga does not wait for it and will not.
    pub async fn signal(
        &self,
        id: &str,
        name: &str,
        body: Option<&Payload>,
        key: Option<&str>,
    ) -> Result<SignalAccepted, ClientError> {
        let headers = vec![("idempotency-key", key.map_or_else(new_key, str::to_owned))];
        let path = ["v1", "sagas", id, "signals", name];
        let body = body.map_or_else(|| "{}".to_owned(), |body| body.as_json().to_owned());
        let ask = Ask { headers, body: Some((JSON, body.into())), ..get(&path) };
        self.ask_for(&Ask { method: Method::POST, ..ask }).await
    }

    /// Has a verb done to all sagas that match now. Accepted once, however often it is sent with this key.
    ///
    /// # Errors
    /// When the filter is empty, or the verb is not one for many.
    pub async fn start_bulk(&self, request: &BulkRequest, key: Option<&str>) -> Result<Bulk, ClientError> {
        let headers = vec![("idempotency-key", key.map_or_else(new_key, str::to_owned))];
        self.ask_for(&Ask { headers, ..post(&["v1", "bulk"], request) }).await
    }

    /// How far a bulk job is.
    ///
    /// # Errors
    /// When there is none with this id.
    pub async fn bulk(&self, id: &str) -> Result<Bulk, ClientError> {
        self.ask_for(&get(&["v1", "bulk", id])).await
    }

    /// Takes the payloads of a finished saga away.
    ///
    /// # Errors
    /// When it has not ended.
    pub async fn erase(&self, id: &str, request: &VerbRequest) -> Result<(), ClientError> {
        let headers = vec![("idempotency-key", new_key())];
        self.ask(&Ask { headers, ..post(&["v1", "sagas", id, "erase"], request) }).await?;
        Ok(())
    }
}

/// A key that nobody has used.
#[must_use]
pub fn new_key() -> String {
    uuid::Uuid::now_v7().to_string()
}
