//! What is wrong with a text, and where.
//!
//! Owns [`Finding`] and [`Findings`], and the picture they are shown with. Promises a position, a rule and a
//! message in each. Does not find anything itself.

use std::fmt;

/// Whether a text with such a finding is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is not.
    Error,
    /// It is: it is legal, but worth a thought.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something wrong with a definition's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the text is taken all the same.
    pub severity: Severity,
    /// The rule that was broken: a stable word for programs, such as `unknown_key`.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line, from 1.
    pub line: u32,
    /// The column of the first character, from 1.
    pub column: u32,
    /// The column after the last character, on the same line.
    pub end_column: u32,
    /// The line's text.
    pub excerpt: String,
}

/// Everything wrong with a text, in its order. Shown with a picture of each place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings(pub Vec<Finding>);

impl std::error::Error for Findings {}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

/// Columns of a line that a picture shows.
const PICTURE_COLUMNS: usize = 100;

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, rule, message, help, line, column, end_column, excerpt } = self;
        writeln!(f, "{severity}[{rule}]: {message}")?;
        let gutter = " ".repeat(line.to_string().len());
        writeln!(f, "{gutter}--> {line}:{column}")?;
        let (first, width) =
            (column.saturating_sub(1) as usize, end_column.saturating_sub(*column).max(1) as usize);
        // A definition in JSON may be one long line: then only the part around the place is shown.
        let skip = if first > PICTURE_COLUMNS * 3 / 4 { first - PICTURE_COLUMNS / 2 } else { 0 };
        let shown: String = (excerpt.chars().skip(skip).take(PICTURE_COLUMNS))
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let width = width.min((PICTURE_COLUMNS + skip).saturating_sub(first).max(1));
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{line} | {}", shown.trim_end())?;
        write!(f, "{gutter} | {}{}", " ".repeat(first - skip), "^".repeat(width))?;
        if let Some(help) = help {
            write!(f, "\n{gutter} = help: {help}")?;
        }
        Ok(())
    }
}
