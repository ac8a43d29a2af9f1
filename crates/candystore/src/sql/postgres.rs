//! PostgreSQL.

use std::cell;
use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::time::Duration;

use bloodbank_bus::Outage;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type as PgType, to_sql_checked};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, SimpleQueryRow, Statement};
use uuid::Uuid;

use super::{Cell, Mode, PATIENCE, Row, Table, Type, Value, no_row};
use crate::{Damage, StoreError};

/// How long a statement may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// The most bytes of one statement that inserts many rows. A message to the server has less than 1 GiB.
const MOST_BYTES: usize = 16 << 20;

/// Distinct statements that are kept ready. Questions have many forms.
const STATEMENTS: usize = 256;

/// A transaction whose every statement sees what was committed before it, whatever the database has as
/// its default: what is read under the lock is then the last there is.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// What is told as committed is on the disk, also where the database has another default.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') = 'off'";

/// One writer at a time, for each schema of a database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('candystore ' || current_schema()))";

/// A transaction that sees one state of everything.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The server's clock, in microseconds since 1970.
pub(super) const CLOCK: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

/// Some keys are rare and some are not, and tables grow: a plan that is kept is wrong soon. Statements
/// here are short: to compile one takes far longer than to run it. And they read the first rows in an
/// index's order: a server that has not analyzed its tables yet takes a bitmap to be cheaper, which has
/// all rows before the first.
const PLANS: &str = "SET plan_cache_mode = force_custom_plan; SET jit = off; \
     SET enable_bitmapscan = off";

/// The most characters of a number of 64 bits.
const LONGEST_NUMBER: usize = 20;

/// Which ids are stored, and where.
const POSITIONS: &str = "SELECT id, position FROM events WHERE id = ANY($1)";

/// A connection to a server.
pub(crate) struct Postgres {
    client: Client,
    statements: HashMap<String, Statement>,
    /// How long a statement may take.
    deadline: Duration,
    /// The server has not answered in time.
    is_silent: cell::Cell<bool>,
}

impl Postgres {
    /// Connects. `place` is the URL as it may be shown.
    pub(crate) async fn open(url: &str, place: String, mode: Mode) -> Result<Self, StoreError> {
        let failed = |outage| StoreError::Open { place: place.clone(), outage };
        let said = |error: &Error| failed(Outage::said(text_of(error)));
        let mut config: Config = url.parse().map_err(|error: Error| said(&error))?;
        if config.get_application_name().is_none() {
            config.application_name("bloodbank");
        }
        let connecting = timeout(PATIENCE, config.connect(NoTls)).await;
        let (client, connection) = match connecting {
            Ok(connected) => connected.map_err(|error| said(&error))?,
            Err(_) => return Err(failed(Outage::Silent { waited: PATIENCE })),
        };
        // Ends with the client; an error of it is told to whoever asks next.
        tokio::spawn(connection);
        let (statements, is_silent) = (HashMap::new(), cell::Cell::new(false));
        let mut postgres = Postgres { client, statements, deadline: DEADLINE, is_silent };
        let seconds = DEADLINE.as_secs();
        postgres.batch(&format!("SET statement_timeout = '{seconds}s'; {PLANS}")).await?;
        if mode == Mode::Write {
            let patience = PATIENCE.as_secs();
            postgres.batch(&format!("SET lock_timeout = '{patience}s'; {DURABLE}")).await?;
        }
        if mode == Mode::Read {
            postgres.batch("SET default_transaction_read_only = on").await?;
        }
        Ok(postgres)
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
        let sql = format!("{BEGIN}; {LOCK}; {question}");
        let statement = self.prepare(POSITIONS).await?;
        // The server does the one after the other, and ends both if one fails.
        let begin = self.answer(self.client.simple_query(&sql));
        let (answers, stored) = match ids.is_empty() {
            true => (begin.await?, Vec::new()),
            false => {
                let values: [&(dyn ToSql + Sync); 1] = [&ids];
                let ask = self.client.query(&statement, &values);
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
        self.batch(&format!("{BEGIN}; {LOCK}")).await
    }

    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.answer(self.client.batch_execute(sql)).await
    }

    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let statement = self.prepare(sql).await?;
        self.answer(self.client.execute_raw(&statement, values)).await
    }

    /// All statements are under way before the first answer is waited for.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        let statement = self.prepare(sql).await?;
        let mut running = Vec::with_capacity(rows.len());
        for row in rows {
            let mut execution = Box::pin(self.client.execute_raw(&statement, row));
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
        let statement = self.prepare(sql).await?;
        let params: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = self.answer(self.client.query(&statement, &params)).await?;
        rows.iter().map(read).collect()
    }

    /// Statements with an array for each column, none of them too long for the server.
    pub(crate) async fn insert(
        &mut self,
        table: &Table,
        cells: &[Cell<'_>],
    ) -> Result<(), StoreError> {
        let statement = self.prepare(&insertion(table)).await?;
        for cells in pieces(cells, table.columns.len()) {
            let columns = columns_of(cells, table.columns.len());
            self.answer(self.client.execute_raw(&statement, &columns)).await?;
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
        let (mut all, width) = (pieces(cells, table.columns.len()), table.columns.len());
        let last = all.pop().unwrap_or_default();
        let statement = self.prepare(&insertion(table)).await?;
        for cells in all {
            let columns = columns_of(cells, width);
            self.answer(self.client.execute_raw(&statement, &columns)).await?;
        }
        let columns = columns_of(last, width);
        let insert = self.client.execute_raw(&statement, &columns);
        let batch = self.client.batch_execute(sql);
        let (inserted, done) = tokio::join!(biased; self.answer(insert), self.answer(batch));
        // Why the insertion failed is the reason for which the rest did.
        inserted.and(done)
    }

    pub(crate) async fn positions_of(
        &mut self,
        ids: &[Uuid],
    ) -> Result<Vec<(Uuid, i64)>, StoreError> {
        let statement = self.prepare(POSITIONS).await?;
        positions(&self.answer(self.client.query(&statement, &[&ids])).await?)
    }

    async fn prepare(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.answer(self.client.prepare(sql)).await?;
        if self.statements.len() >= STATEMENTS {
            // The server lets go of them, too.
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn positions(rows: &[tokio_postgres::Row]) -> Result<Vec<(Uuid, i64)>, StoreError> {
    let known = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    known.collect::<Result<_, Error>>().map_err(|error| reason(&error))
}

fn insertion(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let arrays: Vec<String> = (1..)
        .zip(table.columns)
        .map(|(n, (_, column))| format!("${n}::{}[]", name_of(*column)))
        .collect();
    format!(
        "INSERT INTO {} ({}) SELECT * FROM unnest({}){}",
        table.name,
        names.join(", "),
        arrays.join(", "),
        if table.or_ignore { " ON CONFLICT DO NOTHING" } else { "" },
    )
}

/// Cells by column instead of by row.
fn columns_of<'v>(cells: &[Cell<'v>], width: usize) -> Vec<Vec<Cell<'v>>> {
    let column = |n: usize| cells.iter().copied().skip(n).step_by(width).collect();
    (0..width).map(column).collect()
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

fn name_of(column: Type) -> &'static str {
    match column {
        Type::Int => "bigint",
        Type::Text => "text",
        Type::Bytes => "bytea",
        Type::Id => "uuid",
    }
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
        return StoreError::Busy { seconds: PATIENCE.as_secs() };
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
