//! A transaction that nobody writes beside, in which several jobs may be done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use bloodbank_bus::Outage;
use uuid::Uuid;

use super::head::Head;
use super::{Done, Job};
use crate::clock::{Clock, ServerTime};
use crate::event::EventRow;
use crate::sql::{Cell, Connection, Each, Set, Table, TableRow, Value, time_to_micros};
use crate::summary::{Counted, Tail};
use crate::{Position, StoreError};

/// A transaction that nobody writes beside.
pub(crate) struct Transaction {
    connection: Connection,
    /// That of this process, for a database without one.
    clock: Clock,
    pub(crate) head: Head,
    has_changed: bool,
    /// Whether somebody may wait for what has changed.
    is_awaited: bool,
    /// What the job changes, nobody waits for.
    is_quiet: bool,
    /// Why the database has ended the transaction by itself, if it has.
    ended: Option<StoreError>,
    /// Keys that are known to be in the table of keys.
    pub(crate) keys: HashSet<Arc<str>>,
    /// The last events, which are not counted yet.
    pub(crate) tail: Tail,
    /// What was pruned, and is taken out of the figures once before the commit.
    pub(crate) gone: Vec<Counted>,
    /// Where the events are whose ids were looked up; `None` if they are not stored.
    pub(crate) known: HashMap<Uuid, Option<Position>>,
    /// Only one job is done in this transaction.
    is_alone: bool,
    /// What is inserted with the commit.
    pending: Vec<EventRow>,
    /// The number of commits that this wrote last, unless that has failed since.
    last: Option<i64>,
    /// Nobody else has written between the last transaction and the one before.
    is_undisturbed: bool,
    /// On this connection nothing can be written at once.
    pub(super) never_at_once: bool,
    /// The server's time, if it has a clock.
    pub(super) time: Option<ServerTime>,
}

/// Writes what the head says then.
const MOVE_HEAD: &str = "UPDATE head SET position = $1, received = $2, duplicates = $3, \
     commits = $4, digest = $5, counted = $6";

/// How far a transaction was, to go back there.
#[derive(Clone, Copy)]
struct Mark {
    head: Head,
    has_changed: bool,
    is_awaited: bool,
    tail: (Position, usize),
    gone: usize,
}

impl Transaction {
    pub(super) fn on(connection: Connection, clock: Clock) -> Self {
        Transaction {
            connection,
            clock,
            head: Head::UNKNOWN,
            has_changed: false,
            is_awaited: false,
            is_quiet: false,
            ended: None,
            keys: HashSet::new(),
            tail: Tail::default(),
            gone: Vec::new(),
            known: HashMap::new(),
            is_alone: false,
            pending: Vec::new(),
            last: None,
            is_undisturbed: false,
            never_at_once: false,
            time: None,
        }
    }

    /// For questions; what writes goes through the methods here.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// There is something to commit.
    pub(crate) fn changed(&mut self) {
        self.has_changed = true;
        self.is_awaited |= !self.is_quiet;
    }

    /// Every event is counted now, which the head must say.
    pub(crate) fn all_counted(&mut self) {
        self.tail.clear();
        self.head.counted = self.head.position;
        (self.has_changed, self.is_awaited) = (true, true);
    }

    /// Whether what the job changes from here on is told to nobody, as nobody can wait for it. A job
    /// begins loud.
    pub(crate) fn quiet(&mut self, is_quiet: bool) {
        self.is_quiet = is_quiet;
    }

    /// Notes which of the ids are stored, and where.
    pub(crate) fn learned(&mut self, ids: &[Uuid], stored: Vec<(Uuid, i64)>) {
        self.known.extend(ids.iter().map(|id| (*id, None)));
        self.known.extend(stored.into_iter().map(|(id, at)| (id, Some(at.unsigned_abs()))));
    }

    /// Whether its connection is of no use any more.
    pub(super) fn is_lost(&self) -> bool {
        self.connection.is_lost()
    }

    /// Runs a statement; gives the number of rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.check()?;
        let done = self.connection.execute(sql, values).await;
        self.noted(done)
    }

    /// Runs a statement for each row of values; gives the number of rows it changed in all.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        self.check()?;
        let done = self.connection.execute_each(sql, rows).await;
        self.noted(done)
    }

    /// Runs a statement for many rows of values, at once where the database can; gives the number of
    /// rows it changed in all.
    pub(crate) async fn execute_all(
        &mut self,
        each: &Each<'_>,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        self.check()?;
        let done = self.connection.execute_all(each, rows).await;
        self.noted(done)
    }

    /// Runs several statements, each for many rows of values, in one round trip where the database can;
    /// gives how many rows each has changed.
    pub(crate) async fn execute_sets(&mut self, sets: &[Set<'_>]) -> Result<Vec<u64>, StoreError> {
        self.check()?;
        let done = self.connection.execute_sets(sets).await;
        let sum = done.as_ref().map(|changed| changed.iter().sum()).map_err(Clone::clone);
        self.noted(sum)?;
        done
    }

    /// Inserts many rows of values.
    pub(crate) async fn insert(
        &mut self,
        table: &Table,
        rows: &[Vec<Value>],
    ) -> Result<(), StoreError> {
        self.insert_cells(table, rows.iter().flatten().map(Value::cell).collect()).await
    }

    /// Inserts many rows into their table.
    pub(crate) async fn insert_rows<R: TableRow>(&mut self, rows: &[R]) -> Result<(), StoreError> {
        self.insert_cells(&R::TABLE, rows.iter().flat_map(R::cells).collect()).await
    }

    /// Inserts events as the last thing that a job does: if it is alone, in one round trip with the
    /// commit, so that nothing asks for them before.
    pub(crate) async fn insert_last(&mut self, rows: Vec<EventRow>) -> Result<(), StoreError> {
        if !self.is_alone {
            return self.insert_rows(&rows).await;
        }
        self.check()?;
        if !rows.is_empty() {
            self.changed();
        }
        self.pending.extend(rows);
        Ok(())
    }

    async fn insert_cells(
        &mut self,
        table: &Table,
        cells: Vec<Cell<'_>>,
    ) -> Result<(), StoreError> {
        self.check()?;
        let done = self.connection.insert(table, &cells).await;
        self.noted(done.map(|()| (cells.len() / table.columns.len()) as u64)).map(|_| ())
    }

    /// Does something, and takes it all back.
    pub(crate) async fn trial<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Transaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.check()?;
        let mark = self.mark();
        self.connection.batch("SAVEPOINT trial").await?;
        let done = work(self).await;
        self.check()?;
        self.back_to(mark);
        self.connection.batch("ROLLBACK TO SAVEPOINT trial; RELEASE SAVEPOINT trial").await?;
        done
    }

    fn mark(&self) -> Mark {
        let Transaction { head, has_changed, is_awaited, tail, gone, .. } = self;
        let (head, has_changed, is_awaited) = (*head, *has_changed, *is_awaited);
        Mark { head, has_changed, is_awaited, tail: tail.mark(), gone: gone.len() }
    }

    /// Forgets what was taken back since then.
    fn back_to(&mut self, mark: Mark) {
        let Mark { head, has_changed, is_awaited, tail, gone } = mark;
        (self.head, self.has_changed, self.is_awaited) = (head, has_changed, is_awaited);
        self.tail.back_to(tail);
        self.gone.truncate(gone);
        self.keys.clear();
        self.known.clear();
    }

    /// Keeps in mind what a statement did.
    fn noted(&mut self, done: Result<u64, StoreError>) -> Result<u64, StoreError> {
        match &done {
            Ok(0) => {}
            Ok(_) => self.changed(),
            Err(error) if !self.connection.in_transaction() => self.ended = Some(error.clone()),
            Err(_) => {}
        }
        done
    }

    /// SQLite ends the whole transaction where the disk is full. What is written after that would be
    /// committed at once and alone.
    ///
    /// # Errors
    /// What has ended it.
    fn check(&self) -> Result<(), StoreError> {
        match &self.ended {
            _ if self.connection.in_transaction() => Ok(()),
            Some(error) => Err(error.clone()),
            None => Err(StoreError::lost(Outage::Closed)),
        }
    }

    pub(super) async fn begin(&mut self, ids: &[Uuid], is_alone: bool) -> Result<(), StoreError> {
        (self.has_changed, self.is_awaited, self.ended) = (false, false, None);
        self.is_alone = is_alone;
        self.gone.clear();
        self.known.clear();
        self.pending.clear();
        let last = self.last.take();
        self.connection.check()?;
        let columns = Head::COLUMNS;
        let sql = match self.connection.server_clock() {
            Some(clock) => format!("SELECT {columns}, {clock} FROM head"),
            None => format!("SELECT {columns} FROM head"),
        };
        let (row, stored) = self.connection.begin_with(&sql, ids).await?;
        if let Some(stored) = stored {
            self.learned(ids, stored);
        }
        // A clock that all writers have in common decides.
        let now = match row.0.get(7) {
            Some(_) => row.int(7)?,
            None => time_to_micros((self.clock)()),
        };
        self.time = row.0.get(7).map(|_| ServerTime::new(now, Instant::now()));
        self.head = Head::of(&row, now)?;
        self.is_undisturbed = last == Some(self.head.commits);
        self.tail.check(self.head.range());
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.commit_all().await?;
        self.last = Some(self.head.commits);
        Ok(())
    }

    /// When it is now on the server, if something may be written at once: nobody else is known to write,
    /// and the head is known.
    pub(super) fn server_time(&self) -> Option<i64> {
        let is_known = self.is_undisturbed && self.last == Some(self.head.commits);
        let can = self.connection.can_at_once() && !self.never_at_once && !self.is_lost();
        match is_known && can {
            true => self.time.map(|time| time.now()),
            false => None,
        }
    }

    /// What was written at once has moved the head there.
    pub(super) fn committed_at_once(&mut self, head: Head) {
        (self.last, self.head) = (Some(head.commits), head);
    }

    /// Nothing was written at once, and the head is not known any more.
    pub(super) fn not_at_once<T>(&mut self) -> Option<T> {
        (self.last, self.is_undisturbed) = (None, false);
        None
    }

    async fn commit_all(&mut self) -> Result<(), StoreError> {
        if !self.has_changed {
            return self.connection.batch("COMMIT").await;
        }
        if !self.gone.is_empty() {
            self.count_gone().await?;
        }
        if !self.is_awaited {
            self.connection.batch("COMMIT").await?;
            return self.connection.check();
        }
        self.fold_many().await?;
        self.head.commits += 1;
        let Head { position, received, duplicates, commits, digest, counted, .. } = self.head;
        let values = [
            Value::position(position),
            Value::Int(received),
            Value::position(duplicates),
            Value::Int(commits),
            Value::text(digest.to_string()),
            Value::position(counted),
        ];
        let cells: Vec<Cell<'_>> = self.pending.iter().flat_map(EventRow::cells).collect();
        let (table, head) = (&EventRow::TABLE, (MOVE_HEAD, &values[..]));
        self.connection.insert_and_commit(table, &cells, head, commits).await?;
        // What was committed to a file that is gone is not confirmed.
        self.connection.check()
    }

    pub(super) async fn rollback(&mut self) {
        self.keys.clear();
        self.tail.clear();
        self.pending.clear();
        self.connection.rollback().await;
    }

    /// Does one of several jobs. What a failed one has written is taken back; the others stay. The
    /// savepoint is left open for the next one, or the commit, to end it.
    pub(super) async fn step(
        &mut self,
        job: Job,
        is_first: bool,
    ) -> (Done, Result<(), StoreError>) {
        let mark = self.mark();
        self.is_quiet = false;
        let savepoint =
            if is_first { "SAVEPOINT job" } else { "RELEASE SAVEPOINT job; SAVEPOINT job" };
        if let Err(error) = self.connection.batch(savepoint).await {
            return ((job.work)(Err(error.clone())).await, Err(error));
        }
        let done = (job.work)(Ok(self)).await;
        if let Err(error) = self.check() {
            return (done, Err(error));
        }
        if done.is_ok {
            return (done, Ok(()));
        }
        self.back_to(mark);
        (done, self.connection.batch("ROLLBACK TO SAVEPOINT job").await)
    }

    /// Does the only job.
    pub(super) async fn only(&mut self, job: Job) -> (Done, Result<(), StoreError>) {
        self.is_quiet = false;
        let done = (job.work)(Ok(self)).await;
        // What a failed one is told is its own error.
        let end = if done.is_ok { self.check() } else { Err(StoreError::Closed) };
        (done, end)
    }
}
