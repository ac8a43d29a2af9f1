//! The one who writes.
//!
//! Whatever waits to be written goes into one transaction, so that many share the cost of a commit.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::Utc;
use tokio::sync::{mpsc, oneshot, watch};

use crate::sql::{Connection, Local, Mode, Row, Table, Target, Value, spawn, time_to_micros};
use crate::{Position, StoreError};

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
    /// The next position, and when it is given. Time never goes back, whatever the clock does.
    pub(crate) fn next(&mut self, received: Option<i64>) -> (Position, i64) {
        self.position += 1;
        self.received = received.unwrap_or_else(|| time_to_micros(Utc::now())).max(self.received);
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
    /// Keys that are known to be in the table of keys.
    pub(crate) keys: HashSet<Arc<str>>,
}

impl Transaction {
    async fn open(target: &Target) -> Result<Self, StoreError> {
        let connection = Connection::open(target, Mode::Write).await?;
        let head = Head { position: 0, received: 0, duplicates: 0, commits: 0 };
        Ok(Transaction { connection, head, has_changed: false, keys: HashSet::new() })
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
        let rows = self.connection.execute(sql, values).await?;
        self.has_changed |= rows > 0;
        Ok(rows)
    }

    /// Runs a statement for each row of values; gives the number of rows it changed in all.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &str,
        rows: &[Vec<Value>],
    ) -> Result<u64, StoreError> {
        let rows = self.connection.execute_each(sql, rows).await?;
        self.has_changed |= rows > 0;
        Ok(rows)
    }

    /// Inserts many rows.
    pub(crate) async fn insert(
        &mut self,
        table: &Table,
        rows: &[Vec<Value>],
    ) -> Result<(), StoreError> {
        self.has_changed |= !rows.is_empty();
        self.connection.insert(table, rows).await
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.connection.begin().await?;
        self.has_changed = false;
        let sql = "SELECT position, received, duplicates, commits FROM head";
        self.head = Head::of(&self.connection.query_one(sql, &[]).await?)?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        if self.has_changed {
            self.head.commits += 1;
            let sql = "UPDATE head SET position = $1, received = $2, duplicates = $3, commits = $4";
            let values = [
                Value::position(self.head.position),
                Value::Int(self.head.received),
                Value::position(self.head.duplicates),
                Value::Int(self.head.commits),
            ];
            self.connection.execute(sql, &values).await?;
        }
        self.connection.batch("COMMIT").await
    }

    async fn rollback(&mut self) {
        self.keys.clear();
        self.connection.rollback().await;
    }

    /// Does one of several jobs. What a failed one has written is taken back; the others stay.
    async fn step(&mut self, job: Job) -> Result<Done, StoreError> {
        let (head, has_changed) = (self.head, self.has_changed);
        self.connection.batch("SAVEPOINT job").await?;
        let done = job(Ok(self)).await;
        if !done.is_ok {
            self.connection.batch("ROLLBACK TO SAVEPOINT job").await?;
            self.keys.clear();
            (self.head, self.has_changed) = (head, has_changed);
        }
        self.connection.batch("RELEASE SAVEPOINT job").await?;
        Ok(done)
    }
}

/// The thread that writes. It ends when the last clone is dropped, and what was given to it is done.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Writer {
    /// Opens the store, and makes its tables if they are not there. `pulse` is told the number of
    /// commits after each.
    ///
    /// # Errors
    /// Those of opening.
    pub(crate) async fn start(
        target: Target,
        pulse: watch::Sender<i64>,
    ) -> Result<Self, StoreError> {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let (started, opened) = oneshot::channel::<Result<(), StoreError>>();
        spawn("candystore-write", move || async move {
            let opened = async {
                let mut transaction = Transaction::open(&target).await?;
                transaction.connection.migrate().await?;
                Ok(transaction)
            };
            match opened.await {
                Ok(transaction) => {
                    // Whoever opens the store may have gone.
                    let _ = started.send(Ok(()));
                    work(transaction, target, receiver, pulse).await;
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })?;
        opened.await.map_err(|_| StoreError::Closed)??;
        Ok(Writer { jobs })
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
                    Ok(transaction) => job(transaction).await,
                    Err(error) => Err(error),
                };
                let is_ok = done.is_ok();
                // Whoever has asked may have gone.
                let tell = Box::new(move |committed: Result<(), StoreError>| {
                    let _ = sender.send(done.and_then(|value| committed.map(|()| value)));
                });
                Done { is_ok, tell }
            })
        });
        self.jobs.send(job).map_err(|_| StoreError::Closed)?;
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
            _ => Transaction::open(&target).await.map_err(StoreError::while_open),
        };
        match transaction {
            Ok(mut transaction) => {
                together(&mut transaction, jobs, &pulse).await;
                open = Some(transaction);
            }
            Err(error) => refuse(jobs, &error).await,
        }
    }
}

async fn refuse(jobs: Vec<Job>, error: &StoreError) {
    for job in jobs {
        let done = job(Err(error.clone())).await;
        (done.tell)(Ok(()));
    }
}

/// Does jobs in one transaction, and tells each what became of it.
async fn together(transaction: &mut Transaction, jobs: Vec<Job>, pulse: &watch::Sender<i64>) {
    if let Err(error) = transaction.begin().await {
        transaction.rollback().await;
        return refuse(jobs, &error).await;
    }
    let (mut done, mut lost) = (Vec::with_capacity(jobs.len()), None);
    let alone = jobs.len() == 1;
    for job in jobs {
        if let Some(error) = &lost {
            refuse(vec![job], error).await;
            continue;
        }
        let step = match alone {
            true => Ok(job(Ok(transaction)).await),
            false => transaction.step(job).await,
        };
        match step {
            Ok(step) => {
                if !step.is_ok && !transaction.connection.in_transaction() {
                    lost = Some(StoreError::Full);
                }
                done.push(step);
            }
            Err(error) => lost = Some(error),
        }
    }
    let failed = alone && done.iter().any(|done| !done.is_ok);
    let committed = match lost {
        Some(error) => Err(error),
        None if failed => Err(StoreError::Closed),
        None => transaction.commit().await,
    };
    match &committed {
        Ok(()) => {
            let commits = transaction.head.commits;
            pulse.send_if_modified(|last| std::mem::replace(last, commits) != commits);
        }
        Err(_) => transaction.rollback().await,
    }
    for done in done {
        (done.tell)(committed.clone());
    }
}
