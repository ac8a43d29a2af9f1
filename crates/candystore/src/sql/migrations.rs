//! The tables, and how they came to be what they are.

use chrono::Utc;

use super::{Connection, Value, time_to_micros};
use crate::{Foreign, StoreError};

/// Each step from one version of the tables to the next. A step that was ever released never changes.
const STEPS: [(&str, &str); 7] = [
    ("events", include_str!("../../migrations/1_events.sql")),
    ("queues", include_str!("../../migrations/2_queues.sql")),
    ("pruned", include_str!("../../migrations/3_pruned.sql")),
    ("replays", include_str!("../../migrations/4_replays.sql")),
    ("typed headers", include_str!("../../migrations/5_typed_headers.sql")),
    ("scheduled", include_str!("../../migrations/6_scheduled.sql")),
    ("damaged", include_str!("../../migrations/7_damaged.sql")),
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    checksum BIGINT NOT NULL,
    applied BIGINT NOT NULL
)";

/// Takes the steps that are missing. One process does it, others wait.
///
/// # Errors
/// [`StoreError::Newer`], [`StoreError::Foreign`].
pub(crate) async fn run(connection: &mut Connection) -> Result<(), StoreError> {
    connection.begin().await?;
    let done = steps(connection).await;
    match done {
        Ok(()) => connection.batch("COMMIT").await,
        Err(error) => {
            connection.rollback().await;
            Err(error)
        }
    }
}

async fn steps(connection: &mut Connection) -> Result<(), StoreError> {
    connection.batch(TABLE).await?;
    let sql = "SELECT version, name, checksum FROM migrations ORDER BY version";
    let applied = connection.query(sql, &[]).await?;
    if let Some(last) = applied.last()
        && last.int(0)? > STEPS.len() as i64
    {
        return Err(StoreError::Newer { found: last.int(0)?, known: STEPS.len() as i64 });
    }
    for (row, (name, sql)) in applied.iter().zip(STEPS) {
        if row.text(1)? != name || row.int(2)? != checksum(sql) {
            return Err(StoreError::Foreign(Foreign::Tables { version: row.int(0)? }));
        }
    }
    for (version, (name, sql)) in (1..).zip(STEPS).skip(applied.len()) {
        connection.batch(sql).await.map_err(|error| match error {
            StoreError::Database { reason } => StoreError::Foreign(Foreign::Said { reason }),
            other => other,
        })?;
        let now = Value::Int(time_to_micros(Utc::now()));
        let row = [Value::Int(version), Value::text(name), Value::Int(checksum(sql)), now];
        connection.execute("INSERT INTO migrations VALUES ($1, $2, $3, $4)", &row).await?;
    }
    Ok(())
}

fn checksum(sql: &str) -> i64 {
    crc32fast::hash(sql.as_bytes()).into()
}
