//! Traces, sent to a collector.
//!
//! Owns the way from sagas that have ended to a collector that speaks OTLP over HTTP (in JSON, as its
//! specification has it). Promises that sagas never wait for it: it follows what was committed, and what a
//! collector does not take is said and left out. A saga that went on over a restart is one trace: its spans are
//! made of its facts. Does not make spans: [`amends_server::spans`] does.

use std::collections::BTreeSet;
use std::time::Duration;

use amends_core::TransactionId;
use amends_engine::Engine;
use amends_journal::{Feed, FeedPosition};
use amends_server::spans::{self, Span};
use serde_json::{Value, json};
use tracing::{debug, warn};

/// How often what was committed is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Records looked at together.
const PAGE: usize = 1_000;

/// How long a collector may take.
const SEND_TIME_MAX: Duration = Duration::from_secs(10);

/// Spans sent together.
const SPANS_MAX: usize = 512;

/// Sends the spans of every saga that ends from now on to this collector, until it is dropped.
pub(crate) async fn follow(engine: Engine, endpoint: String) {
    let target = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let sender = match amends_client::Sender::new(&target) {
        Ok(sender) => sender,
        Err(error) => {
            warn!(%error, "no traces are sent: otlp_endpoint cannot be used");
            return;
        }
    };
    let mut after: Option<FeedPosition> = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match engine.feed(after, PAGE).await {
            Ok(Feed::Page { entries, next, .. }) => {
                after = Some(next);
                let ids: BTreeSet<TransactionId> = entries.iter().map(|entry| entry.id).collect();
                send(&engine, &sender, ids).await;
            }
            Ok(Feed::Expired { oldest }) => {
                warn!("traces of sagas are missing: more was committed than could be followed");
                after = Some(oldest);
            }
            Ok(Feed::Unknown { newest }) => after = Some(newest),
            Ok(Feed::Off) => {
                warn!("no traces are sent: the journal keeps no feed");
                return;
            }
            Err(error) => debug!(%error, "what was committed cannot be read now; trying again"),
        }
    }
}

/// Sends the spans of those that have ended.
async fn send(engine: &Engine, sender: &amends_client::Sender, ids: BTreeSet<TransactionId>) {
    let mut all = Vec::new();
    for id in ids {
        match engine.history(id).await {
            Ok(Some(history)) => all.extend(spans::of(id, &history)),
            Ok(None) => {}
            Err(error) => debug!(%id, %error, "a saga's facts cannot be read for its trace"),
        }
        if all.len() >= SPANS_MAX {
            deliver(sender, std::mem::take(&mut all)).await;
        }
    }
    deliver(sender, all).await;
}

async fn deliver(sender: &amends_client::Sender, spans: Vec<Span>) {
    if spans.is_empty() {
        return;
    }
    let count = spans.len();
    if let Err(error) = sender.post(&document(&spans), SEND_TIME_MAX).await {
        warn!(spans = count, %error, "the collector did not take spans: they are missing in its traces");
    }
}

/// An `ExportTraceServiceRequest`.
fn document(spans: &[Span]) -> Value {
    let resource = json!({"attributes": [attribute("service.name", "amends"),
        attribute("service.version", env!("CARGO_PKG_VERSION"))]});
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{"resource": resource,
        "scopeSpans": [{"scope": {"name": "amends"}, "spans": spans}]}]})
}

fn span(span: &Span) -> Value {
    /// `SPAN_KIND_INTERNAL` and `SPAN_KIND_CLIENT`.
    const KINDS: [u8; 2] = [1, 3];
    let nanoseconds = |time: amends_core::Time| format!("{}000000", time.milliseconds());
    let attributes: Vec<Value> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let status = match &span.error {
        Some(why) => json!({"code": 2, "message": why}),
        None => json!({"code": 1}),
    };
    let mut document = json!({"traceId": span.trace, "spanId": span.id, "name": span.name,
        "kind": KINDS[usize::from(span.is_call)], "startTimeUnixNano": nanoseconds(span.began),
        "endTimeUnixNano": nanoseconds(span.ended), "attributes": attributes, "status": status});
    if let Some(parent) = &span.parent {
        document["parentSpanId"] = parent.as_str().into();
    }
    document
}

fn attribute(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use amends_core::Time;

    #[test]
    fn a_span_is_written_as_otlp_has_it_in_json() {
        let span = Span {
            trace: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            id: "00f067aa0ba902b7".to_owned(),
            parent: None,
            name: "Hotel".to_owned(),
            is_call: true,
            began: Time::from_milliseconds(1_000),
            ended: Time::from_milliseconds(1_250),
            attributes: vec![("amends.participant", "hotels".to_owned())],
            error: Some("fully_booked: no room".to_owned()),
        };
        let document = document(&[span]);
        let written = &document["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        let expected = json!({"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
            "name": "Hotel", "kind": 3, "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1250000000",
            "attributes": [{"key": "amends.participant", "value": {"stringValue": "hotels"}}],
            "status": {"code": 2, "message": "fully_booked: no room"}});
        assert_eq!(written, &expected);
    }
}
