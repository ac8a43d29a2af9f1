//! Many rows in one statement.

use tokio_postgres::types::Type as PgType;

use super::values::{Params, array_of, arrays, columns};
use crate::sql::{Cell, Table};

/// The most bytes of one statement that inserts many rows. A message to the server has less than 1 GiB.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Inserts rows that are given as an array for each column.
pub(super) fn insertion(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
    format!(
        "INSERT INTO {} ({}) SELECT * FROM unnest({}){}",
        table.name,
        names.join(", "),
        places.join(", "),
        if table.or_ignore { " ON CONFLICT DO NOTHING" } else { "" },
    )
}

/// The rows of so many cells in pieces of [`MOST_BYTES`]; a longer row is a piece of its own.
pub(super) fn pieces<'c, 'v>(cells: &'c [Cell<'v>], width: usize) -> Vec<&'c [Cell<'v>]> {
    let (mut pieces, mut start, mut size) = (Vec::new(), 0, 0);
    for (row, end) in cells.chunks(width).zip((0..).step_by(width)) {
        let bytes: usize = row.iter().map(Cell::size).sum();
        size += bytes;
        if size > MOST_BYTES && end > start {
            pieces.push(&cells[start..end]);
            (start, size) = (end, bytes);
        }
    }
    if start < cells.len() {
        pieces.push(&cells[start..]);
    }
    pieces
}

/// What the statement takes.
pub(super) fn types(table: &Table) -> Vec<PgType> {
    table.columns.iter().map(|(_, column)| array_of(*column)).collect()
}

/// The columns of rows, as the statement takes them.
pub(super) struct Columns<'v>(Vec<Vec<Cell<'v>>>);

impl<'v> Columns<'v> {
    pub(super) fn of(table: &Table, cells: &[Cell<'v>]) -> Self {
        Columns(columns(cells, table.columns.len()))
    }

    pub(super) fn params(&self, table: &Table) -> Params<'_> {
        arrays(&self.0, table.columns.iter().map(|(_, column)| *column))
    }
}
