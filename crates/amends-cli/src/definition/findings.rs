//! Findings, drawn at their place in the text.
//!
//! Owns the picture: place, line, caret, help. Promises that a finding whose place is not in the text is still
//! said. Does not find anything.

use amends_api::Finding;
use unicode_width::UnicodeWidthStr;

use crate::output::paint::{Paint, Style};
use crate::output::table::printable;

/// A finding as text, with an empty line after it.
pub(super) fn draw(severity: &str, place: &str, text: &str, finding: &Finding, paint: Paint) -> String {
    let style = if severity == "error" { Style::Bad } else { Style::Back };
    let head = format!("{severity}[{}]", printable(&finding.rule));
    let mut drawn = format!("{}: {}\n", paint.text(style, head), printable(&finding.message));
    let number = finding.line.to_string();
    let margin = " ".repeat(number.len());
    drawn += &format!("{margin}--> {place}:{}:{}\n", finding.line, finding.column);
    let line = finding.line.checked_sub(1).and_then(|index| text.lines().nth(usize::try_from(index).ok()?));
    if let Some(line) = line {
        let from = usize::try_from(finding.column.saturating_sub(1)).unwrap_or(0);
        let to = usize::try_from(finding.end_column.saturating_sub(1)).unwrap_or(0).max(from + 1);
        let before: String = line.chars().take(from).collect();
        let meant: String = line.chars().skip(from).take(to - from).collect();
        let space = " ".repeat(printable(&before).width());
        let carets = "^".repeat(printable(&meant).width().max(1));
        drawn += &format!(
            "{margin} |\n{number} | {}\n{margin} | {space}{}\n",
            printable(line),
            paint.text(style, carets)
        );
    }
    if let Some(help) = &finding.help {
        drawn += &format!("{margin} = help: {}\n", printable(help));
    }
    drawn + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        let finding = Finding {
            rule: "unknown_key".to_owned(),
            message: "a step has no key `compensaton`".to_owned(),
            help: Some("did you mean `compensation`?".to_owned()),
            line: 2,
            column: 6,
            end_column: 17,
        };
        let text = "steps:\n  注  compensaton: none\n";
        let drawn = draw("error", "trip.yaml", text, &finding, Paint::off());
        let expected = "error[unknown_key]: a step has no key `compensaton`
 --> trip.yaml:2:6
  |
2 |   注  compensaton: none
  |       ^^^^^^^^^^^
  = help: did you mean `compensation`?

";
        assert_eq!(drawn, expected);
        let elsewhere = Finding { line: 9, help: None, ..finding };
        let drawn = draw("warning", "trip.yaml", text, &elsewhere, Paint::off());
        assert_eq!(drawn, "warning[unknown_key]: a step has no key `compensaton`\n --> trip.yaml:9:6\n\n");
    }
}
