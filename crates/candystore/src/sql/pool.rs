//! Threads, each with its connection.
//!
//! SQLite blocks whoever asks it, so it needs threads of its own; with them PostgreSQL needs no other
//! pool.

use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::{Mutex, mpsc, oneshot};

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
        let (jobs, receiver) = mpsc::unbounded_channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let (target, receiver) = (target.clone(), receiver.clone());
            spawn("candystore-read", move || async move {
                let mut connection = None;
                loop {
                    let job = receiver.lock().await.recv().await;
                    let Some(job) = job else { return };
                    job(ready(&mut connection, &target, Mode::Read).await).await;
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
                    Ok(connection) => work(connection).await,
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
    slot.as_mut().ok_or(StoreError::Closed)
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
