//! Texts of released versions give the same plan in this one.
//!
//! A difference here means that a registered definition would run differently after an upgrade: change the code,
//! not the golden file. A new release adds a text of its own.

use amends_core::saga::definition::{CallSpec, CompensationSpec, StepKind, WaitStep};
use amends_definition::{Given, Rendered, RenderedWhat, compile};
use expect_test::expect_file;

#[test]
fn an_old_text_compiles_to_the_same_plan() {
    let text = include_str!("golden/everything.yaml");
    let document = compile(text).unwrap_or_else(|findings| panic!("{findings}"));
    let definition = document.definition(1, |_| Some(1)).unwrap_or_else(|findings| panic!("{findings}"));
    let input = r#"{"user_id": "Ann  B", "notify": true, "legs": [{"city": "São Paulo"}, {"city":"x", "n": 1.0}], "card": "4000"}"#;
    let outputs = [
        ("CreateOrder", r#"{"order_id": 7}"#),
        ("Check", "{}"),
        ("Leg", r#"[{"id": 1}, {"id": 2}]"#),
        ("Pay", r#"{"token": "secret", "x": [ 1 ]}"#),
    ];
    let given = Given {
        id: "01890000-0000-7000-8000-000000000000".to_owned(),
        started_at: "2026-11-30T10:00:00.000Z".to_owned(),
        input: input.as_bytes().to_vec(),
        outputs: outputs.map(|(step, output)| (step.to_owned(), output.as_bytes().to_vec())).into(),
    };
    let mut made = format!(
        "{} within {:?}, pivot {:?}\n",
        document.name,
        definition.spec().limit,
        definition.spec().pivot
    );
    for (step, checked) in definition.spec().steps.iter().zip(definition.steps()) {
        let each = step.each.map(|each| each.concurrency);
        made += &format!(
            "\n{} after {:?} when {} each {each:?} {:?}\n",
            step.name, step.after, step.when, checked.role
        );
        match &step.kind {
            StepKind::Call(call) => {
                let limit = checked.calls().map(|calls| calls.limit);
                made += &format!(
                    "  action {} limit {limit:?} refuse_on {:?}\n",
                    shown(&call.action),
                    call.refuse_on
                );
                match &call.compensation {
                    CompensationSpec::Call { call, needs_output } => {
                        made += &format!("  undo {} needs_output {needs_output}\n", shown(call));
                    }
                    other => made += &format!("  undo {other:?}\n"),
                }
            }
            StepKind::Sleep { length } => made += &format!("  sleep {length:?}\n"),
            StepKind::Wait(wait) => {
                let WaitStep { signal, limit, on_timeout, refused_by, .. } = wait;
                made += &format!("  wait {signal} {limit:?} {on_timeout:?} {refused_by:?}\n");
            }
            StepKind::Child(child) => made += &format!("  child {} {}\n", child.definition, child.version),
        }
    }
    for (name, settings) in &document.participants {
        made += &format!("\n{name}: {settings:?}\n");
    }
    for Rendered { step, what } in document.render(&given) {
        match what {
            RenderedWhat::Call { direction, url, request, .. } => {
                let request = request.map(|request| String::from_utf8(request.encode().to_vec()).unwrap());
                made += &format!("\n{step} {} {url}\n{}\n", direction.as_str(), request.unwrap());
            }
            other => made += &format!("\n{step} {other:?}\n"),
        }
    }
    expect_file!["golden/everything.txt"].assert_eq(&made);
}

/// What was decided about a call.
fn shown(call: &CallSpec) -> String {
    let CallSpec { participant, operation, attempt_limit, retry, pending, .. } = call;
    let retry = retry
        .as_ref()
        .map(|retry| format!("{:?} {:?} {} {:?}", retry.attempts, retry.first, retry.factor, retry.cap));
    format!("{participant} {operation} {attempt_limit:?} pending {pending:?} retry {retry:?}")
}
