//! Messages as they lie in queues.

use std::sync::Arc;

use bloodbank_bus::{Delivery, DeliveryTag, Exchange, Headers, headers};

use super::queues::{QueueRow, numbers};
use crate::StoreError;
use crate::event::{headers_of, headers_text};
use crate::sql::{Row, Table, Type, Value};
use crate::writer::Transaction;

/// Where the sender of a command waits for its answer. Travels with the command, and is given to its
/// worker as [`Delivery::reply_to`].
pub(super) const REPLY_TO: &str = "x-bloodbank-reply-to";

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
    ],
    or_ignore: true,
};

/// A message that goes into queues past the log.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) key: Arc<str>,
    pub(super) body: Arc<[u8]>,
    pub(super) headers: Headers,
}

impl Message {
    /// Puts it at the end of queues.
    pub(super) async fn put(
        &self,
        transaction: &mut Transaction,
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
                Value::text(&*self.key),
                Value::Bytes(self.body.clone()),
                // Never null, as there is no log to ask.
                Value::text(headers_text(&self.headers).unwrap_or_else(|| "{}".to_owned())),
                Value::Null,
                Value::Int(0),
            ]
        };
        let rows: Vec<Vec<Value>> = (first..).zip(queues).map(row).collect();
        transaction.insert(&MESSAGES, &rows).await
    }
}

/// Takes messages of the log over into a queue.
pub(super) async fn take_over(
    transaction: &mut Transaction,
    queue: i64,
    consumer: Option<i64>,
    positions: &[i64],
) -> Result<(), StoreError> {
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
    redelivered: bool,
    message: Message,
}

impl Taken {
    /// `None` if its event is not in the log any more.
    pub(super) fn of(row: &Row) -> Result<Option<Self>, StoreError> {
        let (Some(key), Some(body)) = (row.maybe_text(3)?, row.maybe_bytes(5)?) else {
            return Ok(None);
        };
        let (key, headers) = (key.into(), headers_of(row.maybe_text(4)?)?);
        let message = Message { key, body, headers };
        let place = (row.int(0)?, row.int(1)?);
        Ok(Some(Taken { place, redelivered: row.int(2)? != 0, message }))
    }

    /// As its consumer gets it, and the headers as they are stored.
    pub(super) fn deliver(self, tag: DeliveryTag, queue: &QueueRow) -> (Delivery, Headers) {
        let Message { key, body, headers: stored } = self.message;
        let mut headers = stored.clone();
        let reply_to = headers.remove(REPLY_TO);
        // Who records commands answers none.
        let is_worker = queue.spec.wants(Exchange::Commands, &key);
        let attempts = headers.get(headers::ATTEMPTS).and_then(|text| text.parse::<u32>().ok());
        let delivery = Delivery {
            tag,
            queue: queue.name.clone(),
            attempt: attempts.unwrap_or(0).saturating_add(1),
            redelivered: self.redelivered,
            reply_to: reply_to.filter(|_| is_worker).map(Into::into),
            key,
            body,
            headers,
        };
        (delivery, stored)
    }
}
