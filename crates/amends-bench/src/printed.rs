//! How a result is printed.
//!
//! Owns the forms: JSON and YAML for programs, a page of tables for people. Promises one document on standard output, and
//! nothing else there. What is in it is up to the result.

use std::io::Write;

use serde::Serialize;

use super::args::Output;
use super::error::BenchError;

/// What can be printed.
pub(super) trait Printed: Serialize {
    /// For people.
    fn draw(&self) -> String;
}

pub(super) fn print(result: &impl Printed, output: Output) -> Result<(), BenchError> {
    let document = match output {
        Output::Json => json(result) + "\n",
        Output::Yaml => yaml(result),
        Output::Table => result.draw(),
    };
    std::io::stdout().write_all(document.as_bytes()).map_err(BenchError::Print)
}

pub(super) fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("documents have text for keys and finite numbers")
}

pub(super) fn yaml(document: &impl Serialize) -> String {
    serde_saphyr::to_string(document).expect("documents have text for keys and finite numbers")
}
