//! Texts that nobody means well with: each has an answer, and soon.

use std::time::{Duration, Instant};

use amends_definition::{Given, compile};
use proptest::prelude::*;

const GOOD: &str = include_str!("golden/everything.yaml");

/// Far more than any takes on a machine that has other things to do; what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Parts that texts of definitions are made of.
fn fragments() -> impl Strategy<Value = String> {
    let words = vec![
        "saga:",
        "steps:",
        "- name: A",
        "action:",
        "{",
        "}",
        "[",
        "]",
        "call: a",
        "post: /x",
        "${",
        "}",
        "\"",
        "'",
        "|",
        ">-",
        "&x",
        "*x",
        "!!int",
        "---",
        "...",
        "#",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        ": ",
        ", ",
        "? ",
        "null",
        "1e9",
        "input",
        ".map(x, x)",
        "has(",
        "%YAML 1.2",
        "<<:",
        "é",
        "\u{85}",
        "\u{feff}",
        "timeout: 2",
        "- ",
        "body:",
    ];
    prop::collection::vec(prop::sample::select(words), 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text in "\\PC{0,200}") {
        answer(&text);
    }

    #[test]
    fn any_mixture_of_what_definitions_are_made_of_has_an_answer(text in fragments()) {
        answer(&text);
    }

    #[test]
    fn a_good_definition_with_a_slip_has_an_answer(at in 0..GOOD.len(), length in 0..12usize, put in "[ -~\n]{0,4}") {
        let start = GOOD.floor_char_boundary(at);
        let end = GOOD.floor_char_boundary((start + length).min(GOOD.len()));
        answer(&format!("{}{put}{}", &GOOD[..start], &GOOD[end..]));
    }

    #[test]
    fn any_input_is_judged_and_rendered(input in "\\PC{0,60}", output in "[\\[\\]{}0-9a-z\":, ]{0,40}") {
        let document = compile(GOOD).unwrap();
        let _ = document.judge_input(input.as_bytes());
        let outputs = document.step_names().into_iter().map(|name| (name, output.clone().into_bytes())).collect();
        let given = Given { input: input.into_bytes(), outputs, ..Given::default() };
        let _ = document.render(&given);
    }
}

/// An answer within reason, and findings that can be shown.
fn answer(text: &str) {
    let began = Instant::now();
    match compile(text) {
        Ok(document) => drop(document.definition(1, |_| Some(1))),
        Err(findings) => {
            assert!(!findings.0.is_empty(), "an answer without a reason");
            for finding in &findings.0 {
                assert!(finding.line >= 1 && finding.column >= 1 && finding.end_column > finding.column);
            }
            drop(findings.to_string());
        }
    }
    assert!(began.elapsed() < PATIENCE, "{} bytes took {:?}", text.len(), began.elapsed());
}

#[test]
fn large_texts_have_an_answer_soon() {
    let n = 100_000;
    let hostile = [
        "[".repeat(n),
        "{".repeat(n),
        "{a: ".repeat(n),
        "- ".repeat(n),
        "? ".repeat(n),
        "a: ".repeat(n),
        "\"".repeat(n),
        "saga: A\nsteps:\n".to_owned() + &"- name: A\n".repeat(n / 4),
        "saga: A\nsteps:\n".to_owned()
            + &(0..900).map(|n| format!("- {{ name: s{n}, sleep: 1s }}\n")).collect::<String>(),
        (0..n / 4).map(|n| format!("k{n}: 1\n")).collect::<String>(),
        "&a [*a, *a]\n".repeat(n / 12),
        "a: &a [x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\n".to_owned(),
        format!("{}{}", "[".repeat(n), "]".repeat(n)),
        format!("{{\"a\": {}1{}}}", "[".repeat(100), "]".repeat(100)),
        "x".repeat(600_000),
        "#".repeat(n) + "\n",
        "a: |\n".to_owned() + &"  x\n".repeat(n / 4),
    ];
    for text in hostile {
        answer(&text);
    }
}

#[test]
fn hostile_expressions_cannot_hang_what_runs_them() {
    let with = |body: &str| {
        format!(
            "saga: A\nparticipants: {{ a: {{ url: \"http://x\" }} }}\nsteps:\n  - name: B\n    action: {{ call: a, post: /x, body: {} }}\n    read_only: true\n",
            serde_json::to_string(body).unwrap()
        )
    };
    let list = format!("[{}]", vec!["0"; 1_000].join(","));
    for body in [
        "${input.map(x, input.map(y, x + y))}".to_owned(),
        "${input.all(x, input.exists(y, x == y + 100000))}".to_owned(),
        "${input == input + [1]}".to_owned(),
        "${input.map(x, string(x)).join(input.map(x, string(x)).join('x'))}".to_owned(),
        "${input}".repeat(1_000),
    ] {
        let document = compile(&with(&body)).unwrap_or_else(|findings| panic!("{findings}"));
        let input = list.clone().into_bytes();
        let began = Instant::now();
        let _ = document.render(&Given { input, ..Given::default() });
        assert!(began.elapsed() < PATIENCE, "{body} took {:?}", began.elapsed());
    }
}
