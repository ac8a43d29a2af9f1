//! Several subscribers in one process, until it is told to end.

use std::fmt;
use std::io;

use bloodbank_core::{Code, Service};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{SubscribeError, Subscriber};
use crate::BoxFuture;

/// A subscriber of any service, so that several fit into one list.
#[must_use = "nothing is consumed until it runs"]
pub struct AnySubscriber {
    service: &'static str,
    ready: watch::Receiver<bool>,
    run: Box<dyn FnOnce(BoxFuture<'static, ()>) -> BoxFuture<'static, Ended> + Send>,
}

type Ended = Result<(), SubscribeError>;

impl<S: Service> From<Subscriber<S>> for AnySubscriber {
    fn from(subscriber: Subscriber<S>) -> Self {
        AnySubscriber {
            service: S::NAME,
            ready: subscriber.ready.subscribe(),
            run: Box::new(|shutdown| Box::pin(subscriber.run_until(shutdown))),
        }
    }
}

impl fmt::Debug for AnySubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnySubscriber").field("service", &self.service).finish_non_exhaustive()
    }
}

/// Why subscribers that ran together did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The signals that end a process cannot be listened to.
    #[error("the signals that end a process cannot be listened to: {0}")]
    Signals(io::Error),
    /// Some of them failed.
    #[error("{}", list(.0))]
    Failed(Vec<FailedService>),
}

impl RunError {
    /// Its code; that of the first service that failed.
    pub fn code(&self) -> Code {
        match self {
            RunError::Signals(_) => Code::SignalsUnavailable,
            RunError::Failed(failed) => code_of_first(failed),
        }
    }
}

fn code_of_first(failed: &[FailedService]) -> Code {
    // There is always one.
    failed.first().map_or(Code::SubscriberSetup, |failed| failed.error.code())
}

/// A service whose subscriber failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedService {
    /// Its name.
    pub service: &'static str,
    /// Why it failed.
    pub error: SubscribeError,
}

fn list(failed: &[FailedService]) -> String {
    let lines = failed.iter().map(|failed| format!("{}: {}", failed.service, failed.error));
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs subscribers until the process is told to end (SIGTERM, or Ctrl-C), and drains them: see
/// [`Subscriber::run_until`].
///
/// # Errors
/// [`RunError::Failed`] with each service that failed. When one fails, the others are drained, too.
pub async fn run(subscribers: impl IntoIterator<Item = AnySubscriber>) -> Result<(), RunError> {
    let told = told_to_end().map_err(RunError::Signals)?;
    run_until(subscribers, told).await
}

/// Runs subscribers until `shutdown` is done, and drains them.
///
/// # Errors
/// [`RunError::Failed`] with each service that failed. When one fails, the others are drained, too.
pub async fn run_until(
    subscribers: impl IntoIterator<Item = AnySubscriber>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for AnySubscriber { service, run, .. } in subscribers {
        let mut stopped = stopped.clone();
        let running = run(Box::pin(async move {
            // An error means that there is nobody left to serve for.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }));
        tasks.spawn(async move { (service, running.await) });
    }
    let mut failed = Vec::new();
    let mut note = |(service, ended): (&'static str, Ended)| {
        failed.extend(ended.err().map(|error| FailedService { service, error }));
    };
    tokio::select! {
        () = shutdown => {}
        first = tasks.join_next() => {
            first.map(unless_it_panicked).map(&mut note);
        }
    }
    // An error would mean that all have ended.
    let _ = stop.send(true);
    while let Some(next) = tasks.join_next().await {
        note(unless_it_panicked(next));
    }
    if failed.is_empty() { Ok(()) } else { Err(RunError::Failed(failed)) }
}

/// A panic goes on where the subscriber was started.
fn unless_it_panicked<T>(ended: Result<T, tokio::task::JoinError>) -> T {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Done when the process is told to end. From now on that does not end it at once.
#[cfg(unix)]
fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Done when the process is told to end. From now on that does not end it at once.
#[cfg(not(unix))]
fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

impl AnySubscriber {
    /// See [`Subscriber::ready`].
    pub fn ready(&self) -> impl Future<Output = bool> + Send + use<> {
        reached(self.ready.clone())
    }
}

impl<S: Service> Subscriber<S> {
    /// Done once each of its queues is consumed, with `true`: a message that is published from then on
    /// finds its queue. Done with `false` if the subscriber ends before.
    ///
    /// ```
    /// # use bloodbank_bus::Subscriber;
    /// # use bloodbank_core::Service;
    /// # async fn example<S: Service>(subscriber: Subscriber<S>) {
    /// let ready = subscriber.ready();
    /// tokio::spawn(subscriber.run());
    /// assert!(ready.await);
    /// # }
    /// ```
    pub fn ready(&self) -> impl Future<Output = bool> + Send + use<S> {
        reached(self.ready.subscribe())
    }

    /// Consumes until the process is told to end (SIGTERM, or Ctrl-C); see
    /// [`run_until`](Subscriber::run_until). Several subscribers run together with [`run`].
    ///
    /// # Errors
    /// Those of [`run`].
    pub async fn run(self) -> Result<(), RunError> {
        run([self.into()]).await
    }
}

async fn reached(mut ready: watch::Receiver<bool>) -> bool {
    ready.wait_for(|ready| *ready).await.is_ok()
}
