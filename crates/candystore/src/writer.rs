//! The one who writes.
//!
//! Whatever waits to be written goes into one transaction, so that many share the cost of a commit.

mod head;
mod questions;
mod transaction;

use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::questions::Questions;
pub(crate) use self::transaction::Transaction;
use crate::clock::Clock;
use crate::pulse;
use crate::sql::{Connection, Local, Mode, Spare, Target, spawn, unharmed};
use crate::{Migrated, StoreError};

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

/// The thread that writes. It ends when the last clone is dropped, and what was given to it is done.
#[derive(Clone)]
pub(crate) struct Writer {
    /// `None` if the store is only read.
    jobs: Option<mpsc::UnboundedSender<Job>>,
    /// What answers questions between transactions.
    spare: Option<Spare>,
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
        let (spare, asked) = Spare::new();
        let (started, opened) = oneshot::channel::<Result<_, StoreError>>();
        spawn("candystore-write", move || async move {
            match Connection::open_or_make(&target).await {
                Ok((connection, migrated)) => {
                    // Whoever opens the store may have gone.
                    let _ = started.send(Ok(migrated));
                    let questions = Questions { asked, target: target.clone(), clock };
                    let transaction = Transaction::on(connection, clock);
                    work(transaction, target, clock, receiver, pulse, questions).await;
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })?;
        let migrated = opened.await.map_err(|_| StoreError::Closed)??;
        Ok((Writer { jobs: Some(jobs), spare: Some(spare) }, migrated))
    }

    /// One that writes nothing.
    pub(crate) fn refusing() -> Self {
        Writer { jobs: None, spare: None }
    }

    /// The connection that writes, for questions between transactions; `None` if the store is only read.
    pub(crate) fn spare(&self) -> Option<Spare> {
        self.spare.clone()
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
    mut questions: Questions,
) {
    let mut open = Some(transaction);
    while let Some(first) = questions.until_job(&mut receiver, &mut open).await {
        let mut jobs = vec![first];
        while jobs.len() < MOST_JOBS
            && let Ok(job) = receiver.try_recv()
        {
            jobs.push(job);
        }
        let transaction = match open.take() {
            Some(transaction) if !transaction.is_lost() => Ok(transaction),
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
            pulse::tell(pulse, commits);
        }
        Err(_) => transaction.rollback().await,
    }
    for done in all {
        (done.tell)(committed.clone());
    }
}
