//! SQLite.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bloodbank_bus::Outage;
use rusqlite::backup::Backup;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Error, ErrorCode, OpenFlags, ToSql, ffi};
use uuid::Uuid;

use super::{Mode, PATIENCE, Row, Table, Value};
use crate::{Damage, Foreign, StoreError};

/// How long to sleep before another try at a lock that another process holds.
const NAP: Duration = Duration::from_micros(200);

/// What the log beside the file keeps of its size when it begins anew, in bytes.
const LARGEST_LOG: i64 = 64 << 20;

/// How many pages are copied at a time.
const PAGES: i32 = 10_000;

/// Distinct statements that are kept ready.
const STATEMENTS: usize = 128;

/// The clock of the machine, in microseconds since 1970. Whoever uses the file has the same one.
pub(super) const CLOCK: &str = "CAST(unixepoch('subsec') * 1000000 AS BIGINT)";

/// A connection to a file. Its methods block, so it lives on a thread of its own.
pub(crate) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens the file, and makes it if it is not there.
    pub(crate) fn open(path: &Path, mode: Mode, pages: Option<u32>) -> Result<Self, StoreError> {
        let place = || format!("sqlite:{}", path.display());
        let failed =
            |reason: String| StoreError::Open { place: place(), outage: Outage::said(reason) };
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(StoreError::NotAFile { place: place() });
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        }
        // A path is a path: `file:…` is no URI that could name what nobody else sees.
        let flags = OpenFlags::default() & !OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(path, flags);
        let mut connection = connection.map_err(|error| failed(error.to_string()))?;
        prepare(&mut connection, mode, pages).map_err(|error| match reason(&error) {
            StoreError::Database { reason } => failed(reason),
            other => other,
        })?;
        Ok(Sqlite { connection })
    }

    /// Puts what is in another file in place of everything, in one transaction.
    pub(crate) fn replace_with(&mut self, file: &Path) -> Result<(), StoreError> {
        // Of a file with a log, only who is alone gets this lock; and keeps it.
        self.batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")?;
        let copied =
            Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|from| {
                let backup = Backup::new(&from, &mut self.connection)?;
                backup.run_to_completion(PAGES, Duration::ZERO, None)
            });
        copied.map_err(|error| reason(&error))?;
        self.batch("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(&in_sqlite(sql)).map_err(|error| reason(&error))
    }

    pub(crate) fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    pub(crate) fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.prepare(sql)?;
        run(&mut statement, values)
    }

    pub(crate) fn execute_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        let mut statement = self.prepare(sql)?;
        rows.iter().map(|row| run(&mut statement, row)).sum()
    }

    pub(crate) fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let columns = statement.column_count();
        let rows = statement
            .query_and_then(rusqlite::params_from_iter(values), |row| {
                let values = (0..columns).map(|column| read(row.get_ref(column)?));
                Ok(Row(values.collect::<Result<_, Error>>()?))
            })
            .map_err(|error| reason(&error))?;
        rows.collect::<Result<_, Error>>().map_err(|error| reason(&error))
    }

    pub(crate) fn insert(&mut self, table: &Table, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let places: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}){}",
            table.name,
            names.join(", "),
            places.join(", "),
            if table.or_ignore { " ON CONFLICT DO NOTHING" } else { "" },
        );
        self.execute_each(&sql, rows).map(|_| ())
    }

    pub(crate) fn positions_of(&mut self, ids: &[Uuid]) -> Result<Vec<(Uuid, i64)>, StoreError> {
        let mut statement = self.prepare("SELECT position FROM events WHERE id = ?1")?;
        let mut known = Vec::new();
        for id in ids {
            match statement.query_row([id.as_bytes()], |row| row.get(0)) {
                Ok(position) => known.push((*id, position)),
                Err(Error::QueryReturnedNoRows) => {}
                Err(error) => return Err(reason(&error)),
            }
        }
        Ok(known)
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection.prepare_cached(&in_sqlite(sql)).map_err(|error| reason(&error))
    }
}

fn prepare(connection: &mut Connection, mode: Mode, pages: Option<u32>) -> Result<(), Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // SQLite's own handler sleeps up to 100 ms between tries, so that one of two writers starves.
    connection.busy_handler(Some(|tries: i32| {
        thread::sleep(NAP);
        u128::from(tries.unsigned_abs()) * NAP.as_micros() < 3 * PATIENCE.as_micros()
    }))?;
    write_ahead(connection)?;
    // Every commit is on the disk before it is told.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A log that grew while somebody read for long gives its room back.
    connection.pragma_update_and_check(None, "journal_size_limit", LARGEST_LOG, |_| Ok(()))?;
    // In KiB, below zero.
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if let Some(pages) = pages {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    connection.pragma_update(None, "query_only", mode == Mode::Read)
}

/// Turns the write-ahead log on. Of two processes that do so for a new file at once, SQLite tells one
/// that it is busy without asking the busy handler, as waiting could be a deadlock; so it is tried again.
fn write_ahead(connection: &Connection) -> Result<(), Error> {
    let until = Instant::now() + PATIENCE;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < until =>
            {
                thread::sleep(NAP);
            }
            done => return done,
        }
    }
}

/// A statement in SQLite's words.
fn in_sqlite(sql: &str) -> String {
    let sql = sql.replace('$', "?").replace("BYTEA", "BLOB").replace("UUID", "BLOB");
    // Only so the primary key is the row's own number, and needs no index.
    sql.replace("BIGINT", "INTEGER")
}

fn run(statement: &mut CachedStatement<'_>, values: &[Value]) -> Result<u64, StoreError> {
    let changed = statement.execute(rusqlite::params_from_iter(values));
    changed.map(|rows| rows as u64).map_err(|error| reason(&error))
}

fn read(value: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Real(n) => Value::Int(n as i64),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.into()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, Error> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::Id(id) => ValueRef::Blob(id.as_bytes()),
        }))
    }
}

/// What an error of SQLite means to us.
fn reason(error: &Error) -> StoreError {
    let code = error.sqlite_error().map(|error| (error.code, error.extended_code));
    match code {
        Some((ErrorCode::DiskFull, _)) | Some((_, ffi::SQLITE_IOERR_WRITE)) => StoreError::Full,
        Some((ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _)) => {
            StoreError::Busy { seconds: 3 * PATIENCE.as_secs() }
        }
        Some((ErrorCode::DatabaseCorrupt, _)) => {
            StoreError::Damaged(Damage::Said { reason: error.to_string() })
        }
        Some((ErrorCode::NotADatabase, _)) => StoreError::Foreign(Foreign::NotSqlite),
        _ => StoreError::Database { reason: error.to_string() },
    }
}
