//! What queues still need.

use crate::sql::Connection;
use crate::{Position, StoreError};

/// The lowest position that a queue still needs: what it has not come to yet, and what it holds to be
/// handled, or handled again. None where no queue listens to the log. Dead letters need nothing: they
/// have their bytes with them.
pub(super) async fn protected(connection: &mut Connection) -> Result<Option<Position>, StoreError> {
    let sql = "SELECT MIN(position) FROM (\
         SELECT cursor + 1 AS position FROM queues WHERE number IN (SELECT queue FROM bindings) \
         UNION ALL SELECT position FROM messages) AS needed";
    connection.query_one(sql, &[]).await?.maybe_position(0)
}
