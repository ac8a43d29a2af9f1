//! Whether the columns of one event say what its bytes say.

use crate::StoredEvent;
use crate::event::EventRow;
use crate::record::Record;
use crate::sql::TableRow;

/// What is wrong with an event.
pub(super) fn problems(row: &EventRow, event: &StoredEvent) -> Vec<String> {
    if !event.is_sound() {
        return vec!["its bytes are not those of its checksum".to_owned()];
    }
    let Ok(record) = Record::again(event) else {
        return vec!["its bytes are not the envelope that they were".to_owned()];
    };
    let should = record.row(row.position, row.received);
    // What the bytes do not say.
    let should = EventRow { imported: row.imported, digest: row.digest, ..should };
    let compared = EventRow::TABLE.columns.iter().zip(should.cells().zip(row.cells()));
    let other = compared.filter(|(_, (should, is))| should != is);
    other.map(|((name, _), _)| format!("column `{name}` does not say what its bytes say")).collect()
}
