//! SQL on either database, through one door.
//!
//! Statements are written once, as PostgreSQL reads them: `$1`, `BIGINT`, `BYTEA`, `UUID`. SQLite is
//! told its own words for these.

mod columns;
pub(crate) mod migrations;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod spare;
mod sqlite;
mod value;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) use self::columns::{Column, TableRow, find, next, table, words};
pub(crate) use self::pool::{Job, Local, Pool, apart, ready, spawn, unharmed};
pub(crate) use self::spare::Spare;
pub(crate) use self::value::{Cell, Each, Row, Set, Table, Type, Value};
use crate::{Damage, Migrated, StoreError, StoreOptions, StoreUrl};

/// How long we wait for a server, or for what another process does once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long we wait for another process that writes. Whoever publishes hears of it within 5 s.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(4);

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
    /// Which SQLite file it is, known once it was opened.
    file: Arc<OnceLock<sqlite::Identity>>,
}

impl Target {
    pub(crate) fn of(options: StoreOptions) -> Self {
        Target { url: options.url, max_pages: options.max_pages, file: Arc::default() }
    }
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
    /// Opens a database that is there.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Missing`].
    pub(crate) async fn open(target: &Target, mode: Mode) -> Result<Self, StoreError> {
        match &target.url {
            StoreUrl::Sqlite(path) => {
                // Another file is not even touched.
                target.file.get().map_or(Ok(()), sqlite::Identity::check)?;
                let sqlite = sqlite::Sqlite::open(path, mode, target.max_pages)?;
                sqlite.is(target.file.get_or_init(|| sqlite.identity()))?;
                Ok(Connection::Sqlite(sqlite))
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

    /// Opens a database for writing: makes a file that is not there, and the tables that are missing.
    ///
    /// # Errors
    /// Those of opening and of migrating.
    pub(crate) async fn open_or_make(
        target: &Target,
    ) -> Result<(Self, Option<Migrated>), StoreError> {
        if let StoreUrl::Sqlite(path) = &target.url
            && sqlite::create(path, target.max_pages).await?
        {
            let connection = Connection::open(target, Mode::Write).await?;
            return Ok((connection, Some(Migrated { from: 0, to: migrations::KNOWN })));
        }
        let mut connection = Connection::open(target, Mode::Write).await?;
        let migrated = migrations::run(&mut connection).await?;
        if migrated.is_some() {
            // It had all the time there is.
            connection = Connection::open(target, Mode::Write).await?;
        }
        Ok((connection, migrated))
    }

    /// # Errors
    /// [`StoreError::Removed`], if it is a file that no longer lies where it was opened: what is written
    /// to it is lost.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(sqlite) => sqlite.check(),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Ok(()),
        }
    }

    /// Begins a transaction that nobody else writes beside.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        either!(self, c => c.begin(), c.begin().await)
    }

    /// Begins a transaction that nobody else writes beside, and asks for one row of numbers and texts;
    /// and, where that costs no round trip more, which of the ids are stored.
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables, reason = "a file needs none"))]
    pub(crate) async fn begin_with(
        &mut self,
        question: &str,
        ids: &[Uuid],
    ) -> Result<(Row, Option<Vec<(Uuid, i64)>>), StoreError> {
        match self {
            Connection::Sqlite(sqlite) => {
                sqlite.begin()?;
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
        either!(self, c => c.batch("BEGIN"), c.begin_snapshot().await)
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
        let _ = either!(self, c => c.batch("ROLLBACK"), c.rollback().await);
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

    /// Runs a statement for many rows of values, at once where the database can; gives the number of
    /// rows it changed in all.
    pub(crate) async fn execute_all(
        &mut self,
        each: &Each<'_>,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        either!(self, c => c.execute_each(each.one, rows), c.execute_all(each, rows).await)
    }

    /// Runs several statements, each for many rows of values, in one round trip where the database can;
    /// gives how many rows each has changed.
    pub(crate) async fn execute_sets(&mut self, sets: &[Set<'_>]) -> Result<Vec<u64>, StoreError> {
        match self {
            Connection::Sqlite(sqlite) => {
                sets.iter().map(|(each, rows)| sqlite.execute_each(each.one, rows)).collect()
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(postgres) => postgres.execute_sets(sets).await,
        }
    }

    /// Asks the same for many rows of values, at once where the database can; gives all answers.
    pub(crate) async fn query_all(
        &mut self,
        each: &Each<'_>,
        rows: &[Vec<Value>],
    ) -> Result<Vec<Row>, StoreError> {
        either!(self, c => c.query_each(each.one, rows), c.query_all(each, rows).await)
    }

    /// What tells when others have written, with the number of commits; `None` where it has to be looked
    /// for.
    pub(crate) async fn listen(&mut self) -> Result<Option<watch::Receiver<i64>>, StoreError> {
        either!(self, _c => Ok(None), _c.listen().await)
    }

    /// What tells all who listen of a number of commits, which is a text in SQL, as a part of a
    /// statement; `None` where nobody needs to be told.
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables, reason = "a file needs none"))]
    pub(crate) fn telling_of(&self, commits: &str) -> Option<String> {
        either!(self, _c => None, Some(postgres::telling(commits)))
    }

    /// What takes the lock of who writes until the end of the transaction, or gives false, as a part of a
    /// statement; `None` where no statement can do so.
    pub(crate) fn lock_or_not(&self) -> Option<&'static str> {
        either!(self, _c => None, Some(postgres::LOCK_OR_NOT))
    }

    /// Whether a statement that is a transaction of its own costs one round trip.
    pub(crate) fn can_at_once(&self) -> bool {
        either!(self, _c => false, _c.can_at_once())
    }

    /// Asks with the rows of a table, as an array for each column, and with some values behind them; in a
    /// transaction of its own.
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables, reason = "a file cannot"))]
    pub(crate) async fn at_once(
        &mut self,
        sql: &str,
        table: &Table,
        cells: &[Cell<'_>],
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        either!(self, _c => Ok(Vec::new()), _c.at_once(sql, table, cells, values).await)
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

    /// The same, then runs a statement, tells all who listen of this number of commits, and ends the
    /// transaction; without waiting in between.
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables, reason = "a file needs none"))]
    pub(crate) async fn insert_and_commit(
        &mut self,
        table: &Table,
        cells: &[Cell<'_>],
        (sql, values): (&str, &[Value]),
        commits: i64,
    ) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(sqlite) => {
                sqlite.insert(table, cells)?;
                sqlite.execute(sql, values)?;
                sqlite.execute("COMMIT", &[]).map(|_| ())
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(postgres) => {
                let telling = postgres::telling(&format!("'{commits}'"));
                let end = format!("SELECT {telling}; COMMIT");
                postgres.insert_and_run(table, cells, (sql, values), &end).await
            }
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

    /// Puts what is in another SQLite file in place of everything, where nobody else has this one open.
    pub(crate) fn replace_with(&mut self, file: &std::path::Path) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => connection.replace_with(file),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => no_file(file),
        }
    }

    /// Lets statements take as long as they need, on a connection that nobody else waits for.
    pub(crate) async fn take_time(&mut self) -> Result<(), StoreError> {
        either!(self, _c => Ok(()), _c.take_time().await)
    }

    /// The same until the end of the transaction; the client goes on waiting as long.
    pub(crate) async fn take_time_in_transaction(&mut self) -> Result<(), StoreError> {
        either!(self, _c => Ok(()), _c.take_time_in_transaction().await)
    }

    /// Whether it is a SQLite file.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Connection::Sqlite(_))
    }
}

#[cfg(feature = "postgres")]
fn no_file(file: &std::path::Path) -> Result<(), StoreError> {
    Err(StoreError::NotAFile { place: file.display().to_string() })
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
