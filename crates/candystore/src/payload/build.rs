//! Making indexes, and removing them.

use chrono::Utc;

use super::expression::{Expressions, FUNCTION};
use crate::sql::{Connection, Mode, Target, Value, apart, time_to_micros};
use crate::{EventStore, StoreError};

/// Runs on a connection of its own, as nothing of it may be part of a transaction, or end soon.
async fn alone<F>(
    store: &EventStore,
    work: impl FnOnce(Connection) -> F + Send + 'static,
) -> Result<bool, StoreError>
where
    F: Future<Output = Result<bool, StoreError>>,
{
    let target: Target = store.target().clone();
    apart("candystore-index", async move || {
        work(Connection::open(&target, Mode::Write).await.map_err(StoreError::while_open)?).await
    })
    .await
}

pub(super) async fn add(store: &EventStore, pointer: String) -> Result<bool, StoreError> {
    alone(store, async move |mut c: Connection| {
        if number_of(&mut c, &pointer).await?.is_some() {
            return Ok(false);
        }
        let expressions = Expressions::of(c.is_sqlite(), &pointer)?;
        let sql = "SELECT COALESCE(MAX(number), 0) + 1 FROM payload_indexes";
        let number = c.query_one(sql, &[]).await?.int(0)?;
        if !c.is_sqlite() {
            c.batch(FUNCTION).await?;
            c.take_time().await?;
        }
        let how = beside_writers(&mut c).await?;
        // What was left half done by somebody who was interrupted is in the way.
        remove(&mut c, number).await?;
        for (name, expression) in [("data", &expressions.data.0), ("whole", &expressions.whole.0)] {
            let sql = format!(
                "CREATE INDEX {how} payload_{number}_{name} ON events (({expression}), position) \
                 WHERE ({expression}) IS NOT NULL"
            );
            c.batch(&sql).await?;
        }
        let made = Value::Int(time_to_micros(Utc::now()));
        let sql = "INSERT INTO payload_indexes VALUES ($1, $2, $3)";
        c.execute(sql, &[Value::Int(number), Value::Text(pointer), made]).await?;
        Ok(true)
    })
    .await
}

pub(super) async fn drop(store: &EventStore, pointer: String) -> Result<bool, StoreError> {
    alone(store, async move |mut c: Connection| {
        let Some(number) = number_of(&mut c, &pointer).await? else { return Ok(false) };
        // Nobody looks for it from here on.
        let sql = "DELETE FROM payload_indexes WHERE number = $1";
        c.execute(sql, &[Value::Int(number)]).await?;
        c.take_time().await?;
        remove(&mut c, number).await?;
        Ok(true)
    })
    .await
}

/// How to do it while others write. PostgreSQL cannot for a table that has partitions.
async fn beside_writers(c: &mut Connection) -> Result<&'static str, StoreError> {
    if c.is_sqlite() {
        return Ok("");
    }
    let sql = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('events') AND relkind = 'p'";
    let is_partitioned = c.query_one(sql, &[]).await?.int(0)? > 0;
    Ok(if is_partitioned { "" } else { "CONCURRENTLY" })
}

async fn number_of(c: &mut Connection, pointer: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT number FROM payload_indexes WHERE pointer = $1";
    let rows = c.query(sql, &[Value::text(pointer)]).await?;
    rows.first().map(|row| row.int(0)).transpose()
}

async fn remove(c: &mut Connection, number: i64) -> Result<(), StoreError> {
    let how = beside_writers(c).await?;
    for name in ["data", "whole"] {
        c.batch(&format!("DROP INDEX {how} IF EXISTS payload_{number}_{name}")).await?;
    }
    Ok(())
}
