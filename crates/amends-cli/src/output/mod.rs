//! What commands print on the standard output.
//!
//! Owns the three forms: a table for people, one JSON document, one YAML document. Promises that the
//! documents carry the same, in the same order, and payloads to the byte. Does not print progress or errors:
//! those go to the standard error.

pub(crate) mod paint;
pub(crate) mod table;
mod yaml;

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
}

impl Output {
    /// Prints a document, or what people are shown instead of it.
    pub(crate) fn print<T: Serialize>(
        self,
        document: &T,
        table: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.document(document)? {
            Some(text) => print(&text),
            None => print(&table()),
        }
    }

    /// The document, if this is a form for programs.
    fn document<T: Serialize>(self, document: &T) -> Result<Option<String>, Failure> {
        let unwritable =
            |error: &dyn std::fmt::Display| Failure::new(format!("the answer cannot be printed: {error}"));
        Ok(match self {
            Self::Table => None,
            Self::Json => {
                Some(serde_json::to_string_pretty(document).map_err(|error| unwritable(&error))? + "\n")
            }
            Self::Yaml => {
                let json = serde_json::to_string(document).map_err(|error| unwritable(&error))?;
                Some(yaml::from_json(&json).map_err(|error| unwritable(&error))?)
            }
        })
    }
}

/// Prints a text that ends its own lines. A reader that has gone away (`| head`) is not a failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the standard output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
