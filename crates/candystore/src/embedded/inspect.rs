//! What queues there are, and how they stand.

use std::time::Duration;

use bloodbank_bus::{Queue, TransportError};

use super::{Embedded, in_time};
use crate::queues::{self, LastOfKeys, QueueCache, QueueRow};
use crate::sql::{Connection, Row, Value};
use crate::writer::Transaction;
use crate::{Position, StoreError};

/// A queue of an embedded bus, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatus {
    /// As it was declared, with all bindings.
    pub queue: Queue,
    /// How far it has read the log.
    pub cursor: Position,
    /// Messages that it is to hand out or has handed out, and that are not settled: the sum of unread,
    /// ready, delayed and unsettled ones.
    pub lag: u64,
    /// How long ago the oldest of these was stored; `None` if there are none, or the log does not tell.
    pub age: Option<Duration>,
    /// Messages of the log that it wants and has not come to.
    pub unread: u64,
    /// Messages that it holds beside the log and that wait for a consumer.
    pub ready: u64,
    /// Messages that wait until they are tried again.
    pub delayed: u64,
    /// Messages that were delivered and are not settled.
    pub unsettled: u64,
    /// Messages that could not be read as they were stored. They are set aside, and nobody gets them.
    pub damaged: Vec<DamagedMessage>,
    /// Consumers that were heard of lately: one that holds nothing, in the last minute.
    pub consumers: u64,
}

/// A message that could not be read as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedMessage {
    /// Where it stands in the log; of a message that was put into the queue past the log, the last
    /// position before it.
    pub position: Position,
    /// What is wrong with it.
    pub reason: String,
}

impl Embedded {
    /// All queues, by name.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn queues(&self) -> Result<Vec<QueueStatus>, StoreError> {
        let asked = async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| all(c).await).await
        };
        self.store().readers().run(asked).await
    }

    /// Removes a queue with everything it holds: retries and dead letters on their way, and its claim
    /// on the log. What is in the log stays there.
    ///
    /// # Errors
    /// [`TransportError::Undeclared`] if there is none; [`TransportError::InUse`] if somebody
    /// consumes it, or it is the dead-letter queue of another.
    pub async fn remove_queue(&self, name: &str) -> Result<(), TransportError> {
        self.shared.check_open()?;
        let (cache, name) = (self.shared.cache.clone(), name.to_owned());
        let removing = self
            .store()
            .writer()
            .run(async move |t: &mut Transaction| remove(t, &cache, name).await);
        in_time(removing).await?
    }
}

async fn all(connection: &mut Connection) -> Result<Vec<QueueStatus>, StoreError> {
    let queues = QueueCache::default().read(connection).await?;
    let keys = LastOfKeys::read(connection).await?;
    let mut all = Vec::new();
    for queue in queues.all() {
        all.push(status(connection, &keys, queue).await?);
    }
    all.sort_by(|one, other| one.queue.name.cmp(&other.queue.name));
    Ok(all)
}

async fn status(
    connection: &mut Connection,
    keys: &LastOfKeys,
    queue: &QueueRow,
) -> Result<QueueStatus, StoreError> {
    let sql = format!(
        "SELECT q.cursor, \
             (SELECT COUNT(*) FROM messages m WHERE m.queue = q.number \
                 AND m.consumer IS NULL AND m.due IS NULL), \
             (SELECT COUNT(*) FROM messages m WHERE m.queue = q.number AND m.due IS NOT NULL), \
             (SELECT COUNT(*) FROM messages m WHERE m.queue = q.number AND m.consumer > 0), \
             (SELECT MIN(place) FROM messages m WHERE m.queue = q.number \
                 AND (m.consumer IS NULL OR m.consumer > 0)), \
             (SELECT COUNT(*) FROM consumers c WHERE c.queue = q.number AND c.expires >= {}) \
         FROM queues q WHERE q.number = $1",
        connection.clock(),
    );
    let row = connection.query_one(&sql, &[Value::Int(queue.number)]).await?;
    let cursor = row.position(0)?;
    let unread = keys.unread(connection, queue, cursor).await?;
    let (ready, delayed, unsettled) = (row.position(1)?, row.position(2)?, row.position(3)?);
    let oldest = row.maybe_position(4)?.into_iter().chain(unread.first).min();
    Ok(QueueStatus {
        queue: queue.spec.clone(),
        cursor,
        lag: unread.count + ready + delayed + unsettled,
        age: age(connection, oldest).await?,
        unread: unread.count,
        ready,
        delayed,
        unsettled,
        damaged: damaged(connection, queue.number).await?,
        consumers: row.position(5)?,
    })
}

/// How long ago what stands at a position was stored.
async fn age(
    connection: &mut Connection,
    position: Option<Position>,
) -> Result<Option<Duration>, StoreError> {
    let Some(position) = position else { return Ok(None) };
    let clock = connection.clock();
    // Where it was pruned, what comes after it.
    let sql = format!(
        "SELECT {clock} - received FROM events WHERE position >= $1 ORDER BY position LIMIT 1"
    );
    let rows = connection.query(&sql, &[Value::position(position)]).await?;
    let age = rows.first().map(|row| row.int(0)).transpose()?;
    Ok(age.map(|age| Duration::from_micros(age.max(0).unsigned_abs())))
}

async fn damaged(
    connection: &mut Connection,
    queue: i64,
) -> Result<Vec<DamagedMessage>, StoreError> {
    let sql = "SELECT place, reason FROM damaged WHERE queue = $1 ORDER BY place, number";
    let rows = connection.query(sql, &[Value::Int(queue)]).await?;
    let one = |row: &Row| {
        Ok(DamagedMessage { position: row.position(0)?, reason: row.text(1)?.to_owned() })
    };
    rows.iter().map(one).collect()
}

async fn remove(
    transaction: &mut Transaction,
    cache: &QueueCache,
    name: String,
) -> Result<Result<(), TransportError>, StoreError> {
    super::lease::sweep(transaction, cache).await?;
    let queues = cache.read(transaction.connection()).await?;
    let Some(queue) = queues.named(&name) else {
        return Ok(Err(TransportError::Undeclared { queue: name }));
    };
    let owner = queues.with_dead_letters_in(&name);
    let holds_dead_letters_of = owner.map(|owner| owner.name.to_string());
    if holds_dead_letters_of.is_some()
        || !super::lease::is_unused(transaction, queue.number).await?
    {
        return Ok(Err(TransportError::InUse { queue: name, holds_dead_letters_of }));
    }
    queues::remove(transaction, queue.number).await?;
    Ok(Ok(()))
}
