//! A definition's text, and places in it.
//!
//! Owns [`Source`], [`Span`] and the collection of findings. Promises that every span becomes a line, a column
//! and the text of that line. Does not read the text: that is `node.rs`.

use crate::finding::{Finding, Findings, Severity};
use crate::limits::FINDINGS_MAX;

/// A part of the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The text, with what was found in it so far.
pub(crate) struct Source<'s> {
    pub(crate) text: &'s str,
    /// Where each line begins.
    lines: Vec<usize>,
    findings: Vec<(Span, Finding)>,
    warnings: Vec<(Span, Finding)>,
}

/// What is said of a place.
pub(crate) struct Said {
    rule: &'static str,
    message: String,
    help: Option<String>,
}

/// A message without help.
pub(crate) fn say(rule: &'static str, message: impl Into<String>) -> Said {
    Said { rule, message: message.into(), help: None }
}

impl Said {
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With the known name that is nearest, if one is near, otherwise with the known names.
    pub(crate) fn nearest<'n>(self, written: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(written, known.iter().copied()) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None if known.is_empty() => self,
            None => {
                let shown: Vec<String> =
                    known.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
                let more = if known.len() > NAMES_SHOWN { ", …" } else { "" };
                self.help(format!("known are {}{more}", shown.join(", ")))
            }
        }
    }
}

/// Names that a help lists at most.
const NAMES_SHOWN: usize = 20;

/// The known name that is nearest to what was written, if one is near.
pub(crate) fn nearest<'n>(written: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    /// Longer ones are no slip of a known name, and a distance costs the product of both lengths.
    const CHARACTERS_MAX: usize = 128;
    if written.len() > CHARACTERS_MAX {
        return None;
    }
    let lower = written.to_lowercase();
    let near = |name: &str| {
        let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
        let length = name.chars().count();
        // Where every character differs, nothing is near.
        (distance <= 1 + length / 4 && distance < length).then_some(distance)
    };
    let known = known.into_iter().filter(|name| name.len() <= CHARACTERS_MAX);
    known
        .filter_map(|name| Some((near(name)?, name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

impl<'s> Source<'s> {
    pub(crate) fn new(text: &'s str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { text, lines, findings: Vec::new(), warnings: Vec::new() }
    }

    /// Notes a finding.
    pub(crate) fn find(&mut self, at: Span, said: Said) {
        if self.is_full() {
            return;
        }
        let finding = self.finding(at, Severity::Error, said);
        // The same fault seen by two rules in one place is shown once, and there is an end to them.
        let known = self.findings.iter().any(|(span, known)| *span == at && known.message == finding.message);
        if !known {
            self.findings.push((at, finding));
        }
    }

    /// Notes what is legal, but worth a thought.
    pub(crate) fn warn(&mut self, at: Span, said: Said) {
        let finding = self.finding(at, Severity::Warning, said);
        if self.warnings.len() < FINDINGS_MAX {
            self.warnings.push((at, finding));
        }
    }

    /// Whether no further finding is noted, so that nobody need look for one.
    pub(crate) fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// The warnings, or what is wrong.
    pub(crate) fn into_verdict(self) -> Result<Vec<Finding>, Findings> {
        let in_order = |mut found: Vec<(Span, Finding)>| -> Vec<Finding> {
            found.sort_by_key(|(span, _)| span.start);
            found.into_iter().map(|(_, finding)| finding).collect()
        };
        if self.findings.is_empty() {
            Ok(in_order(self.warnings))
        } else {
            Err(Findings(in_order(self.findings)))
        }
    }

    pub(crate) fn line_of(&self, at: usize) -> u32 {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    pub(crate) fn slice(&self, span: Span) -> &'s str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    fn finding(&self, at: Span, severity: Severity, said: Said) -> Finding {
        let Said { rule, message, help } = said;
        let start = self.text.floor_char_boundary(at.start.min(self.text.len()));
        let line = self.line_of(start);
        let line_start = self.lines[line as usize - 1];
        let excerpt = self.text[line_start..].split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let line_end = line_start + excerpt.len();
        let start = start.min(line_end);
        let end = self.text.floor_char_boundary(at.end.clamp(start, line_end));
        let column = |to: usize| {
            let characters = self.text[line_start..to].chars().count() + 1;
            u32::try_from(characters).unwrap_or(u32::MAX)
        };
        let (column, end_column) = (column(start), column(end));
        Finding {
            severity,
            rule,
            message,
            help,
            line,
            column,
            end_column: end_column.max(column + 1),
            excerpt: excerpt.to_owned(),
        }
    }
}
