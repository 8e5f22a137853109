//! What happened to a saga, drawn with characters.
//!
//! Owns the picture of a [`Sequence`] in a terminal. Promises that it says what the Mermaid text says, line by
//! line. Does not know facts: [`amends_api::diagram`] does.

use amends_api::diagram::{Row, Sequence};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::output::table::{cut, printable};

/// Characters of a label.
const LABEL_MAX: usize = 60;

/// Characters of a lane's name.
const NAME_MAX: usize = 24;

/// The picture, a line each row.
pub(super) fn draw(sequence: &Sequence) -> String {
    let names: Vec<String> = sequence.lanes.iter().map(|name| cut(&printable(name), NAME_MAX)).collect();
    let labels: Vec<String> =
        sequence.rows.iter().map(|row| cut(&printable(label(row)), LABEL_MAX)).collect();
    let columns = columns(&names, &labels);
    let mut picture = String::new();
    let mut head = Line::new(&columns, false);
    for (name, column) in names.iter().zip(&columns) {
        head.put(column.saturating_sub(name.width() / 2), name);
    }
    picture += &head.end();
    picture += &Line::new(&columns, true).end();
    for (row, label) in sequence.rows.iter().zip(&labels) {
        let mut line = Line::new(&columns, true);
        let from = columns[0];
        match row {
            Row::Call { to, .. } => {
                let to = columns[*to];
                line.put(from, "├");
                line.fill(from + 1, to, "─");
                line.put(to - 1, "▶");
                line.put(from + 3, &format!(" {label} "));
            }
            Row::Answer { from: lane, is_good, .. } => {
                let to = columns[*lane];
                line.put(to, "┤");
                line.fill(from + 1, to, "─");
                line.put(from + 1, if *is_good { "◀" } else { "✗" });
                line.put(from + 3, &format!(" {label} "));
            }
            Row::Note { .. } => {
                line.put(from, "●");
                line.put(from + 1, &format!(" {label} "));
            }
        }
        picture += &line.end();
    }
    picture
}

fn label(row: &Row) -> &str {
    match row {
        Row::Call { label, .. } | Row::Answer { label, .. } | Row::Note { label } => label,
    }
}

/// Where each lane stands: every label fits between the first two.
fn columns(names: &[String], labels: &[String]) -> Vec<usize> {
    /// What an arrow has around its label.
    const AROUND: usize = 8;
    let longest = labels.iter().map(|label| label.width()).max().unwrap_or(0);
    let mut columns = Vec::with_capacity(names.len());
    let mut column = names.first().map_or(0, |name| name.width() / 2);
    for (lane, name) in names.iter().enumerate() {
        if lane == 1 {
            column += longest + AROUND;
        } else if lane > 1 {
            column += names[lane - 1].width().div_ceil(2) + name.width().div_ceil(2) + 2;
        }
        columns.push(column);
    }
    columns
}

/// One line, by columns: a wide character has two.
struct Line {
    cells: Vec<String>,
}

impl Line {
    fn new(columns: &[usize], with_lanes: bool) -> Self {
        let width = columns.last().map_or(0, |last| last + 1);
        let mut line = Self { cells: vec![" ".to_owned(); width] };
        if with_lanes {
            for column in columns {
                line.put(*column, "│");
            }
        }
        line
    }

    fn fill(&mut self, from: usize, to: usize, with: &str) {
        for column in from..to {
            self.put(column, with);
        }
    }

    fn put(&mut self, mut column: usize, text: &str) {
        for character in text.chars() {
            let width = character.width().unwrap_or(0);
            if width == 0 {
                if let Some(cell) = column.checked_sub(1).and_then(|before| self.cells.get_mut(before)) {
                    cell.push(character);
                }
                continue;
            }
            if self.cells.len() < column + width {
                self.cells.resize(column + width, " ".to_owned());
            }
            self.cells[column] = character.to_string();
            for covered in &mut self.cells[column + 1..column + width] {
                covered.clear();
            }
            column += width;
        }
    }

    fn end(self) -> String {
        self.cells.concat().trim_end().to_owned() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_a_lane_each_and_an_arrow_a_row() {
        let sequence = Sequence {
            lanes: ["Amends", "flights", "酒店", "cars"].map(str::to_owned).to_vec(),
            rows: vec![
                Row::Note { label: "saga started".to_owned() },
                Row::Call { to: 1, label: "Flight".to_owned() },
                Row::Answer { from: 1, label: "Flight: completed".to_owned(), is_good: true },
                Row::Call { to: 2, label: "Hotel".to_owned() },
                Row::Answer { from: 2, label: "Hotel: refused: fully_booked".to_owned(), is_good: false },
            ],
        };
        expect_test::expect![[r#"
            Amends                              flights  酒店  cars
               │                                   │       │     │
               ● saga started                      │       │     │
               ├── Flight ────────────────────────▶│       │     │
               │◀─ Flight: completed ──────────────┤       │     │
               ├── Hotel ─────────────────────────────────▶│     │
               │✗─ Hotel: refused: fully_booked ───────────┤     │
        "#]]
        .assert_eq(&draw(&sequence));
        assert_eq!(draw(&Sequence::default()), "\n\n");
    }
}
