//! What queues there are, and how they stand.

use bloodbank_bus::{Queue, TransportError};

use super::{Embedded, in_time};
use crate::queues::{self, QueueCache};
use crate::sql::{Connection, Value};
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
    /// How much of the log is behind that, wanted or not.
    pub unread: u64,
    /// Messages that it holds beside the log and that wait for a consumer.
    pub ready: u64,
    /// Messages that wait until they are tried again.
    pub delayed: u64,
    /// Messages that were delivered and are not settled.
    pub unsettled: u64,
    /// Consumers that were heard of lately.
    pub consumers: u64,
}

impl Embedded {
    /// All queues, by name.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn queues(&self) -> Result<Vec<QueueStatus>, StoreError> {
        self.store()
            .readers()
            .run(async move |connection: &mut Connection| {
                connection.begin_snapshot().await?;
                let all = all(connection).await;
                connection.rollback().await;
                all
            })
            .await
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
    let head = connection.query_one("SELECT position FROM head", &[]).await?.position(0)?;
    let sql = format!(
        "SELECT q.cursor, \
             (SELECT COUNT(*) FROM messages m WHERE m.queue = q.number \
                 AND m.consumer IS NULL AND m.due IS NULL), \
             (SELECT COUNT(*) FROM messages m WHERE m.queue = q.number AND m.due IS NOT NULL), \
             (SELECT COUNT(*) FROM messages m WHERE m.queue = q.number \
                 AND m.consumer IS NOT NULL), \
             (SELECT COUNT(*) FROM consumers c WHERE c.queue = q.number AND c.expires >= {}) \
         FROM queues q WHERE q.number = $1",
        connection.clock(),
    );
    let mut all = Vec::new();
    for queue in queues.all() {
        let row = connection.query_one(&sql, &[Value::Int(queue.number)]).await?;
        let cursor = row.position(0)?;
        all.push(QueueStatus {
            queue: queue.spec.clone(),
            cursor,
            unread: head.saturating_sub(cursor),
            ready: row.position(1)?,
            delayed: row.position(2)?,
            unsettled: row.position(3)?,
            consumers: row.position(4)?,
        });
    }
    all.sort_by(|one, other| one.queue.name.cmp(&other.queue.name));
    Ok(all)
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
    let owner = queues.all().find(|other| other.spec.dead_letters.as_deref() == Some(&*name));
    let holds_dead_letters_of = owner.map(|owner| owner.name.to_string());
    if holds_dead_letters_of.is_some()
        || !super::lease::is_unused(transaction, queue.number).await?
    {
        return Ok(Err(TransportError::InUse { queue: name, holds_dead_letters_of }));
    }
    queues::remove(transaction, queue.number).await?;
    Ok(Ok(()))
}
