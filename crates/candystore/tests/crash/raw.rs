//! The database as it lies there, read without the store.

use candystore::StoreUrl;
use rusqlite::types::Value as Cell;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;
use uuid::Uuid;

/// What of a row says something about the others.
pub(crate) const COLUMNS: &str = "position, id, key, source, session_id, correlation_id, \
     timestamp, received, standing, body, checksum";

/// A row of the events.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawEvent {
    pub(crate) position: i64,
    pub(crate) id: Uuid,
    pub(crate) key: String,
    pub(crate) source: String,
    pub(crate) session: Option<String>,
    pub(crate) correlation: Option<Uuid>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) received: i64,
    pub(crate) standing: String,
    pub(crate) body: Vec<u8>,
    pub(crate) checksum: i64,
}

/// The row of the head.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RawHead {
    pub(crate) position: i64,
    pub(crate) received: i64,
    pub(crate) duplicates: i64,
}

/// A connection to the database itself.
pub(crate) enum Raw {
    Sqlite(rusqlite::Connection),
    Postgres(Runtime, tokio_postgres::Client),
}

impl Raw {
    pub(crate) fn open(url: &str) -> Self {
        match url.parse().unwrap() {
            StoreUrl::Sqlite(path) => Raw::Sqlite(rusqlite::Connection::open(path).unwrap()),
            _ => {
                let runtime = Runtime::new().unwrap();
                let client = runtime.block_on(async {
                    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
                    tokio::spawn(connection);
                    client
                });
                Raw::Postgres(runtime, client)
            }
        }
    }

    /// Statements without values.
    pub(crate) fn run(&self, sql: &str) {
        match self {
            Raw::Sqlite(connection) => connection.execute_batch(sql).unwrap(),
            Raw::Postgres(runtime, client) => runtime.block_on(client.batch_execute(sql)).unwrap(),
        }
    }

    /// A statement as this database reads it.
    pub(crate) fn in_its_words(&self, sql: &str) -> String {
        match self {
            Raw::Sqlite(_) => sql.replace("CAST(body AS TEXT)", "body").replace("BYTEA", "BLOB"),
            Raw::Postgres(..) => sql.replace("CAST(body AS TEXT)", "encode(body, 'escape')"),
        }
    }

    /// Begins a transaction that sees one moment.
    pub(crate) fn begin(&self) {
        self.run(match self {
            Raw::Sqlite(_) => "BEGIN",
            Raw::Postgres(..) => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        });
    }

    /// The row of the head.
    pub(crate) fn head(&self) -> RawHead {
        let head = "SELECT position, received, duplicates FROM head";
        let head = match self {
            Raw::Sqlite(connection) => connection.query_one(head, [], |row| {
                let (position, received, duplicates) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(RawHead { position, received, duplicates })
            }),
            Raw::Postgres(runtime, client) => {
                let row = runtime.block_on(client.query_one(head, &[])).unwrap();
                let (position, received, duplicates) = (row.get(0), row.get(1), row.get(2));
                Ok(RawHead { position, received, duplicates })
            }
        };
        head.unwrap()
    }

    /// All events after a position.
    pub(crate) fn events(&self, after: i64) -> Vec<RawEvent> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE position > $1 ORDER BY position");
        match self {
            Raw::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(&sql.replace('$', "?")).unwrap();
                let rows = statement.query_map([after], of_sqlite).unwrap();
                rows.collect::<Result<_, _>>().unwrap()
            }
            Raw::Postgres(runtime, client) => {
                let rows = runtime.block_on(client.query(&sql, &[&after])).unwrap();
                rows.iter().map(of_postgres).collect()
            }
        }
    }

    /// The next positions after one, with their ids, at most so many.
    pub(crate) fn page(&self, after: u64, most: i64) -> Vec<(u64, Uuid)> {
        let after = after as i64;
        let sql = "SELECT position, id FROM events WHERE position > $1 ORDER BY position LIMIT $2";
        match self {
            Raw::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(&sql.replace('$', "?")).unwrap();
                let row =
                    |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)? as u64, id(row.get(1)?)));
                let rows = statement.query_map([after, most], row).unwrap();
                rows.collect::<Result<_, _>>().unwrap()
            }
            Raw::Postgres(runtime, client) => {
                let rows = runtime.block_on(client.query(sql, &[&after, &most])).unwrap();
                rows.iter().map(|row| (row.get::<_, i64>(0) as u64, row.get(1))).collect()
            }
        }
    }
}

/// An id, as SQLite has it. One of another length is none.
fn id(cell: Cell) -> Uuid {
    match cell {
        Cell::Blob(bytes) => Uuid::from_slice(&bytes).unwrap_or_default(),
        _ => Uuid::nil(),
    }
}

fn of_sqlite(row: &rusqlite::Row<'_>) -> Result<RawEvent, rusqlite::Error> {
    Ok(RawEvent {
        position: row.get(0)?,
        id: id(row.get(1)?),
        key: row.get(2)?,
        source: row.get(3)?,
        session: row.get(4)?,
        correlation: row.get::<_, Option<Cell>>(5)?.map(id),
        timestamp: row.get(6)?,
        received: row.get(7)?,
        standing: row.get(8)?,
        body: row.get(9)?,
        checksum: row.get(10)?,
    })
}

fn of_postgres(row: &tokio_postgres::Row) -> RawEvent {
    RawEvent {
        position: row.get(0),
        id: row.get(1),
        key: row.get(2),
        source: row.get(3),
        session: row.get(4),
        correlation: row.get(5),
        timestamp: row.get(6),
        received: row.get(7),
        standing: row.get(8),
        body: row.get(9),
        checksum: row.get(10),
    }
}
