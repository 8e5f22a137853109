//! The commands that talk to a server, from outside: the real binary against a server that says what a test
//! wants.
//!
//! Owns what scripts rely on: what is on standard output, what on standard error, and exit codes. Promises
//! nothing about the server, which has its own tests.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// Answers `GET /v1/sagas?limit=50` with status and body.
type Answers = dyn Fn(&str, &str) -> (u16, String) + Send + Sync;

/// A server; it ends with the test's process.
fn server(answers: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answers: Arc<Answers> = Arc::new(answers);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answers = answers.clone();
            thread::spawn(move || answer(stream.unwrap(), &*answers));
        }
    });
    address
}

fn answer(mut stream: TcpStream, answers: &Answers) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap() == 0 {
        return;
    }
    let call = line.rsplit_once(' ').unwrap().0.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (status, text) = answers(&call, &String::from_utf8(body).unwrap());
    let media_type = if text.starts_with("id: ") { "text/event-stream" } else { "application/json" };
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
}

fn amends(server: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amends"));
    command.args(arguments).env("AMENDS_SERVER", server).env("USER", "ann");
    for name in ["AMENDS_TOKEN", "NO_COLOR", "TRACEPARENT"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).output().unwrap()
}

/// What a command says, and with which exit code it ends.
fn check(server: &str, arguments: &[&str], expected: Expect) {
    let output = amends(server, arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(server, "http://server");
    let mut said = format!("exit {}\n", output.status.code().unwrap());
    for (name, said_here) in [("out", text(output.stdout)), ("err", text(output.stderr))] {
        for line in said_here.lines() {
            said += format!("{name} | {line}").trim_end();
            said.push('\n');
        }
    }
    expected.assert_eq(&said);
}

fn saga(id: &str, status: &str) -> Value {
    json!({"id": id, "definition": "Trip", "version": 2, "mode": "saga", "status": status, "paused": false,
        "sequence": 4, "input": {"who": "ann"}, "output": null, "tags": {"region": "eu"}, "parent": null,
        "failed_step": null, "reason": null, "parked": null, "started_at": "2026-11-30T10:00:00.000Z",
        "finished_at": null, "steps": []})
}

fn step(name: &str, status: &str) -> Value {
    json!({"name": name, "status": status, "attempts": 1, "in_doubt": false,
        "started_at": "2026-11-30T10:00:00.000Z", "finished_at": "2026-11-30T10:00:00.120Z", "output": {"id": 7},
        "error": null, "compensation": null})
}

fn compensated(id: &str) -> Value {
    let mut saga = saga(id, "compensated");
    saga["failed_step"] = "Hotel".into();
    saga["reason"] = json!({"code": "fully_booked", "message": "no room"});
    saga["finished_at"] = "2026-11-30T10:00:01.500Z".into();
    let mut flight = step("Flight", "compensated");
    flight["compensation"] = json!({"status": "completed", "attempts": 1, "error": null});
    let mut hotel = step("Hotel", "failed");
    hotel["error"] = saga["reason"].clone();
    saga["steps"] = json!([flight, hotel, step("Car", "pending")]);
    saga
}

fn problem(code: &str, status: u16, detail: &str) -> (u16, String) {
    let problem = json!({"type": format!("/errors/{code}"), "title": "t", "status": status, "code": code, "detail": detail});
    (status, problem.to_string())
}

#[test]
fn without_a_server_the_next_step_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    check(
        &server,
        &["saga", "list"],
        expect![[r#"
        exit 1
        err | amends: no connection to http://server: Connection refused (os error 111)
        err |   next: start a server with `amends serve`, or name another with --server or AMENDS_SERVER
    "#]],
    );
    check(
        &server,
        &["saga", "list", "--server", "localhost:1"],
        expect![[r#"
        exit 2
        err | amends: "localhost:1" is not the address of a server (it does not begin with http:// or https://): write it like http://127.0.0.1:8080
    "#]],
    );
}

#[test]
fn what_the_server_says_is_passed_on_with_its_code() {
    let refuses = server(|call, _| match call {
        "GET /v1/sagas/x" => problem("not_found", 404, "no saga has the id \"x\""),
        _ => problem("unauthorized", 401, "this needs a token"),
    });
    check(
        &refuses,
        &["saga", "show", "x"],
        expect![[r#"
        exit 1
        err | amends: no saga has the id "x" (not_found)
    "#]],
    );
    check(
        &refuses,
        &["definition", "list"],
        expect![[r#"
        exit 1
        err | amends: this needs a token (unauthorized)
        err |   next: set AMENDS_TOKEN to the token that the server was started with
    "#]],
    );
}

#[test]
fn a_start_prints_the_id_alone_on_standard_output() {
    let server = server(|call, body| {
        let asked: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (call, asked),
            (
                "POST /v1/sagas",
                json!({"definition": "Trip", "version": 2, "input": {"who": "ann"}, "tags": {"a": "b=c"}})
            )
        );
        (202, saga("s1", "in_progress").to_string())
    });
    let arguments =
        ["saga", "start", "Trip", "--input", r#"{"who": "ann"}"#, "--tag", "a=b=c", "--version", "2"];
    check(
        &server,
        &arguments,
        expect![[r#"
        exit 0
        out | s1
        err | Trip v2 is started; follow it: amends saga watch s1
    "#]],
    );
}

#[test]
fn a_command_line_that_makes_no_sense_sends_nothing() {
    let server = server(|call, _| panic!("{call} was sent"));
    check(
        &server,
        &["saga", "start", "Trip", "--input", "{who: ann}"],
        expect![[r#"
        exit 2
        err | amends: --input: this is not JSON: key must be a string at line 1 column 2
        err |   next: write --input '{"amount": 12}', --input @file.json, or --input - to read the standard input
    "#]],
    );
    check(
        &server,
        &["saga", "start", "Trip", "--tag", "a"],
        expect![[r#"
        exit 2
        err | error: invalid value 'a' for '--tag <NAME=VALUE>': "a" is not a tag: write NAME=VALUE, such as region=eu
        err |
        err | For more information, try '--help'.
    "#]],
    );
    check(
        &server,
        &["saga", "start", "Trip", "--wait=5"],
        expect![[r#"
        exit 2
        err | error: invalid value '5' for '--wait[=<TIME>]': "5" is not a duration: write a number and a unit (ms, s, m, h, d), such as 30s
        err |
        err | For more information, try '--help'.
    "#]],
    );
    check(
        &server,
        &["saga", "cancel", "s1"],
        expect![[r#"
        exit 2
        err | error: the following required arguments were not provided:
        err |   --reason <REASON>
        err |
        err | Usage: amends saga cancel --reason <REASON> --server <URL> <ID>
        err |
        err | For more information, try '--help'.
    "#]],
    );
    check(
        &server,
        &["saga", "list", "--status", "parked"],
        expect![[r#"
        exit 2
        err | error: invalid value 'parked' for '--status <STATUS>'
        err |   [possible values: pending, in_progress, compensating, completed, compensated, failed, abandoned]
        err |
        err | For more information, try '--help'.
    "#]],
    );
}

#[test]
fn waiting_for_a_start_ends_with_the_exit_code_of_what_became_of_it() {
    for (status, code) in [("completed", 0), ("compensated", 3), ("failed", 4), ("abandoned", 6)] {
        let server = server(move |call, _| match call {
            "POST /v1/sagas" => (202, saga("s1", "in_progress").to_string()),
            "GET /v1/sagas/s1/events" => (204, String::new()),
            _ => (200, saga("s1", status).to_string()),
        });
        let output = amends(&server, &["saga", "start", "Trip", "--wait", "--output", "json"]);
        assert_eq!(output.status.code(), Some(code), "{status}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["status"], status);
        assert!(output.stderr.is_empty());
    }
    let server = server(|call, _| match call {
        "GET /v1/sagas/s1/events" => (204, String::new()),
        _ => (202, saga("s1", "in_progress").to_string()),
    });
    let output = amends(&server, &["saga", "start", "Trip", "--wait=300ms"]);
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn a_repeat_of_a_start_that_went_back_is_shown_like_the_first() {
    let server = server(|call, _| match call {
        "POST /v1/sagas" => {
            let problem = json!({"type": "/errors/saga_compensated", "title": "t", "status": 409,
                "code": "fully_booked", "detail": "no room", "saga_id": "s1"});
            (409, problem.to_string())
        }
        _ => (200, compensated("s1").to_string()),
    });
    check(
        &server,
        &["saga", "start", "Trip", "--key", "k", "--wait"],
        expect![[r#"
        exit 3
        out | saga        s1
        out | definition  Trip v2
        out | status      compensated
        out | because     Hotel: fully_booked: no room
        out | started     2026-11-30 10:00:00, 1.5s
        out | tags        region=eu
        out | input       {"who":"ann"}
        out | output      null
        out |
        out | STEP    STATUS       ATTEMPTS  TOOK   UNDO           DETAIL
        out | Flight  compensated  1         120ms  completed (1)
        out | Hotel   failed       1         120ms                 fully_booked: no room
        out | Car     pending      1         120ms
    "#]],
    );
}

#[test]
fn a_parked_saga_is_shown_with_what_can_be_done() {
    let server = server(|call, _| {
        assert_eq!(call, "GET /v1/sagas/s1");
        let mut saga = saga("s1", "failed");
        saga["paused"] = true.into();
        saga["parked"] = json!({"since": "2026-11-30T10:05:00.000Z", "because": "Hotel ran out of attempts",
            "verbs": ["retry", "skip", "abandon"]});
        let mut hotel = step("Hotel", "in_progress");
        hotel["in_doubt"] = true.into();
        hotel["finished_at"] = Value::Null;
        hotel["error"] = json!({"code": "timeout", "message": "no answer within 5 s\u{1b}[2J"});
        saga["steps"] = json!([hotel]);
        saga["finished_at"] = "2026-11-30T10:05:00.000Z".into();
        (200, saga.to_string())
    });
    check(
        &server,
        &["saga", "show", "s1"],
        expect![[r#"
        exit 0
        out | saga        s1
        out | definition  Trip v2
        out | status      failed, paused: nothing is sent until `amends saga resume`
        out | started     2026-11-30 10:00:00, 5m 00s
        out | tags        region=eu
        out | input       {"who":"ann"}
        out | output      null
        out |
        out | STEP   STATUS       ATTEMPTS  TOOK  UNDO  DETAIL
        out | Hotel  in_progress  1                     in doubt, timeout: no answer within 5 s�[2J
        out |
        out | Parked since 2026-11-30 10:05:00: Hotel ran out of attempts
        out | What you can do:
        out |   amends saga retry s1 --reason WHY
        out |   amends saga skip s1 --step STEP --step-output JSON --reason WHY
        out |   amends saga abandon s1 --confirm ID --reason WHY
    "#]],
    );
}

#[test]
fn a_list_is_a_table_or_one_document_and_all_of_it_comes_page_by_page() {
    let server = server(|call, _| {
        let summary = |id: &str| {
            let mut saga = saga(id, "completed");
            saga["finished_at"] = "2026-11-30T10:00:01.500Z".into();
            saga
        };
        let page = match call {
            "GET /v1/sagas?limit=50" | "GET /v1/sagas?limit=1000" => {
                json!({"sagas": [summary("s1"), summary("s2")], "next_cursor": "c"})
            }
            "GET /v1/sagas?cursor=c&limit=1000" => json!({"sagas": [summary("s3")], "next_cursor": null}),
            "GET /v1/sagas?definition=None&status=failed&tag=a%3Db&limit=50" => {
                json!({"sagas": [], "next_cursor": null})
            }
            "GET /v1/sagas/count" => json!({"count": 10_000, "exact": false}),
            _ => panic!("{call}"),
        };
        (200, page.to_string())
    });
    check(
        &server,
        &["saga", "list"],
        expect![[r#"
        exit 0
        out | ID  DEFINITION  STATUS     STARTED              TOOK  TAGS
        out | s1  Trip v2     completed  2026-11-30 10:00:00  1.5s  region=eu
        out | s2  Trip v2     completed  2026-11-30 10:00:00  1.5s  region=eu
        err | there are more: --cursor c, or --all
    "#]],
    );
    check(
        &server,
        &["saga", "list", "--all"],
        expect![[r#"
        exit 0
        out | ID  DEFINITION  STATUS     STARTED              TOOK  TAGS
        out | s1  Trip v2     completed  2026-11-30 10:00:00  1.5s  region=eu
        out | s2  Trip v2     completed  2026-11-30 10:00:00  1.5s  region=eu
        out | s3  Trip v2     completed  2026-11-30 10:00:00  1.5s  region=eu
    "#]],
    );
    check(
        &server,
        &["saga", "list", "--all", "--output", "yaml"],
        expect![[r#"
        exit 0
        out | sagas:
        out | - id: s1
        out |   definition: Trip
        out |   version: 2
        out |   mode: saga
        out |   status: completed
        out |   tags:
        out |     region: eu
        out |   parent: null
        out |   started_at: "2026-11-30T10:00:00.000Z"
        out |   finished_at: "2026-11-30T10:00:01.500Z"
        out | - id: s2
        out |   definition: Trip
        out |   version: 2
        out |   mode: saga
        out |   status: completed
        out |   tags:
        out |     region: eu
        out |   parent: null
        out |   started_at: "2026-11-30T10:00:00.000Z"
        out |   finished_at: "2026-11-30T10:00:01.500Z"
        out | - id: s3
        out |   definition: Trip
        out |   version: 2
        out |   mode: saga
        out |   status: completed
        out |   tags:
        out |     region: eu
        out |   parent: null
        out |   started_at: "2026-11-30T10:00:00.000Z"
        out |   finished_at: "2026-11-30T10:00:01.500Z"
        out | next_cursor: null
    "#]],
    );
    check(
        &server,
        &["saga", "list", "--count"],
        expect![[r#"
        exit 0
        out | 10000 or more
    "#]],
    );
    check(
        &server,
        &["saga", "list", "--definition", "None", "--status", "failed", "--tag", "a=b"],
        expect![[r#"
            exit 0
            out | ID  DEFINITION  STATUS  STARTED  TOOK  TAGS
            err | no saga matches
        "#]],
    );
    let output = amends(&server, &["saga", "list", "--all", "--output", "json"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<&str> =
        printed["sagas"].as_array().unwrap().iter().map(|saga| saga["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["s1", "s2", "s3"]);
}

#[test]
fn a_watch_prints_each_fact_and_then_the_saga() {
    let server = server(|call, _| match call {
        "GET /v1/sagas/s1/events" => {
            let facts = [
                json!({"saga": "s1", "sequence": 1, "fact": "saga_started", "at": "2026-11-30T10:00:00.000Z",
                    "definition": "Trip", "version": 2, "input": {"who": "ann"}}),
                json!({"saga": "s1", "sequence": 2, "fact": "step_refused", "at": "2026-11-30T10:00:00.120Z",
                    "step": "Hotel", "attempt": 2, "reason": {"code": "fully_booked", "message": "no room"}}),
                json!({"saga": "s1", "sequence": 3, "fact": "of_tomorrow", "at": "2026-11-30T10:00:00.130Z"}),
                json!({"saga": "s1", "sequence": 4, "fact": "saga_parked", "at": "2026-11-30T10:00:01.500Z"}),
            ];
            let frame = |fact: &Value| format!("id: {}\ndata: {fact}\n\n", fact["sequence"]);
            (200, facts.iter().map(frame).collect())
        }
        _ => (200, compensated("s1").to_string()),
    });
    check(
        &server,
        &["saga", "watch", "s1"],
        expect![[r#"
        exit 3
        out | 10:00:00.000  saga_started            Trip v2  {"who":"ann"}
        out | 10:00:00.120  step_refused            Hotel  attempt 2  fully_booked: no room
        out | 10:00:00.130  of_tomorrow
        out | 10:00:01.500  saga_parked
        out |
        out | saga        s1
        out | definition  Trip v2
        out | status      compensated
        out | because     Hotel: fully_booked: no room
        out | started     2026-11-30 10:00:00, 1.5s
        out | tags        region=eu
        out | input       {"who":"ann"}
        out | output      null
        out |
        out | STEP    STATUS       ATTEMPTS  TOOK   UNDO           DETAIL
        out | Flight  compensated  1         120ms  completed (1)
        out | Hotel   failed       1         120ms                 fully_booked: no room
        out | Car     pending      1         120ms
    "#]],
    );
}

#[test]
fn a_verb_says_who_and_why_and_shows_the_saga() {
    let server = server(|call, body| {
        let asked: Value = serde_json::from_str(body).unwrap();
        match call {
            "POST /v1/sagas/s1/skip" => {
                assert_eq!(
                    asked,
                    json!({"reason": "paid by hand", "by": "ann", "step": "Pay", "output": {"id": 1}})
                );
            }
            "POST /v1/sagas/s1/abandon" => {
                assert_eq!(asked, json!({"reason": "gone", "by": "bob", "confirm": "s1"}));
            }
            "POST /v1/sagas/s1/signals/approved" => {
                assert_eq!(asked, json!({"ok": true}));
                return (202, json!({"saga": "s1", "signal": "approved", "sequence": 9}).to_string());
            }
            _ => panic!("{call}"),
        }
        (200, compensated("s1").to_string())
    });
    let skip =
        ["saga", "skip", "s1", "--step", "Pay", "--step-output", r#"{"id": 1}"#, "--reason", "paid by hand"];
    check(
        &server,
        &skip,
        expect![[r#"
        exit 0
        out | saga        s1
        out | definition  Trip v2
        out | status      compensated
        out | because     Hotel: fully_booked: no room
        out | started     2026-11-30 10:00:00, 1.5s
        out | tags        region=eu
        out | input       {"who":"ann"}
        out | output      null
        out |
        out | STEP    STATUS       ATTEMPTS  TOOK   UNDO           DETAIL
        out | Flight  compensated  1         120ms  completed (1)
        out | Hotel   failed       1         120ms                 fully_booked: no room
        out | Car     pending      1         120ms
    "#]],
    );
    let abandon =
        ["saga", "abandon", "s1", "--confirm", "s1", "--reason", "gone", "--by", "bob", "--output", "yaml"];
    assert_eq!(amends(&server, &abandon).status.code(), Some(0));
    check(
        &server,
        &["saga", "signal", "s1", "approved", "--body", r#"{"ok": true}"#],
        expect![[r#"
        exit 0
        err | signal approved is accepted
    "#]],
    );
}

#[test]
fn a_definition_with_findings_is_shown_with_each_at_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trip.yaml");
    std::fs::write(&file, "saga: Trip\nsteps:\n  - name: Hotel\n    compensaton: none\n").unwrap();
    let server = server(|call, body| {
        assert_eq!(call, "PUT /v1/definitions/Trip");
        if !body.contains("compensaton") {
            return (201, json!({"name": "Trip", "version": 3, "is_new": true, "warnings": []}).to_string());
        }
        let problem = json!({"type": "/errors/definition_invalid", "title": "t", "status": 422,
            "code": "definition_invalid", "detail": "the definition has 1 fault", "findings": [
                {"rule": "unknown_key", "message": "a step has no key compensaton", "line": 4, "column": 5,
                    "end_column": 16, "help": "did you mean compensation?"}]});
        (422, problem.to_string())
    });
    let path = file.display().to_string();
    let output = amends(&server, &["definition", "put", &path]);
    let said = String::from_utf8(output.stderr).unwrap().replace(&path, "trip.yaml");
    expect![[r#"
        error[unknown_key]: a step has no key compensaton
         --> trip.yaml:4:5
          |
        4 |     compensaton: none
          |     ^^^^^^^^^^^
          = help: did you mean compensation?

        amends: trip.yaml is not registered: 1 finding
    "#]]
    .assert_eq(&said);
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));

    std::fs::write(&file, "saga: Trip\n").unwrap();
    check(
        &server,
        &["definition", "put", &path],
        expect![[r#"
        exit 0
        out | Trip v3 registered
    "#]],
    );
    std::fs::write(&file, "steps: []\n").unwrap();
    assert_eq!(amends(&server, &["definition", "put", &path]).status.code(), Some(1));
}

#[test]
fn definitions_are_listed_printed_compared_and_retired() {
    let server = server(|call, _| {
        let version = |version: u32, source: &str| {
            json!({"name": "Trip", "version": version, "retired": version == 1,
                "registered_at": "2026-11-30T10:00:00.000Z", "source": source, "versions": [1, 3]})
        };
        let answer = match call {
            "GET /v1/definitions" => {
                json!({"definitions": [version(1, ""), version(3, "")], "next_cursor": null})
            }
            "GET /v1/definitions/Trip" => version(3, "saga: Trip\nsteps: [a, b]\n"),
            "GET /v1/definitions/Trip/versions/1" => version(1, "saga: Trip\nsteps: [a]\n"),
            "POST /v1/definitions/Trip/versions/3/retire" => json!({"live": 2}),
            _ => panic!("{call}"),
        };
        (200, answer.to_string())
    });
    check(
        &server,
        &["definition", "list"],
        expect![[r#"
        exit 0
        out | NAME  VERSION  STATUS   REGISTERED
        out | Trip  1        retired  2026-11-30 10:00:00
        out | Trip  3        active   2026-11-30 10:00:00
    "#]],
    );
    check(
        &server,
        &["definition", "show", "Trip"],
        expect![[r#"
        exit 0
        out | saga: Trip
        out | steps: [a, b]
    "#]],
    );
    check(
        &server,
        &["definition", "diff", "Trip"],
        expect![[r#"
        exit 0
        out | --- Trip v1
        out | +++ Trip v3
        out | @@ -1,2 +1,2 @@
        out |  saga: Trip
        out | -steps: [a]
        out | +steps: [a, b]
    "#]],
    );
    check(
        &server,
        &["definition", "retire", "Trip", "--version", "3"],
        expect![[r#"
        exit 0
        out | Trip v3 starts no more; 2 sagas of it are under way and go on
        err | they are: amends saga list --definition Trip --version 3
    "#]],
    );
}

#[test]
fn participants_are_shown_with_breaker_and_last_error() {
    let participant = json!({"name": "payments", "origin": "http://127.0.0.1:8082",
        "breaker": {"state": "open", "open_since": "2026-11-30T10:00:00.000Z", "probe_at": "2026-11-30T10:00:30.000Z"}, "queued": 12,
        "calls": 0, "concurrency": 64,
        "outcomes": {"completed": 5, "refused": 1, "working": 0, "unknown": 20, "conflict": 0},
        "last_error": {"at": "2026-11-30T10:00:00.000Z", "code": "timeout", "message": "no answer within 5 s"}});
    // One of a name, too, comes in a list: there may be one for each origin.
    let answer = json!({"participants": [participant], "next_cursor": null});
    let server = server(move |_, _| (200, answer.to_string()));
    check(
        &server,
        &["participant", "list"],
        expect![[r#"
        exit 0
        out | NAME      ORIGIN                 BREAKER  CALLS  QUEUED  COMPLETED  REFUSED  UNKNOWN  LAST ERROR
        out | payments  http://127.0.0.1:8082  open     0/64   12      5          1        20       timeout: no answer within 5 s
    "#]],
    );
    check(
        &server,
        &["participant", "show", "payments"],
        expect![[r#"
        exit 0
        out | participant payments
        out | origin      http://127.0.0.1:8082
        out | breaker     open since 2026-11-30 10:00:00, asks again at 2026-11-30 10:00:30
        out | calls       0 of 64, 12 wait
        out | answers     5 completed, 1 refused, 0 working, 20 unknown, 0 conflicts
        out | last error  2026-11-30 10:00:00 timeout: no answer within 5 s
    "#]],
    );
    check(
        &server,
        &["participant", "reset", "payments", "--output", "yaml"],
        expect![[r#"
            exit 0
            out | participants:
            out |   - name: payments
            out |     origin: "http://127.0.0.1:8082"
            out |     breaker:
            out |       state: open
            out |       open_since: "2026-11-30T10:00:00.000Z"
            out |       probe_at: "2026-11-30T10:00:30.000Z"
            out |     queued: 12
            out |     calls: 0
            out |     concurrency: 64
            out |     outcomes:
            out |       completed: 5
            out |       refused: 1
            out |       working: 0
            out |       unknown: 20
            out |       conflict: 0
            out |     last_error:
            out |       at: "2026-11-30T10:00:00.000Z"
            out |       code: timeout
            out |       message: "no answer within 5 s"
            out | next_cursor: null
        "#]],
    );
}

#[test]
fn shells_and_man_are_served() {
    for shell in ["bash", "zsh", "fish"] {
        let output = amends("http://server", &["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("participant"), "{shell}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    assert!(amends("http://server", &["man", &path]).status.success());
    let page = std::fs::read_to_string(directory.path().join("amends-saga-start.1")).unwrap();
    assert!(page.contains(".TH amends-saga-start 1") && page.contains("Idempotency key"), "{page}");
    assert!(String::from_utf8(amends("http://server", &["man"]).stdout).unwrap().contains(".TH amends 1"));
}
