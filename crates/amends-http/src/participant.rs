//! One participant behind HTTP.
//!
//! Owns what a request says besides what the definition makes of it: the headers of ours, and what proves it.
//! Promises one answer per call, in the time that the attempt has; the connection is closed when that is over. Does
//! not repeat anything.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use amends_core::{Outcome, Reason};
use amends_definition::request::Request as Payload;
use amends_engine::participant::Answer;
use amends_engine::{Call, Participant};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Request};

use crate::callbacks::Callbacks;
use crate::client::{Client, Failure};
use crate::credentials::Credentials;
use crate::origin::Address;
use crate::outcome::outcome;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const AMENDS_SAGA: HeaderName = HeaderName::from_static("amends-saga");
const AMENDS_STEP: HeaderName = HeaderName::from_static("amends-step");
const AMENDS_ATTEMPT: HeaderName = HeaderName::from_static("amends-attempt");
const AMENDS_DIRECTION: HeaderName = HeaderName::from_static("amends-direction");
const AMENDS_IN_DOUBT: HeaderName = HeaderName::from_static("amends-in-doubt");
const AMENDS_CALLBACK: HeaderName = HeaderName::from_static("amends-callback");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A participant behind HTTP.
#[derive(Clone)]
pub(crate) struct HttpParticipant(Arc<Inner>);

struct Inner {
    address: Address,
    credentials: Credentials,
    client: Arc<Client>,
    callbacks: Option<Arc<Callbacks>>,
}

impl HttpParticipant {
    pub(crate) fn new(
        address: Address,
        credentials: Credentials,
        client: Arc<Client>,
        callbacks: Option<Arc<Callbacks>>,
    ) -> Self {
        Self(Arc::new(Inner { address, credentials, client, callbacks }))
    }
}

impl Participant for HttpParticipant {
    fn call(&self, call: Call) -> Answer {
        let inner = self.0.clone();
        Box::pin(async move {
            // The first look at a call is the shard's: what follows is done elsewhere.
            tokio::task::yield_now().await;
            inner.call(&call).await
        })
    }
}

impl Inner {
    async fn call(&self, call: &Call) -> Outcome {
        let request = match self.request(call) {
            Ok(request) => request,
            Err(why) => return Outcome::unknown("request_invalid", format!("nothing was sent: {why}")),
        };
        let exchange = self.client.send(request);
        match tokio::time::timeout(call.limit, exchange).await {
            Err(_) => Outcome::unknown(Reason::TIMED_OUT, no_answer_within(call.limit)),
            Ok(Ok(answer)) => {
                let refuse_on = call.refuse_on();
                outcome(answer.status, &answer.headers, answer.body, refuse_on, SystemTime::now())
            }
            Ok(Err(failure)) => self.unanswered(failure),
        }
    }

    fn unanswered(&self, failure: Failure) -> Outcome {
        let address = &self.address;
        match failure {
            Failure::NotAllowed(why) => {
                Outcome::unknown("address_not_allowed", format!("nothing was sent to {address}: {why}"))
            }
            Failure::NotConnected(why) => Outcome::unknown(
                "connect_failed",
                format!("nothing was sent: no connection to {address} could be made ({why})"),
            ),
            Failure::Lost(why) => Outcome::unknown(
                "connection_lost",
                format!("the connection to {address} ended before the answer came ({why})"),
            ),
            Failure::Unreadable(why) => Outcome::unknown(
                "answer_unreadable",
                format!("what {address} answered is not HTTP as it should be ({why})"),
            ),
        }
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, String> {
        let Payload { method, target, headers: given, body } = Payload::decode(&call.payload)?;
        let url = self.address.url_of(&target).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::with_capacity(given.len() + 14);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("amends/", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &given {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            headers.insert(name, value_of(value)?);
        }
        let key = value_of(&call.idempotency_key())?;
        // Ours come last: nothing that a definition says takes their place.
        self.credentials.prove(&mut headers, &key, &body, SystemTime::now());
        headers.insert(IDEMPOTENCY_KEY, key);
        headers.insert(AMENDS_SAGA, value_of(&call.transaction.to_string())?);
        let step = call.step_name();
        let step = match call.attempt.call.occurrence {
            Some(occurrence) => value_of(&format!("{step}[{occurrence}]"))?,
            None => value_of(step)?,
        };
        headers.insert(AMENDS_STEP, step);
        headers.insert(AMENDS_ATTEMPT, call.attempt.number.into());
        headers.insert(AMENDS_DIRECTION, HeaderValue::from_static(call.direction().as_str()));
        if call.in_doubt {
            headers.insert(AMENDS_IN_DOUBT, HeaderValue::from_static("true"));
        } else {
            headers.remove(AMENDS_IN_DOUBT);
        }
        headers.insert(TRACEPARENT, value_of(&call.traceparent())?);
        match &self.callbacks {
            Some(callbacks) => {
                headers
                    .insert(AMENDS_CALLBACK, value_of(&callbacks.url(call.transaction, call.attempt.call))?);
            }
            None => {
                headers.remove(AMENDS_CALLBACK);
            }
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.as_str().parse().map_err(|_| "the method is not known".to_owned())?;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn value_of(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("{text:?} cannot stand in a header"))
}

fn no_answer_within(limit: Duration) -> String {
    format!("no answer within {} ms", limit.as_millis())
}
