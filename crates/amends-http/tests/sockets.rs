//! Calls over real sockets: what goes out, and what comes of answers that end badly.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use amends_core::{
    CallId, Definition, DefinitionName, Direction, Outcome, SagaDefinition, SagaSpec, StepIndex, StepSpec,
    TransactionId,
};
use amends_definition::ParticipantSettings;
use amends_definition::request::{Method, Request};
use amends_engine::{Call, CallbackKey, Connect, Participant};
use amends_http::{Callbacks, HttpOptions, HttpParticipants, Loopback, Override, fixed_lookup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// A service that does the same with each connection.
struct Service {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
enum Behaviour {
    /// Answers each request with these bytes, and keeps the connection.
    Answers(String),
    /// Answers with these bytes, and closes the connection.
    AnswersAndCloses(String),
    /// Answers with these bytes, and resets the connection.
    AnswersAndResets(String),
    /// Resets the connection before it has read anything.
    ResetsFirst,
    /// Reads the request, and resets the connection.
    ReadsAndResets,
    /// Reads the request and says nothing.
    IsSilent,
    /// Sends a byte now and then, for ever.
    Drips,
}

async fn service(behaviour: Behaviour) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = Service {
        port: listener.local_addr().unwrap().port(),
        connections: Arc::default(),
        requests: Arc::default(),
    };
    let (connections, requests) = (service.connections.clone(), service.requests.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, behaviour.clone(), requests.clone()));
        }
    });
    service
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour, requests: Arc<Mutex<Vec<String>>>) {
    if matches!(behaviour, Behaviour::ResetsFirst) {
        return reset(stream);
    }
    while let Some(request) = read(&mut stream).await {
        requests.lock().unwrap().push(request);
        match &behaviour {
            Behaviour::Answers(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            Behaviour::AnswersAndCloses(answer) => {
                stream.write_all(answer.as_bytes()).await.unwrap();
                return stream.shutdown().await.unwrap_or_default();
            }
            Behaviour::AnswersAndResets(answer) => {
                stream.write_all(answer.as_bytes()).await.unwrap();
                return reset(stream);
            }
            Behaviour::ReadsAndResets => return reset(stream),
            Behaviour::IsSilent => {}
            Behaviour::Drips => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
                while stream.write_all(b".").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                return;
            }
            Behaviour::ResetsFirst => unreachable!("it was reset"),
        }
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// One request, head and body.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

fn options() -> HttpOptions {
    HttpOptions { loopback: Loopback::Allowed, response_bytes_max: 1_000, ..HttpOptions::default() }
}

fn settings(url: &str) -> ParticipantSettings {
    ParticipantSettings { url: url.to_owned(), ..ParticipantSettings::default() }
}

fn definition() -> Definition {
    let saga = SagaDefinition::from_spec(SagaSpec {
        name: DefinitionName::new("One"),
        version: 1,
        limit: LONG,
        pivot: None,
        steps: vec![StepSpec::new("Pay", "payments", "Pay").undone_by("Refund")],
    });
    saga.unwrap().into()
}

fn call(request: &Request) -> Call {
    Call {
        transaction: TransactionId::from_parts(1, 1),
        definition: definition(),
        attempt: CallId::first(StepIndex(0), Direction::Action).attempt(1),
        in_doubt: false,
        limit: LONG,
        payload: request.encode(),
        trace: None,
    }
}

fn request() -> Request {
    Request {
        method: Method::Post,
        target: "/payments?kind=card".to_owned(),
        headers: vec![("x-tenant".to_owned(), "7".to_owned())],
        body: r#"{"amount":1}"#.into(),
    }
}

fn connect(options: HttpOptions, url: &str) -> Arc<dyn Participant> {
    let participants = HttpParticipants::new(options).unwrap();
    participants.connect("payments", &settings(url)).unwrap().participant
}

async fn ask(service: &Service) -> Outcome {
    let participant = connect(options(), &format!("http://127.0.0.1:{}", service.port));
    participant.call(call(&request())).await
}

#[track_caller]
fn unknown(outcome: Outcome) -> (String, String) {
    match outcome {
        Outcome::Unknown { reason, .. } => (reason.code, reason.message),
        other => panic!("unknown was expected, not {other:?}"),
    }
}

async fn code_of(behaviour: Behaviour) -> String {
    let service = service(behaviour).await;
    let outcome = ask(&service).await;
    assert_eq!(service.connections.load(Ordering::Relaxed), 1, "nothing is repeated: {outcome:?}");
    unknown(outcome).0
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_request_says_whose_it_is_and_carries_the_body_as_it_is() {
    let service = service(Behaviour::Answers(answer("200 OK", "{\"paid\": 1}"))).await;
    let callbacks =
        Callbacks { key: CallbackKey::new([7; 32]), public_url: "http://amends.example/".to_owned() };
    let environment = Arc::new(|name: &str| {
        (name == "AMENDS_SECRET_PAY").then(|| "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())
    });
    let options = HttpOptions { callbacks: Some(callbacks), environment, ..options() };
    let participants = HttpParticipants::new(options).unwrap();
    let settings = ParticipantSettings {
        secrets: vec!["AMENDS_SECRET_PAY".to_owned()],
        ..settings(&format!("http://127.0.0.1:{}/v1/", service.port))
    };
    let connected = participants.connect("payments", &settings).unwrap();
    assert_eq!(connected.origin, format!("http://127.0.0.1:{}/v1", service.port));

    let action = call(&request());
    let outcome = connected.participant.call(action.clone()).await;
    assert_eq!(outcome, Outcome::Completed { output: "{\"paid\": 1}".into() });
    let mut undo = action.clone();
    undo.attempt =
        CallId { direction: Direction::Compensation, occurrence: Some(3), round: 2, ..action.attempt.call }
            .attempt(2);
    undo.in_doubt = true;
    connected.participant.call(undo).await;

    let requests = service.requests.lock().unwrap();
    let id = action.transaction;
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"amount":1}"#);
    assert!(head.starts_with("POST /v1/payments?kind=card HTTP/1.1\r\n"), "{head}");
    for line in [
        format!("host: 127.0.0.1:{}", service.port),
        "content-type: application/json".to_owned(),
        "x-tenant: 7".to_owned(),
        format!("idempotency-key: {id}/Pay/action"),
        format!("amends-saga: {id}"),
        "amends-step: Pay".to_owned(),
        "amends-attempt: 1".to_owned(),
        "amends-direction: action".to_owned(),
        format!("traceparent: {}", action.traceparent()),
        format!("webhook-id: {id}/Pay/action"),
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is not in {head}");
    }
    assert!(head.contains("webhook-signature: v1,"), "{head}");
    assert!(head.contains("amends-callback: http://amends.example/v1/callbacks/"), "{head}");
    assert!(!head.contains("in-doubt"), "{head}");

    let (head, _) = requests[1].split_once("\r\n\r\n").unwrap();
    for line in [
        format!("idempotency-key: {id}/Pay[3]/compensation/2"),
        "amends-step: Pay[3]".to_owned(),
        "amends-attempt: 2".to_owned(),
        "amends-direction: compensation".to_owned(),
        "amends-in-doubt: true".to_owned(),
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is not in {head}");
    }
}

#[tokio::test]
async fn a_request_without_a_body_has_none_and_headers_of_ours_cannot_be_replaced() {
    let service = service(Behaviour::Answers(answer("204 No Content", ""))).await;
    let request = Request {
        method: Method::Delete,
        headers: vec![
            ("idempotency-key".to_owned(), "mine".to_owned()),
            ("amends-in-doubt".to_owned(), "true".to_owned()),
        ],
        body: bytes::Bytes::new(),
        ..request()
    };
    let participant = connect(options(), &format!("http://127.0.0.1:{}", service.port));
    let outcome = participant.call(call(&request)).await;
    assert_eq!(outcome, Outcome::Completed { output: "null".into() });
    let requests = service.requests.lock().unwrap();
    assert!(requests[0].starts_with("DELETE /payments"));
    assert!(!requests[0].contains("content-type") && !requests[0].contains("mine"), "{}", requests[0]);
    assert!(!requests[0].contains("in-doubt"), "{}", requests[0]);
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let service = service(Behaviour::Answers(answer("200 OK", "1"))).await;
    let participant = connect(options(), &format!("http://127.0.0.1:{}", service.port));
    for _ in 0..10 {
        assert_eq!(participant.call(call(&request())).await, Outcome::Completed { output: "1".into() });
    }
    assert_eq!(service.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_leaves_the_outcome_unknown() {
    assert_eq!(code_of(Behaviour::ResetsFirst).await, "connection_lost");
    assert_eq!(code_of(Behaviour::ReadsAndResets).await, "connection_lost");
    assert_eq!(code_of(Behaviour::AnswersAndCloses(String::new())).await, "connection_lost");
    assert_eq!(
        code_of(Behaviour::AnswersAndCloses("HTTP/1.1 200 OK\r\ncontent".to_owned())).await,
        "connection_lost"
    );
}

#[tokio::test]
async fn an_answer_cut_short_leaves_the_outcome_unknown() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"paid\": 1}";
    assert_eq!(code_of(Behaviour::AnswersAndCloses(head.to_owned())).await, "answer_cut_short");
    assert_eq!(code_of(Behaviour::AnswersAndResets(head.to_owned())).await, "answer_cut_short");
    let refusal = "HTTP/1.1 409 No\r\ncontent-length: 100\r\n\r\n{\"code\": \"no_funds\"}";
    assert_eq!(code_of(Behaviour::AnswersAndCloses(refusal.to_owned())).await, "answer_cut_short");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nab";
    assert_eq!(code_of(Behaviour::AnswersAndCloses(chunked.to_owned())).await, "answer_cut_short");
    let unended = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    assert_eq!(code_of(Behaviour::AnswersAndCloses(unended.to_owned())).await, "answer_cut_short");
}

#[tokio::test]
async fn what_is_no_http_leaves_the_outcome_unknown() {
    assert_eq!(
        code_of(Behaviour::Answers("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned())).await,
        "answer_unreadable"
    );
    assert_eq!(code_of(Behaviour::Answers("HTTP/1.1 nine\r\n\r\n".to_owned())).await, "answer_unreadable");
    let wide = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    assert_eq!(code_of(Behaviour::AnswersAndCloses(wide)).await, "answer_unreadable");
}

#[tokio::test]
async fn whoever_is_silent_or_slow_is_left_when_the_attempts_time_is_over() {
    for behaviour in [Behaviour::IsSilent, Behaviour::Drips] {
        let service = service(behaviour).await;
        let participant = connect(options(), &format!("http://127.0.0.1:{}", service.port));
        let began = Instant::now();
        let limited = Call { limit: Duration::from_millis(100), ..call(&request()) };
        assert_eq!(unknown(participant.call(limited).await).0, "timed_out");
        assert!(began.elapsed() < LONG / 3);
    }
}

#[tokio::test]
async fn an_answer_too_large_is_not_read() {
    let large = "x".repeat(5_000);
    let service = service(Behaviour::Answers(answer("200 OK", &large))).await;
    assert_eq!(ask(&service).await, Outcome::CompletedTooLarge { bytes: 5_000 });

    let chunked =
        format!("HTTP/1.1 201 OK\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n{large}\r\n0\r\n\r\n");
    let service = self::service(Behaviour::Answers(chunked)).await;
    let outcome = ask(&service).await;
    assert!(matches!(outcome, Outcome::CompletedTooLarge { bytes } if bytes > 1_000), "{outcome:?}");

    let refusal = format!(r#"{{"code": "no", "detail": "{large}"}}"#);
    assert_eq!(code_of(Behaviour::Answers(answer("409 Conflict", &refusal))).await, "answer_too_large");
    let exact = format!("\"{}\"", "x".repeat(998));
    let service = self::service(Behaviour::Answers(answer("200 OK", &exact))).await;
    assert_eq!(ask(&service).await, Outcome::Completed { output: exact.into() });
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let target = service(Behaviour::Answers(answer("200 OK", "1"))).await;
    for status in ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n",
            target.port
        );
        assert_eq!(code_of(Behaviour::Answers(answer)).await, "redirect");
    }
    assert_eq!(target.connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_page_of_a_proxy_refuses_nothing() {
    for status in ["402 Payment Required", "410 Gone"] {
        let page = format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: 3\r\n\r\n<p>");
        let service = service(Behaviour::Answers(page)).await;
        assert_eq!(unknown(ask(&service).await).0, format!("http_{}", &status[..3]));
    }
}

#[tokio::test]
async fn nobody_there_means_nothing_was_sent() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let participant = connect(options(), &format!("http://127.0.0.1:{port}"));
    let (code, message) = unknown(participant.call(call(&request())).await);
    assert_eq!(code, "connect_failed");
    assert!(message.contains("nothing was sent") && message.contains(&port.to_string()), "{message}");
}

#[tokio::test]
async fn a_name_is_judged_by_its_address_each_time_a_connection_is_made() {
    let service = service(Behaviour::AnswersAndCloses(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n1".to_owned(),
    ))
    .await;
    let is_moved = Arc::new(AtomicBool::new(false));
    let moved = is_moved.clone();
    let lookup = fixed_lookup(move |_| {
        let address = if moved.load(Ordering::Relaxed) { "169.254.169.254" } else { "127.0.0.1" };
        vec![address.parse::<IpAddr>().unwrap()]
    });
    let options = HttpOptions { lookup: Some(lookup), ..options() };
    let participant = connect(options, &format!("http://pay.example:{}", service.port));
    assert_eq!(participant.call(call(&request())).await, Outcome::Completed { output: "1".into() });
    is_moved.store(true, Ordering::Relaxed);
    let (code, message) = unknown(participant.call(call(&request())).await);
    assert_eq!(code, "address_not_allowed");
    assert!(message.contains("pay.example leads to 169.254.169.254"), "{message}");
    assert_eq!(service.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_server_that_listens_elsewhere_calls_nobody_on_loopback() {
    let service = service(Behaviour::Answers(answer("200 OK", "1"))).await;
    let refused = |url: String, entries: &[&str]| {
        let allowed_hosts = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let options = HttpOptions { loopback: Loopback::ListedOnly, allowed_hosts, ..options() };
        HttpParticipants::new(options)
            .unwrap()
            .connect("payments", &settings(&url))
            .map(|found| found.participant)
    };
    let port = service.port;
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"] {
        let why = refused(format!("http://{host}:{port}"), &[]).err().unwrap();
        assert!(why.contains("allowed_hosts"), "{why}");
    }
    // Spellings that only the system's resolver knows are judged by what they turn out to be.
    for host in ["127.1", "2130706433", "0x7f000001"] {
        let participant = refused(format!("http://{host}:{port}"), &[]).unwrap();
        let (code, _) = unknown(participant.call(call(&request())).await);
        assert!(["address_not_allowed", "connect_failed"].contains(&code.as_str()), "{host}: {code}");
    }
    assert_eq!(service.connections.load(Ordering::Relaxed), 0);
    let listed = refused(format!("http://127.0.0.1:{port}"), &["127.0.0.1"]).unwrap();
    assert_eq!(listed.call(call(&request())).await, Outcome::Completed { output: "1".into() });
}

#[tokio::test]
async fn the_configuration_sends_a_participants_calls_elsewhere() {
    let service = service(Behaviour::Answers(answer("200 OK", "1"))).await;
    let elsewhere = Override {
        url: Some(format!("http://127.0.0.1:{}/moved", service.port)),
        concurrency: Some(3),
        ..Override::default()
    };
    let overrides = BTreeMap::from([("payments".to_owned(), elsewhere)]);
    let participants = HttpParticipants::new(HttpOptions { overrides, ..options() }).unwrap();
    let connected = participants.connect("payments", &settings("http://gone.example")).unwrap();
    assert_eq!(connected.limits.calls_max, 3);
    assert_eq!(connected.participant.call(call(&request())).await, Outcome::Completed { output: "1".into() });
    assert!(service.requests.lock().unwrap()[0].starts_with("POST /moved/payments"));
    let wrong = BTreeMap::from([(
        "payments".to_owned(),
        Override { url: Some("nowhere".to_owned()), ..Override::default() },
    )]);
    assert!(HttpParticipants::new(HttpOptions { overrides: wrong, ..options() }).is_err());
}

#[test]
fn a_variable_that_is_missing_is_named_when_the_participant_is_connected() {
    let participants = HttpParticipants::new(options()).unwrap();
    let settings = ParticipantSettings {
        bearers: vec!["AMENDS_SECRET_NOT_THERE".to_owned()],
        ..settings("http://127.0.0.1:1")
    };
    let why = participants.connect("payments", &settings).err().unwrap();
    assert!(why.contains("AMENDS_SECRET_NOT_THERE is not set"), "{why}");
}
