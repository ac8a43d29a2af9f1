//! Queues that hold no more than so many messages.

use std::collections::HashMap;
use std::sync::Arc;

use bloodbank_bus::{FullQueue, TransportError};

use super::message;
use crate::StoreError;
use crate::queues::QueueRow;
use crate::queues::scan::read_log;
use crate::sql::Value;
use crate::writer::Transaction;

/// How many more messages queues take, as one transaction sees it.
#[derive(Debug, Default)]
pub(super) struct Rooms(HashMap<i64, Room>);

#[derive(Clone, Copy, Debug)]
enum Room {
    /// For so many, and maybe more.
    AtLeast(usize),
    /// It was counted, and there is none. Nothing leaves a queue in this transaction.
    Full,
}

impl Rooms {
    /// Whether the queues must be [counted](Rooms::count) before anything goes into them.
    pub(super) fn is_unknown(&self, queues: &[Arc<QueueRow>]) -> bool {
        let is_unknown = |queue: &QueueRow| {
            limit(queue).is_some()
                && matches!(self.0.get(&queue.number), None | Some(Room::AtLeast(0)))
        };
        queues.iter().any(|queue| is_unknown(queue))
    }

    /// Counts what the queues hold that have a bound.
    pub(super) async fn count(
        &mut self,
        transaction: &mut Transaction,
        queues: &[Arc<QueueRow>],
    ) -> Result<(), StoreError> {
        for queue in queues {
            let Some(most) = limit(queue) else { continue };
            let room = match room(transaction, queue, most).await? {
                0 => Room::Full,
                room => Room::AtLeast(room),
            };
            self.0.insert(queue.number, room);
        }
        Ok(())
    }

    /// Takes a place in each queue, or in none if one of them is full.
    pub(super) fn take(&mut self, queues: &[Arc<QueueRow>]) -> Result<(), TransportError> {
        let is_full =
            |queue: &&Arc<QueueRow>| matches!(self.0.get(&queue.number), Some(Room::Full));
        if let Some(full) = queues.iter().find(is_full) {
            let limit = limit(full).unwrap_or_default();
            let full = FullQueue { name: full.name.to_string(), limit };
            return Err(TransportError::Nacked { full: Some(full) });
        }
        for queue in queues {
            if let Some(Room::AtLeast(room)) = self.0.get_mut(&queue.number) {
                *room = room.saturating_sub(1);
            }
        }
        Ok(())
    }
}

/// The most messages of a queue that refuses more. The log has all events anyway, and those who publish
/// one must not wait for the slowest who hears it.
fn limit(queue: &QueueRow) -> Option<usize> {
    queue.spec.max_len.filter(|_| !queue.spec.is_of_events())
}

/// How many more a queue takes, at least; 0 only if it is full.
async fn room(
    transaction: &mut Transaction,
    queue: &QueueRow,
    most: usize,
) -> Result<usize, StoreError> {
    let (cursor, count) = count(transaction, queue.number).await?;
    let head = i64::try_from(transaction.head.position).unwrap_or(i64::MAX);
    // As if it wanted everything that comes.
    let bound = count.saturating_add(head - cursor);
    let room = |held: i64| most.saturating_sub(usize::try_from(held).unwrap_or(usize::MAX));
    if room(bound) > 0 || head == cursor {
        return Ok(room(bound));
    }
    take_over(transaction, queue, cursor).await?;
    Ok(room(count_rows(transaction, queue.number).await?))
}

async fn count(transaction: &mut Transaction, queue: i64) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT cursor, (SELECT COUNT(*) FROM messages WHERE queue = $1) FROM queues \
         WHERE number = $1";
    let row = transaction.connection().query_one(sql, &[Value::Int(queue)]).await?;
    Ok((row.int(0)?, row.int(1)?))
}

async fn count_rows(transaction: &mut Transaction, queue: i64) -> Result<i64, StoreError> {
    count(transaction, queue).await.map(|(_, count)| count)
}

/// Takes over all that the log holds for the queue, so that it is counted once.
async fn take_over(
    transaction: &mut Transaction,
    queue: &QueueRow,
    cursor: i64,
) -> Result<(), StoreError> {
    let (mut until, mut more) = (cursor, true);
    while more {
        let connection = transaction.connection();
        let scan = read_log(connection, queue, until, i64::MAX, usize::MAX).await?;
        let row =
            |at: &i64| vec![Value::Int(queue.number), Value::Int(*at), Value::Null, Value::Null];
        let rows: Vec<_> = scan.wanted.iter().map(row).collect();
        message::take_over(transaction, &rows).await?;
        (until, more) = (scan.until, scan.more);
    }
    let sql = "UPDATE queues SET cursor = $1 WHERE number = $2";
    transaction.execute(sql, &[Value::Int(until), Value::Int(queue.number)]).await.map(|_| ())
}
