//! What a store holds in all.

use bloodbank_core::Kind;
use chrono::{DateTime, Utc};

use crate::sql::{Connection, micros_to_time};
use crate::summary::uncounted;
use crate::{EventStore, Order, Position, Standing, StoreError};

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
    /// What the store holds in all.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        let read =
            async move |c: &mut Connection| c.snapshot(async |c| Totals::read(c).await).await;
        self.readers().run(read).await
    }
}

impl Totals {
    async fn read(c: &mut Connection) -> Result<Self, StoreError> {
        let sql = "SELECT kind, CAST(SUM(events) AS BIGINT), \
             CAST(SUM(invalid + unknown + malformed) AS BIGINT) \
             FROM summaries WHERE hours = 24 GROUP BY kind";
        let (mut events, mut commands, mut not_valid) = (0, 0, 0);
        for row in c.query(sql, &[]).await? {
            match row.text(0)? {
                "command" => commands += row.position(1)?,
                _ => events += row.position(1)?,
            }
            not_valid += row.position(2)?;
        }
        for one in uncounted(c).await? {
            match one.kind {
                Kind::Command => commands += 1,
                _ => events += 1,
            }
            not_valid += u64::from(one.standing != Standing::Valid);
        }
        let size = match c.is_sqlite() {
            true => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            false => {
                "SELECT CAST(COALESCE(SUM(pg_total_relation_size(relid)), 0) AS BIGINT) \
                 FROM pg_partition_tree('events')"
            }
        };
        Ok(Totals {
            events,
            commands,
            not_valid,
            duplicates: number(c, "SELECT duplicates FROM head").await?,
            quarantined: number(c, "SELECT COUNT(*) FROM quarantine").await?,
            first: end(c, Order::Oldest).await?,
            last: end(c, Order::Newest).await?,
            size: number(c, size).await?,
        })
    }
}

async fn number(c: &mut Connection, sql: &str) -> Result<u64, StoreError> {
    c.query_one(sql, &[]).await?.position(0)
}

/// The event at one end of what is stored, and when it was stored.
pub(crate) async fn end(
    c: &mut Connection,
    order: Order,
) -> Result<Option<(Position, DateTime<Utc>)>, StoreError> {
    let order = order.sql();
    let sql = format!("SELECT position, received FROM events ORDER BY position {order} LIMIT 1");
    let rows = c.query(&sql, &[]).await?;
    let end = rows.first().map(|row| Ok((row.position(0)?, micros_to_time(row.int(1)?)?)));
    end.transpose()
}
