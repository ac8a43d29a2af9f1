//! Threads, each with its connection.
//!
//! SQLite blocks whoever asks it, so it needs threads of its own; with them PostgreSQL needs no other
//! pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::spare::Spare;
use super::{Connection, Mode, Target};
use crate::StoreError;

/// A future that stays on its thread.
pub(crate) type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What to do with a connection, or without one.
pub(crate) type Job =
    Box<dyn for<'a> FnOnce(Result<&'a mut Connection, StoreError>) -> Local<'a, ()> + Send>;

/// Connections for reading. Ends its threads when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    jobs: mpsc::UnboundedSender<Job>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Pool {
    /// Opens each connection when it is first needed.
    ///
    /// # Errors
    /// If the machine has no thread for us.
    pub(crate) fn new(target: &Target, threads: usize) -> Result<Self, StoreError> {
        Pool::with_spare(target, threads, None)
    }

    /// The same; where no connection is to be had, another one answers.
    ///
    /// # Errors
    /// If the machine has no thread for us.
    pub(crate) fn with_spare(
        target: &Target,
        threads: usize,
        spare: Option<Spare>,
    ) -> Result<Self, StoreError> {
        let (jobs, receiver) = mpsc::unbounded_channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let (target, receiver, mut spare) = (target.clone(), receiver.clone(), spare.clone());
            spawn("candystore-read", move || async move {
                let mut connection = None;
                loop {
                    let job = receiver.lock().await.recv().await;
                    let Some(job) = job else { return };
                    match &mut spare {
                        Some(spare) => spare.run(job, &mut connection, &target).await,
                        None => job(ready(&mut connection, &target, Mode::Read).await).await,
                    }
                }
            })?;
        }
        Ok(Pool { jobs })
    }

    /// Runs something on one of the connections.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            Box::pin(async move {
                let done = match connection {
                    Ok(connection) => {
                        let done = unharmed(work(connection)).await;
                        let done = done.map_err(StoreError::before_commit);
                        if done.is_err() {
                            // It may have been in the middle of a transaction.
                            connection.rollback().await;
                        }
                        done
                    }
                    Err(error) => Err(error),
                };
                // Whoever has asked may have gone.
                let _ = sender.send(done);
            })
        });
        self.jobs.send(job).map_err(|_| StoreError::Closed)?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }
}

/// Runs a job of somebody's. A panic in it is an error of that job; the thread serves the others on.
pub(crate) async fn unharmed<T>(
    job: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut job = pin!(job);
    let poll = |context: &mut std::task::Context<'_>| {
        // Whatever it has left half done in a connection is taken back.
        let polled = catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(Err(StoreError::Panicked)))
    };
    std::future::poll_fn(poll).await
}

/// The connection, opened again if it was lost.
pub(crate) async fn ready<'a>(
    slot: &'a mut Option<Connection>,
    target: &Target,
    mode: Mode,
) -> Result<&'a mut Connection, StoreError> {
    if slot.as_ref().is_none_or(Connection::is_lost) {
        *slot = None;
        *slot = Some(Connection::open(target, mode).await.map_err(StoreError::while_open)?);
    }
    let connection = slot.as_mut().ok_or(StoreError::Closed)?;
    connection.check()?;
    Ok(connection)
}

/// Runs something on a thread of its own, and gives what comes of it.
pub(crate) async fn apart<T, E, F, W>(name: &str, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnOnce() -> W + Send + 'static,
    W: Future<Output = Result<T, E>>,
{
    let (sender, receiver) = oneshot::channel();
    spawn(name, move || async move {
        // Whoever has asked may have gone.
        let _ = sender.send(work().await);
    })?;
    receiver.await.map_err(|_| StoreError::Closed)?
}

/// Runs a future on a thread of its own.
///
/// # Errors
/// If the machine has no thread for us.
pub(crate) fn spawn<F: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Database { reason: error.to_string() };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(move || runtime.block_on(work())).map(|_| ()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreUrl;

    #[tokio::test]
    async fn a_question_that_panics_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::file(folder.path().join("store.db"));
        let target = Target::of(crate::StoreOptions::new(url));
        drop(Connection::open_or_make(&target).await.unwrap());
        let pool = Pool::new(&target, 1).unwrap();
        let panics = async |c: &mut Connection| -> Result<(), StoreError> {
            c.begin_snapshot().await?;
            panic!("a mistake of ours");
        };
        let error = pool.run(panics).await.unwrap_err();
        assert_eq!(error, StoreError::Panicked);
        let asks = async |c: &mut Connection| {
            assert!(!c.in_transaction(), "the transaction of the other is still open");
            c.query_one("SELECT 1", &[]).await?.int(0)
        };
        assert_eq!(pool.run(asks).await, Ok(1));
    }
}
