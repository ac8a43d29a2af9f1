//! The tables, and how they came to be what they are.

use std::time::{Duration, Instant};

use chrono::Utc;

use super::{Connection, Value, time_to_micros};
use crate::{Foreign, Migrated, StoreError, partitions, summary};

/// Each step from one version of the tables to the next. A step that was ever released never changes.
const STEPS: [(&str, &str); 16] = [
    ("events", include_str!("../../migrations/1_events.sql")),
    ("queues", include_str!("../../migrations/2_queues.sql")),
    ("pruned", include_str!("../../migrations/3_pruned.sql")),
    ("replays", include_str!("../../migrations/4_replays.sql")),
    ("typed headers", include_str!("../../migrations/5_typed_headers.sql")),
    ("scheduled", include_str!("../../migrations/6_scheduled.sql")),
    ("reports", include_str!("../../migrations/7_reports.sql")),
    (SUMMARIES, include_str!("../../migrations/8_summaries.sql")),
    ("payload indexes", include_str!("../../migrations/9_payload_indexes.sql")),
    ("retention", include_str!("../../migrations/10_retention.sql")),
    ("record", include_str!("../../migrations/11_record.sql")),
    ("damaged", include_str!("../../migrations/12_damaged.sql")),
    ("counted", include_str!("../../migrations/13_counted.sql")),
    ("handled", include_str!("../../migrations/14_handled.sql")),
    (PARTITIONS, include_str!("../../migrations/15_partitions.sql")),
    ("audit", include_str!("../../migrations/16_audit.sql")),
];

/// The step whose table is filled with the figures of what is stored.
const SUMMARIES: &str = "summaries";

/// The step that gives the table of events its partitions, where the database has such.
const PARTITIONS: &str = "partitions";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    checksum BIGINT NOT NULL,
    applied BIGINT NOT NULL
)";

/// How long we wait for another process that migrates: that takes long where there are many events.
const PATIENCE: Duration = Duration::from_secs(120);

/// The version that this program writes.
pub(crate) const KNOWN: i64 = STEPS.len() as i64;

/// The version that the tables have; 0 if there are none. Changes nothing, and waits for nobody.
///
/// # Errors
/// [`StoreError::Newer`], [`StoreError::Foreign`].
pub(crate) async fn version(connection: &mut Connection) -> Result<i64, StoreError> {
    if !is_there(connection).await? {
        return Ok(0);
    }
    let sql = "SELECT version, name, checksum FROM migrations ORDER BY version";
    let applied = connection.query(sql, &[]).await.map_err(foreign)?;
    if let Some(last) = applied.last()
        && last.int(0)? > KNOWN
    {
        return Err(StoreError::Newer { found: last.int(0)?, known: KNOWN });
    }
    for (row, (name, sql)) in applied.iter().zip(STEPS) {
        if row.text(1)? != name || row.int(2)? != checksum(sql) {
            return Err(StoreError::Foreign(Foreign::Tables { version: row.int(0)? }));
        }
    }
    Ok(applied.len() as i64)
}

/// Whether the tables are those that this program reads. Changes nothing, and waits for nobody.
///
/// # Errors
/// [`StoreError::Missing`], [`StoreError::Older`], [`StoreError::Newer`], [`StoreError::Foreign`].
pub(crate) async fn check(connection: &mut Connection, place: &str) -> Result<(), StoreError> {
    match version(connection).await? {
        KNOWN => Ok(()),
        // A database on a server may well have other tables, too.
        0 if connection.is_sqlite() && is_any(connection, ANY_TABLE).await? => {
            Err(StoreError::Foreign(Foreign::OtherTables))
        }
        0 => Err(StoreError::Missing { place: place.to_owned() }),
        found => Err(StoreError::Older { found, known: KNOWN }),
    }
}

/// What a SQLite file has.
const ANY_TABLE: &str = "SELECT COUNT(*) FROM sqlite_master";

/// Whether the table of steps is there.
async fn is_there(connection: &mut Connection) -> Result<bool, StoreError> {
    let question = match connection.is_sqlite() {
        true => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'",
        false => "SELECT CASE WHEN to_regclass('migrations') IS NULL THEN 0 ELSE 1 END",
    };
    is_any(connection, question).await
}

/// Whether the answer is a number above zero.
async fn is_any(connection: &mut Connection, question: &str) -> Result<bool, StoreError> {
    Ok(connection.query_one(question, &[]).await?.int(0)? > 0)
}

/// Takes the steps that are missing, if there are any. One process does it, others wait.
///
/// # Errors
/// [`StoreError::Newer`], [`StoreError::Foreign`], [`StoreError::Denied`], [`StoreError::Older`].
pub(crate) async fn run(connection: &mut Connection) -> Result<Option<Migrated>, StoreError> {
    let found = version(connection).await?;
    if found == KNOWN {
        return Ok(None);
    }
    let done = match begin(connection).await {
        Ok(()) => steps(connection).await,
        Err(error) => Err(error),
    };
    let done = match done {
        Ok(from) => connection.batch("COMMIT").await.map(|()| from),
        Err(error) => Err(error),
    };
    match done {
        Ok(KNOWN) => Ok(None),
        Ok(from) => {
            tracing::info!(from, to = KNOWN, "the store was migrated");
            Ok(Some(Migrated { from, to: KNOWN }))
        }
        Err(error) => {
            connection.rollback().await;
            Err(match error {
                StoreError::Denied { .. } if found > 0 => StoreError::Older { found, known: KNOWN },
                error => error,
            })
        }
    }
}

async fn begin(connection: &mut Connection) -> Result<(), StoreError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match connection.begin().await {
            Err(StoreError::Busy { .. }) if Instant::now() < until => {
                connection.rollback().await;
            }
            begun => return begun,
        }
    }
}

/// Gives the version from which it was.
async fn steps(connection: &mut Connection) -> Result<i64, StoreError> {
    connection.batch(TABLE).await?;
    // Another process may have done it meanwhile.
    let found = version(connection).await?;
    if found < KNOWN {
        connection.take_time_in_transaction().await?;
    }
    for (version, (name, sql)) in (1..).zip(STEPS).skip(usize::try_from(found).unwrap_or_default())
    {
        connection.batch(sql).await.map_err(foreign)?;
        if name == SUMMARIES {
            summary::fill(connection).await?;
        }
        if name == PARTITIONS {
            partitions::make(connection).await.map_err(foreign)?;
        }
        let now = Value::Int(time_to_micros(Utc::now()));
        let row = [Value::Int(version), Value::text(name), Value::Int(checksum(sql)), now];
        connection.execute("INSERT INTO migrations VALUES ($1, $2, $3, $4)", &row).await?;
    }
    Ok(found)
}

/// The tables are in the way of ours.
fn foreign(error: StoreError) -> StoreError {
    match error {
        StoreError::Database { reason } => StoreError::Foreign(Foreign::Said { reason }),
        other => other,
    }
}

fn checksum(sql: &str) -> i64 {
    crc32fast::hash(sql.as_bytes()).into()
}
