//! A look at a queue that writes nothing.

use super::claim::read_log;
use super::queues::QueueRow;
use crate::StoreError;
use crate::sql::{Connection, Value};

/// What there is for a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peek {
    /// There is something to claim, or to find out by trying.
    pub(super) is_there: bool,
    /// The log goes on behind what was seen; look again.
    pub(super) more: bool,
    /// The log up to here holds nothing for the queue.
    pub(super) seen: i64,
    /// When the next message that waits is due, in microseconds from now.
    pub(super) due: Option<i64>,
}

/// Looks whether a claim would give anything, so that nobody writes who has nothing to write.
pub(super) async fn peek(
    connection: &mut Connection,
    queue: &QueueRow,
    version: uuid::Uuid,
    seen: i64,
) -> Result<Peek, StoreError> {
    let clock = connection.clock();
    let sql = format!(
        "SELECT q.cursor, b.version, h.position, {clock}, \
         (SELECT MIN(due) FROM messages WHERE queue = $1 AND due IS NOT NULL), \
         (SELECT place FROM messages WHERE queue = $1 AND consumer IS NULL AND due IS NULL LIMIT 1) \
         FROM queues q, bus b, head h WHERE q.number = $1"
    );
    let rows = connection.query(&sql, &[Value::Int(queue.number)]).await?;
    // A queue that is gone, or another declaration, shows when something is claimed.
    let unknown = Peek { is_there: true, more: false, seen, due: None };
    let Some(row) = rows.first() else { return Ok(unknown) };
    let now = row.int(3)?;
    let due = row.maybe_int(4)?.map(|due| due - now);
    let is_ready = row.maybe_int(5)?.is_some() || due.is_some_and(|due| due <= 0);
    if is_ready || row.id(1)? != version {
        return Ok(unknown);
    }
    // Not behind the position that was the last one while these were the bindings.
    let (after, head) = (seen.max(row.int(0)?), row.int(2)?);
    let scan = read_log(connection, queue, after, head, 1).await?;
    let first = scan.wanted.first();
    let seen = first.map_or(scan.until, |first| first - 1);
    Ok(Peek { is_there: first.is_some(), more: first.is_none() && scan.more, seen, due })
}
