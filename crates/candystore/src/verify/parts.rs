//! The rows of the table of events, a part at a time, whatever else the store says of them.

use crate::event::EventRow;
use crate::sql::{Connection, Row, Value};
use crate::{Position, StoreError};

/// The most rows of a part.
const MOST_ROWS: usize = 500;

/// A part ends with the row that brings its bodies over this many bytes.
const MOST_BYTES: i64 = 4 << 20;

/// The last position of the part behind a position; `None` where there is no row.
pub(super) async fn end_of_part(
    connection: &mut Connection,
    after: Position,
) -> Result<Option<Position>, StoreError> {
    let sql = format!(
        "SELECT position, length(body) FROM events \
         WHERE position > $1 ORDER BY position LIMIT {MOST_ROWS}"
    );
    let (mut end, mut bytes) = (None, 0);
    for row in connection.query(&sql, &[Value::position(after)]).await? {
        end = Some(row.position(0)?);
        bytes += row.int(1)?;
        if bytes > MOST_BYTES {
            break;
        }
    }
    Ok(end)
}

/// The rows after a position up to another, in their order. Ask for those of a part: more may not fit
/// into memory.
pub(super) async fn rows(
    connection: &mut Connection,
    after: Position,
    until: Position,
) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "SELECT {} FROM events WHERE position > $1 AND position <= $2 ORDER BY position",
        EventRow::COLUMNS,
    );
    connection.query(&sql, &[Value::position(after), Value::position(until)]).await
}
