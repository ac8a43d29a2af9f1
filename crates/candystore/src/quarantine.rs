//! What came with the id of another event and is not the same.

use std::sync::Arc;

use bloodbank_bus::{Headers, Properties};
use bloodbank_core::{Envelope, Kind, same_value};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::beside;
use crate::event::kind_of;
use crate::sql::{Connection, Row, Value, micros_to_time};
use crate::{EventStore, Position, StoreError};

/// A message in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// Its place in quarantine: 1, 2, 3, …
    pub number: u64,
    /// When it came.
    pub received: DateTime<Utc>,
    /// The id that it has in common with a stored event.
    pub id: Uuid,
    /// Where that event is.
    pub position: Position,
    /// Whether it was published or sent.
    pub kind: Kind,
    /// The routing key it travelled under.
    pub key: String,
    /// What travelled beside it.
    pub headers: Headers,
    /// What else did, and does not only repeat what the envelope says.
    pub properties: Option<Box<Properties>>,
    /// The bytes as they came.
    pub body: Arc<[u8]>,
    /// In what it differs from the stored event; `None` if that was pruned since.
    pub difference: Option<Difference>,
}

/// In what two messages with one id differ. When they were said, and by which way they came, may
/// differ: whoever says a thing twice under one id says it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// One is an event, the other a command.
    pub kind: bool,
    /// Their keys.
    pub key: bool,
    /// Their payloads; their bytes, where one is not an envelope.
    pub data: bool,
}

/// What of a message tells whether it is another one.
#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) kind: Kind,
    pub(crate) key: &'a str,
    pub(crate) body: &'a [u8],
}

impl Difference {
    pub(crate) fn between(one: Said<'_>, other: Said<'_>) -> Self {
        Difference {
            kind: one.kind != other.kind,
            key: one.key != other.key,
            data: !is_same_data(one.body, other.body),
        }
    }

    /// Whether there is one.
    pub(crate) fn is_any(self) -> bool {
        self.kind || self.key || self.data
    }
}

fn is_same_data(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    match (data(one), data(other)) {
        (Some(one), Some(other)) => same_value(&one, &other),
        _ => false,
    }
}

/// The payload in the bytes of an envelope, in whichever form they are: those of a CloudEvent in its
/// binary form are the payload.
fn data(body: &[u8]) -> Option<serde_json::Value> {
    if let Ok(envelope) = Envelope::from_stored(body) {
        return Some(envelope.data);
    }
    let mut said: serde_json::Value = serde_json::from_slice(body).ok()?;
    match said.get("specversion").is_some() {
        true => said.get_mut("data").map(serde_json::Value::take),
        false => Some(said),
    }
}

/// What [`Quarantined::of`] reads.
const QUESTION: &str = "SELECT q.number, q.received, q.id, q.position, q.kind, q.key, q.headers, \
     q.body, e.kind, e.key, e.body FROM quarantine q \
     LEFT JOIN events e ON e.position = q.position AND e.id = q.id";

/// What came with this id.
pub(crate) async fn with_id(
    connection: &mut Connection,
    id: Uuid,
) -> Result<Vec<Quarantined>, StoreError> {
    let sql = format!("{QUESTION} WHERE q.id = $1 ORDER BY q.number");
    connection.query(&sql, &[Value::Id(id)]).await?.iter().map(Quarantined::of).collect()
}

impl EventStore {
    /// What is in quarantine after a number, oldest first; at most `limit`, and 1,000.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn quarantined(
        &self,
        after: u64,
        limit: u64,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let sql = format!("{QUESTION} WHERE q.number > $1 ORDER BY q.number LIMIT $2");
        let values = [Value::position(after), Value::position(limit.min(1_000))];
        let rows = self.readers().run(async move |c: &mut Connection| c.query(&sql, &values).await);
        rows.await?.iter().map(Quarantined::of).collect()
    }
}

impl Quarantined {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let (kind, key, body) = (kind_of(row.text(4)?)?, row.text(5)?, row.bytes(7)?);
        let this = Said { kind, key, body: &body };
        let difference = match row.maybe_text(8)? {
            Some(kind) => {
                let (kind, body) = (kind_of(kind)?, row.bytes(10)?);
                let stored = Said { kind, key: row.text(9)?, body: &body };
                Some(Difference::between(this, stored))
            }
            None => None,
        };
        let (headers, properties) = beside::read(row.maybe_text(6)?)?;
        Ok(Quarantined {
            number: row.position(0)?,
            received: micros_to_time(row.int(1)?)?,
            id: row.id(2)?,
            position: row.position(3)?,
            kind,
            key: key.to_owned(),
            headers,
            properties,
            body,
            difference,
        })
    }
}
