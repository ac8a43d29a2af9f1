//! SQL on either database, through one door.
//!
//! Statements are written once, as PostgreSQL reads them: `$1`, `BIGINT`, `BYTEA`, `UUID`. SQLite is
//! told its own words for these.

mod columns;
mod migrations;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
mod value;

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) use self::columns::{Column, TableRow, find, next, table, words};
pub(crate) use self::pool::{Local, Pool, ready, spawn, unharmed};
pub(crate) use self::value::{Cell, Row, Table, Type, Value};
use crate::{Damage, StoreError, StoreUrl};

/// How long we wait for another process that writes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Read,
}

/// How to connect.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) url: StoreUrl,
    /// The most pages that a SQLite file may have.
    pub(crate) max_pages: Option<u32>,
}

/// One connection to a database.
pub(crate) enum Connection {
    Sqlite(sqlite::Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Postgres),
}

/// Does the same on whichever database it is.
macro_rules! either {
    ($self:ident, $connection:ident => $call:expr, $pg:expr) => {
        match $self {
            Connection::Sqlite($connection) => $call,
            #[cfg(feature = "postgres")]
            Connection::Postgres($connection) => $pg,
        }
    };
}

impl Connection {
    /// # Errors
    /// [`StoreError::Open`].
    pub(crate) async fn open(target: &Target, mode: Mode) -> Result<Self, StoreError> {
        match &target.url {
            StoreUrl::Sqlite(path) => {
                sqlite::Sqlite::open(path, mode, target.max_pages).map(Connection::Sqlite)
            }
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(url) => {
                let place = target.url.to_string();
                postgres::Postgres::open(url, place, mode).await.map(Connection::Postgres)
            }
            #[cfg(not(feature = "postgres"))]
            StoreUrl::Postgres(_) => Err(StoreError::NoPostgres { place: target.url.to_string() }),
        }
    }

    /// Brings the tables up to date.
    pub(crate) async fn migrate(&mut self) -> Result<(), StoreError> {
        migrations::run(self).await
    }

    /// Begins a transaction that nobody else writes beside.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        either!(self, c => c.batch("BEGIN IMMEDIATE"), c.begin().await)
    }

    /// Begins a transaction that nobody else writes beside, and asks for one row of numbers and texts;
    /// and, where that costs no round trip more, which of the ids are stored.
    pub(crate) async fn begin_with(
        &mut self,
        question: &str,
        ids: &[Uuid],
    ) -> Result<(Row, Option<Vec<(Uuid, i64)>>), StoreError> {
        match self {
            Connection::Sqlite(sqlite) => {
                sqlite.batch("BEGIN IMMEDIATE")?;
                Ok((self.query_one(question, &[]).await?, None))
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(postgres) => {
                let (row, stored) = postgres.begin_with(question, ids).await?;
                Ok((row, Some(stored)))
            }
        }
    }

    /// Begins a transaction that sees one state of everything.
    pub(crate) async fn begin_snapshot(&mut self) -> Result<(), StoreError> {
        either!(self, c => c.batch("BEGIN"), c.batch(postgres::BEGIN_SNAPSHOT).await)
    }

    /// Asks several questions of one state of everything.
    pub(crate) async fn snapshot<T>(
        &mut self,
        ask: impl AsyncFnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.begin_snapshot().await?;
        let answer = ask(self).await;
        self.rollback().await;
        answer
    }

    /// Statements without values, one after the other.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        either!(self, c => c.batch(sql), c.batch(sql).await)
    }

    /// Ends the transaction, however it stands.
    pub(crate) async fn rollback(&mut self) {
        // If that fails the connection is gone, and the transaction with it.
        let _ = self.batch("ROLLBACK").await;
    }

    /// Whether there is still the transaction that was begun. A full disk may have ended it.
    pub(crate) fn in_transaction(&self) -> bool {
        either!(self, c => c.in_transaction(), !c.is_lost())
    }

    /// Runs a statement; gives the number of rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        either!(self, c => c.execute(sql, values), c.execute(sql, values).await)
    }

    /// Runs a statement for each row of values; gives the number of rows it changed in all.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        either!(self, c => c.execute_each(sql, rows), c.execute_each(sql, rows).await)
    }

    /// Asks.
    pub(crate) async fn query(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        either!(self, c => c.query(sql, values), c.query(sql, values).await)
    }

    /// Asks for the one row that there is.
    pub(crate) async fn query_one(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> Result<Row, StoreError> {
        let row = self.query(sql, values).await?.into_iter().next();
        row.ok_or_else(|| no_row(sql))
    }

    /// Inserts many rows, whose cells come one after the other.
    pub(crate) async fn insert(
        &mut self,
        table: &Table,
        cells: &[Cell<'_>],
    ) -> Result<(), StoreError> {
        if cells.is_empty() {
            return Ok(());
        }
        either!(self, c => c.insert(table, cells), c.insert(table, cells).await)
    }

    /// The same, and then statements without values, without waiting in between.
    pub(crate) async fn insert_and_batch(
        &mut self,
        table: &Table,
        cells: &[Cell<'_>],
        sql: &str,
    ) -> Result<(), StoreError> {
        if cells.is_empty() {
            return self.batch(sql).await;
        }
        match self {
            Connection::Sqlite(sqlite) => {
                sqlite.insert(table, cells)?;
                sqlite.batch(sql)
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(postgres) => postgres.insert_and_batch(table, cells, sql).await,
        }
    }

    /// Those of the ids that are stored, with their positions.
    pub(crate) async fn positions_of(
        &mut self,
        ids: &[Uuid],
    ) -> Result<Vec<(Uuid, i64)>, StoreError> {
        either!(self, c => c.positions_of(ids), c.positions_of(ids).await)
    }

    /// Whether it is of no use any more.
    pub(crate) fn is_lost(&self) -> bool {
        either!(self, _c => false, _c.is_lost())
    }

    /// What gives the time in a statement, in microseconds since 1970. It is the database's clock, the
    /// same for all processes.
    pub(crate) fn clock(&self) -> &'static str {
        either!(self, _c => sqlite::CLOCK, postgres::CLOCK)
    }

    /// The same where it is a clock of a server's, which all that write there have in common.
    pub(crate) fn server_clock(&self) -> Option<&'static str> {
        either!(self, _c => None, Some(postgres::CLOCK))
    }

    /// Whether it is a SQLite file.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Connection::Sqlite(_))
    }
}

/// A question that always has an answer has none.
fn no_row(question: &str) -> StoreError {
    StoreError::Damaged(Damage::NoRow { question: question.to_owned() })
}

/// Microseconds since 1970.
pub(crate) fn time_to_micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

pub(crate) fn micros_to_time(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or(StoreError::Damaged(Damage::Time(micros)))
}
