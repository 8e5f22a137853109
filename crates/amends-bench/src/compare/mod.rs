//! Two reports side by side.
//!
//! Owns the verdict on each figure that both have. Promises that a change which may be chance is not called one: it must be
//! larger than what either report's runs differ by among themselves, and where there was only one run, larger than
//! [`NOISE_OF_ONE_RUN`]. What was measured under other circumstances is compared all the same, and said. Which rows and
//! figures are compared is up to the parts of the report.

mod document;
#[cfg(test)]
mod tests;

use comfy_table::Table;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::error::BenchError;
use crate::printed::Printed;
use crate::runs::rounded;
use crate::table::{grouped, section, table};

pub(crate) use document::Document;
use document::{Figure, Key, Row};

/// What two single runs of the same program may differ by: a fifth, as on virtual machines whose disk and cores are shared.
const NOISE_OF_ONE_RUN: f64 = 0.2;

/// What of a part of the report is compared.
#[derive(Debug)]
pub(crate) struct ComparedPart {
    /// Its key in the document.
    pub(crate) name: &'static str,
    /// What tells its rows apart.
    pub(crate) keys: &'static [&'static str],
    pub(crate) figures: &'static [ComparedFigure],
}

/// A figure that is compared.
#[derive(Debug)]
pub(crate) struct ComparedFigure {
    /// Its key in the rows; with `_min` and `_max` its spread.
    pub(crate) key: &'static str,
    pub(crate) better: Better,
    /// For people.
    pub(crate) heading: &'static str,
    /// For people, in the heading's unit.
    pub(crate) show: fn(f64) -> String,
}

/// Which way a figure should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// The comparison. Programs get its rows alone.
#[derive(Debug)]
pub(crate) struct Comparison {
    before: String,
    after: String,
    /// What the two differ by beside their figures.
    differences: Vec<String>,
    rows: Vec<Compared>,
}

/// The document that is nothing but a comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Alone {
    compared: Comparison,
}

impl Printed for Alone {
    fn draw(&self) -> String {
        self.compared.draw().trim_start().to_owned()
    }
}

/// One figure of one row.
#[derive(Debug, Serialize)]
struct Compared {
    part: &'static str,
    #[serde(flatten, serialize_with = "write_keys")]
    keys: Vec<(&'static str, Key)>,
    figure: &'static str,
    before: f64,
    after: f64,
    /// After by before; `None` if that was zero.
    ratio: Option<f64>,
    verdict: Verdict,
    #[serde(skip)]
    how: &'static ComparedFigure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Better,
    Worse,
    WithinNoise,
}

/// What should be the same for two reports to tell of nothing but two versions of the program.
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
    pub(crate) fn of(
        before: &Document,
        after: &Document,
        parts: &[&'static ComparedPart],
    ) -> Result<Self, BenchError> {
        let mut rows = Vec::new();
        for part in parts {
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

    /// As a document of its own, of two reports that were there before.
    pub(crate) fn alone(self) -> Alone {
        Alone { compared: self }
    }

    /// For people.
    pub(crate) fn draw(&self) -> String {
        let Self { before, after, .. } = self;
        let title = format!("Before: {before}\nAfter:  {after}");
        section(&title, &self.rows, draw_rows)
    }
}

/// A report of a version that did not say it, or that could not find it out, is given the benefit of the doubt.
fn difference(key: &str, before: &Document, after: &Document) -> Option<String> {
    let (was, is) = before.circumstance(key).zip(after.circumstance(key))?;
    (was != is).then(|| format!("{key} was {was} and is {is}"))
}

fn compare_rows(part: &'static ComparedPart, before: &Row, after: &Row) -> Vec<Compared> {
    let compared = part.figures.iter().filter_map(|how| {
        let (was, is) = before.figures.get(how.key).zip(after.figures.get(how.key))?;
        Some(Compared {
            part: part.name,
            keys: after.keys.clone(),
            figure: how.key,
            before: was.median,
            after: is.median,
            ratio: (was.median != 0.0).then(|| rounded(is.median / was.median, 3)),
            verdict: Verdict::of(how.better, *was, *is),
            how,
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

fn write_keys<S: Serializer>(keys: &[(&'static str, Key)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(keys.len()))?;
    for (key, value) in keys {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

fn draw_rows(rows: &[Compared]) -> Table {
    let row = |(at, row): (usize, &Compared)| {
        let is_first = at == 0 || rows[at - 1].part != row.part || rows[at - 1].keys != row.keys;
        [
            ("", if is_first { row.in_words() } else { String::new() }),
            ("figure", row.how.heading.to_owned()),
            ("before", (row.how.show)(row.before)),
            ("after", (row.how.show)(row.after)),
            ("ratio", row.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))),
            ("verdict", row.verdict.in_words().to_owned()),
        ]
    };
    table(rows.iter().enumerate().map(row), 2)
}

impl Compared {
    /// Which row it is of.
    fn in_words(&self) -> String {
        let words = self.keys.iter().filter_map(|(key, value)| {
            let number = match value {
                Key::Absent => return None,
                Key::Text(text) => return Some(text.clone()),
                Key::Whole(number) => *number as f64,
                Key::Fraction(number) => *number,
            };
            Some(format!("{} {}", key.replace('_', " "), grouped(number)))
        });
        let words: Vec<String> = std::iter::once(self.part.to_owned()).chain(words).collect();
        words.join(", ")
    }
}
