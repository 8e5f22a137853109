//! Rows as tables for people.
//!
//! Owns the frame. Promises units in the headings, and no column in which nothing is known. Uses no colour.

use comfy_table::{CellAlignment, Table as Drawn, presets};

use super::parts::{Column, Part, Table};
use super::row::Row;

/// A cell of a row that does not know the figure.
pub(crate) const NOTHING: &str = "–";

/// All tables of a part; nothing of one that was not measured.
pub(crate) fn draw(part: &Part, rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let tables = part.tables.iter().map(|Table { title, columns }| {
        let is_known = |column: &&Column| rows.iter().any(|row| !row.get(column.key).is_null());
        let columns: Vec<&Column> = columns.iter().filter(is_known).collect();
        let texts = columns.iter().take_while(|column| rows[0].get(column.key).is_string()).count();
        let headings = columns.iter().map(|column| column.heading.to_owned()).collect();
        let cells = |row: &Row| columns.iter().map(|column| cell(column, row)).collect();
        section(title, headings, rows.iter().map(cells), texts)
    });
    tables.collect()
}

fn cell(column: &Column, row: &Row) -> String {
    column.show.cell(row, column.key).unwrap_or_else(|| NOTHING.to_owned())
}

/// A table under its title. The first few columns, which hold text, stand to the left.
pub(crate) fn section(
    title: &str,
    headings: Vec<String>,
    rows: impl Iterator<Item = Vec<String>>,
    texts: usize,
) -> String {
    let mut table = Drawn::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(headings);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("\n{title}\n{table}\n")
}
