//! How far queues have come with the past, as it is stored.

use bloodbank_bus::Start;
use chrono::Utc;
use uuid::Uuid;

use crate::follow;
use crate::sql::{Connection, Row, Value, time_to_micros};
use crate::writer::Transaction;
use crate::{EventStore, Position, StoreError};

/// For how long a process brings the past without a word, in microseconds.
const LEASE: i64 = 30_000_000;

/// How far a queue has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// When it was declared, in microseconds since 1970, like all times here.
    pub(super) begun: i64,
    /// Everything up to here is handled.
    pub(super) reached: Position,
    /// What is behind this comes from the broker, since then; `None` before that is known.
    pub(super) done: Option<(Position, i64)>,
}

impl Progress {
    /// Whether all of the past is handled.
    pub(super) fn is_over(self) -> bool {
        self.done.is_some_and(|(done, _)| done <= self.reached)
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
        let done = match (row.maybe_position(2)?, row.maybe_int(3)?) {
            (Some(done), Some(at)) => Some((done, at)),
            _ => None,
        };
        Ok(Progress { begun: row.int(0)?, reached: row.position(1)?, done })
    }
}

/// How far a queue has come; `None` if it has not begun with the past.
pub(super) async fn progress(
    store: &EventStore,
    queue: &str,
) -> Result<Option<Progress>, StoreError> {
    let sql = "SELECT begun, reached, done, done_at FROM catch_ups WHERE queue = $1";
    let queue = Value::text(queue);
    let asked = async move |c: &mut Connection| c.query(sql, &[queue]).await;
    store.readers().run(asked).await?.first().map(Progress::of).transpose()
}

/// Notes that a queue begins there, whatever was known of one of its name.
pub(super) async fn begin(store: &EventStore, queue: &str, start: Start) -> Result<(), StoreError> {
    let queue = Value::text(queue);
    let begin = async move |t: &mut Transaction| {
        let reached = Value::position(follow::before(t.connection(), start).await?);
        t.execute("DELETE FROM catch_ups WHERE queue = $1", std::slice::from_ref(&queue)).await?;
        let sql = "INSERT INTO catch_ups (queue, begun, reached) VALUES ($1, $2, $3)";
        t.execute(sql, &[queue, now(), reached]).await.map(|_| ())
    };
    store.writer().run(begin).await
}

/// Takes it upon a process to bring the past of a queue, or goes on with it; whether nobody else does.
pub(super) async fn take(store: &EventStore, queue: &str, owner: Uuid) -> Result<bool, StoreError> {
    let queue = Value::text(queue);
    let take = async move |t: &mut Transaction| {
        let clock = t.connection().clock();
        let sql = format!(
            "UPDATE catch_ups SET owner = $2, expires = {clock} + {LEASE} WHERE queue = $1 \
             AND (owner IS NULL OR owner = $2 OR expires < {clock})"
        );
        t.execute(&sql, &[queue, Value::Id(owner)]).await
    };
    Ok(store.writer().run(take).await? > 0)
}

/// Notes how far a queue has come; whether it is still this process that brings the past.
pub(super) async fn save(
    store: &EventStore,
    queue: &str,
    owner: Uuid,
    reached: Position,
    done: Option<(Position, i64)>,
) -> Result<bool, StoreError> {
    let queue = Value::text(queue);
    let save = async move |t: &mut Transaction| {
        let clock = t.connection().clock();
        let sql = format!(
            "UPDATE catch_ups SET reached = CASE WHEN reached > $3 THEN reached ELSE $3 END, \
             done = $4, done_at = $5, expires = {clock} + {LEASE} WHERE queue = $1 AND owner = $2"
        );
        let values = [
            queue,
            Value::Id(owner),
            Value::position(reached),
            Value::maybe(done, |(done, _)| Value::position(done)),
            Value::maybe(done, |(_, at)| Value::Int(at)),
        ];
        t.execute(&sql, &values).await
    };
    Ok(store.writer().run(save).await? > 0)
}

/// Another process may bring the past now.
pub(super) async fn leave(store: &EventStore, queue: &str, owner: Uuid) -> Result<(), StoreError> {
    let values = [Value::text(queue), Value::Id(owner)];
    let leave = async move |t: &mut Transaction| {
        let sql = "UPDATE catch_ups SET owner = NULL WHERE queue = $1 AND owner = $2";
        t.execute(sql, &values).await.map(|_| ())
    };
    store.writer().run(leave).await
}

/// Where an event is in the store, and since when; `None` if it is not.
pub(super) async fn stored(
    store: &EventStore,
    id: Uuid,
) -> Result<Option<(Position, i64)>, StoreError> {
    let sql = "SELECT position, received FROM events WHERE id = $1";
    let asked = async move |c: &mut Connection| c.query(sql, &[Value::Id(id)]).await;
    let rows = store.readers().run(asked).await?;
    rows.first().map(|row| Ok((row.position(0)?, row.int(1)?))).transpose()
}

fn now() -> Value {
    Value::Int(time_to_micros(Utc::now()))
}
