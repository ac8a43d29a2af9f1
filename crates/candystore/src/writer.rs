//! The one who writes.
//!
//! Whatever waits to be written goes into one transaction, so that many share the cost of a commit.

use std::collections::HashSet;
use std::sync::Arc;

use bloodbank_bus::Outage;
use chrono::Utc;
use tokio::sync::{mpsc, oneshot, watch};

use crate::sql::{
    Connection, Local, Mode, Row, Table, Target, Value, spawn, time_to_micros, unharmed,
};
use crate::{Migrated, Position, StoreError};

/// The most jobs that share a transaction.
const MOST_JOBS: usize = 256;

/// What to do in a transaction, or without one.
type Job =
    Box<dyn for<'a> FnOnce(Result<&'a mut Transaction, StoreError>) -> Local<'a, Done> + Send>;

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
}

impl Head {
    /// The next position, and when it is given. Time never goes back, whatever the clock does, and
    /// what another store says of it does not lead into the future.
    pub(crate) fn next(&mut self, received: Option<i64>) -> (Position, i64) {
        let now = time_to_micros(Utc::now());
        self.position += 1;
        self.received = received.unwrap_or(now).min(now).max(self.received);
        (self.position, self.received)
    }

    /// Now, in microseconds since 1970, as far as time has not gone back.
    pub(crate) fn now(&self) -> i64 {
        time_to_micros(Utc::now()).max(self.received)
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Head {
            position: row.position(0)?,
            received: row.int(1)?,
            duplicates: row.position(2)?,
            commits: row.int(3)?,
        })
    }
}

/// A transaction that nobody writes beside.
pub(crate) struct Transaction {
    connection: Connection,
    pub(crate) head: Head,
    has_changed: bool,
    /// Why the database has ended the transaction by itself, if it has.
    ended: Option<StoreError>,
    /// Keys that are known to be in the table of keys.
    pub(crate) keys: HashSet<Arc<str>>,
}

impl Transaction {
    fn on(connection: Connection) -> Self {
        let head = Head { position: 0, received: 0, duplicates: 0, commits: 0 };
        Transaction { connection, head, has_changed: false, ended: None, keys: HashSet::new() }
    }

    /// For questions; what writes goes through the methods here.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// There is something to commit.
    pub(crate) fn changed(&mut self) {
        self.has_changed = true;
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

    /// Inserts many rows.
    pub(crate) async fn insert(
        &mut self,
        table: &Table,
        rows: &[Vec<Value>],
    ) -> Result<(), StoreError> {
        self.check()?;
        let done = self.connection.insert(table, rows).await;
        self.noted(done.map(|()| rows.len() as u64)).map(|_| ())
    }

    /// Keeps in mind what a statement did.
    fn noted(&mut self, done: Result<u64, StoreError>) -> Result<u64, StoreError> {
        match &done {
            Ok(rows) => self.has_changed |= *rows > 0,
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

    async fn begin(&mut self) -> Result<(), StoreError> {
        (self.has_changed, self.ended) = (false, None);
        self.connection.check()?;
        let sql = "SELECT position, received, duplicates, commits FROM head";
        self.head = Head::of(&self.connection.begin_with(sql).await?)?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        if !self.has_changed {
            return self.connection.batch("COMMIT").await;
        }
        self.head.commits += 1;
        let Head { position, received, duplicates, commits } = self.head;
        // In one round trip.
        let sql = format!(
            "UPDATE head SET position = {position}, received = {received}, \
             duplicates = {duplicates}, commits = {commits}; COMMIT"
        );
        self.connection.batch(&sql).await?;
        // What was committed to a file that is gone is not confirmed.
        self.connection.check()
    }

    async fn rollback(&mut self) {
        self.keys.clear();
        self.connection.rollback().await;
    }

    /// Does one of several jobs. What a failed one has written is taken back; the others stay. The
    /// savepoint is left open for the next one, or the commit, to end it.
    async fn step(&mut self, job: Job, is_first: bool) -> (Done, Result<(), StoreError>) {
        let (head, has_changed) = (self.head, self.has_changed);
        let savepoint =
            if is_first { "SAVEPOINT job" } else { "RELEASE SAVEPOINT job; SAVEPOINT job" };
        if let Err(error) = self.connection.batch(savepoint).await {
            return (job(Err(error.clone())).await, Err(error));
        }
        let done = job(Ok(self)).await;
        if let Err(error) = self.check() {
            return (done, Err(error));
        }
        if done.is_ok {
            return (done, Ok(()));
        }
        self.keys.clear();
        (self.head, self.has_changed) = (head, has_changed);
        (done, self.connection.batch("ROLLBACK TO SAVEPOINT job").await)
    }

    /// Does the only job.
    async fn only(&mut self, job: Job) -> (Done, Result<(), StoreError>) {
        let done = job(Ok(self)).await;
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
    /// each.
    ///
    /// # Errors
    /// Those of opening and of migrating.
    pub(crate) async fn start(
        target: Target,
        pulse: watch::Sender<i64>,
    ) -> Result<(Self, Option<Migrated>), StoreError> {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let (started, opened) = oneshot::channel::<Result<_, StoreError>>();
        spawn("candystore-write", move || async move {
            match Connection::open_or_make(&target).await {
                Ok((connection, migrated)) => {
                    // Whoever opens the store may have gone.
                    let _ = started.send(Ok(migrated));
                    work(Transaction::on(connection), target, receiver, pulse).await;
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
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
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
        jobs.send(job).map_err(|_| StoreError::Closed)?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }
}

async fn work(
    transaction: Transaction,
    target: Target,
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
            _ => Connection::open(&target, Mode::Write).await.map(Transaction::on),
        };
        let begun = match transaction {
            Ok(mut transaction) => {
                let begun = transaction.begin().await;
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
        let done = job(Err(error.clone())).await;
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
