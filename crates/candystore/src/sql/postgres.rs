//! PostgreSQL.

mod connect;
mod session;
mod tls;

use std::cell;
use std::error::Error as _;
use std::io;
use std::time::Duration;

use bloodbank_bus::Outage;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type as PgType, to_sql_checked};
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};
use uuid::Uuid;

use self::session::Session;
use super::{Cell, Each, LOCK_PATIENCE, Mode, Row, Table, Type, Value, no_row};
use crate::{Damage, StoreError};

/// How long a statement may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a statement may take that reads, or builds, very much.
const LONG: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The most bytes of one statement that inserts many rows. A message to the server has less than 1 GiB.
const MOST_BYTES: usize = 16 << 20;

/// A transaction whose every statement sees what was committed before it, whatever the database has as
/// its default: what is read under the lock is then the last there is.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// One writer at a time, for each schema of a database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('candystore ' || current_schema()))";

/// A transaction that sees one state of everything.
const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The server's clock, in microseconds since 1970.
pub(super) const CLOCK: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

/// The most characters of a number of 64 bits.
const LONGEST_NUMBER: usize = 20;

/// Which ids are stored, and where.
const POSITIONS: &str = "SELECT id, position FROM candystore_known($1)";

/// A connection to a server. No statement of it has a name, and no setting outlives a transaction where
/// a pooler stands between: see [`session`].
pub(crate) struct Postgres {
    client: Client,
    session: Session,
    /// Whether a transaction was begun that sees one state of everything.
    in_snapshot: bool,
    /// How long a statement may take.
    deadline: Duration,
    /// The server has not answered in time.
    is_silent: cell::Cell<bool>,
}

impl Postgres {
    /// Connects. `place` is the URL as it may be shown.
    pub(crate) async fn open(url: &str, place: String, mode: Mode) -> Result<Self, StoreError> {
        let (client, session) = connect::connect(url, &place, mode).await?;
        let (in_snapshot, is_silent) = (false, cell::Cell::new(false));
        Ok(Postgres { client, session, in_snapshot, deadline: DEADLINE, is_silent })
    }

    /// Hears from now on what is told to all who use the store: the number of commits. `None` where that
    /// does not come through: behind a pooler, or from a server that only follows another.
    pub(crate) async fn listen(&mut self) -> Result<Option<watch::Receiver<i64>>, StoreError> {
        if self.session.is_pooled() {
            return Ok(None);
        }
        if !self.session.is_listening {
            match self.batch(session::LISTEN).await {
                Ok(()) => self.session.is_listening = true,
                Err(error) if self.is_lost() => return Err(error),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(self.session.heard()))
    }

    /// What tells all who listen of this number of commits, when the transaction is committed.
    pub(crate) fn telling(&self, commits: i64) -> String {
        format!("SELECT pg_notify({}, '{commits}'); ", session::CHANNEL)
    }

    /// Lets statements take as long as they need.
    pub(crate) async fn take_time(&mut self) -> Result<(), StoreError> {
        self.deadline = LONG;
        self.batch("SET statement_timeout = 0; SET lock_timeout = 0").await
    }

    /// The same until the end of the transaction; the client goes on waiting as long.
    pub(crate) async fn take_time_in_transaction(&mut self) -> Result<(), StoreError> {
        self.deadline = LONG;
        self.batch("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.client.is_closed() || self.is_silent.get()
    }

    /// What the server answers. One that says nothing for longer than it may take is gone, though
    /// nobody has closed the connection.
    async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        let limit = self.deadline + self.deadline / 6;
        if !self.is_silent.get()
            && let Ok(answer) = timeout(limit, asked).await
        {
            return answer.map_err(|error| reason(&error));
        }
        self.is_silent.set(true);
        Err(StoreError::lost(Outage::Silent { waited: limit }))
    }

    /// Begins a transaction, asks for a row of numbers and texts, and which of the ids are stored, in one
    /// round trip. What reads as a number is one, unless it is longer than numbers are.
    pub(crate) async fn begin_with(
        &mut self,
        question: &str,
        ids: &[Uuid],
    ) -> Result<(Row, Vec<(Uuid, i64)>), StoreError> {
        let sql = format!("{BEGIN}; {}{LOCK}; {question}", self.session.prelude());
        // The server does the one after the other, and ends both if one fails.
        let begin = self.answer(self.client.simple_query(&sql));
        let (answers, stored) = match ids.is_empty() {
            true => (begin.await?, Vec::new()),
            false => {
                let ids: Params<'_> = vec![(&ids, PgType::UUID_ARRAY)];
                let ask = self.client.query_typed(POSITIONS, &ids);
                let (answers, stored) = tokio::join!(biased; begin, self.answer(ask));
                (answers?, stored?)
            }
        };
        let row = answers.iter().rev().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let value = |row: &SimpleQueryRow, column| {
            let text = row.get(column)?;
            let number = text.parse().ok().filter(|_| text.len() <= LONGEST_NUMBER);
            Some(number.map_or_else(|| Value::text(text), Value::Int))
        };
        let values = |row: &SimpleQueryRow| (0..row.len()).map(|at| value(row, at)).collect();
        let row: Option<Vec<Value>> = row.and_then(values);
        Ok((row.map(Row).ok_or_else(|| no_row(question))?, positions(&stored)?))
    }

    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        self.batch(&format!("{BEGIN}; {}{LOCK}", self.session.prelude())).await
    }

    /// Begins a transaction that sees one state of everything.
    pub(crate) async fn begin_snapshot(&mut self) -> Result<(), StoreError> {
        self.in_snapshot = true;
        self.batch(&format!("{BEGIN_SNAPSHOT}; {}", self.session.prelude())).await
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), StoreError> {
        self.in_snapshot = false;
        self.batch("ROLLBACK").await
    }

    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.answer(self.client.batch_execute(sql)).await
    }

    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.answer(self.client.execute_typed(sql, &params(values))).await
    }

    /// One statement for all rows.
    pub(crate) async fn execute_all(
        &mut self,
        each: &Each<'_>,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        let cells: Vec<Cell<'_>> = rows.iter().flatten().map(Value::cell).collect();
        let width = each.columns.len();
        let mut changed = 0;
        for cells in pieces(&cells, width) {
            let columns = columns(cells, width);
            let params = arrays(&columns, each.columns.iter().copied());
            changed += self.answer(self.client.execute_typed(each.all, &params)).await?;
        }
        Ok(changed)
    }

    /// All statements are under way before the first answer is waited for.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        let all: Vec<_> = rows.iter().map(|row| params(row)).collect();
        let mut running = Vec::with_capacity(rows.len());
        for params in &all {
            let mut execution = Box::pin(self.client.execute_typed(sql, params));
            // The first poll sends it.
            let done = std::future::poll_fn(|context| {
                std::task::Poll::Ready(execution.as_mut().poll(context))
            });
            match done.await {
                std::task::Poll::Ready(done) => running.push(Err(done)),
                std::task::Poll::Pending => running.push(Ok(execution)),
            }
        }
        let mut changed = 0;
        for execution in running {
            changed += match execution {
                Ok(execution) => self.answer(execution).await?,
                Err(done) => done.map_err(|error| reason(&error))?,
            };
        }
        Ok(changed)
    }

    pub(crate) async fn query(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let params = params(values);
        let asked = self.client.query_typed(sql, &params);
        if self.in_snapshot || !self.session.has_prelude_for_questions() {
            return self.answer(asked).await?.iter().map(read).collect();
        }
        let begin = format!("{}; {}", session::BEGIN_TO_READ, self.session.prelude());
        // In one round trip: each is sent when it is first polled, and that is in this order.
        let asked = async {
            let (begun, answer, ended) = tokio::join!(
                self.client.batch_execute(&begin),
                asked,
                self.client.batch_execute("COMMIT")
            );
            begun?;
            let answer = answer?;
            ended.map(|()| answer)
        };
        self.answer(asked).await?.iter().map(read).collect()
    }

    /// One question for all rows.
    pub(crate) async fn query_all(
        &mut self,
        each: &Each<'_>,
        rows: &[Vec<Value>],
    ) -> Result<Vec<Row>, StoreError> {
        let cells: Vec<Cell<'_>> = rows.iter().flatten().map(Value::cell).collect();
        let columns = columns(&cells, each.columns.len());
        let params = arrays(&columns, each.columns.iter().copied());
        let rows = self.answer(self.client.query_typed(each.all, &params)).await?;
        rows.iter().map(read).collect()
    }

    /// Statements with an array for each column, none of them too long for the server.
    pub(crate) async fn insert(
        &mut self,
        table: &Table,
        cells: &[Cell<'_>],
    ) -> Result<(), StoreError> {
        let (sql, width) = (insertion(table), table.columns.len());
        for cells in pieces(cells, width) {
            let columns = columns(cells, width);
            let params = arrays(&columns, table.columns.iter().map(|(_, column)| *column));
            self.answer(self.client.execute_typed(&sql, &params)).await?;
        }
        Ok(())
    }

    /// The same, and then statements without values, which are not done if the insertion fails: the last
    /// piece and these are under way at the same time.
    pub(crate) async fn insert_and_batch(
        &mut self,
        table: &Table,
        cells: &[Cell<'_>],
        sql: &str,
    ) -> Result<(), StoreError> {
        let (sql_of_rows, width) = (insertion(table), table.columns.len());
        let types = || table.columns.iter().map(|(_, column)| *column);
        let mut all = pieces(cells, width);
        let last = all.pop().unwrap_or_default();
        for cells in all {
            let columns = columns(cells, width);
            let params = arrays(&columns, types());
            self.answer(self.client.execute_typed(&sql_of_rows, &params)).await?;
        }
        let columns = columns(last, width);
        let params = arrays(&columns, types());
        let insert = self.client.execute_typed(&sql_of_rows, &params);
        let batch = self.client.batch_execute(sql);
        let (inserted, done) = tokio::join!(biased; self.answer(insert), self.answer(batch));
        // Why the insertion failed is the reason for which the rest did.
        inserted.and(done)
    }

    pub(crate) async fn positions_of(
        &mut self,
        ids: &[Uuid],
    ) -> Result<Vec<(Uuid, i64)>, StoreError> {
        let ids: Params<'_> = vec![(&ids, PgType::UUID_ARRAY)];
        positions(&self.answer(self.client.query_typed(POSITIONS, &ids)).await?)
    }
}

/// What goes into a statement. The types go with the values, so that the statement needs no name under
/// which the server would keep it.
type Params<'a> = Vec<(&'a (dyn ToSql + Sync), PgType)>;

fn params(values: &[Value]) -> Params<'_> {
    let type_of = |value: &Value| match value {
        // The server finds out.
        Value::Null => PgType::UNKNOWN,
        Value::Int(_) => PgType::INT8,
        Value::Text(_) => PgType::TEXT,
        Value::Bytes(_) => PgType::BYTEA,
        Value::Id(_) => PgType::UUID,
    };
    values.iter().map(|value| (value as &(dyn ToSql + Sync), type_of(value))).collect()
}

/// The columns of rows of so many cells.
fn columns<'v>(cells: &[Cell<'v>], width: usize) -> Vec<Vec<Cell<'v>>> {
    let column = |n: usize| cells.iter().copied().skip(n).step_by(width).collect();
    (0..width).map(column).collect()
}

/// An array for each column.
fn arrays<'a>(columns: &'a [Vec<Cell<'_>>], types: impl Iterator<Item = Type>) -> Params<'a> {
    let array_of = |column| match column {
        Type::Int => PgType::INT8_ARRAY,
        Type::Text => PgType::TEXT_ARRAY,
        Type::Bytes => PgType::BYTEA_ARRAY,
        Type::Id => PgType::UUID_ARRAY,
    };
    let columns = columns.iter().map(|column| column as &(dyn ToSql + Sync));
    columns.zip(types.map(array_of)).collect()
}

fn positions(rows: &[tokio_postgres::Row]) -> Result<Vec<(Uuid, i64)>, StoreError> {
    let known = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    known.collect::<Result<_, Error>>().map_err(|error| reason(&error))
}

/// Inserts rows that are given as an array for each column.
fn insertion(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
    format!(
        "INSERT INTO {} ({}) SELECT * FROM unnest({}){}",
        table.name,
        names.join(", "),
        places.join(", "),
        if table.or_ignore { " ON CONFLICT DO NOTHING" } else { "" },
    )
}

/// The rows of so many cells in pieces of [`MOST_BYTES`]; a longer row is a piece of its own.
fn pieces<'c, 'v>(cells: &'c [Cell<'v>], width: usize) -> Vec<&'c [Cell<'v>]> {
    let (mut pieces, mut start, mut size) = (Vec::new(), 0, 0);
    for (row, end) in cells.chunks(width).zip((0..).step_by(width)) {
        let bytes: usize = row.iter().map(Cell::size).sum();
        size += bytes;
        if size > MOST_BYTES && end > start {
            pieces.push(&cells[start..end]);
            (start, size) = (end, bytes);
        }
    }
    if start < cells.len() {
        pieces.push(&cells[start..]);
    }
    pieces
}

fn read(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let value = |column: usize| -> Result<Value, Error> {
        let maybe = |value: Option<Value>| value.unwrap_or(Value::Null);
        Ok(match *row.columns()[column].type_() {
            PgType::INT8 => maybe(row.try_get::<_, Option<i64>>(column)?.map(Value::Int)),
            PgType::INT4 => {
                maybe(row.try_get::<_, Option<i32>>(column)?.map(|n| Value::Int(n.into())))
            }
            PgType::BYTEA => {
                maybe(row.try_get::<_, Option<&[u8]>>(column)?.map(|b| Value::Bytes(b.into())))
            }
            PgType::UUID => maybe(row.try_get::<_, Option<Uuid>>(column)?.map(Value::Id)),
            _ => maybe(row.try_get::<_, Option<String>>(column)?.map(Value::Text)),
        })
    };
    let values = (0..row.len()).map(value).collect::<Result<_, Error>>();
    values.map(Row).map_err(|error| reason(&error))
}

impl ToSql for Value {
    fn to_sql(
        &self,
        column: &PgType,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.cell().to_sql(column, out)
    }

    fn accepts(_: &PgType) -> bool {
        true
    }

    fn encode_format(&self, _: &PgType) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

impl ToSql for Cell<'_> {
    fn to_sql(
        &self,
        column: &PgType,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Int(n) if *column == PgType::INT4 => i32::try_from(*n)?.to_sql(column, out),
            Cell::Int(n) => n.to_sql(column, out),
            Cell::Text(text) => text.to_sql(column, out),
            Cell::Bytes(bytes) => bytes.to_sql(column, out),
            Cell::Id(id) => id.to_sql(column, out),
        }
    }

    fn accepts(_: &PgType) -> bool {
        true
    }

    fn encode_format(&self, _: &PgType) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

/// What an error of PostgreSQL means to us.
fn reason(error: &Error) -> StoreError {
    let code = error.code();
    if code == Some(&SqlState::DISK_FULL) {
        return StoreError::Full;
    }
    if code == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return StoreError::Busy { seconds: LOCK_PATIENCE.as_secs() };
    }
    if code == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return StoreError::Denied { reason: text_of(error) };
    }
    if error.is_closed() || is_end(error) {
        return StoreError::lost(Outage::said(text_of(error)));
    }
    let damaged = [&SqlState::DATA_CORRUPTED, &SqlState::INDEX_CORRUPTED];
    if code.is_some_and(|code| damaged.contains(&code)) {
        return StoreError::Damaged(Damage::Said { reason: text_of(error) });
    }
    StoreError::Database { reason: text_of(error) }
}

/// Whether the connection ends with the error: after it the server closes, or the way there is broken.
fn is_end(error: &Error) -> bool {
    if let Some(error) = error.as_db_error() {
        return matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    }
    // What cannot be encoded is invalid input, and would not be better on another connection.
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() != io::ErrorKind::InvalidInput)
}

/// The error with its cause, which alone says what happened. Never a value of a statement.
fn text_of(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(error), _) => format!("{} ({})", error.message(), error.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
