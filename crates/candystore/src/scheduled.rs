//! Messages that are not due yet.

use std::sync::Arc;

use bloodbank_bus::{Headers, Properties};
use bloodbank_core::Kind;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::beside;
use crate::event::kind_of;
use crate::sql::{Connection, Row, Table, Type, Value, micros_to_time, time_to_micros};
use crate::writer::Transaction;
use crate::{EventStore, StoreError};

/// The most that are listed at a time.
const MOST_LISTED: u64 = 10_000;

/// How long one process has for sending what it has claimed, in microseconds: longer than the deadline
/// of any transport. Another process sends it then.
const CLAIM: i64 = 120_000_000;

/// How long a message that was cancelled is known after it would have been due, in microseconds.
const DAY: i64 = 86_400_000_000;

/// The shortest and the longest pause after sending has failed, in microseconds.
const PAUSES: (i64, i64) = (1_000_000, 600_000_000);

/// A message that is sent when it is due.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scheduled {
    /// The id of its envelope.
    pub id: Uuid,
    /// Whether it is published or sent.
    pub kind: Kind,
    /// Its routing key.
    pub key: String,
    /// When it is due.
    pub due: DateTime<Utc>,
    /// When it was scheduled.
    pub since: DateTime<Utc>,
    /// How often sending it has failed.
    pub attempts: u32,
    /// Why that failed the last time.
    pub error: Option<String>,
    /// What travels beside it.
    pub headers: Headers,
    /// What else does, and does not only repeat what the envelope says.
    pub properties: Option<Box<Properties>>,
    /// Its envelope, as it came.
    pub body: Arc<[u8]>,
}

/// What became of an attempt to send one.
pub(crate) struct Attempted {
    pub(crate) id: Uuid,
    /// How often it had failed before.
    pub(crate) attempts: u32,
    pub(crate) outcome: Result<(), String>,
}

static TABLE: Table = Table {
    name: "scheduled",
    columns: &[
        ("id", Type::Id),
        ("kind", Type::Text),
        ("key", Type::Text),
        ("due", Type::Int),
        ("since", Type::Int),
        ("next", Type::Int),
        ("attempts", Type::Int),
        ("headers", Type::Text),
        ("body", Type::Bytes),
    ],
    // What is scheduled twice under one id is one message.
    or_ignore: true,
};

/// The columns that [`Scheduled::of`] reads.
const COLUMNS: &str = "id, kind, key, due, since, attempts, error, headers, body";

/// The message of this id that is not sent yet, or when it was cancelled.
pub(crate) async fn with_id(
    connection: &mut Connection,
    id: Uuid,
) -> Result<(Option<Scheduled>, Option<DateTime<Utc>>), StoreError> {
    let sql = format!("SELECT {COLUMNS}, cancelled FROM scheduled WHERE id = $1");
    let rows = connection.query(&sql, &[Value::Id(id)]).await?;
    let Some(row) = rows.first() else { return Ok((None, None)) };
    match row.maybe_int(9)? {
        Some(cancelled) => Ok((None, Some(micros_to_time(cancelled)?))),
        None => Ok((Some(Scheduled::of(row)?), None)),
    }
}

impl EventStore {
    /// The messages that are not sent yet, those due first before the others; at most `limit`, and
    /// 10,000.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn scheduled(&self, limit: u64) -> Result<Vec<Scheduled>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM scheduled WHERE cancelled IS NULL \
             ORDER BY due, id LIMIT $1"
        );
        let values = [Value::position(limit.min(MOST_LISTED))];
        let rows = self.readers().run(async move |c: &mut Connection| c.query(&sql, &values).await);
        rows.await?.iter().map(Scheduled::of).collect()
    }

    /// Takes a scheduled message back, by the id of its envelope. Whether it was still there: what is
    /// being sent at this moment can no longer be cancelled. The same id means the same message, so that
    /// scheduling it once more does not bring it back.
    ///
    /// # Errors
    /// If the database cannot be written to.
    pub async fn cancel_scheduled(&self, id: Uuid) -> Result<bool, StoreError> {
        let sql = "UPDATE scheduled SET cancelled = $2 WHERE id = $1 AND cancelled IS NULL \
             AND (claimed IS NULL OR claimed <= $2)";
        let cancel = async move |transaction: &mut Transaction| {
            let values = [Value::Id(id), Value::Int(time_to_micros(Utc::now()))];
            transaction.execute(sql, &values).await
        };
        Ok(self.writer().run(cancel).await? > 0)
    }

    /// Keeps messages until they are due.
    pub(crate) async fn schedule(&self, messages: Vec<Scheduled>) -> Result<(), StoreError> {
        let insert =
            async move |transaction: &mut Transaction| schedule(transaction, &messages).await;
        self.writer().run(insert).await
    }

    /// When the next message is sent; `None` if there is none.
    pub(crate) async fn next_scheduled(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let sql = "SELECT next FROM scheduled WHERE cancelled IS NULL ORDER BY next LIMIT 1";
        let asked = async move |c: &mut Connection| c.query(sql, &[]).await;
        let rows = self.readers().run(asked).await?;
        rows.first().map(|row| micros_to_time(row.int(0)?)).transpose()
    }

    /// Takes some that are due, for one process to send, the longest due first: those whose contract
    /// this process has.
    pub(crate) async fn claim_due(&self, limit: usize) -> Result<Vec<Scheduled>, StoreError> {
        let contracts = self.contracts();
        let claim = async move |transaction: &mut Transaction| {
            let now = time_to_micros(Utc::now());
            let keys = due_keys(transaction.connection(), now).await?;
            let known = keys.into_iter().filter(|key| contracts.contract(key).is_some());
            let mut due = Vec::new();
            for key in known {
                due.extend(due_of(transaction.connection(), &key, now, limit).await?);
            }
            due.sort_by_key(|message| (message.due, message.since, message.id));
            due.truncate(limit);
            let claimed =
                |message: &Scheduled| vec![Value::Int(now + CLAIM), Value::Id(message.id)];
            let claims: Vec<Vec<Value>> = due.iter().map(claimed).collect();
            let sql = "UPDATE scheduled SET claimed = $1 WHERE id = $2";
            transaction.execute_each(sql, &claims).await?;
            let sql = "DELETE FROM scheduled WHERE cancelled IS NOT NULL AND next <= $1";
            transaction.execute(sql, &[Value::Int(now - DAY)]).await?;
            Ok(due)
        };
        self.writer().run(claim).await
    }

    /// Notes what became of those that were claimed: what was sent goes, the rest is tried again later.
    pub(crate) async fn attempted(&self, all: Vec<Attempted>) -> Result<(), StoreError> {
        let note = async move |transaction: &mut Transaction| {
            let now = time_to_micros(Utc::now());
            let (sent, failed): (Vec<_>, Vec<_>) =
                all.iter().partition(|attempted| attempted.outcome.is_ok());
            let sent: Vec<Vec<Value>> = sent.iter().map(|sent| vec![Value::Id(sent.id)]).collect();
            transaction.execute_each("DELETE FROM scheduled WHERE id = $1", &sent).await?;
            let sql = "UPDATE scheduled SET claimed = NULL, next = $1, attempts = attempts + 1, \
                 error = $2 WHERE id = $3";
            let failed: Vec<Vec<Value>> = failed.iter().map(|failed| failed.put_off(now)).collect();
            transaction.execute_each(sql, &failed).await.map(|_| ())
        };
        self.writer().run(note).await
    }
}

/// The keys of what is due and not claimed.
async fn due_keys(connection: &mut Connection, now: i64) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT key FROM scheduled \
         WHERE next <= $1 AND cancelled IS NULL AND (claimed IS NULL OR claimed <= $1)";
    let rows = connection.query(sql, &[Value::Int(now)]).await?;
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

/// What is due and not claimed of one key, the longest due first.
async fn due_of(
    connection: &mut Connection,
    key: &str,
    now: i64,
    limit: usize,
) -> Result<Vec<Scheduled>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM scheduled WHERE key = $1 AND next <= $2 AND cancelled IS NULL \
         AND (claimed IS NULL OR claimed <= $2) ORDER BY next, since, id LIMIT $3"
    );
    let values = [Value::text(key), Value::Int(now), Value::position(limit as u64)];
    connection.query(&sql, &values).await?.iter().map(Scheduled::of).collect()
}

/// Keeps messages until they are due.
pub(crate) async fn schedule(
    transaction: &mut Transaction,
    messages: &[Scheduled],
) -> Result<(), StoreError> {
    let rows: Vec<Vec<Value>> = messages.iter().map(Scheduled::row).collect();
    transaction.insert(&TABLE, &rows).await
}

impl Scheduled {
    /// A message that was scheduled just now.
    pub(crate) fn new(
        id: Uuid,
        kind: Kind,
        key: impl Into<String>,
        due: DateTime<Utc>,
        body: Arc<[u8]>,
    ) -> Self {
        Scheduled {
            id,
            kind,
            key: key.into(),
            due,
            since: Utc::now(),
            attempts: 0,
            error: None,
            headers: Headers::new(),
            properties: None,
            body,
        }
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
        let (headers, properties) = beside::read(row.maybe_text(7)?)?;
        Ok(Scheduled {
            id: row.id(0)?,
            kind: kind_of(row.text(1)?)?,
            key: row.text(2)?.to_owned(),
            due: micros_to_time(row.int(3)?)?,
            since: micros_to_time(row.int(4)?)?,
            attempts: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
            error: row.maybe_text(6)?.map(str::to_owned),
            headers,
            properties,
            body: row.bytes(8)?,
        })
    }

    fn row(&self) -> Vec<Value> {
        let due = Value::Int(time_to_micros(self.due));
        vec![
            Value::Id(self.id),
            Value::text(self.kind.as_str()),
            Value::text(&*self.key),
            due.clone(),
            Value::Int(time_to_micros(self.since)),
            due,
            Value::Int(self.attempts.into()),
            Value::maybe(beside::text(&self.headers, self.properties.as_deref()), Value::Text),
            Value::Bytes(self.body.clone()),
        ]
    }
}

impl Attempted {
    /// When it is tried again, and why: each pause is twice as long as the one before.
    fn put_off(&self, now: i64) -> Vec<Value> {
        let pause = PAUSES.0.saturating_mul(1 << self.attempts.min(20)).min(PAUSES.1);
        let error = self.outcome.as_ref().err().map(|error| error.replace('\0', "\u{fffd}"));
        vec![Value::Int(now + pause), Value::maybe(error, Value::Text), Value::Id(self.id)]
    }
}
