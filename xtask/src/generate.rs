//! `cargo xtask generate`: everything in the repository that is made from something else.
//!
//! Owns the reference of limits, `docs/limits.md`, made from every `limits.rs`, the OpenAPI document,
//! `docs/openapi.json`, and the JSON Schema of definitions, `docs/definition.schema.json`, with the page of its keys, which their crates print. Promises that the tests fail
//! while what is committed differs from what would be made. Does not understand Rust: it reads the one shape
//! those files have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;

/// The command line.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Change nothing; fail if something would change.
    #[arg(long)]
    check: bool,
}

const LIMITS: &str = "docs/limits.md";
const OPENAPI: &str = "docs/openapi.json";
const SCHEMA: &str = "docs/definition.schema.json";
const KEYS: &str = "docs/reference/keys.md";

/// The files that name limits, with what the reader knows them by.
const SOURCES: &[(&str, &str)] = &[
    ("Core", "crates/amends-core/src/limits.rs"),
    ("Engine", "crates/amends-engine/src/limits.rs"),
    ("Definitions", "crates/amends-definition/src/limits.rs"),
    ("Calls over HTTP", "crates/amends-http/src/limits.rs"),
    ("Journal", "crates/amends-journal/src/limits.rs"),
    ("Journal on SQLite", "crates/amends-journal-sqlite/src/limits.rs"),
    ("Log", "crates/amends-log/src/limits.rs"),
    ("SQLite", "crates/amends-sqlite/src/limits.rs"),
    ("Server", "crates/amends-server/src/limits.rs"),
    ("Participant", "crates/amends-participant/src/limits.rs"),
    ("Client", "crates/amends-client/src/limits.rs"),
    ("Shop", "examples/shop/src/limits.rs"),
];

/// Carries out `cargo xtask generate`.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let made = match limits() {
        Ok(made) => made,
        Err(why) => {
            eprintln!("generate: {why}");
            return ExitCode::from(2);
        }
    };
    let path = root().join(LIMITS);
    let is_current = fs::read_to_string(&path).is_ok_and(|there| there == made);
    if arguments.check {
        // What crates print is compared by a test of each, which is built for that anyway.
        if is_current {
            return ExitCode::SUCCESS;
        }
        eprintln!(
            "generate: {LIMITS} is not what its sources make: run `cargo xtask generate` and commit it"
        );
        return ExitCode::FAILURE;
    }
    let written = write(LIMITS, &made)
        .and_then(|()| write(OPENAPI, &printed(OPENAPI, "amends-server", "openapi")?))
        .and_then(|()| write(SCHEMA, &printed(SCHEMA, "amends-definition", "schema")?))
        .and_then(|()| write(KEYS, &printed(KEYS, "amends-definition", "keys")?));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("generate: {why}");
            ExitCode::from(2)
        }
    }
}

fn write(file: &str, made: &str) -> Result<(), String> {
    fs::write(root().join(file), made).map_err(|error| format!("{file} cannot be written: {error}"))
}

/// What an example of a crate prints.
fn printed(file: &str, package: &str, example: &str) -> Result<String, String> {
    let arguments = ["run", "--quiet", "--package", package, "--example", example];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output();
    let output = output.map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("{file}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{file}: it is not UTF-8"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn limits() -> Result<String, String> {
    let mut page = String::from(
        "# Limits\n\nEvery queue, batch, payload, loop and retry has a named limit. Made by `cargo xtask generate` from the \
         `limits.rs` of each crate;\nchange it there.\n",
    );
    for (title, source) in SOURCES {
        let text = fs::read_to_string(root().join(source)).map_err(|error| format!("{source}: {error}"))?;
        let rows = rows(&text);
        if rows.is_empty() {
            return Err(format!("{source} names no limits"));
        }
        page += &format!("\n## {title}\n\n| limit | value | what it bounds |\n|---|---|---|\n");
        for Row { name, value, about } in rows {
            page += &format!("| `{name}` | `{value}` | {about} |\n");
        }
    }
    Ok(page)
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    value: String,
    about: String,
}

/// Documented public constants: `/// about` lines, then `pub const NAME: TYPE = VALUE;`.
fn rows(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut about: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(sentence) = line.strip_prefix("///") {
            about.push(sentence.trim());
        } else if let Some(constant) = line.strip_prefix("pub const ")
            && let Some((name, rest)) = constant.split_once(": ")
            && let Some((_, value)) = rest.split_once(" = ")
        {
            rows.push(Row {
                name: name.to_owned(),
                value: value.trim_end_matches(';').to_owned(),
                about: about.join(" ").replace('|', "\\|"),
            });
            about.clear();
        } else {
            about.clear();
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_constant_is_a_row() {
        let text = "//! Module.\n\n/// Bytes in a body,\n/// a|b.\npub const BODY: usize = 1 << 20;\n\nconst PRIVATE: u8 = 1;\n";
        assert_eq!(
            rows(text),
            [Row {
                name: "BODY".to_owned(),
                value: "1 << 20".to_owned(),
                about: "Bytes in a body, a\\|b.".to_owned(),
            }]
        );
    }
}
