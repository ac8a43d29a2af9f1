//! Messages as they lie in queues.

use std::sync::Arc;

use bloodbank_bus::{Delivery, DeliveryTag, Exchange, Headers, Verbatim, headers};
use chrono::Utc;

use crate::StoreError;
use crate::beside;
use crate::queues::{QueueRow, numbers};
use crate::sql::{Row, Table, Type, Value, time_to_micros};
use crate::writer::Transaction;

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

/// Takes messages of the log over into a queue.
pub(super) async fn take_over(
    transaction: &mut Transaction,
    queue: i64,
    consumer: Option<i64>,
    positions: &[i64],
) -> Result<(), StoreError> {
    let since = Value::maybe(consumer, |_| Value::Int(time_to_micros(Utc::now())));
    let row = |position: &i64| {
        vec![
            Value::Int(queue),
            Value::Int(*position),
            Value::Int(0),
            Value::Int(*position),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::maybe(consumer, Value::Int),
            Value::Int(0),
            since.clone(),
        ]
    };
    let rows: Vec<Vec<Value>> = positions.iter().map(row).collect();
    transaction.insert(&MESSAGES, &rows).await
}

/// The columns that [`Taken::of`] reads, of `messages m LEFT JOIN events e`.
pub(super) const COLUMNS: &str = "m.place, m.number, m.redelivered, COALESCE(m.key, e.key), \
     COALESCE(m.headers, e.headers), COALESCE(m.body, e.body)";

/// A message on its way to a consumer.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) place: Place,
    lost: u32,
    message: Verbatim,
}

impl Taken {
    /// `None` if its event is not in the log any more.
    pub(super) fn of(row: &Row) -> Result<Option<Self>, StoreError> {
        let (Some(key), Some(body)) = (row.maybe_text(3)?, row.maybe_bytes(5)?) else {
            return Ok(None);
        };
        let (headers, properties) = beside::read(row.maybe_text(4)?)?;
        let message = Verbatim::stored(key, body, headers).with_properties(properties);
        let place = (row.int(0)?, row.int(1)?);
        let lost = u32::try_from(row.int(2)?).unwrap_or(u32::MAX);
        Ok(Some(Taken { place, lost, message }))
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
