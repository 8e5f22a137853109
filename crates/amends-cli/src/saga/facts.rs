//! Facts, a line each.
//!
//! Owns the line. Promises that a fact of a newer server is shown too. Does not read facts.

use amends_api::Fact;

use super::show::reason_text;
use crate::output::paint::{Paint, Style};
use crate::output::table::{cut, printable};
use crate::times;

/// Characters of a payload that are shown.
const PAYLOAD_SHOWN: usize = 80;

/// Characters that the name of a fact takes: those of the longest usual one.
const FACT_WIDTH: usize = 22;

/// A fact as a line.
pub(super) fn line(fact: &Fact, paint: Paint) -> String {
    let mut parts = Vec::new();
    if let Some(step) = &fact.step {
        parts.push(step.clone());
    }
    if let Some(definition) = &fact.definition {
        let version = fact.version.map(|version| format!(" v{version}")).unwrap_or_default();
        parts.push(format!("{definition}{version}"));
    }
    if let Some(direction) = &fact.direction
        && direction != "action"
    {
        parts.push(direction.clone());
    }
    if let Some(attempt) = fact.attempt
        && attempt > 1
    {
        parts.push(format!("attempt {attempt}"));
    }
    if let Some(signal) = &fact.signal {
        parts.push(format!("signal {signal}"));
    }
    if let Some(reason) = &fact.reason {
        parts.push(reason_text(reason));
    }
    if let Some(by) = &fact.by {
        parts.push(format!("by {by}"));
    }
    if let Some(why) = &fact.why {
        parts.push(why.clone());
    }
    if let Some(until) = &fact.until {
        parts.push(format!("until {}", times::shown(until)));
    }
    if let Some(child) = &fact.child {
        parts.push(format!("saga {child}"));
    }
    if let Some(payload) = fact.output.as_ref().or(fact.input.as_ref()) {
        parts.push(cut(payload.as_json(), PAYLOAD_SHOWN));
    }
    let at = paint.text(Style::Dim, times::of_day(&fact.at));
    let name = format!("{:<FACT_WIDTH$}", printable(&fact.fact));
    format!("{at}  {}  {}", paint.text(style(&fact.fact), name), printable(&parts.join("  ")))
        .trim_end()
        .to_owned()
}

/// What a fact means for the saga, by its words: newer servers have more of them.
fn style(fact: &str) -> Style {
    let has = |word: &str| fact.split('_').any(|part| part == word);
    if has("refused") || has("failed") || has("parked") || has("abandoned") || has("exhausted") {
        Style::Bad
    } else if has("turned") || has("compensated") || has("compensation") || has("undone") || has("reversed") {
        Style::Back
    } else if has("completed") {
        Style::Good
    } else {
        Style::Plain
    }
}
