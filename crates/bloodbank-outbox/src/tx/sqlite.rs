//! rusqlite. Its calls block, so what they give is ready.

use std::future::{Ready, ready};
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, Transaction};

use super::Tx;
use crate::{DatabaseError, Dialect, Value};

impl Tx for &Connection {
    type Executing = Ready<Result<u64, DatabaseError>>;

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn execute(self, sql: Arc<str>, values: Vec<Value>) -> Self::Executing {
        ready(execute(self, &sql, &values))
    }
}

impl Tx for &Transaction<'_> {
    type Executing = Ready<Result<u64, DatabaseError>>;

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn execute(self, sql: Arc<str>, values: Vec<Value>) -> Self::Executing {
        ready(execute(self, &sql, &values))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Value::Text(None) => ValueRef::Null,
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Runs a statement.
pub(crate) fn execute(
    connection: &Connection,
    sql: &str,
    values: &[Value],
) -> Result<u64, DatabaseError> {
    let run = || {
        let mut statement = connection.prepare_cached(sql)?;
        statement.execute(rusqlite::params_from_iter(values))
    };
    run().map(|rows| rows as u64).map_err(DatabaseError::new)
}

/// Asks for rows.
pub(crate) fn query(
    connection: &Connection,
    sql: &str,
    values: &[Value],
) -> Result<Vec<Vec<Value>>, DatabaseError> {
    let run = || {
        let mut statement = connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
            (0..columns).map(|at| read(row, at)).collect::<rusqlite::Result<Vec<Value>>>()
        })?;
        rows.collect::<rusqlite::Result<_>>()
    };
    run().map_err(DatabaseError::new)
}

fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => Value::Text(None),
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.into()),
        ValueRef::Real(number) => Value::text(number.to_string()),
        ValueRef::Text(text) => Value::text(String::from_utf8_lossy(text)),
    })
}
