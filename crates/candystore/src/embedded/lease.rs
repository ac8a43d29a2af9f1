//! Consumers come and go.

use std::time::Duration;

use bloodbank_bus::this_process;

use crate::StoreError;
use crate::queues::{self, QueueCache};
use crate::sql::{Connection, Each, Type, Value};
use crate::writer::Transaction;

/// How long a temporary queue waits for its first consumer, in microseconds.
const UNUSED: i64 = 60_000_000;

/// A length of time, to be added to a clock.
pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX).min(i64::MAX / 16)
}

/// Makes a consumer that lives so many microseconds unless it is renewed. Gives its number: older
/// consumers have lower ones.
pub(super) async fn enter(
    transaction: &mut Transaction,
    queue: i64,
    lease: i64,
) -> Result<i64, StoreError> {
    let number = queues::numbers(transaction, 1).await?;
    let clock = transaction.connection().clock();
    let sql = format!(
        "INSERT INTO consumers (number, queue, expires, name) VALUES ($1, $2, {clock} + $3, $4)"
    );
    let name = Value::text(this_process());
    let values = [Value::Int(number), Value::Int(queue), Value::Int(lease), name];
    transaction.execute(&sql, &values).await?;
    Ok(number)
}

/// Lets consumers live on for so many microseconds. Gives those that are still there.
pub(super) async fn renew(
    transaction: &mut Transaction,
    consumers: &[i64],
    lease: i64,
) -> Result<Vec<i64>, StoreError> {
    if consumers.is_empty() {
        return Ok(Vec::new());
    }
    let there = there(transaction, consumers).await?;
    let renewing = Renewing::at(transaction.connection());
    transaction.execute_all(&renewing.each(), &renewing.rows(&there, lease)).await?;
    Ok(there)
}

/// The statement that renews consumers.
pub(super) struct Renewing {
    one: String,
    all: String,
}

impl Renewing {
    pub(super) fn at(connection: &Connection) -> Self {
        let update = format!("UPDATE consumers SET expires = {} + ", connection.clock());
        let all =
            "r.lease FROM unnest($1, $2) AS r(number, lease) WHERE consumers.number = r.number";
        Renewing { one: format!("{update}$2 WHERE number = $1"), all: update + all }
    }

    pub(super) fn each(&self) -> Each<'_> {
        Each { one: &self.one, all: &self.all, columns: &[Type::Int; 2] }
    }

    /// Rows for consumers that live on for so many microseconds.
    pub(super) fn rows(&self, consumers: &[i64], lease: i64) -> Vec<Vec<Value>> {
        consumers.iter().map(|consumer| [*consumer, lease].map(Value::Int).to_vec()).collect()
    }
}

fn rows_of(consumers: &[i64]) -> Vec<Vec<Value>> {
    consumers.iter().map(|consumer| vec![Value::Int(*consumer)]).collect()
}

/// Those of the consumers that are there.
pub(super) async fn there(
    transaction: &mut Transaction,
    consumers: &[i64],
) -> Result<Vec<i64>, StoreError> {
    let each = Each {
        one: "SELECT number FROM consumers WHERE number = $1",
        all: "SELECT number FROM consumers WHERE number = ANY($1)",
        columns: &[Type::Int],
    };
    let rows = transaction.connection().query_all(&each, &rows_of(consumers)).await?;
    rows.iter().map(|row| row.int(0)).collect()
}

/// How soon the next consumer or call expires, unless it is renewed; zero if one has.
pub(super) async fn next_end(connection: &mut Connection) -> Result<Option<Duration>, StoreError> {
    let clock = connection.clock();
    let sql = format!(
        "SELECT (SELECT MIN(expires) FROM consumers) - {clock}, \
         (SELECT MIN(expires) FROM calls) - {clock}"
    );
    let row = connection.query_one(&sql, &[]).await?;
    let next = row.maybe_int(0)?.into_iter().chain(row.maybe_int(1)?).min();
    Ok(next.map(|next| Duration::from_micros(next.max(0).unsigned_abs())))
}

/// How a consumer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing is heard of it any more.
    Lost,
    /// It says goodbye.
    Closed,
    /// The same; it has only looked.
    Looked,
}

/// Ends a consumer. What it has not settled is ready again; its queue goes if it is a temporary one
/// and this was the last.
pub(super) async fn leave(
    transaction: &mut Transaction,
    cache: &QueueCache,
    consumer: i64,
    left: Left,
) -> Result<(), StoreError> {
    let count = match left {
        Left::Lost => ", redelivered = redelivered + 1",
        // What comes back in good order is not held against anybody.
        Left::Closed => ", redelivered = CASE WHEN redelivered = 0 THEN 1 ELSE redelivered END",
        Left::Looked => "",
    };
    let number = Value::Int(consumer);
    let sql = format!("UPDATE messages SET consumer = NULL{count} WHERE consumer = $1");
    transaction.execute(&sql, std::slice::from_ref(&number)).await?;
    let sql = "SELECT queue FROM consumers WHERE number = $1";
    let rows = transaction.connection().query(sql, std::slice::from_ref(&number)).await?;
    let Some(queue) = rows.first().map(|row| row.int(0)).transpose()? else { return Ok(()) };
    transaction.execute("DELETE FROM consumers WHERE number = $1", &[number]).await?;
    let queues = cache.read(transaction.connection()).await?;
    if queues.numbered(queue).is_some_and(|queue| queue.is_temporary())
        && is_unused(transaction, queue).await?
    {
        queues::remove(transaction, queue).await?;
    }
    Ok(())
}

/// Ends what has expired: consumers of processes that are gone, temporary queues that nobody came to,
/// and calls that nobody waits for any more.
pub(super) async fn sweep(
    transaction: &mut Transaction,
    cache: &QueueCache,
) -> Result<(), StoreError> {
    let clock = transaction.connection().clock();
    let sql = format!("SELECT number FROM consumers WHERE expires < {clock}");
    for row in transaction.connection().query(&sql, &[]).await? {
        let consumer = row.int(0)?;
        tracing::warn!(consumer, "a consumer has not been heard of; its messages go to others");
        leave(transaction, cache, consumer, Left::Lost).await?;
    }
    let queues = cache.read(transaction.connection()).await?;
    for queue in queues.all().filter(|queue| queue.is_temporary()) {
        let sql = format!("SELECT name FROM queues WHERE number = $1 AND declared + $2 < {clock}");
        let values = [Value::Int(queue.number), Value::Int(UNUSED)];
        let is_old = !transaction.connection().query(&sql, &values).await?.is_empty();
        if is_old && is_unused(transaction, queue.number).await? {
            queues::remove(transaction, queue.number).await?;
        }
    }
    let sql = format!("DELETE FROM calls WHERE expires < {clock}");
    transaction.execute(&sql, &[]).await.map(|_| ())
}

pub(super) async fn is_unused(
    transaction: &mut Transaction,
    queue: i64,
) -> Result<bool, StoreError> {
    let sql = "SELECT number FROM consumers WHERE queue = $1 LIMIT 1";
    Ok(transaction.connection().query(sql, &[Value::Int(queue)]).await?.is_empty())
}
