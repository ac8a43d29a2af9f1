//! Messages that are handled together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_core::codec::Payload;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::Calling;
use crate::layer::Handler;
use crate::{IntoVerdicts, Received, Verdict};

/// What becomes of a message whose batch was never done.
const NOT_DONE: &str = "the call of its batch was dropped before it was done";

/// The messages that wait to be handled together. The task of one of them leads: it waits for the
/// others, calls the handler, and tells them what came of it. There is no task but theirs, so that
/// nothing goes on when they are dropped.
struct Batch<P> {
    most: usize,
    wait: Duration,
    waiting: Mutex<Vec<Member<P>>>,
    /// Told when there is nothing more to wait for.
    complete: Notify,
    /// Held by the one that leads.
    lead: tokio::sync::Mutex<()>,
    /// True once nothing more comes.
    draining: watch::Receiver<bool>,
}

struct Member<P> {
    since: Instant,
    received: Received<P>,
    verdict: oneshot::Sender<Verdict>,
}

/// A handler of batches, and the sender that tells it that nothing more comes.
pub(super) fn of_batch<P, F, R>(
    most: usize,
    wait: Duration,
    handler: F,
) -> (Handler, watch::Sender<bool>)
where
    P: Payload,
    F: Fn(Vec<Received<P>>) -> R + Send + Sync + 'static,
    R: Future<Output: IntoVerdicts> + Send + 'static,
{
    let (drain, draining) = watch::channel(false);
    let batch = Arc::new(Batch {
        most: most.max(1),
        wait,
        waiting: Mutex::default(),
        complete: Notify::new(),
        lead: tokio::sync::Mutex::default(),
        draining,
    });
    let handler = Arc::new(handler);
    let handler: Handler = Arc::new(move |message| {
        let (batch, handler) = (batch.clone(), handler.clone());
        Box::pin(async move {
            let calling = message.calling().clone();
            let received = message.read()?;
            Ok(batch.handle(received, &calling, &*handler).await.into())
        })
    });
    (handler, drain)
}

impl<P: Send + 'static> Batch<P> {
    /// Waits until a message was handled with others; leads them if nobody does.
    async fn handle<F, R>(&self, received: Received<P>, calling: &Calling, handler: &F) -> Verdict
    where
        F: Fn(Vec<Received<P>>) -> R,
        R: Future<Output: IntoVerdicts>,
    {
        let mut verdict = self.join(received);
        loop {
            let leads = tokio::select! {
                biased;
                told = &mut verdict => {
                    return told.unwrap_or_else(|_| Verdict::Retry(NOT_DONE.to_owned()));
                }
                leads = self.lead.lock() => leads,
            };
            self.gather().await;
            let (received, members) = self.take();
            let count = received.len();
            let Some(first) = received.first().map(|first| first.envelope.clone()) else {
                // Its own verdict came in the meantime.
                continue;
            };
            let verdicts = match calling.call(first, || handler(received)).await {
                Ok(verdicts) => verdicts.into_verdicts(count),
                Err(reason) => Verdict::Retry(reason).into_verdicts(count),
            };
            for (member, verdict) in members.into_iter().zip(verdicts) {
                // An error means that its task was ended; its message comes again.
                let _ = member.send(verdict);
            }
            drop(leads);
        }
    }

    fn join(&self, received: Received<P>) -> oneshot::Receiver<Verdict> {
        let (verdict, told) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.push(Member { since: Instant::now(), received, verdict });
        if self.is_complete(&waiting) {
            self.complete.notify_one();
        }
        told
    }

    /// Waits until it is complete, or the first has waited long enough, or nothing more comes.
    async fn gather(&self) {
        let mut draining = self.draining.clone();
        loop {
            let first = {
                let mut waiting = self.waiting();
                // Those whose tasks were ended come again.
                waiting.retain(|member| !member.verdict.is_closed());
                match waiting.first() {
                    Some(first) if !self.is_complete(&waiting) => first.since,
                    _ => return,
                }
            };
            let until = first.checked_add(self.wait);
            tokio::select! {
                // An error means that nothing runs any more.
                _ = draining.wait_for(|draining| *draining) => return,
                () = self.complete.notified() => {}
                () = at(until) => return,
            }
        }
    }

    /// Whether there are enough, or one that is not to wait: while a suspect is not settled, its transport
    /// gives nothing else.
    fn is_complete(&self, waiting: &[Member<P>]) -> bool {
        waiting.len() >= self.most || waiting.iter().any(|member| member.received.is_suspect())
    }

    /// The next batch, and who is told of it.
    fn take(&self) -> (Vec<Received<P>>, Vec<oneshot::Sender<Verdict>>) {
        let mut waiting = self.waiting();
        let count = waiting.len().min(self.most);
        waiting.drain(..count).map(|member| (member.received, member.verdict)).unzip()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Member<P>>> {
        // Nothing that holds the lock can leave the list half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until then; for ever if that is too far away to be said.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
