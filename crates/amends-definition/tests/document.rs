//! What a compiled definition answers: inputs judged, parts masked, secrets and sub-sagas allowed or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_core::{Definition, DefinitionName};
use amends_definition::{Document, Place, compile};
use expect_test::{Expect, expect};

fn document(text: &str) -> Document {
    compile(text).unwrap_or_else(|findings| panic!("{findings}"))
}

const STEPS: &str = "participants: { a: { url: \"http://x\", secret: [AMENDS_SECRET_A, PGPASSWORD], bearer: HOME } }\nsteps:\n  - { name: First, action: { call: a, post: /x }, read_only: true }\n  - { name: Last, action: { call: a, post: /x }, read_only: true }\n";

fn judged(schema: &str, input: &str, expected: Expect) {
    let document = document(&format!("saga: A\ninput: {schema}\n{STEPS}"));
    let shown = match document.judge_input(input.as_bytes()) {
        Ok(()) => "fits".to_owned(),
        Err(flaws) => flaws
            .iter()
            .map(|flaw| format!("{:?}: {}", flaw.pointer, flaw.message))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn inputs_are_judged_by_the_schema_and_values_are_not_shown() {
    let schema = "{ type: object, required: [id, card], properties: { id: { type: integer, maximum: 12345678901234567890 }, card: { type: string, pattern: \"^[0-9]+$\" } }, additionalProperties: false }";
    judged(schema, r#"{"id": 1, "card": "4000"}"#, expect!["fits"]);
    judged(schema, r#"{"id": 1.0, "card": "4000"}"#, expect!["fits"]);
    judged(
        schema,
        r#"{"id": 12345678901234567891, "card": "secret", "x": 1}"#,
        expect![[r#"
        "/card": the value does not match "^[0-9]+$"
        "/id": the value is greater than the maximum of 12345678901234567890
        "": Additional properties are not allowed ('x' was unexpected)"#]],
    );
    judged(schema, "[]", expect![[r#""": the value is not of type "object""#]]);
    judged(
        schema,
        "{",
        expect![[r#""": this is not JSON that can be read: EOF while parsing an object at line 1 column 1"#]],
    );
    judged("{ $ref: \"#\" }", "[]", expect!["fits"]);
    judged(
        "{ $defs: { t: { type: array, items: { $ref: \"#/$defs/t\" } } }, $ref: \"#/$defs/t\" }",
        "[[[]]]",
        expect!["fits"],
    );
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    judged(
        "{ type: array }",
        &deep,
        expect![[r#""": this is not JSON that can be read: recursion limit exceeded at line 1 column 128"#]],
    );
}

#[test]
fn schemas_that_cannot_be_read_are_findings() {
    for (schema, expected) in [
        (
            "{ type: strng }",
            expect![[r#"
                error[schema]: `strng` is not a type of JSON Schema
                 --> 2:16
                  |
                2 | input: { type: strng }
                  |                ^^^^^
                  = help: did you mean `string`?"#]],
        ),
        (
            "{ $ref: \"http://example.com/x.json\" }",
            expect![[r#"
                error[schema]: this is not a JSON Schema: Resource 'http://example.com/x.json' is not present in a registry and retrieving it failed: Retrieval is disabled, cannot fetch http://example.com/x.json
                 --> 2:8
                  |
                2 | input: { $ref: "http://example.com/x.json" }
                  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                  = help: it is read as draft 2020-12; `$ref` reaches only within it, nothing is fetched"#]],
        ),
        (
            "{ $ref: \"file:///etc/passwd\" }",
            expect![[r#"
                error[schema]: this is not a JSON Schema: Resource 'file:///etc/passwd' is not present in a registry and retrieving it failed: Retrieval is disabled, cannot fetch file:///etc/passwd
                 --> 2:8
                  |
                2 | input: { $ref: "file:///etc/passwd" }
                  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                  = help: it is read as draft 2020-12; `$ref` reaches only within it, nothing is fetched"#]],
        ),
        (
            "{ pattern: \"(a\" }",
            expect![[r#"
                error[schema]: this is not a JSON Schema: value is not a "regex"
                 --> 2:19
                  |
                2 | input: { pattern: "(a" }
                  |                   ^^^^^
                  = help: patterns are those of Rust's `regex`: without look-around and back-references"#]],
        ),
        (
            "{ pattern: \"(?=a)\" }",
            expect![[r#"
                error[schema]: this is not a JSON Schema: value is not a "regex"
                 --> 2:19
                  |
                2 | input: { pattern: "(?=a)" }
                  |                   ^^^^^^^^
                  = help: patterns are those of Rust's `regex`: without look-around and back-references"#]],
        ),
        (
            "{ properties: { a: { requierd: [b] } }, user_id: string }",
            expect![[r#"
            error[unknown_key]: `requierd` is not a keyword of JSON Schema
             --> 2:29
              |
            2 | input: { properties: { a: { requierd: [b] } }, user_id: string }
              |                             ^^^^^^^^
              = help: did you mean `required`?

            error[unknown_key]: `user_id` is not a keyword of JSON Schema
             --> 2:48
              |
            2 | input: { properties: { a: { requierd: [b] } }, user_id: string }
              |                                                ^^^^^^^
              = help: it would be ignored: fields of an object stand in `properties`; own keywords begin with `x-`"#]],
        ),
        (
            "[]",
            expect![[r#"
            error[schema]: a JSON Schema is a map, not a list
             --> 2:8
              |
            2 | input: []
              |        ^^"#]],
        ),
    ] {
        let found = compile(&format!("saga: A\ninput: {schema}\n{STEPS}")).map(drop).unwrap_err();
        expected.assert_eq(&found.to_string());
    }
}

#[test]
fn sensitive_parts_are_masked_and_the_rest_keeps_its_bytes() {
    let text = format!(
        "saga: A\nsensitive: [input.card.number, input.people.name, steps.First.output, steps.Last.output.token]\n{STEPS}"
    );
    let document = document(&text);
    let masked = |place, payload: &str| String::from_utf8(document.mask(place, payload.as_bytes())).unwrap();
    expect![[r#"{"card":{"number":"[sensitive]","kind":"x"},"n":1.50,"people":[{"name":"[sensitive]"},{"name":"[sensitive]","b":[ ]},7]}"#]].assert_eq(&masked(
        Place::Input,
        r#"{"card": {"number": "4000", "kind":  "x"}, "n": 1.50, "people": [{"name": "Ann"}, {"name": null, "b": [ ]}, 7]}"#,
    ));
    assert_eq!(masked(Place::Input, r#"{"card": 7}"#), r#"{"card":7}"#);
    assert_eq!(masked(Place::Output("First"), "[1, 2]"), "\"[sensitive]\"");
    assert_eq!(
        masked(Place::Output("Last"), r#"{"token": "t", "x": 1 }"#),
        r#"{"token":"[sensitive]","x":1}"#
    );
    assert_eq!(
        masked(Place::SagaOutput, r#"{"token": "t"}"#),
        r#"{"token":"[sensitive]"}"#,
        "it is the last step's"
    );
    assert_eq!(masked(Place::Input, "not JSON"), "\"[sensitive]\"");
    assert_eq!(masked(Place::Output("Nobody"), "not JSON"), "not JSON");
    assert!(document.is_sensitive(Place::Input) && !document.is_sensitive(Place::Output("Nobody")));
}

#[test]
fn only_some_environment_variables_may_be_named() {
    let document = document(&format!("saga: A\n{STEPS}"));
    expect![[r#"
        error[secret]: the environment variable `HOME` may not be named here
         --> 2:86
          |
        2 | ", secret: [AMENDS_SECRET_A, PGPASSWORD], bearer: HOME } }
          |                                                   ^^^^
          = help: give it a name that begins with AMENDS_SECRET_, or list it in the configuration"#]]
    .assert_eq(&document.judge_secrets(&["PGPASSWORD".to_owned()]).unwrap_err().to_string());
    assert_eq!(document.judge_secrets(&["PGPASSWORD".to_owned(), "HOME".to_owned()]), Ok(()));
}

/// Registers definitions one after the other, as an engine does.
fn register(texts: &[&str]) -> String {
    let mut known: BTreeMap<String, Vec<Definition>> = BTreeMap::new();
    for text in texts {
        let document = match compile(text) {
            Ok(document) => document,
            Err(findings) => return findings.to_string(),
        };
        let version = known.get(document.name.as_str()).map_or(1, |versions| versions.len() as u32 + 1);
        let newest = |name: &DefinitionName| known.get(name.as_str()).map(|versions| versions.len() as u32);
        let look = |name: &DefinitionName, version: u32| {
            known.get(name.as_str()).and_then(|versions| versions.get(version as usize - 1)).cloned()
        };
        let definition = match document.definition(version, newest) {
            Ok(definition) => definition,
            Err(findings) => return findings.to_string(),
        };
        if let Err(findings) = document.judge_children(&definition, &look) {
            return findings.to_string();
        }
        let name = document.name.to_string();
        known.entry(name).or_default().push(Definition::Saga(Arc::new(definition)));
    }
    "all fine".to_owned()
}

fn starting(name: &str, child: &str) -> String {
    format!("saga: {name}\nsteps:\n  - {{ name: Child, saga: {child} }}\n")
}

#[test]
fn sub_sagas_stand_where_they_can_be_undone() {
    let undone = "saga: Undone\nparticipants: { a: { url: \"http://x\" } }\nsteps:\n  - { name: A, action: { call: a, post: /x }, compensation: { call: a, post: /y } }\n";
    let standing = "saga: Standing\nparticipants: { a: { url: \"http://x\" } }\nsteps:\n  - { name: A, action: { call: a, post: /x }, compensation: none }\npivot: A\n";
    assert_eq!(register(&[undone, &starting("Parent", "Undone")]), "all fine");
    expect![[r#"
        error[child_without_undo]: `Standing` cannot be undone as a whole: its step `A` has no compensation
         --> 3:13
          |
        3 |   - { name: Child, saga: Standing }
          |             ^^^^^
          = help: before the pivot, or without one, only what can be undone may run: make this step the pivot, put it after the pivot, or give that step a compensation"#]].assert_eq(&register(&[standing, &starting("Parent", "Standing")]));
    expect![[r#"
        error[child_without_undo]: `Middle` cannot be undone as a whole: its step `Child/A` has no compensation
         --> 3:13
          |
        3 |   - { name: Child, saga: Middle }
          |             ^^^^^
          = help: before the pivot, or without one, only what can be undone may run: make this step the pivot, put it after the pivot, or give that step a compensation"#]].assert_eq(&register(&[
        standing,
        &(starting("Middle", "Standing") + "pivot: Child\n"),
        &starting("Top", "Middle"),
    ]));
    assert_eq!(register(&[standing, &(starting("Parent", "Standing") + "pivot: Child\n")]), "all fine");
    expect![[r#"
        error[unknown_definition]: there is no definition `Nobody`
         --> 3:13
          |
        3 |   - { name: Child, saga: Nobody }
          |             ^^^^^
          = help: register it first"#]]
    .assert_eq(&register(&[&starting("Parent", "Nobody")]));
    expect![[r#"
        error[child_circle]: `Parent` would start itself
         --> 3:13
          |
        3 |   - { name: Child, saga: Parent }
          |             ^^^^^"#]]
    .assert_eq(&register(&[&starting("Parent", "Parent")]));
    let again = starting("Undone", "Parent");
    expect![[r#"
        error[child_circle]: `Parent` starts `Undone`, directly or not
         --> 3:13
          |
        3 |   - { name: Child, saga: Parent }
          |             ^^^^^
          = help: a saga cannot be its own sub-saga: break the circle"#]]
    .assert_eq(&register(&[undone, &starting("Parent", "Undone"), &again]));
    let mut tower = vec![undone.replace("Undone", "L0")];
    tower.extend((1..9).map(|level| starting(&format!("L{level}"), &format!("L{}", level - 1))));
    let tower: Vec<&str> = tower.iter().map(String::as_str).collect();
    assert_eq!(register(&tower[..8]), "all fine");
    expect![[r#"
        error[too_deep]: sub-sagas would run in each other more than 8 deep
         --> 3:13
          |
        3 |   - { name: Child, saga: L7 }
          |             ^^^^^
          = help: start some of them beside each other"#]]
    .assert_eq(&register(&tower));
}
