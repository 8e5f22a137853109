//! A figure as people read it.
//!
//! Owns units and digits. Promises that what is not known looks like nothing else, and that of several runs
//! people see how far they lie apart where that is what counts. The unit itself is in the heading.

use serde_json::Value;

use super::row::Row;

/// How a figure is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// A name, yes or no, or a share of each core.
    AsItIs,
    /// Rounded to a whole number; of several runs with what lies around it.
    Whole,
    Tenths,
    Hundredths,
    Thousandths,
    /// Of microseconds.
    Milliseconds,
    /// Of bytes; of several runs with what lies around it.
    Megabytes,
    /// Of a share.
    Percent,
}

impl Show {
    /// `None` if the row does not know it.
    pub(crate) fn cell(self, row: &Row, key: &str) -> Option<String> {
        match row.get(key) {
            Value::Null | Value::Object(_) => None,
            Value::Bool(is_so) => Some(if *is_so { "yes" } else { "NO" }.to_owned()),
            Value::String(text) => Some(text.clone()),
            Value::Array(shares) => Some(cores(&shares.iter().filter_map(Value::as_f64).collect::<Vec<_>>())),
            Value::Number(_) => {
                row.number(key).map(|number| self.number(number) + &self.spread(row, key, number))
            }
        }
    }

    /// A number in the heading's unit.
    pub(crate) fn number(self, number: f64) -> String {
        match self {
            Self::AsItIs | Self::Whole => grouped(number),
            Self::Tenths => format!("{number:.1}"),
            Self::Hundredths => format!("{number:.2}"),
            Self::Thousandths => format!("{number:.3}"),
            Self::Milliseconds => format!("{:.2}", number / 1_000.0),
            Self::Megabytes => grouped(number / 1e6),
            Self::Percent => format!("{:.1} %", number * 100.0),
        }
    }

    /// Half of what lies between the least and the most.
    fn spread(self, row: &Row, key: &str, median: f64) -> String {
        let is_shown = matches!(self, Self::Whole | Self::Megabytes) && row.number("runs") > Some(1.0);
        let ends = row.number(&format!("{key}_min")).zip(row.number(&format!("{key}_max")));
        match ends {
            Some((min, max)) if is_shown && median > 0.0 => {
                format!(" ±{:.0} %", (max - min) / 2.0 / median * 100.0)
            }
            Some(_) | None => String::new(),
        }
    }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Each core, or the least and the most busy of many.
fn cores(shares: &[f64]) -> String {
    /// More do not fit into a column.
    const SHOWN_MAX: usize = 4;
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    if shares.len() <= SHOWN_MAX {
        return shares.iter().map(|share| percent(*share)).collect::<Vec<_>>().join(" ");
    }
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let most = shares.iter().copied().fold(0.0, f64::max);
    format!("{} to {}", percent(least), percent(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Spread;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0.0, 999.4, 1_000.0, 1_234_567.0].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn of_few_cores_people_see_each_and_of_many_the_range() {
        assert_eq!(cores(&[0.934, 0.88]), "93 % 88 %");
        assert_eq!(cores(&[0.5, 0.25, 1.0, 0.0, 0.1]), "0 % to 100 %");
    }

    #[test]
    fn of_several_runs_people_see_half_of_what_lies_between_the_ends() {
        let rate = Spread { min: 2_000.0, median: 4_500.0, max: 5_000.0 };
        let row = |runs: u32| Row::default().put("runs", runs).spread("rate", 1, rate).spread("p50", 0, rate);
        assert_eq!(Show::Whole.cell(&row(3), "rate").as_deref(), Some("4,500 ±33 %"));
        assert_eq!(Show::Whole.cell(&row(1), "rate").as_deref(), Some("4,500"));
        assert_eq!(Show::Milliseconds.cell(&row(3), "p50").as_deref(), Some("4.50"));
    }

    #[test]
    fn what_is_not_known_has_no_cell() {
        let row = Row::default().put("kernel", Value::Null).put("reached", false);
        assert_eq!(Show::Whole.cell(&row, "kernel"), None);
        assert_eq!(Show::AsItIs.cell(&row, "reached").as_deref(), Some("NO"));
    }
}
