//! How much of the log queues want and have not come to.

use std::sync::Arc;

use bloodbank_core::Kind;

use super::QueueRow;
use crate::sql::{Connection, Value};
use crate::{Position, StoreError};

/// What of the log a queue wants and has not come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unread {
    /// How many messages.
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) first: Option<Position>,
}

/// All keys with the last position of each, so that only those are counted of which something is new.
pub(crate) struct LastOfKeys(Vec<(Arc<str>, Position)>);

impl LastOfKeys {
    pub(crate) async fn read(connection: &mut Connection) -> Result<Self, StoreError> {
        let sql = "SELECT k.key, (SELECT MAX(position) FROM events e WHERE e.key = k.key) \
             FROM keys k";
        let rows = connection.query(sql, &[]).await?;
        let last = |row: &crate::sql::Row| {
            Ok((row.text(0)?.into(), row.maybe_position(1)?.unwrap_or_default()))
        };
        Ok(LastOfKeys(rows.iter().map(last).collect::<Result<_, StoreError>>()?))
    }

    /// What a queue wants behind its cursor. It costs as much as there is of it.
    pub(crate) async fn unread(
        &self,
        connection: &mut Connection,
        queue: &QueueRow,
        cursor: Position,
    ) -> Result<Unread, StoreError> {
        let sql = "SELECT COUNT(*), MIN(position) FROM events \
             WHERE key = $1 AND position > $2 AND kind = $3 AND imported = 0";
        let mut unread = Unread::default();
        for (key, last) in &self.0 {
            for kind in [Kind::Event, Kind::Command] {
                let Some(since) = queue.wants_after(kind, key) else { continue };
                let after = since.max(cursor);
                if after >= *last {
                    continue;
                }
                let values =
                    [Value::text(&**key), Value::position(after), Value::text(kind.as_str())];
                let row = connection.query_one(sql, &values).await?;
                unread.count += row.position(0)?;
                let first = row.maybe_position(1)?;
                unread.first = unread.first.into_iter().chain(first).min();
            }
        }
        Ok(unread)
    }
}
