//! SQLite.

mod create;
mod identity;

use std::cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bloodbank_bus::Outage;
use rusqlite::backup::Backup;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Error, ErrorCode, OpenFlags, ToSql, ffi};
use uuid::Uuid;

pub(crate) use self::create::create;
pub(crate) use self::identity::Identity;
use super::{Cell, LOCK_PATIENCE, Mode, PATIENCE, Row, Table, Value};
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
    identity: Identity,
    /// The log beside the file, in which lies what was committed last.
    log: Option<Identity>,
}

impl Sqlite {
    /// Opens a file that is there. Reading changes nothing of it.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::NotAFile`], [`StoreError::Open`].
    pub(crate) fn open(path: &Path, mode: Mode, pages: Option<u32>) -> Result<Self, StoreError> {
        let place = || format!("sqlite:{}", path.display());
        match fs::metadata(path) {
            Ok(there) if !there.is_file() => return Err(StoreError::NotAFile { place: place() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { place: place() });
            }
            _ => {}
        }
        let identity = Identity::of(path);
        let mut connection = connection(path, mode)?;
        if !identity.is(&Identity::of(path)) {
            return Err(identity.removed());
        }
        prepare(&mut connection, mode, pages).map_err(|error| not_open(path, &error))?;
        let log = Some(Identity::of(&log_of(path))).filter(Identity::is_there);
        Ok(Sqlite { connection, identity, log })
    }

    /// Opens an empty file that nobody else has open, without a log beside it.
    fn blank(path: &Path, pages: Option<u32>) -> Result<Self, StoreError> {
        let mut connection = connection(path, Mode::Write)?;
        set(&mut connection, Mode::Write, pages).map_err(|error| not_open(path, &error))?;
        Ok(Sqlite { connection, identity: Identity::of(path), log: None })
    }

    /// The file that it has open.
    pub(crate) fn identity(&self) -> Identity {
        self.identity.clone()
    }

    /// # Errors
    /// [`StoreError::Removed`], if it has another file open than this one.
    pub(crate) fn is(&self, file: &Identity) -> Result<(), StoreError> {
        match self.identity.is(file) {
            true => Ok(()),
            false => Err(file.removed()),
        }
    }

    /// # Errors
    /// [`StoreError::Removed`], if the file no longer lies where it was opened.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.identity.check()?;
        self.log.as_ref().map_or(Ok(()), Identity::check)
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

    /// Begins a transaction that nobody else writes beside.
    pub(crate) fn begin(&mut self) -> Result<(), StoreError> {
        self.execute("BEGIN IMMEDIATE", &[]).map(|_| ())
    }

    pub(crate) fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    pub(crate) fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.statement(sql)?;
        run(&mut statement, values.iter().map(Value::cell))
    }

    pub(crate) fn execute_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        let mut statement = self.statement(sql)?;
        rows.iter().map(|row| run(&mut statement, row.iter().map(Value::cell))).sum()
    }

    pub(crate) fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.statement(sql)?;
        let columns = statement.column_count();
        let rows = statement
            .query_and_then(rusqlite::params_from_iter(values.iter().map(Value::cell)), |row| {
                let values = (0..columns).map(|column| read(row.get_ref(column)?));
                Ok(Row(values.collect::<Result<_, Error>>()?))
            })
            .map_err(|error| reason(&error))?;
        rows.collect::<Result<_, Error>>().map_err(|error| reason(&error))
    }

    pub(crate) fn query_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<Vec<Row>, StoreError> {
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.extend(self.query(sql, row)?);
        }
        Ok(all)
    }

    pub(crate) fn insert(&mut self, table: &Table, cells: &[Cell<'_>]) -> Result<(), StoreError> {
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let places: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}){}",
            table.name,
            names.join(", "),
            places.join(", "),
            if table.or_ignore { " ON CONFLICT DO NOTHING" } else { "" },
        );
        let mut statement = self.statement(&sql)?;
        let mut rows = cells.chunks(names.len()).map(|row| row.iter().copied());
        rows.try_for_each(|row| run(&mut statement, row).map(|_| ()))
    }

    pub(crate) fn positions_of(&mut self, ids: &[Uuid]) -> Result<Vec<(Uuid, i64)>, StoreError> {
        // Most are newer than all that are stored, and so are their ids.
        let newest: Vec<u8> = match self.query("SELECT MAX(id) FROM events", &[])?.first() {
            Some(row) => row.maybe_bytes(0)?.map(|id| id.to_vec()).unwrap_or_default(),
            None => Vec::new(),
        };
        let mut statement = self.statement("SELECT position FROM events WHERE id = ?1")?;
        let mut known = Vec::new();
        for id in ids.iter().filter(|id| id.as_bytes()[..] <= newest[..]) {
            match statement.query_row([id.as_bytes()], |row| row.get(0)) {
                Ok(position) => known.push((*id, position)),
                Err(Error::QueryReturnedNoRows) => {}
                Err(error) => return Err(reason(&error)),
            }
        }
        Ok(known)
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection.prepare_cached(&in_sqlite(sql)).map_err(|error| reason(&error))
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A path is a path: `file:…` is no URI that could name what nobody else sees.
fn connection(path: &Path, mode: Mode) -> Result<Connection, StoreError> {
    let flags = match mode {
        Mode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Mode::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| not_open(path, &error))
}

fn not_open(path: &Path, error: &Error) -> StoreError {
    match reason(error) {
        StoreError::Database { reason } => {
            let place = format!("sqlite:{}", path.display());
            StoreError::Open { place, outage: Outage::said(reason) }
        }
        other => other,
    }
}

fn prepare(connection: &mut Connection, mode: Mode, pages: Option<u32>) -> Result<(), Error> {
    set(connection, mode, pages)?;
    let log: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode == Mode::Write && log != "wal" {
        write_ahead(connection)?;
    }
    Ok(())
}

fn set(connection: &mut Connection, mode: Mode, pages: Option<u32>) -> Result<(), Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_handler(Some(wait))?;
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

thread_local! {
    /// When the connection of this thread began to wait for a lock.
    static WAITS_SINCE: cell::Cell<Option<Instant>> = const { cell::Cell::new(None) };
}

/// Sleeps before another try at a lock, unless that has lasted too long. SQLite's own handler sleeps up to
/// 100 ms between tries, so that one of two writers starves.
fn wait(tries: i32) -> bool {
    if tries == 0 {
        WAITS_SINCE.set(Some(Instant::now()));
    }
    thread::sleep(NAP);
    WAITS_SINCE.get().is_none_or(|since| since.elapsed() < LOCK_PATIENCE)
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

fn run<'v>(
    statement: &mut CachedStatement<'_>,
    values: impl IntoIterator<Item = Cell<'v>>,
) -> Result<u64, StoreError> {
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

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, Error> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Int(n) => ValueRef::Integer(*n),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Bytes(bytes) => ValueRef::Blob(bytes),
            Cell::Id(id) => ValueRef::Blob(id.as_bytes()),
        }))
    }
}

/// What an error of SQLite means to us.
fn reason(error: &Error) -> StoreError {
    let code = error.sqlite_error().map(|error| (error.code, error.extended_code));
    match code {
        Some((ErrorCode::DiskFull, _))
        | Some((_, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE)) => StoreError::Full,
        Some((ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _)) => {
            StoreError::Busy { seconds: LOCK_PATIENCE.as_secs() }
        }
        Some((ErrorCode::DatabaseCorrupt, _)) => {
            StoreError::Damaged(Damage::Said { reason: error.to_string() })
        }
        Some((ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _)) => {
            StoreError::Denied { reason: error.to_string() }
        }
        Some((ErrorCode::NotADatabase, _)) => StoreError::Foreign(Foreign::NotSqlite),
        _ => StoreError::Database { reason: error.to_string() },
    }
}
