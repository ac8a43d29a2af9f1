//! The one who writes.
//!
//! Whatever waits to be written goes into one transaction, so that many share the cost of a commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bloodbank_bus::Outage;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::clock::{self, Clock};
use crate::digest::Digest;
use crate::event::EventRow;
use crate::sql::{
    Cell, Connection, Each, Local, Mode, Row, Table, TableRow, Target, Value, spawn,
    time_to_micros, unharmed,
};
use crate::summary::Counted;
use crate::{Migrated, Position, StoreError};

/// The most jobs that share a transaction.
const MOST_JOBS: usize = 256;

/// What to do in a transaction, or without one.
type Work =
    Box<dyn for<'a> FnOnce(Result<&'a mut Transaction, StoreError>) -> Local<'a, Done> + Send>;

/// What to do, and the ids of events that it is about, so that they are looked up with the head.
struct Job {
    ids: Vec<Uuid>,
    work: Work,
}

/// A job that has been done, and is told so once it is committed.
struct Done {
    /// Otherwise what it has written is taken back.
    is_ok: bool,
    /// Called with what became of the commit.
    tell: Box<dyn FnOnce(Result<(), StoreError>)>,
}

/// What a writer must know before it writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The last position that was given.
    pub(crate) position: Position,
    /// When that was, in microseconds since 1970.
    received: i64,
    /// How many events came again.
    pub(crate) duplicates: u64,
    commits: i64,
    /// That of the last position.
    pub(crate) digest: Digest,
    /// When the transaction began, by the clock that is in force.
    now: i64,
}

impl Head {
    const COLUMNS: &str = "position, received, duplicates, commits, digest";

    /// The next position, and when it is given.
    pub(crate) fn next(&mut self, received: Option<i64>) -> (Position, i64) {
        self.position += 1;
        self.received = clock::next(self.received, self.now, received);
        (self.position, self.received)
    }

    /// Now, in microseconds since 1970, as far as time has not gone back.
    pub(crate) fn now(&self) -> i64 {
        clock::next(self.received, self.now, None)
    }

    /// What the clock says, in microseconds since 1970.
    pub(crate) fn clock(&self) -> i64 {
        self.now
    }

    /// When the last event was stored, in microseconds since 1970.
    pub(crate) fn received(&self) -> i64 {
        self.received
    }

    /// Puts right when the last event was stored.
    pub(crate) fn set_received(&mut self, received: i64) {
        self.received = received;
    }

    /// Of a row of [`Head::COLUMNS`] and the time.
    fn of(row: &Row, now: i64) -> Result<Self, StoreError> {
        let digest = row.text(4)?.parse();
        Ok(Head {
            position: row.position(0)?,
            received: row.int(1)?,
            duplicates: row.position(2)?,
            commits: row.int(3)?,
            digest: digest.map_err(|_| StoreError::column("head.digest"))?,
            now,
        })
    }
}

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
    /// What was stored or pruned, and is counted once before the commit.
    pub(crate) counted: Vec<Counted>,
    /// Where the events are whose ids were looked up; `None` if they are not stored.
    pub(crate) known: HashMap<Uuid, Option<Position>>,
    /// Only one job is done in this transaction.
    is_alone: bool,
    /// What is inserted with the commit.
    pending: Vec<EventRow>,
}

impl Transaction {
    fn on(connection: Connection, clock: Clock) -> Self {
        let (position, received, now) = (0, 0, 0);
        let head =
            Head { position, received, duplicates: 0, commits: 0, digest: Digest::NONE, now };
        Transaction {
            connection,
            clock,
            head,
            has_changed: false,
            is_awaited: false,
            is_quiet: false,
            ended: None,
            keys: HashSet::new(),
            counted: Vec::new(),
            known: HashMap::new(),
            is_alone: false,
            pending: Vec::new(),
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

    /// Whether what the job changes from here on is told to nobody, as nobody can wait for it. A job
    /// begins loud.
    pub(crate) fn quiet(&mut self, is_quiet: bool) {
        self.is_quiet = is_quiet;
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

    /// From here on everything is taken back by [`end_trial`](Transaction::end_trial).
    pub(crate) async fn begin_trial(&mut self) -> Result<(Head, bool), StoreError> {
        self.check()?;
        self.connection.batch("SAVEPOINT trial").await?;
        Ok((self.head, self.has_changed))
    }

    /// Takes everything back since the trial began.
    pub(crate) async fn end_trial(
        &mut self,
        head: Head,
        has_changed: bool,
    ) -> Result<(), StoreError> {
        self.check()?;
        (self.head, self.has_changed) = (head, has_changed);
        self.connection.batch("ROLLBACK TO SAVEPOINT trial; RELEASE SAVEPOINT trial").await
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

    async fn begin(&mut self, ids: &[Uuid], is_alone: bool) -> Result<(), StoreError> {
        (self.has_changed, self.is_awaited, self.ended) = (false, false, None);
        self.is_alone = is_alone;
        self.counted.clear();
        self.known.clear();
        self.pending.clear();
        self.connection.check()?;
        let columns = Head::COLUMNS;
        let sql = match self.connection.server_clock() {
            Some(clock) => format!("SELECT {columns}, {clock} FROM head"),
            None => format!("SELECT {columns} FROM head"),
        };
        let (row, stored) = self.connection.begin_with(&sql, ids).await?;
        if let Some(stored) = stored {
            self.known.extend(ids.iter().map(|id| (*id, None)));
            self.known.extend(stored.into_iter().map(|(id, at)| (id, Some(at.unsigned_abs()))));
        }
        // A clock that all writers have in common decides.
        let now = match row.0.get(5) {
            Some(_) => row.int(5)?,
            None => time_to_micros((self.clock)()),
        };
        self.head = Head::of(&row, now)?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        if !self.has_changed {
            return self.connection.batch("COMMIT").await;
        }
        let counted = std::mem::take(&mut self.counted);
        self.count(&counted).await?;
        if !self.is_awaited {
            return self.connection.batch("COMMIT").await;
        }
        self.head.commits += 1;
        let Head { position, received, duplicates, commits, digest, .. } = self.head;
        let telling = self.connection.telling(commits);
        // In one round trip.
        let sql = format!(
            "UPDATE head SET position = {position}, received = {received}, \
             duplicates = {duplicates}, commits = {commits}, digest = '{digest}'; {telling}COMMIT"
        );
        let cells: Vec<Cell<'_>> = self.pending.iter().flat_map(EventRow::cells).collect();
        self.connection.insert_and_batch(&EventRow::TABLE, &cells, &sql).await?;
        // What was committed to a file that is gone is not confirmed.
        self.connection.check()
    }

    async fn rollback(&mut self) {
        self.keys.clear();
        self.pending.clear();
        self.connection.rollback().await;
    }

    /// Does one of several jobs. What a failed one has written is taken back; the others stay. The
    /// savepoint is left open for the next one, or the commit, to end it.
    async fn step(&mut self, job: Job, is_first: bool) -> (Done, Result<(), StoreError>) {
        let (head, has_changed, is_awaited) = (self.head, self.has_changed, self.is_awaited);
        let counted = self.counted.len();
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
        self.keys.clear();
        self.counted.truncate(counted);
        self.known.clear();
        (self.head, self.has_changed, self.is_awaited) = (head, has_changed, is_awaited);
        (done, self.connection.batch("ROLLBACK TO SAVEPOINT job").await)
    }

    /// Does the only job.
    async fn only(&mut self, job: Job) -> (Done, Result<(), StoreError>) {
        self.is_quiet = false;
        let done = (job.work)(Ok(self)).await;
        // What a failed one is told is its own error.
        let end = if done.is_ok { self.check() } else { Err(StoreError::Closed) };
        (done, end)
    }
}

/// The thread that writes. It ends when the last clone is dropped, and what was given to it is done.
#[derive(Clone)]
pub(crate) struct Writer {
    /// `None` if the store is only read.
    jobs: Option<mpsc::UnboundedSender<Job>>,
}

impl Writer {
    /// Opens the store, and makes what is missing of it. `pulse` is told the number of commits after
    /// each. `clock` gives the time where the database has no clock of its own.
    ///
    /// # Errors
    /// Those of opening and of migrating.
    pub(crate) async fn start(
        target: Target,
        pulse: watch::Sender<i64>,
        clock: Clock,
    ) -> Result<(Self, Option<Migrated>), StoreError> {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let (started, opened) = oneshot::channel::<Result<_, StoreError>>();
        spawn("candystore-write", move || async move {
            match Connection::open_or_make(&target).await {
                Ok((connection, migrated)) => {
                    // Whoever opens the store may have gone.
                    let _ = started.send(Ok(migrated));
                    work(Transaction::on(connection, clock), target, clock, receiver, pulse).await;
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })?;
        let migrated = opened.await.map_err(|_| StoreError::Closed)??;
        Ok((Writer { jobs: Some(jobs) }, migrated))
    }

    /// One that writes nothing.
    pub(crate) fn refusing() -> Self {
        Writer { jobs: None }
    }

    /// Does something in a transaction, maybe together with others; done when it is committed. An error
    /// takes back what it has written.
    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&mut Transaction) -> Result<T, StoreError> + Send + 'static,
    {
        self.run_about(Vec::new(), job).await
    }

    /// The same for what appends events with these ids, which costs a round trip less then.
    pub(crate) async fn run_about<T, F>(&self, ids: Vec<Uuid>, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&mut Transaction) -> Result<T, StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |transaction| {
            Box::pin(async move {
                let done = match transaction {
                    Ok(transaction) => unharmed(job(transaction)).await,
                    Err(error) => Err(error),
                };
                let done = done.map_err(StoreError::before_commit);
                let is_ok = done.is_ok();
                // Whoever has asked may have gone.
                let tell = Box::new(move |committed: Result<(), StoreError>| {
                    let _ = sender.send(done.and_then(|value| committed.map(|()| value)));
                });
                Done { is_ok, tell }
            })
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::ReadOnly)?;
        jobs.send(Job { ids, work }).map_err(|_| StoreError::Closed)?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }
}

async fn work(
    transaction: Transaction,
    target: Target,
    clock: Clock,
    mut receiver: mpsc::UnboundedReceiver<Job>,
    pulse: watch::Sender<i64>,
) {
    let mut open = Some(transaction);
    while let Some(first) = receiver.recv().await {
        let mut jobs = vec![first];
        while jobs.len() < MOST_JOBS
            && let Ok(job) = receiver.try_recv()
        {
            jobs.push(job);
        }
        let transaction = match open.take() {
            Some(transaction) if !transaction.connection.is_lost() => Ok(transaction),
            _ => {
                let connection = Connection::open(&target, Mode::Write).await;
                connection.map(|connection| Transaction::on(connection, clock))
            }
        };
        let begun = match transaction {
            Ok(mut transaction) => {
                let ids: Vec<Uuid> = jobs.iter().flat_map(|job| job.ids.iter().copied()).collect();
                let begun = transaction.begin(&ids, jobs.len() == 1).await;
                if begun.is_err() {
                    transaction.rollback().await;
                }
                let transaction = open.insert(transaction);
                begun.map(|()| transaction)
            }
            Err(error) => Err(error),
        };
        match begun {
            Ok(transaction) => together(transaction, jobs, &pulse).await,
            Err(error) => {
                // Others have waited for the same. All are taken before anybody is told, and tries
                // again.
                jobs.extend(std::iter::from_fn(|| receiver.try_recv().ok()));
                refuse(jobs, &not_begun(error)).await;
            }
        }
    }
}

/// Why there is no transaction; nothing was done.
fn not_begun(error: StoreError) -> StoreError {
    error.while_open().before_commit()
}

async fn refuse(jobs: Vec<Job>, error: &StoreError) {
    for job in jobs {
        let done = (job.work)(Err(error.clone())).await;
        (done.tell)(Ok(()));
    }
}

/// Does jobs in the transaction that was begun, and tells each what became of it.
async fn together(transaction: &mut Transaction, jobs: Vec<Job>, pulse: &watch::Sender<i64>) {
    let (mut all, mut lost) = (Vec::with_capacity(jobs.len()), None);
    let alone = jobs.len() == 1;
    for job in jobs {
        if let Some(error) = &lost {
            refuse(vec![job], error).await;
            continue;
        }
        let (done, end) = match alone {
            true => transaction.only(job).await,
            false => transaction.step(job, all.is_empty()).await,
        };
        all.push(done);
        lost = end.err();
    }
    let committed = match lost {
        Some(error) => Err(error.before_commit()),
        None => transaction.commit().await,
    };
    match &committed {
        Ok(()) => {
            let commits = transaction.head.commits;
            // Another process's may have been told of.
            pulse.send_if_modified(|last| std::mem::replace(last, commits.max(*last)) < commits);
        }
        Err(_) => transaction.rollback().await,
    }
    for done in all {
        (done.tell)(committed.clone());
    }
}
