//! The one who writes.
//!
//! Whatever waits to be written goes into one transaction, so that many share the cost of a commit.

mod at_once;
mod head;
mod questions;
mod transaction;

use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::questions::Questions;
pub(crate) use self::transaction::Transaction;
use crate::clock::Clock;
use crate::pulse;
use crate::record::Record;
use crate::sql::{Connection, Local, Mode, Spare, Target, spawn, unharmed};
use crate::{Appended, Migrated, StoreError};

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

/// What is waited for.
type Told<T> = oneshot::Sender<Result<T, StoreError>>;

/// What waits to be done.
enum Task {
    Job(Job),
    /// To append events, and nothing else.
    Append(Vec<Record>, Told<Vec<Appended>>),
}

impl Task {
    fn job(self) -> Job {
        match self {
            Task::Job(job) => job,
            Task::Append(records, told) => {
                let ids = records.iter().map(|record| record.id).collect();
                let append = async move |t: &mut Transaction| t.append_last(&records).await;
                Job { ids, work: work_of(append, told) }
            }
        }
    }
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
    tasks: Option<mpsc::UnboundedSender<Task>>,
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
        let (tasks, receiver) = mpsc::unbounded_channel();
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
        Ok((Writer { tasks: Some(tasks), spare: Some(spare) }, migrated))
    }

    /// One that writes nothing.
    pub(crate) fn refusing() -> Self {
        Writer { tasks: None, spare: None }
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
        self.task(|told| Task::Job(Job { ids: Vec::new(), work: work_of(job, told) })).await
    }

    /// Appends events; done when they are committed. Gives what became of each.
    pub(crate) async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>, StoreError> {
        self.task(|told| Task::Append(records, told)).await
    }

    async fn task<T>(&self, task: impl FnOnce(Told<T>) -> Task) -> Result<T, StoreError> {
        let (told, receiver) = oneshot::channel();
        let tasks = self.tasks.as_ref().ok_or(StoreError::ReadOnly)?;
        tasks.send(task(told)).map_err(|_| StoreError::Closed)?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }
}

fn work_of<T, F>(job: F, told: Told<T>) -> Work
where
    T: Send + 'static,
    F: AsyncFnOnce(&mut Transaction) -> Result<T, StoreError> + Send + 'static,
{
    Box::new(move |transaction| {
        Box::pin(async move {
            let done = match transaction {
                Ok(transaction) => unharmed(job(transaction)).await,
                Err(error) => Err(error),
            };
            let done = done.map_err(StoreError::before_commit);
            let is_ok = done.is_ok();
            // Whoever has asked may have gone.
            let tell = Box::new(move |committed: Result<(), StoreError>| {
                let _ = told.send(done.and_then(|value| committed.map(|()| value)));
            });
            Done { is_ok, tell }
        })
    })
}

async fn work(
    transaction: Transaction,
    target: Target,
    clock: Clock,
    mut receiver: mpsc::UnboundedReceiver<Task>,
    pulse: watch::Sender<i64>,
    mut questions: Questions,
) {
    let mut open = Some(transaction);
    while let Some(first) = questions.until_task(&mut receiver, &mut open).await {
        let mut tasks = vec![first];
        while tasks.len() < MOST_JOBS
            && let Ok(task) = receiver.try_recv()
        {
            tasks.push(task);
        }
        if let Some(transaction) = &mut open {
            tasks = at_once(transaction, tasks, &pulse).await;
        }
        let mut jobs: Vec<Job> = tasks.into_iter().map(Task::job).collect();
        if jobs.is_empty() {
            continue;
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
                jobs.extend(std::iter::from_fn(|| receiver.try_recv().ok()).map(Task::job));
                refuse(jobs, &not_begun(error)).await;
            }
        }
    }
}

/// Does the only task, if it is to append events and that can be done at once. Gives what is left.
async fn at_once(
    transaction: &mut Transaction,
    mut tasks: Vec<Task>,
    pulse: &watch::Sender<i64>,
) -> Vec<Task> {
    let [Task::Append(records, _)] = &tasks[..] else { return tasks };
    let Some(done) = transaction.append_at_once(records).await else { return tasks };
    if done.is_ok() {
        pulse::tell(pulse, transaction.head.commits);
    }
    if let Some(Task::Append(_, told)) = tasks.pop() {
        // Whoever has asked may have gone.
        let _ = told.send(done);
    }
    tasks
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
