//! Keeps the client library out of logs: at `warn` it logs each returned message whole, at `trace` each
//! frame, and payloads are not for logs. What it says of connections and channels the supervisor, the
//! lanes and the consumers say themselves.
//!
//! It logs on a thread of its own for each connection, in tasks that it spawns, and in the calls that
//! publish. All three run here without a subscriber.

use std::cell::OnceCell;

use async_rs::traits::Executor;
use async_rs::util::{RuntimeParts, Task};
use async_rs::{Runtime, Tokio};
use tokio::runtime::{Handle, TryCurrentError};
use tracing::Dispatch;
use tracing::dispatcher::{DefaultGuard, set_default, with_default};
use tracing::instrument::{WithDispatch, WithSubscriber};

/// What the client library runs on: tokio, without logs.
pub(crate) type QuietRuntime = Runtime<RuntimeParts<Quiet, Tokio>>;

/// The tokio runtime that we are in, without logs.
///
/// # Errors
/// If we are in none.
pub(crate) fn runtime() -> Result<QuietRuntime, TryCurrentError> {
    let tokio = Tokio::default().with_handle(Handle::try_current()?);
    Ok(Runtime::new(RuntimeParts::new(Quiet(tokio.clone()), tokio)))
}

/// A future of the client library's, without logs.
pub(crate) fn quiet<F: Future>(future: F) -> WithDispatch<F> {
    future.with_subscriber(Dispatch::none())
}

/// Tokio's executor, without logs.
#[derive(Clone, Debug)]
pub(crate) struct Quiet(Tokio);

thread_local! {
    /// Held by each thread of the client library until it ends.
    static SILENCE: OnceCell<DefaultGuard> = const { OnceCell::new() };
}

impl Executor for Quiet {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    /// Silences the thread for good: it is one of the client library's, which connects on it first and
    /// reads and writes on it afterwards. No thread of tokio's may block.
    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        SILENCE.with(|silence| {
            silence.get_or_init(|| set_default(&Dispatch::none()));
        });
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn(quiet(future))
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(move || with_default(&Dispatch::none(), work))
    }
}
