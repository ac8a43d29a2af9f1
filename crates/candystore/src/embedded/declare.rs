//! Queues come to be.

use bloodbank_bus::{Binding, Exchange, Queue, Start, Topology, TransportError};

use super::{lease, refused};
use crate::follow;
use crate::queues::{self, QueueCache};
use crate::sql::Value;
use crate::writer::Transaction;
use crate::{Position, StoreError};

/// Makes the queues and bindings of a topology that are missing, all or none.
pub(super) async fn declare(
    transaction: &mut Transaction,
    cache: &QueueCache,
    topology: &Topology,
) -> Result<Result<(), TransportError>, StoreError> {
    lease::sweep(transaction, cache).await?;
    let queues = cache.read(transaction.connection()).await?;
    let mut existing: Vec<Queue> = queues.all().map(|queue| queue.spec.clone()).collect();
    if let Err(error) = topology.check_against(&existing) {
        return refused(error);
    }
    for queue in &topology.queues {
        match existing.iter_mut().find(|other| other.name == queue.name) {
            None => {
                make(transaction, queue).await?;
                existing.push(queue.clone());
            }
            Some(other) => {
                let is_new = |binding: &&Binding| !other.bindings.contains(binding);
                let new: Vec<Binding> = queue.bindings.iter().filter(is_new).cloned().collect();
                let head = transaction.head.position;
                bind(transaction, &queue.name, &new, head).await?;
                if queue.start != Start::Now {
                    tracing::info!(queue = %queue.name, "the queue is there, and goes on where it was");
                }
                other.add_bindings_of(queue);
            }
        }
    }
    Ok(Ok(()))
}

/// A new queue begins at the end of the log, unless it says otherwise.
async fn make(transaction: &mut Transaction, queue: &Queue) -> Result<(), StoreError> {
    queues::changed(transaction).await?;
    let mut bare = queue.clone();
    bare.bindings.clear();
    // A queue always has a JSON form.
    let declaration = serde_json::to_string(&bare).unwrap_or_default();
    let begin = follow::before(transaction.connection(), queue.start).await?;
    let begin = begin.min(transaction.head.position);
    let clock = transaction.connection().clock();
    let sql = format!("INSERT INTO queues VALUES ($1, $2, $3, {clock}, $4)");
    let values = [
        Value::Int(queues::numbers(transaction, 1).await?),
        Value::text(&*queue.name),
        Value::text(declaration),
        Value::position(begin),
    ];
    transaction.execute(&sql, &values).await?;
    bind(transaction, &queue.name, &queue.bindings, begin).await
}

/// What stands in the log up to `since` is not for a new binding to events; to anything else it is only
/// what comes, as no command is carried out for the past.
async fn bind(
    transaction: &mut Transaction,
    queue: &str,
    bindings: &[Binding],
    since: Position,
) -> Result<(), StoreError> {
    if bindings.is_empty() {
        return Ok(());
    }
    queues::changed(transaction).await?;
    let head = transaction.head.position;
    let row = |binding: &Binding| {
        let pattern = Value::text(binding.pattern.as_str());
        let since = if binding.exchange == Exchange::Events { since } else { head };
        let exchange = Value::text(binding.exchange.name());
        vec![Value::text(queue), exchange, pattern, Value::position(since)]
    };
    let rows: Vec<Vec<Value>> = bindings.iter().map(row).collect();
    let sql = "INSERT INTO bindings SELECT number, $2, $3, $4 FROM queues WHERE name = $1 \
         ON CONFLICT DO NOTHING";
    transaction.execute_each(sql, &rows).await.map(|_| ())
}
