//! One process at a time carries it out.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use crate::sql::Value;
use crate::writer::Transaction;
use crate::{EventStore, StoreError};

/// After how long without a word another process takes over, in microseconds.
const LEASE: i64 = 120_000_000;

/// How often it is renewed by something that takes long.
const EACH: Duration = Duration::from_secs(30);

/// How long after the last time it is due again, in microseconds; up to a tenth less or more.
const HOUR: i64 = 3_600_000_000;

/// The right to carry it out.
pub(super) struct Lease {
    owner: Uuid,
}

impl Lease {
    /// Takes it, if it is due and nobody has it.
    pub(super) async fn take(store: &EventStore) -> Result<Option<Self>, StoreError> {
        let owner = Uuid::now_v7();
        let take = async move |t: &mut Transaction| {
            let clock = t.connection().clock();
            let sql = format!(
                "UPDATE retention SET owner = $1, expires = {clock} + {LEASE}, began = {clock}, \
                 ended = NULL WHERE due <= {clock} AND (owner IS NULL OR expires < {clock})"
            );
            t.execute(&sql, &[Value::Id(owner)]).await
        };
        let taken = store.writer().run(take).await?;
        Ok((taken > 0).then_some(Lease { owner }))
    }

    /// Keeps it; false if it is another process's.
    pub(super) async fn renew(&self, store: &EventStore) -> Result<bool, StoreError> {
        let owner = Value::Id(self.owner);
        let renew = async move |t: &mut Transaction| {
            let clock = t.connection().clock();
            let sql = format!("UPDATE retention SET expires = {clock} + {LEASE} WHERE owner = $1");
            t.execute(&sql, &[owner]).await
        };
        Ok(store.writer().run(renew).await? > 0)
    }

    /// Keeps it as long as something lasts, whatever that waits for; `None` if another process has taken
    /// over, or if that is what it says.
    pub(super) async fn keep<T>(
        &self,
        store: &EventStore,
        work: impl Future<Output = Result<Option<T>, StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        self.keep_each(EACH, store, work).await
    }

    /// The same, renewed as often as is said.
    pub(super) async fn keep_each<T>(
        &self,
        each: Duration,
        store: &EventStore,
        work: impl Future<Output = Result<Option<T>, StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        let mut work = pin!(work);
        loop {
            match timeout(each, &mut work).await {
                Ok(done) => return done,
                Err(_) if self.renew(store).await? => {}
                Err(_) => return Ok(None),
            }
        }
    }

    /// Gives it back, and notes what came of it.
    pub(super) async fn end(
        self,
        store: &EventStore,
        events: u64,
        held: u64,
        error: Option<&StoreError>,
    ) -> Result<(), StoreError> {
        let after = HOUR - HOUR / 10 + i64::from(random()) % (HOUR / 5);
        let error = Value::maybe(error.map(ToString::to_string), Value::Text);
        let counts = [Value::position(events), Value::position(held)];
        let [events, held] = counts;
        let values = [events, held, error, Value::Int(after), Value::Id(self.owner)];
        let end = async move |t: &mut Transaction| {
            let clock = t.connection().clock();
            let sql = format!(
                "UPDATE retention SET owner = NULL, ended = {clock}, events = $1, held = $2, \
                 error = $3, due = {clock} + $4 WHERE owner = $5"
            );
            t.execute(&sql, &values).await.map(|_| ())
        };
        store.writer().run(end).await
    }
}

/// Processes that were started together do not ask together.
pub(super) fn random() -> u32 {
    let [a, b, c, d, ..] = *Uuid::now_v7().as_bytes().last_chunk::<8>().unwrap_or(&[0; 8]);
    u32::from_be_bytes([a & 0x3f, b, c, d])
}
