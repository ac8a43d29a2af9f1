//! What stands in the log behind the cursors of queues, and whether they want it.

use std::sync::Arc;

use super::scan::{Scan, read_log};
use super::{QueueCache, QueueRow};
use crate::sql::{Connection, Value};
use crate::writer::Transaction;
use crate::{EventStore, Position, StoreError};

/// The lowest position that a queue wants and has not read; `None` if there is none.
pub(crate) async fn first_wanted(
    connection: &mut Connection,
) -> Result<Option<Position>, StoreError> {
    let queues = QueueCache::default().read(connection).await?;
    let mut first = None;
    for queue in queues.all().filter(|queue| !queue.spec.bindings.is_empty()) {
        let end = first.map_or(i64::MAX, |first: i64| first - 1);
        let mut scan = next_wanted(connection, queue, end).await?;
        while scan.wanted.is_empty() && scan.more {
            scan = read_log(connection, queue, scan.until, end, 1).await?;
        }
        first = scan.wanted.first().copied().or(first);
    }
    Ok(first.map(i64::unsigned_abs))
}

async fn next_wanted(
    connection: &mut Connection,
    queue: &QueueRow,
    end: i64,
) -> Result<Scan, StoreError> {
    let sql = "SELECT cursor FROM queues WHERE number = $1";
    let cursor = connection.query_one(sql, &[Value::Int(queue.number)]).await?.int(0)?;
    read_log(connection, queue, cursor, end, 1).await
}

impl EventStore {
    /// Moves the cursors of all queues to where the next message is that they want: a queue that
    /// rarely wants anything, or that nobody reads, does not keep what is for others.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub(crate) async fn pass_unwanted(&self) -> Result<(), StoreError> {
        let sql = "SELECT number FROM queues WHERE number IN (SELECT queue FROM bindings)";
        let asked = async move |c: &mut Connection| c.query(sql, &[]).await;
        let cache = Arc::<QueueCache>::default();
        for row in self.readers().run(asked).await? {
            let queue = row.int(0)?;
            let step = || {
                let cache = cache.clone();
                async move |t: &mut Transaction| pass(t, &cache, queue).await
            };
            while self.writer().run(step()).await? {}
        }
        Ok(())
    }
}

/// One step, so that others can write in between. Whether there is more to pass.
async fn pass(
    transaction: &mut Transaction,
    cache: &QueueCache,
    queue: i64,
) -> Result<bool, StoreError> {
    let queues = cache.read(transaction.connection()).await?;
    let Some(queue) = queues.numbered(queue) else { return Ok(false) };
    let scan = next_wanted(transaction.connection(), queue, i64::MAX).await?;
    let until = scan.wanted.first().map_or(scan.until, |first| first - 1);
    let sql = "UPDATE queues SET cursor = $1 WHERE number = $2 AND cursor < $1";
    transaction.execute(sql, &[Value::Int(until), Value::Int(queue.number)]).await?;
    Ok(scan.wanted.is_empty() && scan.more)
}
