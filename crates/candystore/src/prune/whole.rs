//! Partitions of which nothing stays: they are dropped, whatever they hold.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::DoomedKey;
use super::protected::protected;
use crate::partitions::Partition;
use crate::pruned::PrunedRange;
use crate::sql::{Connection, Value, micros_to_time};
use crate::summary::{Counted, Figures, Sum, by_hour_and_day, counted_rows};
use crate::writer::Transaction;
use crate::{EventStore, Position, StoreError};

/// How many positions are counted in one step: no question takes long.
const STEP: Position = 100_000;

/// How often it is tried to drop a partition that somebody reads, and how long we wait in between.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Partitions of which nothing stays, by the last position of each key that is to go.
pub(super) async fn find(
    connection: &mut Connection,
    limits: &[(String, Position)],
) -> Result<Vec<Partition>, StoreError> {
    let most = limits.iter().map(|(_, limit)| *limit).max().unwrap_or_default();
    let mut found = Vec::new();
    for partition in Partition::all(connection).await? {
        if partition.last > most {
            break;
        }
        if !keeps_any(connection, partition, limits).await? {
            found.push(partition);
        }
    }
    Ok(found)
}

/// Whether a partition has an event behind the last position of its key that is to go.
async fn keeps_any(
    connection: &mut Connection,
    partition: Partition,
    limits: &[(String, Position)],
) -> Result<bool, StoreError> {
    let sql = "SELECT position FROM events WHERE key = $1 AND position >= $2 AND position <= $3 \
         ORDER BY position LIMIT 1";
    for (key, limit) in limits.iter().filter(|(_, limit)| *limit < partition.last) {
        let first = Value::position(partition.first.max(limit + 1));
        let values = [Value::text(key.as_str()), first, Value::position(partition.last)];
        if !connection.query(sql, &values).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The events of a partition, by key.
pub(super) async fn count(
    connection: &mut Connection,
    partition: Partition,
) -> Result<Vec<DoomedKey>, StoreError> {
    let sql = "SELECT key, COUNT(*), CAST(SUM(length(body)) AS BIGINT), MIN(position), \
         MIN(received), MAX(position), MAX(received) \
         FROM events WHERE position >= $1 AND position <= $2 GROUP BY key";
    let (mut first, mut all) = (partition.first, Vec::new());
    while first <= partition.last {
        let last = partition.last.min(first + STEP - 1);
        let rows = connection.query(sql, &Partition { first, last }.values()).await?;
        for row in &rows {
            all.push(DoomedKey {
                key: row.text(0)?.to_owned(),
                events: row.position(1)?,
                bytes: row.position(2)?,
                first: (row.position(3)?, micros_to_time(row.int(4)?)?),
                last: (row.position(5)?, micros_to_time(row.int(6)?)?),
            });
        }
        first = last + 1;
    }
    Ok(all)
}

/// What the figures lose with a partition.
struct Gone {
    events: u64,
    figures: BTreeMap<Figures, Sum>,
    changes: Changes,
}

/// What has changed in a partition since all of it was stored: how many of its positions were pruned,
/// and how many times put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Changes {
    pruned: i64,
    repaired: i64,
}

impl Changes {
    async fn of(connection: &mut Connection, partition: Partition) -> Result<Self, StoreError> {
        let sql = "SELECT (SELECT CAST(COALESCE(SUM(\
             LEAST(last, $2) + 1 - GREATEST(first, $1)), 0) AS BIGINT) FROM pruned \
             WHERE first <= $2 AND last >= $1), \
             (SELECT COUNT(*) FROM repairs WHERE position >= $1 AND position <= $2)";
        let row = connection.query_one(sql, &partition.values()).await?;
        Ok(Changes { pruned: row.int(0)?, repaired: row.int(1)? })
    }
}

impl Gone {
    /// Counts all that a partition holds, in one state of it.
    async fn of(connection: &mut Connection, partition: Partition) -> Result<Self, StoreError> {
        let changes = Changes::of(connection, partition).await?;
        let (mut events, mut figures) = (0, BTreeMap::<Figures, Sum>::new());
        let take = async |_: &mut Connection, rows: Vec<(Position, Counted)>| {
            events += rows.len() as u64;
            let rows: Vec<Counted> =
                rows.into_iter().map(|(_, one)| Counted { is_gone: true, ..one }).collect();
            for (of, sum) in by_hour_and_day(&rows) {
                figures.entry(of).or_default().merge(&sum);
            }
            Ok(())
        };
        counted_rows(connection, partition.first, partition.last, take).await?;
        Ok(Gone { events, figures, changes })
    }
}

/// Drops a partition, and gives how many events it had. `None` if it cannot go as a whole any more: its
/// events are then to go one by one, as far as they may.
pub(super) async fn remove(
    store: &EventStore,
    partition: Partition,
    force: bool,
) -> Result<Option<u64>, StoreError> {
    let (reader, begun, mut tries) = (store.long_reader()?, Instant::now(), 0);
    loop {
        // Nobody waits for this: what is stored there does not change any more, but for what is pruned
        // or put right, and that is found out.
        let count = async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| Gone::of(c, partition).await).await
        };
        let gone = reader.run(count).await?;
        let remove =
            async move |t: &mut Transaction| t.prune_partition(partition, gone, force).await;
        tries += 1;
        match store.writer().run(remove).await {
            Ok(Dropped::Whole(events)) => return Ok(Some(events)),
            Ok(Dropped::Needed) => return Ok(None),
            Ok(Dropped::Changed) if tries < TRIES => {}
            Ok(Dropped::Changed) => return Ok(None),
            Err(StoreError::Busy { .. }) if tries < TRIES => sleep(PAUSE).await,
            Err(StoreError::Busy { .. }) => {
                return Err(StoreError::Busy { seconds: begun.elapsed().as_secs() });
            }
            Err(error) => return Err(error),
        }
    }
}

/// What became of a partition that was to go.
enum Dropped {
    /// It is gone with so many events.
    Whole(u64),
    /// A queue has come to need some of it.
    Needed,
    /// It has changed since it was counted.
    Changed,
}

impl Transaction {
    /// Drops a partition, and records that.
    async fn prune_partition(
        &mut self,
        partition: Partition,
        gone: Gone,
        force: bool,
    ) -> Result<Dropped, StoreError> {
        let needed = if force { None } else { protected(self.connection()).await? };
        if needed.is_some_and(|needed| needed <= partition.last) {
            return Ok(Dropped::Needed);
        }
        if Changes::of(self.connection(), partition).await? != gone.changes {
            return Ok(Dropped::Changed);
        }
        let Partition { first, last } = partition;
        // Those within are part of it, and there may be many; that at its end has its digest.
        let sql = "DELETE FROM pruned WHERE first >= $1 AND last < $2";
        self.execute(sql, &partition.values()).await?;
        self.record_pruned(&[PrunedRange { first, last }]).await?;
        self.fold().await?;
        self.count_figures(&gone.figures).await?;
        self.drop_partition(partition).await?;
        Ok(Dropped::Whole(gone.events))
    }
}
