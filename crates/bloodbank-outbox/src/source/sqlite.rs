//! An outbox in a SQLite file.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use bloodbank_bus::BoxFuture;
use rusqlite::{Connection, OpenFlags};
use tokio::time::sleep;

use super::{Source, not_connected};
use crate::{DatabaseError, Dialect, Tables, Value, tx};

/// How long to sleep before another try at a lock that the caller's writers hold. SQLite's own sleeps
/// grow to 100 ms, in which writers that do nothing else take it again and again.
const NAP: Duration = Duration::from_micros(500);

/// How often to try: for half a minute.
const TRIES: i32 = 60_000;

/// An outbox in a SQLite file, read over one connection of its own.
///
/// A lock on a file beside the database makes it the only one that sends; the system drops the lock when
/// the process ends, however it ends. Nothing tells of a commit in another process, so it looks ten times
/// a second.
pub struct Sqlite {
    path: PathBuf,
    tables: Tables,
    connection: Option<Connection>,
    lock: Option<File>,
}

impl Sqlite {
    /// The file, which must be there. Opens it when a relay asks.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        Sqlite { path, tables: Tables::default(), connection: None, lock: None }
    }

    /// Names the tables.
    #[must_use]
    pub fn tables(mut self, tables: Tables) -> Self {
        self.tables = tables;
        self
    }

    /// Runs what blocks beside the runtime.
    async fn blocking<T: Send + 'static>(
        &mut self,
        run: impl FnOnce(&Connection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let connection = self.connection.take().ok_or_else(not_connected)?;
        let ran = tokio::task::spawn_blocking(move || (run(&connection), connection)).await;
        let (result, connection) = ran.map_err(DatabaseError::new)?;
        self.connection = Some(connection);
        result
    }

    async fn connected(&mut self) -> Result<(), DatabaseError> {
        if self.connection.is_none() {
            let path = self.path.clone();
            let opened = tokio::task::spawn_blocking(move || open(&path)).await;
            self.connection = Some(opened.map_err(DatabaseError::new)??);
        }
        Ok(())
    }

    async fn leads(&mut self) -> Result<bool, DatabaseError> {
        self.connected().await?;
        if self.lock.is_none() {
            let sql = format!("SELECT seq FROM {} LIMIT 0", self.tables.quoted_outbox());
            self.query(&sql, Vec::new()).await?;
            self.lock = lock(&self.path, self.tables.outbox()).map_err(DatabaseError::new)?;
        }
        Ok(self.lock.is_some())
    }
}

fn open(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(DatabaseError::new)?;
    connection.busy_handler(Some(nap)).map_err(DatabaseError::new)?;
    Ok(connection)
}

fn nap(tries: i32) -> bool {
    thread::sleep(NAP);
    tries < TRIES
}

/// The lock, unless another relay has it. The file stays; only the lock on it means something.
fn lock(database: &Path, table: &str) -> std::io::Result<Option<File>> {
    // Two paths to one file are one lock.
    let mut path = database.canonicalize()?.into_os_string();
    // Any name of a table is one of a file.
    let table: String = table.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    path.push(format!(".{table}.relay"));
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Source for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn tables(&self) -> &Tables {
        &self.tables
    }

    fn open(&mut self) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(self.connected())
    }

    fn lead(&mut self) -> BoxFuture<'_, Result<bool, DatabaseError>> {
        Box::pin(self.leads())
    }

    fn execute<'s>(
        &'s mut self,
        sql: &'s str,
        values: Vec<Value>,
    ) -> BoxFuture<'s, Result<u64, DatabaseError>> {
        let sql = sql.to_owned();
        Box::pin(self.blocking(move |connection| tx::execute_sqlite(connection, &sql, &values)))
    }

    fn query<'s>(
        &'s mut self,
        sql: &'s str,
        values: Vec<Value>,
    ) -> BoxFuture<'s, Result<Vec<Vec<Value>>, DatabaseError>> {
        let sql = sql.to_owned();
        Box::pin(self.blocking(move |connection| tx::query_sqlite(connection, &sql, &values)))
    }

    fn wait(&mut self, at_most: Duration) -> BoxFuture<'_, ()> {
        Box::pin(sleep(at_most))
    }

    fn poll(&self) -> Duration {
        Duration::from_millis(100)
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}
