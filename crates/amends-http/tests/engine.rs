//! The engine and a service behind HTTP: callbacks, and a service that is down for a while.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_core::{DefinitionName, Outcome, Status, TransactionId};
use amends_engine::{
    BreakerView, CallbackError, CallbackKey, Engine, EngineBuilder, Options, StartRequest, Wait,
};
use amends_http::{Callbacks, HttpOptions, HttpParticipants, Loopback};
use amends_journal::{Journal, MemoryJournal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const WITHIN: Duration = Duration::from_secs(60);
const PUBLIC: &str = "http://amends.example";

/// What the service does with a request: gives the answer.
type Handler = Arc<dyn Fn(&Request) -> String + Send + Sync>;

#[derive(Debug, Clone)]
struct Request {
    target: String,
    headers: HashMap<String, String>,
}

impl Request {
    fn token(&self) -> &str {
        let url = &self.headers["amends-callback"];
        url.strip_prefix(PUBLIC).and_then(|path| path.strip_prefix("/v1/callbacks/")).unwrap()
    }
}

async fn service(handler: Handler) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, handler.clone()));
        }
    });
    port
}

async fn serve(mut stream: TcpStream, handler: Handler) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
        let text = String::from_utf8(bytes.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            bytes.clear();
            let answer = handler(&Request { target, headers });
            if answer.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn engine(journal: &Arc<dyn Journal>) -> Engine {
    let key = CallbackKey::of(&**journal).unwrap();
    let callbacks = Some(Callbacks { key, public_url: PUBLIC.to_owned() });
    let options = HttpOptions { loopback: Loopback::Allowed, callbacks, ..HttpOptions::default() };
    let participants = Arc::new(HttpParticipants::new(options).unwrap());
    let options = Options { shards: 2, ..Options::default() };
    EngineBuilder::new(journal.clone()).options(options).connect(participants).open().unwrap()
}

fn definition(port: u16, participant: &str, retry: &str) -> String {
    format!(
        "saga: Pay
timeout: 1h
retry: {{ {retry} }}
participants:
  payments: {{ url: \"http://127.0.0.1:{port}\"{participant} }}
steps:
  - name: Pay
    timeout: 1h
    action:       {{ call: payments, post: /payments, body: {{ amount: 1 }} }}
    compensation: {{ call: payments, post: /payments/refund, body: {{ saga: \"${{saga.id}}\" }} }}
"
    )
}

fn request(wait: Wait) -> StartRequest {
    StartRequest { wait, ..StartRequest::new(DefinitionName::new("Pay"), "{}") }
}

async fn rested(engine: &Engine, id: TransactionId) -> Status {
    let view = tokio::time::timeout(WITHIN, engine.rest(id)).await.expect("it rests in time");
    view.unwrap().unwrap().saga().unwrap().status()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WITHIN, waited).await.unwrap_or_else(|_| panic!("{what} in time"));
}

#[tokio::test]
async fn a_202_is_completed_by_a_call_back_also_after_a_restart_and_twice() {
    let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
    let heard = seen.clone();
    let port = service(Arc::new(move |request| {
        heard.lock().unwrap().push(request.clone());
        answer("202 Accepted", "")
    }))
    .await;
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let engine = self::engine(&journal);
    engine.register(&definition(port, "", "attempts: 4"), None).await.unwrap();
    let id = engine.start(request(Wait::Accepted)).await.unwrap().transaction.id();
    until("it is asked", || !seen.lock().unwrap().is_empty()).await;
    engine.stop(Duration::ZERO).await;

    let engine = self::engine(&journal);
    let token = seen.lock().unwrap()[0].token().to_owned();
    let completed = || Outcome::Completed { output: "{\"paid\":1}".into() };
    engine.call_back(&token, completed()).await.unwrap();
    assert_eq!(rested(&engine, id).await, Status::Completed);
    engine.call_back(&token, completed()).await.unwrap();
    let refused = engine.call_back(&token, Outcome::refused("no_funds", "none")).await;
    assert!(matches!(refused, Err(CallbackError::Rejected(_))), "{refused:?}");
    let unknown = engine.call_back("AAAA", completed()).await;
    assert!(matches!(unknown, Err(CallbackError::UnknownToken)), "{unknown:?}");
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_202_that_is_refused_by_a_call_back_turns_the_saga_back() {
    let token: Arc<Mutex<Option<String>>> = Arc::default();
    let heard = token.clone();
    let port = service(Arc::new(move |request| {
        *heard.lock().unwrap() = Some(request.token().to_owned());
        answer("202 Accepted", "{}")
    }))
    .await;
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let engine = self::engine(&journal);
    engine.register(&definition(port, "", "attempts: 4"), None).await.unwrap();
    let id = engine.start(request(Wait::Accepted)).await.unwrap().transaction.id();
    until("it is asked", || token.lock().unwrap().is_some()).await;
    let token = token.lock().unwrap().clone().unwrap();
    // The 202 may still be on its way: the report counts all the same, or is remembered.
    engine.call_back(&token, Outcome::refused("no_funds", "none")).await.unwrap();
    assert_eq!(rested(&engine, id).await, Status::Compensated);
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_202_with_a_wish_is_asked_again_with_the_same_key() {
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = keys.clone();
    let port = service(Arc::new(move |request| {
        let mut keys = heard.lock().unwrap();
        keys.push(request.headers["idempotency-key"].clone());
        match keys.len() {
            1 => answer("202 Accepted", "{\"retry_after\": 0.1}"),
            2 => "HTTP/1.1 202 Accepted\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n".to_owned(),
            _ => answer("201 Created", "{}"),
        }
    }))
    .await;
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let engine = self::engine(&journal);
    engine.register(&definition(port, "", "attempts: 4"), None).await.unwrap();
    let id = engine.start(request(Wait::Accepted)).await.unwrap().transaction.id();
    assert_eq!(rested(&engine, id).await, Status::Completed);
    let keys = keys.lock().unwrap().clone();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == format!("{id}/Pay/action")), "{keys:?}");
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_service_that_was_down_is_drained_when_it_returns_and_nothing_happens_twice() {
    const SAGAS: usize = 100;
    let is_down = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicUsize::new(0));
    let effects: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let (down, count, acted) = (is_down.clone(), asked.clone(), effects.clone());
    let port = service(Arc::new(move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        if down.load(Ordering::Relaxed) {
            // The connection ends without an answer.
            return String::new();
        }
        assert_eq!(request.target, "/payments", "nothing is undone");
        // As behind a barrier: what is repeated counts, so that it would be seen.
        *acted.lock().unwrap().entry(request.headers["idempotency-key"].clone()).or_default() += 1;
        answer("201 Created", "{}")
    }))
    .await;
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let engine = self::engine(&journal);
    let participant = ", concurrency: 8, breaker: { after: 5, first: 100ms, max: 400ms }";
    engine
        .register(&definition(port, participant, "attempts: 30, first: 10ms, max: 50ms"), None)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for _ in 0..SAGAS {
        ids.push(engine.start(request(Wait::Accepted)).await.unwrap().transaction.id());
    }
    let view = || engine.participants().remove(0);
    until("the breaker opens", || matches!(view().breaker, BreakerView::Open { .. })).await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let while_down = asked.load(Ordering::Relaxed);
    assert!(while_down <= 5 + 8 + 8, "{while_down} calls of {SAGAS} sagas while it was down");
    assert!(view().queued > SAGAS / 2 && view().last_error.is_some(), "{:?}", view());

    is_down.store(false, Ordering::Relaxed);
    for id in ids {
        assert_eq!(rested(&engine, id).await, Status::Completed);
    }
    let effects = effects.lock().unwrap().clone();
    assert_eq!(effects.len(), SAGAS);
    assert!(effects.values().all(|times| *times == 1), "nothing was asked for again that was answered");
    let view = view();
    assert_eq!((view.under_way, view.queued, view.breaker), (0, 0, BreakerView::Closed));
    assert_eq!(view.outcomes.completed as usize, SAGAS);
    engine.stop(Duration::ZERO).await;
}
