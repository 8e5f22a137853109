//! The published schema of the format, and the definitions in the examples.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

use amends_definition::{compile, format_schema};
use serde_json::Value;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/definition.schema.json");

#[test]
fn the_committed_schema_is_the_one_that_is_made() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap();
    assert!(
        committed == format_schema(),
        "run `cargo xtask generate` and commit docs/definition.schema.json"
    );
}

#[test]
fn the_committed_page_of_keys_is_the_one_that_is_made() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/keys.md");
    let committed = std::fs::read_to_string(page).unwrap();
    let made = amends_definition::key_reference();
    assert!(committed == made, "run `cargo xtask generate` and commit docs/reference/keys.md");
    for row in made.lines().filter(|line| line.starts_with("| `")) {
        let example = row.split("| `").last().unwrap().trim_end_matches(" |").trim_end_matches('`');
        assert!(amends_definition::to_json(&example.replace("\\|", "|")).is_ok(), "{row}");
    }
}

fn is_valid(text: &str) -> bool {
    let schema: Value = serde_json::from_str(&format_schema()).unwrap();
    let validator = jsonschema::options().offline().build(&schema).unwrap();
    validator.is_valid(&amends_definition::to_json(text).unwrap())
}

/// Every YAML file of the examples.
fn examples() -> Vec<(String, String)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let folders = std::fs::read_dir(root).unwrap().map(|folder| folder.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .filter(|(_, text)| text.lines().any(|line| line.starts_with("saga:")))
        .collect()
}

#[test]
fn the_definitions_of_the_examples_have_no_findings_and_satisfy_the_schema() {
    for (path, text) in examples() {
        if let Err(findings) = compile(&text) {
            panic!("{path}\n{findings}");
        }
        assert!(is_valid(&text), "{path} does not satisfy the schema");
    }
}

#[test]
fn what_editors_underline_is_a_finding_too() {
    let good = "saga: A\nparticipants: { a: { url: \"http://x\" } }\nsteps:\n  - name: B\n    action: { call: a, post: /x, body: [1, \"${input}\"] }\n    read_only: true\n  - { name: C, sleep: 2h }\n  - { name: D, wait: { signal: ok, timeout: 1d, on_timeout: go_on } }\n";
    assert!(compile(good).is_ok() && is_valid(good), "{:?}", compile(good).err());
    for (from, to) in [
        ("steps:", "stepz:"),
        ("post: /x", "post: x"),
        ("post: /x,", ""),
        ("post: /x", "post: /x, put: /y"),
        ("2h", "2"),
        ("sleep: 2h", "sleep: 2h, wait: { signal: x }"),
        ("go_on", "goon"),
        ("read_only: true", "read_only: yes"),
        ("http://x", "x"),
        ("name: B", "name: \"B/C\""),
        ("name: C,", "name: C, as: x,"),
        ("saga: A", "saga: A\ntimeout: 2 minutes"),
    ] {
        let bad = good.replace(from, to);
        assert!(compile(&bad).is_err(), "{bad}");
        assert!(!is_valid(&bad), "{bad}");
    }
}
