//! Aligned columns.

use std::io::{self, Write};

use bloodbank::escape_control;

/// The widest that a column is, in characters.
const WIDEST: usize = 72;

/// Rows under a heading, each column as wide as its widest cell. A cell that is wider than 72 characters
/// moves only what follows in its own row.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Table { rows: vec![heading.map(|cell| cell.to_uppercase()).to_vec()] }
    }

    /// Rows without a heading.
    pub(crate) fn plain() -> Self {
        Table { rows: Vec::new() }
    }

    /// Leaves out the columns that hold nothing but their heading.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        for column in (0..columns).rev() {
            let mut cells = self.rows.iter().skip(1).filter_map(|row| row.get(column));
            if cells.all(String::is_empty) {
                self.rows.iter_mut().for_each(|row| drop(row.remove(column)));
            }
        }
        self
    }

    /// Adds a row; control characters in it are escaped.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(escape_control).to_vec());
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let lengths = cells.map(|cell| cell.chars().count());
            lengths.filter(|length| *length <= WIDEST).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A line on standard output. A pipe that ends early is an error, not a panic.
pub(crate) fn say(line: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_cell_that_is_very_wide_moves_only_its_own_row() {
        let mut table = Table::new(["key", "count"]);
        let wide = "x".repeat(WIDEST + 1);
        table.row(["short", "1"]);
        table.row([&wide, "2"]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, format!("KEY    COUNT\nshort  1\n{wide}  2\n"));
    }
}
