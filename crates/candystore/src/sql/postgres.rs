//! PostgreSQL.

mod connect;
mod errors;
mod insert;
mod session;
mod sets;
mod statements;
mod tls;
mod values;

use std::cell;
use std::time::Duration;

use bloodbank_bus::Outage;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_postgres::types::Type as PgType;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};
use uuid::Uuid;

use self::errors::reason;
use self::insert::{Columns, insertion, pieces};
use self::session::Session;
use self::statements::{Asked, Statements, types};
use self::values::{Params, arrays, columns, params, positions, read};
use super::{Cell, Each, LOCK_PATIENCE, Mode, Row, Table, Value, no_row};
use crate::StoreError;

/// How long a statement may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a statement may take that reads, or builds, very much.
const LONG: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A transaction whose every statement sees what was committed before it, whatever the database has as
/// its default: what is read under the lock is then the last there is.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// One writer at a time, for each schema of a database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('candystore ' || current_schema()))";

/// The same if nobody has it.
pub(super) const LOCK_OR_NOT: &str =
    "pg_try_advisory_xact_lock(hashtext('candystore ' || current_schema()))";

/// A transaction that sees one state of everything.
const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The server's clock, in microseconds since 1970.
pub(super) const CLOCK: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

/// The most characters of a number of 64 bits.
const LONGEST_NUMBER: usize = 20;

/// Which ids are stored, and where.
const POSITIONS: &str = "SELECT id, position FROM candystore_known($1)";

/// What tells all who listen of a number of commits, when the transaction is committed. The number is a
/// text in SQL.
pub(super) fn telling(commits: &str) -> String {
    format!("CAST(pg_notify({}, CAST({commits} AS TEXT)) AS TEXT)", session::CHANNEL)
}

/// A connection to a server. Where a pooler stands between, no statement of it has a name, and no setting
/// outlives a transaction: see [`session`].
pub(crate) struct Postgres {
    client: Client,
    session: Session,
    statements: Statements,
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
        let statements = Statements::default();
        Ok(Postgres { client, session, statements, in_snapshot, deadline: DEADLINE, is_silent })
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

    /// Whether the session has its settings without a transaction.
    pub(crate) fn can_at_once(&self) -> bool {
        !self.session.is_pooled()
    }

    /// Asks with the rows of a table, as an array for each column, and with some values behind them.
    pub(crate) async fn at_once(
        &mut self,
        sql: &str,
        table: &Table,
        cells: &[Cell<'_>],
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let columns = Columns::of(table, cells);
        let mut all = columns.params(table);
        all.extend(params(values));
        self.query_with(sql, &all).await
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
            return answer.map_err(|error| {
                self.statements.failed(&error);
                reason(&error)
            });
        }
        self.is_silent.set(true);
        Err(StoreError::lost(Outage::Silent { waited: limit }))
    }

    /// A statement with values of these types, by its name if it has one.
    async fn statement<'a>(
        &self,
        sql: &'a str,
        types: Vec<PgType>,
    ) -> Result<Asked<'a>, StoreError> {
        match self.session.is_pooled() {
            true => Ok(Asked::by_text(sql)),
            false => self.answer(self.statements.of(&self.client, sql, types)).await,
        }
    }

    async fn execute_with(&self, sql: &str, params: &Params<'_>) -> Result<u64, StoreError> {
        let statement = self.statement(sql, types(params)).await?;
        self.answer(statement.execute(&self.client, params)).await
    }

    async fn query_with(&self, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql, types(params)).await?;
        self.answer(statement.query(&self.client, params)).await?.iter().map(read).collect()
    }

    /// Begins a transaction, asks for a row of numbers and texts, and which of the ids are stored, in one
    /// round trip. What reads as a number is one, unless it is longer than numbers are.
    pub(crate) async fn begin_with(
        &mut self,
        question: &str,
        ids: &[Uuid],
    ) -> Result<(Row, Vec<(Uuid, i64)>), StoreError> {
        let sql = format!("{BEGIN}; {}{LOCK}; {question}", self.session.prelude());
        // Before anything is sent: what comes in between would wait for its answer.
        let ask = self.statement(POSITIONS, vec![PgType::UUID_ARRAY]).await?;
        // The server does the one after the other, and ends both if one fails.
        let begin = self.answer(self.client.simple_query(&sql));
        let (answers, stored) = match ids.is_empty() {
            true => (begin.await?, Vec::new()),
            false => {
                let ids: Params<'_> = vec![(&ids, PgType::UUID_ARRAY)];
                let ask = self.answer(ask.query(&self.client, &ids));
                let (answers, stored) = tokio::join!(biased; begin, ask);
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
        self.execute_with(sql, &params(values)).await
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
            changed += self.execute_with(each.all, &params).await?;
        }
        Ok(changed)
    }

    /// All statements are under way before the first answer is waited for.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let params = params(row);
            all.push((self.statement(sql, types(&params)).await?, params));
        }
        let mut running = Vec::with_capacity(rows.len());
        for (statement, params) in &all {
            let mut execution = Box::pin(statement.execute(&self.client, params));
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
        if self.in_snapshot || !self.session.has_prelude_for_questions() {
            return self.query_with(sql, &params).await;
        }
        let asked = self.client.query_typed(sql, &params);
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
        self.query_with(each.all, &params).await
    }

    /// Statements with an array for each column, none of them too long for the server.
    pub(crate) async fn insert(
        &mut self,
        table: &Table,
        cells: &[Cell<'_>],
    ) -> Result<(), StoreError> {
        let sql = insertion(table);
        let statement = self.statement(&sql, insert::types(table)).await?;
        for cells in pieces(cells, table.columns.len()) {
            self.insert_piece(&statement, table, cells).await?;
        }
        Ok(())
    }

    /// The same, then a statement, and then some without values, which are not done if anything before
    /// them fails: the last piece and these are under way at the same time.
    pub(crate) async fn insert_and_run(
        &mut self,
        table: &Table,
        cells: &[Cell<'_>],
        (sql, values): (&str, &[Value]),
        end: &str,
    ) -> Result<(), StoreError> {
        let params = params(values);
        let statement = self.statement(sql, types(&params)).await?;
        let run = self.answer(statement.execute(&self.client, &params));
        let end = self.answer(self.client.batch_execute(end));
        if cells.is_empty() {
            let (run, ended) = tokio::join!(biased; run, end);
            return run.and(ended);
        }
        let insertion = insertion(table);
        let statement = self.statement(&insertion, insert::types(table)).await?;
        let mut pieces = pieces(cells, table.columns.len());
        let last = pieces.pop().unwrap_or_default();
        for cells in pieces {
            self.insert_piece(&statement, table, cells).await?;
        }
        let insert = self.insert_piece(&statement, table, last);
        let (inserted, run, ended) = tokio::join!(biased; insert, run, end);
        // Why the first failed is the reason for which the rest did.
        inserted.and(run).and(ended)
    }

    /// Sends it when it is first polled.
    async fn insert_piece(
        &self,
        statement: &Asked<'_>,
        table: &Table,
        cells: &[Cell<'_>],
    ) -> Result<(), StoreError> {
        let columns = Columns::of(table, cells);
        let params = columns.params(table);
        self.answer(statement.execute(&self.client, &params)).await.map(|_| ())
    }

    pub(crate) async fn positions_of(
        &mut self,
        ids: &[Uuid],
    ) -> Result<Vec<(Uuid, i64)>, StoreError> {
        let ids: Params<'_> = vec![(&ids, PgType::UUID_ARRAY)];
        let ask = self.statement(POSITIONS, types(&ids)).await?;
        positions(&self.answer(ask.query(&self.client, &ids)).await?)
    }
}

#[cfg(test)]
mod tests;
