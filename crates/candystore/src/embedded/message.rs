//! Messages as they lie in queues.

use std::collections::HashMap;
use std::sync::Arc;

use super::lying::Lying;
use crate::StoreError;
use crate::beside;
use crate::queues::{QueueRow, numbers};
use crate::sql::{Connection, Each, Row, Table, Type, Value};
use crate::writer::Transaction;
use bloodbank_bus::{Delivery, DeliveryTag, Exchange, Headers, Verbatim, headers};

/// Where a message stands in its queue: its place, and what tells it from others of that place.
pub(super) type Place = (i64, i64);

static MESSAGES: Table = Table {
    name: "messages",
    columns: &[
        ("queue", Type::Int),
        ("place", Type::Int),
        ("number", Type::Int),
        ("position", Type::Int),
        ("key", Type::Text),
        ("body", Type::Bytes),
        ("headers", Type::Text),
        ("consumer", Type::Int),
        ("redelivered", Type::Int),
        ("since", Type::Int),
    ],
    or_ignore: true,
};

/// Puts a message at the end of queues, past the log.
pub(super) async fn put(
    transaction: &mut Transaction,
    message: &Verbatim,
    queues: &[Arc<QueueRow>],
) -> Result<(), StoreError> {
    let count = i64::try_from(queues.len()).unwrap_or(i64::MAX);
    let first = numbers(transaction, count).await?;
    let place = Value::position(transaction.head.position);
    let row = |(number, queue): (i64, &Arc<QueueRow>)| {
        vec![
            Value::Int(queue.number),
            place.clone(),
            Value::Int(number),
            Value::Null,
            Value::text(&*message.key),
            Value::Bytes(message.body.clone()),
            // Never null, as there is no log to ask.
            Value::text(beside::full_text(&message.headers, message.properties.as_deref())),
            Value::Null,
            Value::Int(0),
            Value::Null,
        ]
    };
    let rows: Vec<Vec<Value>> = (first..).zip(queues).map(row).collect();
    transaction.insert(&MESSAGES, &rows).await
}

/// Takes messages of the log over into queues; see [`take_over`].
pub(super) const TAKEN: Each<'_> = Each {
    one: "INSERT INTO messages (queue, place, number, position, consumer, redelivered, since) \
         VALUES ($1, $2, 0, $2, $3, 0, $4) ON CONFLICT DO NOTHING",
    all: "INSERT INTO messages (queue, place, number, position, consumer, redelivered, since) \
         SELECT queue, position, 0, position, consumer, 0, since \
         FROM unnest($1, $2, $3, $4) AS r(queue, position, consumer, since) ON CONFLICT DO NOTHING",
    columns: &[Type::Int; 4],
};

/// Takes messages of the log over into queues: rows of a queue, a position, and a consumer and the time
/// at which it gets them, or two nulls.
pub(super) async fn take_over(
    transaction: &mut Transaction,
    rows: &[Vec<Value>],
) -> Result<(), StoreError> {
    transaction.execute_all(&TAKEN, rows).await.map(|_| ())
}

/// The columns that [`lying`] reads, of `messages m LEFT JOIN events e`. What has a body of its own has no
/// checksum.
pub(super) const COLUMNS: &str = "m.place, m.number, m.redelivered, COALESCE(m.key, e.key), \
     COALESCE(m.headers, e.headers), COALESCE(m.body, e.body), \
     CASE WHEN m.body IS NULL THEN e.checksum END";

/// The place of a message that lies in a queue.
pub(super) fn place(row: &Row) -> Result<Place, StoreError> {
    Ok((row.int(0)?, row.int(1)?))
}

/// A message that lies in a queue.
pub(super) fn lying(row: &Row, place: Place) -> Lying {
    let is_gone = matches!((row.maybe_text(3), row.maybe_bytes(5)), (Ok(None), _) | (_, Ok(None)));
    if is_gone {
        return Lying::Gone;
    }
    match stored(row, 3) {
        Ok(message) => {
            let lost = u32::try_from(row.int(2).unwrap_or(0)).unwrap_or(u32::MAX);
            Lying::Message(Taken { place, lost, message })
        }
        Err(error) => Lying::Damaged(error.to_string()),
    }
}

/// Messages of the log by their positions, or why one cannot be read.
pub(super) type Messages = HashMap<i64, Result<Verbatim, String>>;

/// The messages of the log at these positions, as far as they are there.
pub(super) async fn read(
    connection: &mut Connection,
    positions: &[i64],
) -> Result<Messages, StoreError> {
    let each = Each {
        one: "SELECT position, key, headers, body, checksum FROM events WHERE position = $1",
        all: "SELECT position, key, headers, body, checksum FROM events WHERE position = ANY($1)",
        columns: &[Type::Int],
    };
    let rows: Vec<_> = positions.iter().map(|position| vec![Value::Int(*position)]).collect();
    let rows = connection.query_all(&each, &rows).await?;
    let one = |row: &Row| Ok((row.int(0)?, stored(row, 1).map_err(|error| error.to_string())));
    rows.iter().map(one).collect()
}

/// Reads key, headers, body and checksum, from a column on.
fn stored(row: &Row, from: usize) -> Result<Verbatim, StoreError> {
    let (key, body) = (row.text(from)?, row.bytes(from + 2)?);
    if let Some(checksum) = row.maybe_int(from + 3)?
        && checksum != i64::from(crc32fast::hash(&body))
    {
        return Err(StoreError::column("body"));
    }
    let (headers, properties) = beside::read(row.maybe_text(from + 1)?)?;
    Ok(Verbatim::stored(key, body, headers).with_properties(properties))
}

/// A message on its way to a consumer.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) place: Place,
    lost: u32,
    message: Verbatim,
}

impl Taken {
    /// What is taken for the first time.
    pub(super) fn new(place: Place, message: Verbatim) -> Self {
        Taken { place, lost: 0, message }
    }

    /// Whether it was lost with its consumer so often that it is to be taken alone. Once is an
    /// accident.
    pub(super) fn is_suspect(&self) -> bool {
        self.lost >= Delivery::SUSPECT
    }

    /// As its consumer gets it, and the headers as they are stored.
    pub(super) fn deliver(self, tag: DeliveryTag, queue: &QueueRow) -> (Delivery, Headers) {
        let mut message = self.message;
        let stored = message.headers.clone();
        let reply_to = message.headers.remove(headers::REPLY_TO);
        // Who records commands answers none.
        let is_worker = queue.spec.wants(Exchange::Commands, &message.key);
        let reply_to = reply_to.filter(|_| is_worker);
        let delivery = Delivery::new(tag, queue.name.clone(), message)
            .with_lost(self.lost)
            .with_reply_to(reply_to.as_ref().and_then(|to| to.as_str()).map(Into::into));
        (delivery, stored)
    }
}
