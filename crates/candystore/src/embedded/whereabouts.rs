//! Where a message is in the queues of the bus in the store.

use std::collections::HashMap;

use bloodbank_bus::{headers, read_envelope};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::beside;
use crate::queues::{QueueCache, QueueRow};
use crate::sql::{Connection, Row, Value, micros_to_time};
use crate::{Position, StoreError, StoredEvent};

/// How many messages that lie past the log are read at a time.
const PAGE: i64 = 500;

/// A queue that wants a message, or holds it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InQueue {
    /// Its name.
    pub queue: String,
    /// The queue whose dead letters lie in it, if it is one of these.
    pub dead_letters_of: Option<String>,
    /// Whether one of its bindings wants the message as it was published.
    pub is_bound: bool,
    /// How it holds the message, once for each copy. Nothing where it is done with it.
    pub held: Vec<Held>,
}

/// How a queue holds a message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Held {
    /// How it stands there.
    pub state: HeldState,
    /// How often its handlers have failed.
    pub failed: u32,
    /// What they said when they last did, or why it was parked.
    pub error: Option<String>,
    /// Why it was parked, in a word.
    pub reason: Option<String>,
    /// When it was parked.
    pub parked_at: Option<DateTime<Utc>>,
    /// How often it was lost with its consumer, or handed back.
    pub lost: u32,
    /// The replay that it is part of.
    pub replay: Option<String>,
    /// How often it was brought back from the dead letters.
    pub redrives: u32,
}

/// How a message stands in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeldState {
    /// The queue has not read the log so far.
    Unread {
        /// How many positions are before it, wanted or not.
        before: u64,
    },
    /// It waits for a consumer.
    Ready,
    /// A consumer has it.
    InFlight {
        /// Since when, if that is known.
        since: Option<DateTime<Utc>>,
        /// Who that is, if it is known.
        by: Option<String>,
    },
    /// It waits until it is tried again.
    Delayed {
        /// When that is.
        until: DateTime<Utc>,
    },
}

impl Held {
    fn unread(before: u64) -> Self {
        Held {
            state: HeldState::Unread { before },
            failed: 0,
            error: None,
            reason: None,
            parked_at: None,
            lost: 0,
            replay: None,
            redrives: 0,
        }
    }
}

/// The queues that want a message or hold it, by name.
pub(crate) async fn in_queues(
    connection: &mut Connection,
    id: Uuid,
    event: Option<&StoredEvent>,
) -> Result<Vec<InQueue>, StoreError> {
    let queues = QueueCache::default().read(connection).await?;
    let names = consumers(connection).await?;
    let mut found: HashMap<i64, InQueue> = HashMap::new();
    let new = |queue: &QueueRow| InQueue {
        queue: queue.name.to_string(),
        dead_letters_of: queues.with_dead_letters_in(&queue.name).map(|it| it.name.to_string()),
        is_bound: false,
        held: Vec::new(),
    };
    if let Some(event) = event {
        let is_history = is_history(connection, event.position).await?;
        for queue in queues.all() {
            let is_bound = !is_history && queue.wants(event.kind, &event.key, event.position);
            let held = of_log(connection, &names, queue, event.position, is_bound).await?;
            if is_bound || held.is_some() {
                let entry = found.entry(queue.number).or_insert_with(|| new(queue));
                entry.is_bound = is_bound;
                entry.held.extend(held);
            }
        }
    }
    for (queue, held) in past_the_log(connection, &names, id, event).await? {
        let Some(queue) = queues.numbered(queue) else { continue };
        found.entry(queue.number).or_insert_with(|| new(queue)).held.push(held);
    }
    let mut found: Vec<InQueue> = found.into_values().collect();
    found.sort_by(|one, other| one.queue.cmp(&other.queue));
    Ok(found)
}

/// What is imported is for no queue.
async fn is_history(connection: &mut Connection, position: Position) -> Result<bool, StoreError> {
    let sql = "SELECT imported FROM events WHERE position = $1";
    Ok(connection.query_one(sql, &[Value::position(position)]).await?.int(0)? != 0)
}

/// Names of consumers, by their numbers.
async fn consumers(connection: &mut Connection) -> Result<HashMap<i64, String>, StoreError> {
    let sql = "SELECT number, name FROM consumers WHERE name IS NOT NULL";
    let rows = connection.query(sql, &[]).await?;
    rows.iter().map(|row| Ok((row.int(0)?, row.text(1)?.to_owned()))).collect()
}

/// The columns that [`held`] reads, from the third on.
const STANDING: &str = "m.headers, m.due, m.consumer, m.redelivered, m.since";

/// How a queue holds a message of the log.
async fn of_log(
    connection: &mut Connection,
    names: &HashMap<i64, String>,
    queue: &QueueRow,
    position: Position,
    is_bound: bool,
) -> Result<Option<Held>, StoreError> {
    let sql = format!(
        "SELECT m.key, m.body, {STANDING} FROM messages m \
         WHERE m.queue = $1 AND m.place = $2 AND m.number = 0"
    );
    let values = [Value::Int(queue.number), Value::position(position)];
    if let Some(row) = connection.query(&sql, &values).await?.first() {
        return held(row, names).map(Some);
    }
    let sql = "SELECT cursor FROM queues WHERE number = $1";
    let cursor = connection.query_one(sql, &[Value::Int(queue.number)]).await?.position(0)?;
    Ok((is_bound && cursor < position).then(|| Held::unread(position - cursor - 1)))
}

/// What was put into queues past the log and is this message: retries of the past, dead letters, what was
/// brought back, replays.
async fn past_the_log(
    connection: &mut Connection,
    names: &HashMap<i64, String>,
    id: Uuid,
    event: Option<&StoredEvent>,
) -> Result<Vec<(i64, Held)>, StoreError> {
    let sql = format!(
        "SELECT m.key, m.body, {STANDING}, m.queue, m.place, m.number FROM messages m \
         WHERE m.position IS NULL AND (m.queue, m.place, m.number) > ($1, $2, $3) \
         ORDER BY m.queue, m.place, m.number LIMIT {PAGE}"
    );
    let (mut found, mut last) = (Vec::new(), [-1, -1, -1]);
    loop {
        let rows = connection.query(&sql, &last.map(Value::Int)).await?;
        for row in &rows {
            last = [row.int(7)?, row.int(8)?, row.int(9)?];
            if is_it(row, id, event)? {
                found.push((last[0], held(row, names)?));
            }
        }
        if (rows.len() as i64) < PAGE {
            return Ok(found);
        }
    }
}

/// Whether a message is the one that is looked for.
fn is_it(row: &Row, id: Uuid, event: Option<&StoredEvent>) -> Result<bool, StoreError> {
    let (Some(key), Some(body)) = (row.maybe_text(0)?, row.maybe_bytes(1)?) else {
        return Ok(false);
    };
    if let Some(event) = event {
        return Ok(event.key == key && event.body == body);
    }
    // What cannot be read has no id.
    let Ok((headers, properties)) = beside::read(row.maybe_text(2)?) else { return Ok(false) };
    let envelope = read_envelope(key, &body, &headers, properties.as_deref());
    Ok(envelope.is_ok_and(|envelope| envelope.id == id))
}

fn held(row: &Row, names: &HashMap<i64, String>) -> Result<Held, StoreError> {
    // A damaged header takes nothing of the rest away.
    let (noted, _) = beside::read(row.maybe_text(2)?).unwrap_or_default();
    let text = |name: &str| headers::text(&noted, name).map(str::to_owned);
    let count = |name: &str| headers::count(&noted, name).unwrap_or(0);
    let state = match (row.maybe_int(3)?, row.maybe_int(4)?) {
        (Some(due), _) => HeldState::Delayed { until: micros_to_time(due)? },
        (None, Some(consumer)) => HeldState::InFlight {
            since: row.maybe_int(6)?.map(micros_to_time).transpose()?,
            by: names.get(&consumer).cloned(),
        },
        (None, None) => HeldState::Ready,
    };
    Ok(Held {
        state,
        failed: count(headers::ATTEMPTS),
        error: text(headers::ERROR),
        reason: text(headers::REASON),
        parked_at: headers::time(&noted, headers::PARKED_AT),
        lost: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
        replay: text(headers::REPLAY),
        redrives: count(headers::REDRIVES),
    })
}
