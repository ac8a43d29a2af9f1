//! Whether the columns of one event say what its bytes say.

use crate::StoredEvent;
use crate::record::{ROW, Record};
use crate::sql::{Row, Value, time_to_micros};

/// What is wrong with an event.
pub(super) fn problems(row: &Row, event: &StoredEvent) -> Vec<String> {
    if crc32fast::hash(&event.body) != event.checksum {
        return vec!["its bytes are not those of its checksum".to_owned()];
    }
    let Ok(record) = Record::again(event) else {
        return vec!["its bytes are not the envelope that they were".to_owned()];
    };
    let columns = record.row(event.position, time_to_micros(event.received));
    let compared = ROW.iter().zip(columns.iter().zip(&row.0));
    let other = compared.filter(|(_, (should, is))| !is_same(should, is));
    other.map(|((name, _), _)| format!("column `{name}` does not say what its bytes say")).collect()
}

fn is_same(should: &Value, is: &Value) -> bool {
    match (should, is) {
        // SQLite has no type for it.
        (Value::Id(id), Value::Bytes(bytes)) => id.as_bytes()[..] == **bytes,
        _ => should == is,
    }
}
