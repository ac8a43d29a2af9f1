//! What durable queues still need.

use crate::sql::Connection;
use crate::{Position, StoreError};

/// The lowest position that a durable queue still needs: what it has not come to yet, and what waits
/// in it to be handled again. None where there is no queue.
pub(super) async fn protected(connection: &mut Connection) -> Result<Option<Position>, StoreError> {
    if !has_queues(connection).await? {
        return Ok(None);
    }
    let sql = "SELECT MIN(position) FROM (SELECT cursor + 1 AS position FROM queues \
         UNION ALL SELECT position FROM messages) AS needed";
    connection.query_one(sql, &[]).await?.maybe_position(0)
}

async fn has_queues(connection: &mut Connection) -> Result<bool, StoreError> {
    let sql = match connection.is_sqlite() {
        true => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'queues'",
        false => {
            "SELECT CAST(to_regclass('queues') AS TEXT) WHERE to_regclass('queues') IS NOT NULL"
        }
    };
    Ok(!connection.query(sql, &[]).await?.is_empty())
}
