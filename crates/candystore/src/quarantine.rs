//! What came with the id of another event and is not the same.

use std::sync::Arc;

use bloodbank_bus::{Headers, Properties};
use bloodbank_core::{Bundle, Contracts, Envelope, Kind, same_value};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::beside;
use crate::event::kind_of;
use crate::record::{Record, indexed};
use crate::sql::{Connection, Row, Value, micros_to_time};
use crate::writer::Transaction;
use crate::{Damage, EventStore, Incoming, Position, StoreError};

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
    /// Who said it.
    pub source: bool,
    /// Their correlation ids.
    pub correlation: bool,
    /// What they follow from.
    pub causation: bool,
    /// Their sessions.
    pub session: bool,
}

/// What of a message tells whether it is another one.
#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) kind: Kind,
    pub(crate) key: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) source: &'a str,
    pub(crate) correlation: Option<Uuid>,
    pub(crate) causation: Option<Uuid>,
    pub(crate) session: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// The columns of [`Said::of`], of a table of this name.
    pub(crate) fn columns(table: &str) -> String {
        ["kind", "key", "body", "source", "correlation_id", "causation_id", "session_id"]
            .map(|column| format!("{table}.{column}"))
            .join(", ")
    }

    /// Reads the columns from this one on; `body` is that of the row.
    pub(crate) fn of(row: &'a Row, first: usize, body: &'a [u8]) -> Result<Self, StoreError> {
        Ok(Said {
            kind: kind_of(row.text(first)?)?,
            key: row.text(first + 1)?,
            body,
            source: row.text(first + 3)?,
            correlation: row.maybe_id(first + 4)?,
            causation: row.maybe_id(first + 5)?,
            session: row.maybe_text(first + 6)?,
        })
    }
}

impl Difference {
    pub(crate) fn between(one: Said<'_>, other: Said<'_>) -> Self {
        Difference {
            kind: one.kind != other.kind,
            key: one.key != other.key,
            data: !is_same_data(one.body, other.body),
            source: indexed(one.source) != indexed(other.source),
            correlation: one.correlation != other.correlation,
            causation: one.causation != other.causation,
            session: one.session.map(indexed) != other.session.map(indexed),
        }
    }

    /// Whether there is one.
    pub(crate) fn is_any(self) -> bool {
        let Difference { kind, key, data, source, correlation, causation, session } = self;
        kind || key || data || source || correlation || causation || session
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
fn question() -> String {
    format!(
        "SELECT {COLUMNS}, {} FROM quarantine q \
         LEFT JOIN events e ON e.position = q.position AND e.id = q.id",
        Said::columns("e"),
    )
}

/// What came with this id.
pub(crate) async fn with_id(
    connection: &mut Connection,
    id: Uuid,
) -> Result<Vec<Quarantined>, StoreError> {
    let sql = format!("{} WHERE q.id = $1 ORDER BY q.number", question());
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
        let sql = format!("{} WHERE q.number > $1 ORDER BY q.number LIMIT $2", question());
        let values = [Value::position(after), Value::position(limit.min(1_000))];
        let rows = self.readers().run(async move |c: &mut Connection| c.query(&sql, &values).await);
        rows.await?.iter().map(Quarantined::of).collect()
    }
}

/// What became of a message in quarantine that was tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retried {
    /// Its id is free by now: it is stored, at this position, and gone from quarantine.
    Stored(Position),
    /// It is the event at this position after all, and gone from quarantine.
    Duplicate(Position),
    /// The event at this position still has its id. It stays.
    Conflict(Position),
    /// There is no such number in quarantine.
    Missing,
}

impl EventStore {
    /// The message of this number in quarantine.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn quarantined_at(&self, number: u64) -> Result<Option<Quarantined>, StoreError> {
        let mut found = self.quarantined(number.saturating_sub(1), 1).await?;
        Ok(found.pop().filter(|found| found.number == number))
    }

    /// Deletes messages from quarantine, by their numbers. Gives how many were there.
    ///
    /// # Errors
    /// Nothing is deleted then, unless it is [`StoreError::Lost`], which leaves it open.
    pub async fn drop_quarantined(&self, numbers: Vec<u64>) -> Result<u64, StoreError> {
        let drop = async move |t: &mut Transaction| {
            let rows: Vec<_> = numbers.iter().map(|n| vec![Value::position(*n)]).collect();
            t.execute_each("DELETE FROM quarantine WHERE number = $1", &rows).await
        };
        self.writer().run(drop).await
    }

    /// Appends a message in quarantine, judged by the contracts of now, if no event has its id any more:
    /// that one was pruned.
    ///
    /// # Errors
    /// Nothing is changed then, unless it is [`StoreError::Lost`], which leaves it open.
    pub async fn retry_quarantined(&self, number: u64) -> Result<Retried, StoreError> {
        let Some(found) = self.quarantined_at(number).await? else { return Ok(Retried::Missing) };
        let record = Record::of(&self.contracts(), found.incoming());
        self.writer().run(async move |t: &mut Transaction| t.retry(number, record).await).await
    }
}

impl Transaction {
    async fn retry(&mut self, number: u64, record: Record) -> Result<Retried, StoreError> {
        let delete = "DELETE FROM quarantine WHERE number = $1";
        let stored = self.connection().positions_of(&[record.id]).await?;
        let Some((_, position)) = stored.first() else {
            if self.execute(delete, &[Value::position(number)]).await? == 0 {
                return Ok(Retried::Missing);
            }
            let appended = self.append(&[record]).await?;
            let position = appended.first().map(|appended| appended.position());
            return Ok(Retried::Stored(position.unwrap_or_default()));
        };
        let position = position.unsigned_abs();
        if self.difference(&record, position).await?.is_any() {
            return Ok(Retried::Conflict(position));
        }
        self.execute(delete, &[Value::position(number)]).await?;
        Ok(Retried::Duplicate(position))
    }

    /// In what a message differs from the event at a position.
    pub(crate) async fn difference(
        &mut self,
        record: &Record,
        position: Position,
    ) -> Result<Difference, StoreError> {
        let columns = Said::columns("events");
        let sql = format!("SELECT {columns} FROM events WHERE position = $1");
        let row = self.connection().query(&sql, &[Value::position(position)]).await?;
        let row = row.first().ok_or(StoreError::Damaged(Damage::Index(position)))?;
        let body = row.bytes(2)?;
        Ok(Difference::between(record.said(), Said::of(row, 0, &body)?))
    }
}

/// The columns that [`Quarantined::of`] reads first.
const COLUMNS: &str = "q.number, q.received, q.id, q.position, q.kind, q.key, q.headers, q.body";

impl Quarantined {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let (headers, properties) = beside::read(row.maybe_text(6)?)?;
        let mut found = Quarantined {
            number: row.position(0)?,
            received: micros_to_time(row.int(1)?)?,
            id: row.id(2)?,
            position: row.position(3)?,
            kind: kind_of(row.text(4)?)?,
            key: row.text(5)?.to_owned(),
            headers,
            properties,
            body: row.bytes(7)?,
            difference: None,
        };
        if let Some(body) = row.maybe_bytes(10)? {
            let record = found.incoming().with_received(found.received);
            let record = Record::of(&Contracts::new(Bundle::default()), record);
            let stored = Said::of(row, 8, &body)?;
            found.difference = Some(Difference::between(record.said(), stored));
        }
        Ok(found)
    }

    /// The message, as it came.
    pub(crate) fn incoming(&self) -> Incoming {
        Incoming::new(self.kind, self.key.as_str(), self.body.clone())
            .with_headers(self.headers.clone())
            .with_properties(self.properties.clone())
    }
}
