//! A queue is moved over the log: back, to give again what it has given, or on, to skip what waits.

use bloodbank_bus::{Start, TransportError};
use chrono::{DateTime, Utc};

use super::{Embedded, in_time, lease, refused};
use crate::follow;
use crate::queues::scan::read_log;
use crate::queues::{self, QueueCache, QueueRow};
use crate::sql::{Connection, Row, Value, micros_to_time, time_to_micros};
use crate::writer::Transaction;
use crate::{Position, StoreError};

/// How many messages are counted at a time.
const PAGE: usize = 1_000;

/// A queue, moved over the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueMove {
    /// The queue.
    pub queue: String,
    /// When it was moved, or would be.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub author: String,
    /// It had read up to here.
    pub from: Position,
    /// It reads on after this position.
    pub to: Position,
    /// How many messages it gives again.
    pub again: u64,
    /// How many it will not give any more.
    pub skipped: u64,
}

type Refusable<T> = Result<Result<T, TransportError>, StoreError>;

impl Embedded {
    /// What moving a queue would do. Changes nothing.
    ///
    /// # Errors
    /// Those of [`move_queue`](Embedded::move_queue), but for `InUse`.
    pub async fn plan_move(&self, queue: &str, to: Start) -> Result<QueueMove, TransportError> {
        self.shared.check_open()?;
        let queue = queue.to_owned();
        let asked = async move |connection: &mut Connection| {
            connection
                .snapshot(async move |c: &mut Connection| {
                    let planned = plan(c, &queue, to, "").await?;
                    Ok(planned.map(|(_, planned)| planned))
                })
                .await
        };
        in_time(self.store().readers().run(asked)).await?
    }

    /// Moves a queue of events, so that what it reads next is where `to` says. What was put into it past
    /// the log stays: what was brought back from the dead letters, and replays. On the way on, what
    /// waits in it, also for its next attempt, is skipped; on the way back it is given once. What a
    /// memory of handled messages that processes share still knows is not handled again. The move is
    /// recorded.
    ///
    /// # Errors
    /// [`TransportError::Undeclared`] if there is no such queue; [`TransportError::InUse`] while
    /// somebody consumes it; [`TransportError::Unsupported`] if it is not a queue of events.
    pub async fn move_queue(
        &self,
        queue: &str,
        to: Start,
        author: &str,
    ) -> Result<QueueMove, TransportError> {
        self.shared.check_open()?;
        let (cache, queue, author) =
            (self.shared.cache.clone(), queue.to_owned(), author.to_owned());
        let moving = self.store().writer().run(async move |t: &mut Transaction| {
            lease::sweep(t, &cache).await?;
            let (row, planned) = match plan(t.connection(), &queue, to, &author).await? {
                Ok(planned) => planned,
                Err(error) => return refused(error),
            };
            if !lease::is_unused(t, row.number).await? {
                let holds_dead_letters_of = None;
                return refused(TransportError::InUse { queue, holds_dead_letters_of });
            }
            carry_out(t, &row, &planned).await?;
            Ok(Ok(planned))
        });
        let moved = in_time(moving).await??;
        let QueueMove { queue, author, from, to, again, skipped, .. } = &moved;
        tracing::warn!(%queue, %author, from, to, again, skipped, "a queue was moved");
        Ok(moved)
    }
}

/// What a move does, and the queue.
async fn plan(
    c: &mut Connection,
    name: &str,
    to: Start,
    author: &str,
) -> Refusable<(QueueRow, QueueMove)> {
    let queues = QueueCache::default().read(c).await?;
    let Some(queue) = queues.named(name) else {
        return refused(TransportError::Undeclared { queue: name.to_owned() });
    };
    if queue.spec.bindings.is_empty() || !queue.spec.is_of_events() {
        let what = format!("moving `{name}`, which is not a queue that is bound to events");
        return refused(TransportError::Unsupported { what });
    }
    let sql = "SELECT cursor, (SELECT position FROM head) FROM queues WHERE number = $1";
    let row = c.query_one(sql, &[Value::Int(queue.number)]).await?;
    let (from, head) = (row.position(0)?, row.position(1)?);
    let to = follow::before(c, to).await?.min(head);
    let back = queue.reaching_back_to(to);
    let mut planned = QueueMove {
        queue: name.to_owned(),
        at: Utc::now(),
        author: author.to_owned(),
        from,
        to,
        again: 0,
        skipped: 0,
    };
    if to < from {
        // What still lies in the queue is given once.
        let lying = lying(c, queue, to, from).await?;
        planned.again = wanted(c, &back, to, from).await?.saturating_sub(lying);
    } else {
        let lying = lying(c, queue, 0, to).await?;
        planned.skipped = wanted(c, queue, from, to).await? + lying;
    }
    Ok(Ok((back, planned)))
}

/// How many messages of the log a queue wants after one position up to another.
async fn wanted(
    c: &mut Connection,
    queue: &QueueRow,
    after: Position,
    until: Position,
) -> Result<u64, StoreError> {
    let end = i64::try_from(until).unwrap_or(i64::MAX);
    let (mut count, mut after) = (0, i64::try_from(after).unwrap_or(i64::MAX));
    while after < end {
        let scan = read_log(c, queue, after, end, PAGE).await?;
        count += scan.wanted.len() as u64;
        if !scan.more {
            break;
        }
        after = scan.until;
    }
    Ok(count)
}

/// How many messages of the log lie in a queue, with a position after one up to another.
async fn lying(
    c: &mut Connection,
    queue: &QueueRow,
    after: Position,
    until: Position,
) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM messages WHERE queue = $1 AND place > $2 AND place <= $3 \
         AND number = 0";
    let values = [Value::Int(queue.number), Value::position(after), Value::position(until)];
    c.query_one(sql, &values).await?.position(0)
}

async fn carry_out(
    t: &mut Transaction,
    queue: &QueueRow,
    planned: &QueueMove,
) -> Result<(), StoreError> {
    let (number, to) = (Value::Int(queue.number), Value::position(planned.to));
    if planned.to < planned.from {
        // What still lies there comes from the log again.
        for table in ["messages", "damaged"] {
            let sql = format!("DELETE FROM {table} WHERE queue = $1 AND place > $2 AND number = 0");
            t.execute(&sql, &[number.clone(), to.clone()]).await?;
        }
    } else {
        let sql = "DELETE FROM messages WHERE queue = $1 AND place <= $2 AND number = 0";
        t.execute(sql, &[number.clone(), to.clone()]).await?;
    }
    let sql = "UPDATE queues SET cursor = $2 WHERE number = $1";
    t.execute(sql, &[number.clone(), to.clone()]).await?;
    let sql = "UPDATE bindings SET since = $2 WHERE queue = $1 AND exchange = $3 AND since > $2";
    let events = Value::text(bloodbank_bus::Exchange::Events.name());
    t.execute(sql, &[number, to, events]).await?;
    // Other processes know of what the queue wants.
    queues::changed(t).await?;
    let sql = "INSERT INTO moves (at, author, queue, origin, target, again, skipped) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = [
        Value::Int(time_to_micros(planned.at)),
        Value::text(&*planned.author),
        Value::text(&*planned.queue),
        Value::position(planned.from),
        Value::position(planned.to),
        Value::position(planned.again),
        Value::position(planned.skipped),
    ];
    t.execute(sql, &values).await.map(|_| ())
}

/// The moves of queues that have passed over a position, the oldest first.
pub(crate) async fn moves_over(
    c: &mut Connection,
    position: Position,
) -> Result<Vec<QueueMove>, StoreError> {
    let sql = "SELECT at, author, queue, origin, target, again, skipped FROM moves \
         WHERE (origin < $1 AND $1 <= target) OR (target < $1 AND $1 <= origin) ORDER BY at";
    c.query(sql, &[Value::position(position)]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<QueueMove, StoreError> {
    Ok(QueueMove {
        at: micros_to_time(row.int(0)?)?,
        author: row.text(1)?.to_owned(),
        queue: row.text(2)?.to_owned(),
        from: row.position(3)?,
        to: row.position(4)?,
        again: row.position(5)?,
        skipped: row.position(6)?,
    })
}
