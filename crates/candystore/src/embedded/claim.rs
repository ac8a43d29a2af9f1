//! From queues to consumers.

use std::sync::Arc;

use chrono::Utc;
use uuid::Uuid;

use super::message::{self, COLUMNS, Place, Taken};
use crate::StoreError;
use crate::queues::scan::{CHUNK, Scan, read_log};
use crate::queues::{QueueCache, QueueRow};
use crate::sql::{Connection, Value, time_to_micros};
use crate::writer::Transaction;

/// What a consumer asks for.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) queue: i64,
    pub(super) consumer: i64,
    /// The most messages.
    pub(super) most: usize,
    /// The log up to here holds nothing for the queue but what its cursor has passed.
    pub(super) seen: i64,
    /// Only what stands behind the first and not behind the second, for those who look at a queue.
    pub(super) within: Option<(Place, Place)>,
    /// Whether somebody has begun with all that the consumer holds.
    pub(super) is_idle: bool,
    /// What the consumer holds, if it does not know how the last claim ended.
    pub(super) held: Option<Vec<Place>>,
}

/// What a consumer gets.
#[derive(Debug)]
pub(super) enum Claimed {
    /// The queue is gone.
    Gone,
    /// The consumer has expired.
    Expired,
    /// These messages.
    Some(Portion),
}

/// Messages for a consumer, in order.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) queue: Arc<QueueRow>,
    /// Of the queues.
    pub(super) version: Uuid,
    pub(super) taken: Vec<Taken>,
    /// See [`Claim::seen`].
    pub(super) seen: i64,
    /// When the next message that waits is due, in microseconds from now.
    pub(super) due: Option<i64>,
    /// Whether there is more to claim right now.
    pub(super) more: bool,
}

/// Gives messages to a consumer: first what lies in the queue, then what the log holds for it, all in
/// the order of places.
pub(super) async fn claim(
    transaction: &mut Transaction,
    cache: &QueueCache,
    claim: Claim,
) -> Result<Claimed, StoreError> {
    let queues = cache.read(transaction.connection()).await?;
    let Some(queue) = queues.numbered(claim.queue) else { return Ok(Claimed::Gone) };
    let state = State::read(transaction.connection(), &claim).await?;
    if !state.is_alive {
        return Ok(Claimed::Expired);
    }
    if let Some(held) = &claim.held {
        put_back(transaction, claim.consumer, held).await?;
    }
    let mut portion = Portion {
        queue: queue.clone(),
        version: queues.version(),
        taken: Vec::new(),
        seen: claim.seen,
        due: state.due.map(|due| due - state.now),
        more: false,
    };
    if queue.spec.ordered && !state.is_oldest {
        // Whatever is due is for another one.
        portion.due = None;
        return Ok(Claimed::Some(portion));
    }
    if state.due.is_some_and(|due| due <= state.now) {
        let sql = "UPDATE messages SET due = NULL WHERE queue = $1 AND due <= $2";
        transaction.execute(sql, &[Value::Int(claim.queue), Value::Int(state.now)]).await?;
        portion.more = true;
    }
    let lying = match state.has_lying || portion.more || claim.held.is_some() {
        true => lying(transaction, &claim).await?,
        false => Vec::new(),
    };
    let mut claim = claim;
    claim.most = alone(&claim, &lying);
    if claim.most == 0 {
        return Ok(Claimed::Some(portion));
    }
    let lying: Vec<_> = lying.into_iter().take(claim.most).collect();
    let is_enough =
        lying.len() == claim.most && lying.last().is_some_and(|m| m.0.0 <= state.cursor);
    let scan = match is_enough {
        true => Scan::nothing(state.cursor.max(claim.seen)),
        false => scan(transaction, queue, &claim, state.cursor).await?,
    };
    take(transaction, &claim, &state, lying, scan, &mut portion).await?;
    Ok(Claimed::Some(portion))
}

/// How many messages may be claimed: what was lost more than once with its consumer is claimed alone,
/// by one that has begun with all that it holds. So only what is begun is counted as lost from then on,
/// and what ends its process again and again can be told from what lay beside it.
fn alone(claim: &Claim, lying: &[(Place, Option<Taken>)]) -> usize {
    let is_suspect =
        |message: &(Place, Option<Taken>)| message.1.as_ref().is_some_and(Taken::is_suspect);
    match lying.iter().position(is_suspect) {
        // Who looks at a queue begins with nothing.
        _ if claim.within.is_some() => claim.most,
        None => claim.most,
        Some(0) => usize::from(claim.is_idle),
        Some(first) => first,
    }
}

/// How things stand for a consumer.
struct State {
    cursor: i64,
    due: Option<i64>,
    now: i64,
    is_alive: bool,
    is_oldest: bool,
    /// Something lies in the queue for anybody.
    has_lying: bool,
}

impl State {
    async fn read(connection: &mut Connection, claim: &Claim) -> Result<Self, StoreError> {
        let clock = connection.clock();
        let sql = format!(
            "SELECT cursor, \
             (SELECT MIN(due) FROM messages WHERE queue = $1 AND due IS NOT NULL), {clock}, \
             (SELECT MIN(number) FROM consumers WHERE queue = $1), \
             (SELECT number FROM consumers WHERE number = $2), \
             (SELECT place FROM messages WHERE queue = $1 AND consumer IS NULL AND due IS NULL \
              LIMIT 1) FROM queues WHERE number = $1"
        );
        let values = [Value::Int(claim.queue), Value::Int(claim.consumer)];
        let row = connection.query_one(&sql, &values).await?;
        Ok(State {
            cursor: row.int(0)?,
            due: row.maybe_int(1)?,
            now: row.int(2)?,
            is_oldest: row.maybe_int(3)? == Some(claim.consumer),
            is_alive: row.maybe_int(4)?.is_some(),
            has_lying: row.maybe_int(5)?.is_some(),
        })
    }
}

/// What lies in the queue for anybody, in order. `None` is a message whose event is gone.
async fn lying(
    transaction: &mut Transaction,
    claim: &Claim,
) -> Result<Vec<(Place, Option<Taken>)>, StoreError> {
    let (after, until) = claim.within.unwrap_or(((-1, 0), (i64::MAX, i64::MAX)));
    let sql = format!(
        "SELECT {COLUMNS} FROM messages m LEFT JOIN events e ON e.position = m.position \
         WHERE m.queue = $1 AND m.consumer IS NULL AND m.due IS NULL \
         AND (m.place, m.number) > ($2, $3) AND (m.place, m.number) <= ($4, $5) \
         ORDER BY m.place, m.number LIMIT $6"
    );
    let values = [
        Value::Int(claim.queue),
        Value::Int(after.0),
        Value::Int(after.1),
        Value::Int(until.0),
        Value::Int(until.1),
        Value::Int(i64::try_from(claim.most).unwrap_or(i64::MAX)),
    ];
    let rows = transaction.connection().query(&sql, &values).await?;
    rows.iter().map(|row| Ok(((row.int(0)?, row.int(1)?), Taken::of(row)?))).collect()
}

async fn scan(
    transaction: &mut Transaction,
    queue: &QueueRow,
    claim: &Claim,
    cursor: i64,
) -> Result<Scan, StoreError> {
    let end = claim.within.map_or(i64::MAX, |(_, until)| until.0);
    read_log(transaction.connection(), queue, cursor.max(claim.seen), end, claim.most).await
}

/// Gives the first of both to the consumer.
async fn take(
    transaction: &mut Transaction,
    claim: &Claim,
    state: &State,
    lying: Vec<(Place, Option<Taken>)>,
    scan: Scan,
    portion: &mut Portion,
) -> Result<(), StoreError> {
    let (lying, wanted) = first(claim.most, &lying, &scan.wanted);
    // What is not taken now must be found again.
    portion.seen = match scan.wanted.get(wanted.len()) {
        Some(next) => next - 1,
        None => scan.until,
    };
    portion.more |= scan.more || lying.len() + wanted.len() == claim.most;
    for gone in lying.iter().filter(|(_, taken)| taken.is_none()) {
        forget(transaction, claim.queue, gone.0).await?;
    }
    if let Some((last, _)) = lying.last() {
        hand_over(transaction, claim, *last).await?;
    }
    message::take_over(transaction, claim.queue, Some(claim.consumer), wanted).await?;
    if !wanted.is_empty() || portion.seen - state.cursor >= CHUNK {
        let sql = "UPDATE queues SET cursor = $1 WHERE number = $2";
        let values = [Value::Int(portion.seen.max(state.cursor)), Value::Int(claim.queue)];
        transaction.execute(sql, &values).await?;
    }
    portion.taken = lying.iter().filter_map(|(_, taken)| taken.clone()).collect();
    if let (Some(first), Some(last)) = (wanted.first(), wanted.last()) {
        portion.taken.extend(taken_over(transaction, claim, *first, *last).await?);
        portion.taken.sort_by_key(|taken| taken.place);
    }
    Ok(())
}

/// The first so many of both, by place.
fn first<'a>(
    most: usize,
    lying: &'a [(Place, Option<Taken>)],
    wanted: &'a [i64],
) -> (&'a [(Place, Option<Taken>)], &'a [i64]) {
    let (mut a, mut b) = (0, 0);
    while a + b < most {
        match (lying.get(a), wanted.get(b)) {
            (Some((place, _)), Some(position)) if *place < (*position, 0) => a += 1,
            (Some(_), None) => a += 1,
            (_, Some(_)) => b += 1,
            (None, None) => break,
        }
    }
    (&lying[..a], &wanted[..b])
}

/// Everything that lies there for anybody, up to a place, goes to the consumer.
async fn hand_over(
    transaction: &mut Transaction,
    claim: &Claim,
    last: Place,
) -> Result<(), StoreError> {
    let after = claim.within.map_or((-1, 0), |(after, _)| after);
    let sql = "UPDATE messages SET consumer = $1, since = $7 WHERE queue = $2 AND consumer IS NULL \
         AND due IS NULL AND (place, number) > ($3, $4) AND (place, number) <= ($5, $6)";
    let now = time_to_micros(Utc::now());
    let numbers = [claim.consumer, claim.queue, after.0, after.1, last.0, last.1, now];
    transaction.execute(sql, &numbers.map(Value::Int)).await.map(|_| ())
}

/// The messages that were just taken over from the log.
async fn taken_over(
    transaction: &mut Transaction,
    claim: &Claim,
    first: i64,
    last: i64,
) -> Result<Vec<Taken>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM messages m JOIN events e ON e.position = m.position \
         WHERE m.consumer = $1 AND m.place >= $2 AND m.place <= $3 AND m.number = 0"
    );
    let values = [claim.consumer, first, last].map(Value::Int);
    let rows = transaction.connection().query(&sql, &values).await?;
    rows.iter().filter_map(|row| Taken::of(row).transpose()).collect()
}

/// A message whose event was pruned is gone.
async fn forget(transaction: &mut Transaction, queue: i64, place: Place) -> Result<(), StoreError> {
    tracing::warn!(queue, place = place.0, "a message was pruned before it was handled");
    let sql = "DELETE FROM messages WHERE queue = $1 AND place = $2 AND number = $3";
    let values = [queue, place.0, place.1].map(Value::Int);
    transaction.execute(sql, &values).await.map(|_| ())
}

/// What a consumer was given without knowing it is for anybody again.
async fn put_back(
    transaction: &mut Transaction,
    consumer: i64,
    held: &[Place],
) -> Result<(), StoreError> {
    let sql = "SELECT place, number FROM messages WHERE consumer = $1";
    let given = transaction.connection().query(sql, &[Value::Int(consumer)]).await?;
    let sql = "UPDATE messages SET consumer = NULL WHERE consumer = $1 AND place = $2 \
         AND number = $3";
    for row in given {
        let place = (row.int(0)?, row.int(1)?);
        if !held.contains(&place) {
            let values = [consumer, place.0, place.1].map(Value::Int);
            transaction.execute(sql, &values).await?;
        }
    }
    Ok(())
}
