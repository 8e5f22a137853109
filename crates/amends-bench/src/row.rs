//! One row of the document, whatever it tells of.
//!
//! Owns how figures are written: rounded, `null` where nothing is known, and of several runs the median under
//! the figure's own key and what lies around it under that with `_min` and `_max`. Does not know what the
//! keys mean: `parts.rs` does.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::runs::Spread;

/// Figures under their keys, in the order they were put in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row(Vec<(String, Value)>);

impl Row {
    /// What is as it is: a number of clients, a name.
    pub(crate) fn put(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.push((key.to_owned(), value.into()));
        self
    }

    /// A figure with so many digits behind the point; without any it is a whole number.
    pub(crate) fn figure(self, key: &str, digits: i32, figure: impl Into<Option<f64>>) -> Self {
        self.put(key, written(digits, figure.into()))
    }

    /// A figure of several runs.
    pub(crate) fn spread(self, key: &str, digits: i32, spread: impl Into<Option<Spread>>) -> Self {
        let spread = spread.into();
        self.figure(key, digits, spread.map(|spread| spread.median))
            .figure(&format!("{key}_min"), digits, spread.map(|spread| spread.min))
            .figure(&format!("{key}_max"), digits, spread.map(|spread| spread.max))
    }

    /// `Null` of a key that it does not have.
    pub(crate) fn get(&self, key: &str) -> &Value {
        self.0.iter().find(|(found, _)| found == key).map_or(&Value::Null, |(_, value)| value)
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.get(key).as_f64()
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn written(digits: i32, figure: Option<f64>) -> Value {
    match figure {
        None => Value::Null,
        Some(figure) if digits == 0 => Value::from(figure.round() as u64),
        Some(figure) => Value::from(rounded(figure, digits)),
    }
}

/// Digits that mean nothing are not printed.
pub(crate) fn rounded(number: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (number * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_and_what_is_not_known_is_null() {
        let spread = Spread { min: 0.123_456, median: 1.5, max: 2.0 };
        let row = Row::default()
            .put("clients", 64)
            .spread("cpu", 4, spread)
            .spread("p50_us", 0, spread)
            .figure("share", 2, None);
        assert_eq!(
            serde_json::to_string(&row).unwrap(),
            r#"{"clients":64,"cpu":1.5,"cpu_min":0.1235,"cpu_max":2.0,"p50_us":2,"p50_us_min":0,"p50_us_max":2,"share":null}"#
        );
        assert_eq!((row.number("cpu_max"), row.number("share"), row.number("none")), (Some(2.0), None, None));
    }
}
