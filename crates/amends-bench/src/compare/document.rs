//! A report as it was printed.
//!
//! Owns the reading of what an earlier run printed, of this version or another. Promises that keys it does
//! not know are passed over, that figures a version did not have yet are missing and not zero, and that
//! anything else that is not as it was printed is an error that names the file. Does not compare.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::error::BenchError;
use crate::parts::Part;

/// What two single runs of the same program may differ by: a fifth, as on virtual machines whose disk and
/// cores are shared.
pub(super) const NOISE_OF_ONE_RUN: f64 = 0.2;

/// The document of one run of the bench.
#[derive(Debug)]
pub(crate) struct Document {
    /// Where it is from.
    path: PathBuf,
    /// What it says of the machine and of its settings, as text; nothing of what it does not know.
    circumstances: BTreeMap<String, String>,
    parts: Value,
}

/// What is compared of one row.
#[derive(Debug)]
pub(super) struct Found {
    /// What tells it from the others.
    pub(super) keys: Vec<(&'static str, Value)>,
    /// Those it has of the figures that are compared.
    pub(super) figures: BTreeMap<&'static str, Figure>,
}

/// A figure, and by how much it may differ by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    pub(super) median: f64,
    pub(super) noise: f64,
}

impl Document {
    /// Of the run that has just been made.
    pub(crate) fn of(report: &impl Serialize) -> Self {
        let parts = serde_json::to_value(report).expect("the document has text for keys and finite numbers");
        Self::new(Path::new("this run"), parts).expect("a report is what a document is read from")
    }

    /// # Errors
    /// When the file cannot be read or is not a report.
    pub(crate) fn read(path: &Path) -> Result<Self, BenchError> {
        let bytes = fs::read(path).map_err(|error| unusable(path, error.to_string()))?;
        let parts = serde_json::from_slice(&bytes)
            .map_err(|error| unusable(path, format!("it is not JSON ({error})")))?;
        Self::new(path, parts)
    }

    fn new(path: &Path, parts: Value) -> Result<Self, BenchError> {
        let machine = parts.get("machine").and_then(Value::as_object);
        let machine = machine.ok_or_else(|| unusable(path, "it says nothing of a \"machine\"".to_owned()))?;
        let settings = parts.get("settings").and_then(Value::as_object);
        let settings =
            settings.ok_or_else(|| unusable(path, "it says nothing of its \"settings\"".to_owned()))?;
        let said = machine.iter().chain(settings);
        let known = said.filter(|(_, value)| !value.is_null());
        let circumstances = known.map(|(key, value)| (key.clone(), as_text(value))).collect();
        Ok(Self { path: path.to_owned(), circumstances, parts })
    }

    /// Where it is from, and of what.
    pub(super) fn in_words(&self) -> String {
        let said = |key| self.circumstances.get(key).map_or("unknown", String::as_str);
        format!("{} (Amends {}, {}, {})", self.path.display(), said("version"), said("build"), said("date"))
    }

    /// What it says of one circumstance, if anything.
    pub(super) fn circumstance(&self, key: &str) -> Option<&str> {
        self.circumstances.get(key).map(String::as_str)
    }

    /// The rows of a part; none if it was not measured.
    ///
    /// # Errors
    /// When there is something in their place.
    pub(super) fn rows(&self, part: &Part) -> Result<Vec<Found>, BenchError> {
        let Some(rows) = self.parts.get(part.name) else { return Ok(Vec::new()) };
        let rows = match rows.as_array() {
            Some(rows) => rows.iter().map(|row| Found::new(part, row)).collect::<Option<Vec<_>>>(),
            None => None,
        };
        rows.ok_or_else(|| unusable(&self.path, format!("its {:?} are not as they were printed", part.name)))
    }
}

impl Found {
    /// `None` if something is of another kind than it was printed as.
    fn new(part: &Part, row: &Value) -> Option<Self> {
        let runs = row.get("runs")?.as_u64().filter(|runs| *runs > 0)?;
        let mut figures = BTreeMap::new();
        for (column, _) in part.compared() {
            if let Some(found) = Figure::new(row, column.key, runs)? {
                figures.insert(column.key, found);
            }
        }
        let keys = part.keys.iter().map(|name| Some((*name, key(row.get(name))?)));
        Some(Self { keys: keys.collect::<Option<_>>()?, figures })
    }
}

impl Figure {
    /// The inner `None` is of a row that does not have the figure.
    fn new(row: &Value, key: &str, runs: u64) -> Option<Option<Self>> {
        let number = |key: &str| match row.get(key) {
            None | Some(Value::Null) => Some(None),
            Some(value) => value.as_f64().map(Some),
        };
        let ends = number(&format!("{key}_min"))?.zip(number(&format!("{key}_max"))?);
        let noise = |median: f64| match ends {
            Some((min, max)) if runs > 1 => max - min,
            Some(_) | None => NOISE_OF_ONE_RUN * median,
        };
        Some(number(key)?.map(|median| Self { median, noise: noise(median) }))
    }
}

/// What tells rows apart is a text, a number or nothing; a version that did not have it yet had nothing.
fn key(value: Option<&Value>) -> Option<Value> {
    let value = value.unwrap_or(&Value::Null);
    (value.is_null() || value.is_string() || value.is_number()).then(|| value.clone())
}

fn unusable(path: &Path, reason: String) -> BenchError {
    BenchError::Report { path: path.to_owned(), reason }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
