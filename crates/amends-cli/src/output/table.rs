//! Rows and columns for people.
//!
//! Owns alignment. Promises that columns stand under each other whatever the script of their text, and that
//! nothing a server sent can move the cursor. Draws no lines: rows can be cut, sorted and searched.

use unicode_width::UnicodeWidthStr;

use super::paint::{Paint, Style};

/// A table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<(Style, String)>>,
}

/// Columns between two cells.
const GAP: usize = 2;

impl Table {
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, which has a cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [(Style, String); N]) {
        let cells = cells.into_iter().map(|(style, text)| (style, printable(&text)));
        self.rows.push(cells.collect());
    }

    /// The lines, each ended.
    pub(crate) fn draw(&self, paint: Paint) -> String {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|(_, text)| text.width()).chain([self.head[column].width()]).max().unwrap_or(0)
            })
            .collect();
        let mut drawn = String::new();
        let head = self.head.iter().map(|name| (Style::Bold, *name));
        line(&mut drawn, head, &widths, paint);
        for row in &self.rows {
            line(&mut drawn, row.iter().map(|(style, text)| (*style, text.as_str())), &widths, paint);
        }
        drawn
    }
}

fn line<'a>(
    drawn: &mut String,
    cells: impl Iterator<Item = (Style, &'a str)>,
    widths: &[usize],
    paint: Paint,
) {
    let mut owed = 0;
    for ((style, text), width) in cells.zip(widths) {
        if text.is_empty() {
            owed += width + GAP;
            continue;
        }
        drawn.extend(std::iter::repeat_n(' ', owed));
        drawn.push_str(&paint.text(style, text).to_string());
        owed = width - text.width() + GAP;
    }
    drawn.push('\n');
}

/// A text on one line that does nothing to a terminal.
pub(crate) fn printable(text: &str) -> String {
    let as_shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        // What turns the direction of a line can make it read as another.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(as_shown).collect()
}

/// The first characters of a text, with a sign that there were more.
pub(crate) fn cut(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let start: String = text.chars().take(characters_max.saturating_sub(1)).collect();
    start + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_in_every_script() {
        let mut table = Table::new(&["NAME", "STATUS", "WHY"]);
        table.row([
            (Style::Plain, "注文".into()),
            (Style::Good, "completed".into()),
            (Style::Plain, String::new()),
        ]);
        table.row([
            (Style::Plain, "a".into()),
            (Style::Plain, String::new()),
            (Style::Plain, "x\x1b[2J\ny".into()),
        ]);
        let expected = "NAME  STATUS     WHY\n注文  completed\na                x\u{fffd}[2J y\n";
        assert_eq!(table.draw(Paint::off()), expected);
    }

    #[test]
    fn a_text_that_is_cut_says_so() {
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".to_owned(), "ab…".to_owned()));
    }
}
