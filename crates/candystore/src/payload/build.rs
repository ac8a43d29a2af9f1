//! Making indexes, and removing them.

use chrono::Utc;

use super::expression::{Expressions, function};
use crate::partitions::Partition;
use crate::sql::{Connection, Mode, Row, Target, Value, apart, time_to_micros};
use crate::{EventStore, Position, StoreError};

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
            c.batch(&function()).await?;
            c.take_time().await?;
        }
        // What was left half done by somebody who was interrupted is in the way.
        remove(&mut c, number).await?;
        for (name, expression) in [("data", &expressions.data.0), ("whole", &expressions.whole.0)] {
            let name = format!("payload_{number}_{name}");
            let on = format!("(({expression}), position) WHERE ({expression}) IS NOT NULL");
            match c.is_sqlite() {
                true => c.batch(&format!("CREATE INDEX {name} ON events {on}")).await?,
                false => in_partitions(&mut c, &name, &on).await?,
            }
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

/// Makes an index in each partition, while others write. It is one of the whole table once all of them
/// have it; a partition that is new has it from the beginning.
async fn in_partitions(c: &mut Connection, name: &str, on: &str) -> Result<(), StoreError> {
    c.batch(&format!("CREATE INDEX {name} ON ONLY events {on}")).await?;
    for (first, partition) in lacking(c, name).await? {
        let own = format!("{name}_{first}");
        c.batch(&format!("CREATE INDEX CONCURRENTLY {own} ON {partition} {on}")).await?;
        c.batch(&format!("ALTER INDEX {name} ATTACH PARTITION {own}")).await?;
    }
    Ok(())
}

/// The partitions that have no part of an index: their first positions, and their names.
async fn lacking(c: &mut Connection, name: &str) -> Result<Vec<(Position, String)>, StoreError> {
    let sql = format!(
        "SELECT first, CAST(part AS TEXT) FROM candystore_partitions() WHERE NOT EXISTS (\
         SELECT 1 FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid \
         WHERE inhparent = '{name}'::regclass AND indrelid = part)"
    );
    let read = |row: &Row| Ok((row.position(0)?, row.text(1)?.to_owned()));
    c.query(&sql, &[]).await?.iter().map(read).collect()
}

async fn number_of(c: &mut Connection, pointer: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT number FROM payload_indexes WHERE pointer = $1";
    let rows = c.query(sql, &[Value::text(pointer)]).await?;
    rows.first().map(|row| row.int(0)).transpose()
}

async fn remove(c: &mut Connection, number: i64) -> Result<(), StoreError> {
    for name in ["data", "whole"] {
        c.batch(&format!("DROP INDEX IF EXISTS payload_{number}_{name}")).await?;
        for Partition { first, .. } in Partition::all(c).await? {
            // There is one only if making the index was interrupted.
            let own = format!("payload_{number}_{name}_{first}");
            c.batch(&format!("DROP INDEX CONCURRENTLY IF EXISTS {own}")).await?;
        }
    }
    Ok(())
}
