//! The partitions of the table of events on PostgreSQL, each of a range of positions. A SQLite file has
//! one table.
//!
//! No index over all partitions can tell that an id is new. Whoever writes looks it up in each, under the
//! lock of writers, and each partition refuses what it has already.

use crate::sql::{Connection, Row, Value};
use crate::writer::Transaction;
use crate::{Position, StoreError};

/// Makes partitions of a table of events that has none.
const MAKE: &str = include_str!("../migrations/15_partitions_postgres.sql");

/// The positions of a partition, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) first: Position,
    pub(crate) last: Position,
}

impl Partition {
    /// All that there are, in their order; none in a SQLite file.
    pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<Self>, StoreError> {
        if connection.is_sqlite() {
            return Ok(Vec::new());
        }
        let sql = "SELECT first, last FROM candystore_partitions()";
        let rows = connection.query(sql, &[]).await?;
        rows.iter().map(Partition::of).collect()
    }

    /// Reads a row of `first, last`.
    pub(crate) fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Partition { first: row.position(0)?, last: row.position(1)? })
    }

    /// Its bounds, as values of a statement.
    pub(crate) fn values(self) -> [Value; 2] {
        [Value::position(self.first), Value::position(self.last)]
    }
}

/// Makes the table of events one with partitions, in a transaction of the caller's. What is stored stays
/// where it lies, and is looked through once.
pub(crate) async fn make(connection: &mut Connection) -> Result<(), StoreError> {
    match connection.is_sqlite() {
        true => Ok(()),
        false => connection.batch(MAKE).await,
    }
}

impl Transaction {
    /// Makes the partition of the position that was given last, unless it is there. It is made with the
    /// first event that lies in it, so that there is always one, and no other process has to.
    pub(crate) async fn make_room(&mut self) -> Result<(), StoreError> {
        if self.head.position <= self.head.room {
            return Ok(());
        }
        let wanted = [Value::position(self.head.position)];
        let sql = "SELECT candystore_make_room($1)";
        self.head.room = self.connection().query_one(sql, &wanted).await?.position(0)?;
        Ok(())
    }

    /// Drops a partition with all its events.
    pub(crate) async fn drop_partition(&mut self, partition: Partition) -> Result<(), StoreError> {
        let sql = "SELECT CAST(candystore_drop_partition($1, $2) AS TEXT)";
        self.connection().query(sql, &partition.values()).await?;
        self.changed();
        Ok(())
    }
}
