//! How much of what, and how soon it was stored.

use chrono::{DateTime, TimeDelta, Utc};

use crate::query::Scope;
use crate::sql::{Connection, Row, Value, micros_to_time};
use crate::{EventStore, Filter, Position, StoreError};

/// What events are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum By {
    /// By minute, key and source, each for itself.
    Each,
    /// By minute.
    Minute,
    /// By key.
    Key,
    /// By source.
    Source,
}

/// Events that have something in common.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// The minute they were stored in, if they are counted by it.
    pub minute: Option<DateTime<Utc>>,
    /// Their key, if they are counted by it.
    pub key: Option<String>,
    /// Their source, if they are counted by it.
    pub source: Option<String>,
    /// How many there are.
    pub count: u64,
    /// How many bytes their bodies have.
    pub bytes: u64,
    /// How many of them are anything else than valid.
    pub not_valid: u64,
    /// From what their envelopes say to when they were stored, on average. Below zero where a clock
    /// is ahead of ours; `None` if none of them is an envelope.
    pub mean_latency: Option<TimeDelta>,
    /// The longest of these times.
    pub max_latency: Option<TimeDelta>,
}

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Stored events.
    pub events: u64,
    /// Stored records of commands.
    pub commands: u64,
    /// Stored events and commands that are anything else than valid.
    pub not_valid: u64,
    /// How many came again, and were not stored again.
    pub duplicates: u64,
    /// How many lie in quarantine: their id is that of another event.
    pub quarantined: u64,
    /// The first position that is there, and when it was stored.
    pub first: Option<(Position, DateTime<Utc>)>,
    /// The last position that is there, and when it was stored.
    pub last: Option<(Position, DateTime<Utc>)>,
    /// Bytes of the SQLite file; on PostgreSQL those of the table of events, its indexes with it.
    pub size: u64,
}

impl EventStore {
    /// Counts what was stored since a time and before another, by what it has in common.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn stats(
        &self,
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
        by: By,
    ) -> Result<Vec<Group>, StoreError> {
        let filter = Filter { since, until, ..Filter::default() };
        let counted = self.readers().run(async move |c: &mut Connection| {
            let scope = Scope::of(c, &filter).await?;
            let range = [Value::position(scope.low), Value::position(scope.high)];
            c.query(&groups(by), &range).await
        });
        counted.await?.iter().map(Group::of).collect()
    }

    /// What the store holds in all.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        self.readers()
            .run(async move |c: &mut Connection| {
                c.begin_snapshot().await?;
                let totals = Totals::read(c).await;
                c.rollback().await;
                totals
            })
            .await
    }
}

fn groups(by: By) -> String {
    let is_by = |which: By| by == By::Each || by == which;
    let or_null = |is: bool, column: &str, kind: &str| match is {
        true => column.to_owned(),
        false => format!("CAST(NULL AS {kind})"),
    };
    format!(
        "SELECT {}, {}, {}, COUNT(*), CAST(SUM(OCTET_LENGTH(body)) AS BIGINT), \
         CAST(SUM(CASE WHEN standing <> 'valid' THEN 1 ELSE 0 END) AS BIGINT), \
         COUNT(timestamp), CAST(SUM(received - timestamp) AS BIGINT), MAX(received - timestamp) \
         FROM events WHERE position BETWEEN $1 AND $2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        or_null(is_by(By::Minute), "received / 60000000", "BIGINT"),
        or_null(is_by(By::Key), "key", "TEXT"),
        or_null(is_by(By::Source), "source", "TEXT"),
    )
}

impl Group {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let text = |column| Ok::<_, StoreError>(row.maybe_text(column)?.map(str::to_owned));
        let minute = row.maybe_int(0)?.map(|minute| micros_to_time(minute * 60_000_000));
        let told = row.int(6)?;
        let mean = row.maybe_int(7)?.and_then(|sum| sum.checked_div(told));
        Ok(Group {
            minute: minute.transpose()?,
            key: text(1)?,
            source: text(2)?,
            count: row.position(3)?,
            bytes: row.position(4)?,
            not_valid: row.position(5)?,
            mean_latency: mean.map(TimeDelta::microseconds),
            max_latency: row.maybe_int(8)?.map(TimeDelta::microseconds),
        })
    }
}

impl Totals {
    async fn read(c: &mut Connection) -> Result<Self, StoreError> {
        let stored = number(c, "SELECT COUNT(*) FROM events").await?;
        let commands = number(c, "SELECT COUNT(*) FROM events WHERE kind = 'command'").await?;
        let size = match c.is_sqlite() {
            true => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            false => "SELECT pg_total_relation_size('events')",
        };
        Ok(Totals {
            events: stored - commands,
            commands,
            not_valid: number(c, "SELECT COUNT(*) FROM events WHERE standing <> 'valid'").await?,
            duplicates: number(c, "SELECT duplicates FROM head").await?,
            quarantined: number(c, "SELECT COUNT(*) FROM quarantine").await?,
            first: end(c, "ASC").await?,
            last: end(c, "DESC").await?,
            size: number(c, size).await?,
        })
    }
}

async fn number(c: &mut Connection, sql: &str) -> Result<u64, StoreError> {
    c.query_one(sql, &[]).await?.position(0)
}

async fn end(
    c: &mut Connection,
    order: &str,
) -> Result<Option<(Position, DateTime<Utc>)>, StoreError> {
    let sql = format!("SELECT position, received FROM events ORDER BY position {order} LIMIT 1");
    let rows = c.query(&sql, &[]).await?;
    let end = rows.first().map(|row| Ok((row.position(0)?, micros_to_time(row.int(1)?)?)));
    end.transpose()
}
