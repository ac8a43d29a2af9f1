//! What the log holds for a queue.

use super::QueueRow;
use crate::StoreError;
use crate::event::kind_of;
use crate::sql::{Connection, Row, Value};

/// How many heads of the log are read at a time, at most.
pub(crate) const CHUNK: i64 = 1_000;

/// Those that are read first. Each chunk after them is four times as large.
const FIRST_CHUNK: i64 = 16;

/// The most heads that one claim reads; then others get their turn.
const MOST_HEADS: i64 = 20 * CHUNK;

/// What the log holds for a queue.
pub(crate) struct Scan {
    /// Positions that it wants, in order.
    pub(crate) wanted: Vec<i64>,
    /// It has been read up to here.
    pub(crate) until: i64,
    /// Whether it goes on behind that.
    pub(crate) more: bool,
}

impl Scan {
    pub(crate) fn nothing(until: i64) -> Self {
        Scan { wanted: Vec::new(), until, more: true }
    }
}

/// Reads on in the log, from after one position to another, until that many wanted messages are
/// found. Gives up, for now, after many that are not wanted.
pub(crate) async fn read_log(
    connection: &mut Connection,
    queue: &QueueRow,
    after: i64,
    end: i64,
    most: usize,
) -> Result<Scan, StoreError> {
    let sql = "SELECT position, kind, key, imported FROM events WHERE position > $1 AND position <= $2 \
         ORDER BY position LIMIT $3";
    let mut scan = Scan { wanted: Vec::new(), until: after, more: true };
    let last = after.saturating_add(MOST_HEADS);
    // One more than is asked for tells whether there is more.
    let enough = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let mut chunk = enough.clamp(FIRST_CHUNK, CHUNK);
    while scan.wanted.len() < most && scan.until < last {
        let values = [Value::Int(scan.until), Value::Int(end), Value::Int(chunk)];
        let rows = connection.query(sql, &values).await?;
        scan.more = rows.len() as i64 == chunk;
        for row in &rows {
            if scan.wanted.len() == most {
                scan.more = true;
                return Ok(scan);
            }
            scan.until = row.int(0)?;
            if wants(queue, row)? {
                scan.wanted.push(scan.until);
            }
        }
        if !scan.more {
            break;
        }
        chunk = chunk.saturating_mul(4).min(CHUNK);
    }
    Ok(scan)
}

fn wants(queue: &QueueRow, head: &Row) -> Result<bool, StoreError> {
    let is_history = head.int(3)? != 0;
    Ok(!is_history && queue.wants(kind_of(head.text(1)?)?, head.text(2)?, head.position(0)?))
}
