//! What tools do with an outbox: make its tables, list what waits, put it back.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{DatabaseError, Dialect, Source, Value};

/// A message that waits in an outbox, or is parked there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// Its number, which is the order of sending.
    pub seq: i64,
    /// The envelope's id.
    pub id: Uuid,
    /// The routing key.
    pub key: String,
    /// When it was written.
    pub created: Option<DateTime<Utc>>,
    /// How often it was tried and failed by itself.
    pub attempts: u32,
    /// What came of the last attempt.
    pub last_error: Option<String>,
    /// Since when the relay passes it over.
    pub parked: Option<DateTime<Utc>>,
}

/// Makes the tables where they are not there: for tests and demonstrations. Services put
/// [`Tables::ddl`](crate::Tables::ddl) into a migration of their own.
///
/// # Errors
/// What the database says.
pub async fn create_tables(source: &mut impl Source) -> Result<(), DatabaseError> {
    source.open().await?;
    let ddl = source.tables().ddl(source.dialect());
    // One statement at a time is what every client takes. A comment has no semicolon at its line's end.
    for statement in ddl.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        source.execute(statement, Vec::new()).await?;
    }
    Ok(())
}

/// The first messages that wait or are parked, in the order of sending.
///
/// # Errors
/// What the database says.
pub async fn list(source: &mut impl Source, most: u32) -> Result<Vec<Waiting>, DatabaseError> {
    source.open().await?;
    let (created, parked) =
        (micros(source.dialect(), "created"), micros(source.dialect(), "parked"));
    let sql = format!(
        "SELECT seq, CAST(id AS text), key, {created}, CAST(attempts AS bigint), last_error, {parked} \
         FROM {} ORDER BY seq LIMIT {most}",
        source.tables().quoted_outbox()
    );
    let rows = source.query(&sql, Vec::new()).await?;
    rows.into_iter().map(waiting).collect()
}

/// Puts messages back that are parked or have failed: the one of this id, or all. Says how many.
///
/// # Errors
/// What the database says.
pub async fn retry(source: &mut impl Source, id: Option<Uuid>) -> Result<u64, DatabaseError> {
    source.open().await?;
    let which = match (id, source.dialect()) {
        (None, _) => "parked IS NOT NULL OR attempts > 0",
        (Some(_), Dialect::Postgres) => "id = CAST(CAST($1 AS text) AS uuid)",
        (Some(_), Dialect::Sqlite) => "id = ?1",
    };
    let sql = format!(
        "UPDATE {} SET parked = NULL, attempts = 0, last_error = NULL WHERE {which}",
        source.tables().quoted_outbox()
    );
    let values = id.map(|id| Value::text(id.to_string())).into_iter().collect();
    source.execute(&sql, values).await
}

/// A time as microseconds since 1970.
fn micros(dialect: Dialect, column: &str) -> String {
    match dialect {
        Dialect::Postgres => {
            format!("CAST(EXTRACT(EPOCH FROM {column}) * 1000000 AS bigint)")
        }
        Dialect::Sqlite => format!("CAST(unixepoch({column}, 'subsec') * 1000000 AS integer)"),
    }
}

fn waiting(row: Vec<Value>) -> Result<Waiting, DatabaseError> {
    let mut cells = Cells(row.into_iter());
    Ok(Waiting {
        seq: cells.number()?,
        id: cells.id()?,
        key: cells.text()?,
        created: cells.time()?,
        attempts: cells.count()?,
        last_error: cells.maybe_text()?,
        parked: cells.time()?,
    })
}

/// The cells of a row, from left to right.
pub(crate) struct Cells(pub(crate) std::vec::IntoIter<Value>);

impl Cells {
    pub(crate) fn next(&mut self) -> Result<Value, DatabaseError> {
        self.0.next().ok_or_else(|| DatabaseError::new("a row has too few columns"))
    }

    pub(crate) fn number(&mut self) -> Result<i64, DatabaseError> {
        match self.next()? {
            Value::Int(number) => Ok(number),
            _ => Err(DatabaseError::new("a column does not hold its number")),
        }
    }

    pub(crate) fn count(&mut self) -> Result<u32, DatabaseError> {
        Ok(u32::try_from(self.number()?).unwrap_or(0))
    }

    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>, DatabaseError> {
        match self.next()? {
            Value::Text(text) => Ok(text),
            _ => Err(DatabaseError::new("a column does not hold its text")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, DatabaseError> {
        self.maybe_text()?.ok_or_else(|| DatabaseError::new("a column lacks its text"))
    }

    pub(crate) fn id(&mut self) -> Result<Uuid, DatabaseError> {
        self.text()?.parse().map_err(DatabaseError::new)
    }

    fn time(&mut self) -> Result<Option<DateTime<Utc>>, DatabaseError> {
        match self.next()? {
            Value::Int(micros) => Ok(DateTime::from_timestamp_micros(micros)),
            _ => Ok(None),
        }
    }
}
