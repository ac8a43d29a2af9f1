//! The calls of handlers: how long one may take, and what is known of it while it runs.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bloodbank_core::Envelope;
use tokio::time::timeout;

use super::running::Running;

/// How the handlers of a queue are called.
#[derive(Clone)]
pub(crate) struct Calling {
    /// How long one may take.
    patience: Duration,
    pub(super) running: Arc<Running>,
}

impl Calling {
    pub(super) fn new(patience: Duration) -> Self {
        Calling { patience, running: Arc::default() }
    }

    /// Calls a handler with this message, or with a batch that begins with it.
    ///
    /// # Errors
    /// In words, if it panics, or takes longer than it may: then it is dropped where it is.
    pub(super) async fn call<F: Future>(
        &self,
        envelope: Arc<Envelope>,
        handler: impl FnOnce() -> F,
    ) -> Result<F::Output, String> {
        let patience = self.patience;
        let _entry = self.running.begin(envelope);
        let late = |_| Err(format!("the handler was not done in {patience:?}"));
        timeout(patience, caught(handler)).await.unwrap_or_else(late)
    }
}

/// Calls a function and waits for its future.
///
/// # Errors
/// In words, if one of them panics.
pub(super) async fn caught<F: Future>(function: impl FnOnce() -> F) -> Result<F::Output, String> {
    let mut running = pin!(async move { function().await });
    std::future::poll_fn(|context| {
        let poll = || running.as_mut().poll(context);
        match std::panic::catch_unwind(AssertUnwindSafe(poll)) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(format!("the handler panicked: {}", words_of(&*panic)))),
        }
    })
    .await
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
