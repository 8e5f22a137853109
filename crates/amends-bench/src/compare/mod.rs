//! Two reports side by side.
//!
//! Owns the verdict on each figure that both have. Promises that a change which may be chance is not called
//! one: it must be larger than what either report's runs differ by among themselves, and where there was only
//! one run, larger than [`NOISE_OF_ONE_RUN`](document::NOISE_OF_ONE_RUN). What was measured under other
//! circumstances is compared all the same, and said. Which rows and figures are compared is up to `parts.rs`.

mod document;
#[cfg(test)]
mod tests;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::error::BenchError;
use super::figure::grouped;
use super::parts::{Better, Column, PARTS, Part};
use super::row::rounded;
use super::table::{NOTHING, section};

pub(crate) use document::Document;
use document::{Figure, Found};

/// The comparison. Programs get its rows alone.
#[derive(Debug)]
pub(crate) struct Comparison {
    before: String,
    after: String,
    /// What the two differ by beside their figures.
    differences: Vec<String>,
    rows: Vec<Compared>,
}

/// One figure of one row.
#[derive(Debug, Serialize)]
struct Compared {
    part: &'static str,
    #[serde(flatten, serialize_with = "write_keys")]
    keys: Vec<(&'static str, Value)>,
    figure: &'static str,
    before: f64,
    after: f64,
    /// After by before; `None` if that was zero.
    ratio: Option<f64>,
    verdict: Verdict,
    #[serde(skip)]
    column: &'static Column,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Better,
    Worse,
    WithinNoise,
}

/// What should be the same for two reports to differ by nothing but the version of the program.
const CIRCUMSTANCES: [&str; 11] = [
    "model",
    "cpus",
    "kernel",
    "filesystem",
    "device",
    "write_cache",
    "durability",
    "build",
    "warm_up_s",
    "measured_s",
    "arrivals",
];

impl Comparison {
    /// # Errors
    /// When a row of either is not what a report has.
    pub(crate) fn of(before: &Document, after: &Document) -> Result<Self, BenchError> {
        let mut rows = Vec::new();
        for part in PARTS {
            let earlier = before.rows(part)?;
            for row in after.rows(part)? {
                if let Some(same) = earlier.iter().find(|earlier| earlier.keys == row.keys) {
                    rows.extend(compare_rows(part, same, &row));
                }
            }
        }
        let differences = CIRCUMSTANCES.iter().filter_map(|key| difference(key, before, after)).collect();
        Ok(Self { before: before.in_words(), after: after.in_words(), differences, rows })
    }

    /// What a person should know before believing the verdicts.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let differ = (!self.differences.is_empty()).then(|| {
            format!("the two reports differ by more than the program: {}", self.differences.join("; "))
        });
        let nothing = self.rows.is_empty().then(|| "the two reports have no row in common".to_owned());
        differ.into_iter().chain(nothing).collect()
    }

    /// For people.
    pub(crate) fn draw(&self) -> String {
        let Self { before, after, rows, .. } = self;
        if rows.is_empty() {
            return String::new();
        }
        let headings = ["", "figure", "before", "after", "ratio", "verdict"].map(str::to_owned);
        let cells = rows.iter().enumerate().map(|(at, row)| {
            let is_first = at == 0 || rows[at - 1].part != row.part || rows[at - 1].keys != row.keys;
            vec![
                if is_first { row.in_words() } else { String::new() },
                row.column.heading.replace('\n', " "),
                row.column.show.number(row.before),
                row.column.show.number(row.after),
                row.ratio.map_or_else(|| NOTHING.to_owned(), |ratio| format!("{ratio:.2}")),
                row.verdict.in_words().to_owned(),
            ]
        });
        section(&format!("Before: {before}\nAfter:  {after}"), headings.into(), cells, 2)
    }
}

/// A report of a version that did not say it, or that could not find it out, is given the benefit of the
/// doubt.
fn difference(key: &str, before: &Document, after: &Document) -> Option<String> {
    let (was, is) = before.circumstance(key).zip(after.circumstance(key))?;
    (was != is).then(|| format!("{key} was {was} and is {is}"))
}

fn compare_rows(part: &Part, before: &Found, after: &Found) -> Vec<Compared> {
    let compared = part.compared().filter_map(|(column, better)| {
        let (was, is) = before.figures.get(column.key).zip(after.figures.get(column.key))?;
        Some(Compared {
            part: part.name,
            keys: after.keys.clone(),
            figure: column.key,
            before: was.median,
            after: is.median,
            ratio: (was.median != 0.0).then(|| rounded(is.median / was.median, 3)),
            verdict: Verdict::of(better, *was, *is),
            column,
        })
    });
    compared.collect()
}

impl Verdict {
    fn of(better: Better, before: Figure, after: Figure) -> Self {
        let change = after.median - before.median;
        if change.abs() <= before.noise.max(after.noise) {
            return Self::WithinNoise;
        }
        match better {
            Better::More if change > 0.0 => Self::Better,
            Better::Less if change < 0.0 => Self::Better,
            Better::More | Better::Less => Self::Worse,
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::WithinNoise => "within noise",
        }
    }
}

impl Serialize for Comparison {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(to)
    }
}

fn write_keys<S: Serializer>(keys: &[(&'static str, Value)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(keys.len()))?;
    for (key, value) in keys {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

impl Compared {
    /// Which row it is of.
    fn in_words(&self) -> String {
        let words = self.keys.iter().filter_map(|(key, value)| match value.as_f64() {
            Some(number) => Some(format!("{} {}", key.replace('_', " "), grouped(number))),
            None => value.as_str().map(str::to_owned),
        });
        let words: Vec<String> = std::iter::once(self.part.to_owned()).chain(words).collect();
        words.join(", ")
    }
}
