//! Keeps the wire types pure: no async, clock or input and output, and nothing of ours to lean on.

use std::fs;
use std::path::Path;

const FORBIDDEN: &[&str] = &[
    "async ",
    ".await",
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::time",
    "std::thread",
    "tokio",
    "amends_",
];

#[test]
fn no_source_names_a_clock_a_runtime_input_output_or_another_crate_of_ours() {
    let sources: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(sources.len() > 5, "the sources are where this test looks");
    for path in sources {
        // A folder cannot be read as text: when there is one, this test must learn to look into it.
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let found = FORBIDDEN.iter().find(|word| line.contains(**word));
            assert_eq!(found, None, "{}: {line}", path.display());
        }
    }
}

#[test]
fn it_leans_on_three_crates_only() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> =
        section.lines().filter_map(|line| line.split('.').next()).filter(|name| !name.is_empty()).collect();
    assert_eq!(names, ["serde", "serde_json", "thiserror"]);
}
