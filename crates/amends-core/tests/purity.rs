//! Keeps core pure: no async, clock, randomness or input and output, and nothing of ours to lean on.

use std::fs;
use std::path::{Path, PathBuf};

const FORBIDDEN: &[&str] = &[
    "async ",
    ".await",
    "std::time::Instant",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::thread",
    "std::process",
    "std::sync::Mutex",
    "static mut",
    "OnceLock",
    "thread_local!",
    "println!",
    "tokio",
    "rand::",
    "getrandom",
    "HashMap",
    "HashSet",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn impurities(text: &str) -> Vec<&'static str> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    FORBIDDEN.iter().copied().filter(|word| has_word(&code, word)).collect()
}

/// Whether the code has the word where no longer name ends in it.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn core_names_no_clock_no_runtime_and_no_input_or_output() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 5, "the sources are where this test looks");
    for file in files {
        let found = impurities(&fs::read_to_string(&file).unwrap());
        assert!(found.is_empty(), "{} uses {found:?}", file.display());
    }
}

#[test]
fn this_test_sees_an_impurity() {
    assert_eq!(impurities("let now = std::time::Instant::now();"), ["std::time::Instant", "Instant::now"]);
    assert_eq!(impurities("let bits = rand::random();"), ["rand::"]);
    assert_eq!(impurities("use errand::Event;\n// SystemTime is not used here"), [""; 0]);
}

#[test]
fn core_leans_on_two_small_crates_only() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let names: Vec<&str> = section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|n| !n.is_empty())
        .collect();
    assert_eq!(names, ["bytes", "thiserror"]);
}
