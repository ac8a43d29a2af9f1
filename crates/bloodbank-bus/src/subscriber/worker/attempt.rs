//! Attempts: the calls of a handler.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use bloodbank_core::Envelope;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use tower_service::Service;
use tracing::warn;

use super::Worker;
use crate::layer::{self, Message};
use crate::reading::{self, Escaped, Fault};
use crate::{Answer, Delivery, Handled, Verdict, expiry};

impl Worker {
    /// As many attempts as are made without letting go, and the delivery as the last one saw it;
    /// `None` on shutdown.
    pub(super) async fn attempt_all(
        &self,
        envelope: Arc<Envelope>,
        delivery: &Arc<Delivery>,
    ) -> Result<Option<(Handled, Arc<Delivery>)>, Fault> {
        if self.shared.options.strict_order {
            // In a box: every task would have to have room for it.
            return Box::pin(self.attempt_in_place(envelope, delivery)).await;
        }
        let handled = self.attempt(envelope, delivery).await?;
        Ok(Some((handled, Arc::clone(delivery))))
    }

    /// One call of the handler. It fails if it panics, and if it takes longer than it may: then it is
    /// dropped where it is.
    async fn attempt(
        &self,
        envelope: Arc<Envelope>,
        delivery: &Arc<Delivery>,
    ) -> Result<Handled, Fault> {
        let Some(handler) = self.shared.handlers.find(&envelope.event_type) else {
            if self.shared.options.skip_others {
                return Ok(Verdict::Done.into());
            }
            return Err(Fault::NoHandler(envelope.event_type.clone()));
        };
        expiry::check(delivery)?;
        let contracts = self.shared.contracts.current();
        let _entry = self.running.begin(envelope.clone());
        let message = Message::new(envelope, delivery.clone(), contracts, handler.clone());
        let mut running = match &self.shared.layers {
            None => handler(message),
            Some(layers) => layers.clone().call(message),
        };
        let caught = std::future::poll_fn(move |context| {
            std::panic::catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context)))
                .map_or_else(|panic| Poll::Ready(Err(panic)), |poll| poll.map(Ok))
        });
        let patience = self.shared.options.timeout;
        match timeout(patience, caught).await {
            Ok(Ok(Ok(handled))) => Ok(handled),
            Ok(Ok(Err(error))) => layer::verdict_of(error).map(Handled::from),
            Ok(Err(panic)) => Ok(failed(format!("the handler panicked: {}", words_of(&*panic)))),
            Err(_) => Ok(failed(format!("the handler was not done in {patience:?}"))),
        }
    }

    /// Waits until one more handler may run; `None` on shutdown.
    async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        let mut stopped = self.shared.stopped.clone();
        tokio::select! {
            slot = self.slots.acquire() => slot.ok(),
            _ = stopped.wait_for(|stopped| *stopped) => None,
        }
    }

    /// Calls the handler until it is done, as often as the policy says, without letting go. Gives what
    /// it made of the message, and the delivery with what the last attempt knew; `None` on shutdown.
    async fn attempt_in_place(
        &self,
        envelope: Arc<Envelope>,
        delivery: &Arc<Delivery>,
    ) -> Result<Option<(Handled, Arc<Delivery>)>, Fault> {
        let mut delivery = Arc::clone(delivery);
        loop {
            let Some(slot) = self.slot().await else { return Ok(None) };
            let handled = self.attempt(envelope.clone(), &delivery).await?;
            drop(slot);
            let (Verdict::Retry(reason), None) = (&handled.verdict, &delivery.reply_to) else {
                return Ok(Some((handled, delivery)));
            };
            let Some(after) = self.retry.after(delivery.attempt) else {
                return Ok(Some((handled, delivery)));
            };
            warn!(attempt = delivery.attempt, error = %Escaped(reason), "tried again in {after:?}");
            self.metrics.retries.increment(1);
            if self.pause(after).await.is_none() || !self.shared.transport.is_current(&delivery) {
                return Ok(None);
            }
            let mut next = Delivery::clone(&delivery);
            next.headers.extend(reading::retrying(&delivery, reason));
            next.attempt += 1;
            delivery = Arc::new(next);
        }
    }
}

/// What stands for a handler that has not said anything.
fn failed(reason: String) -> Handled {
    Handled { answer: Some(Answer::Error(reason.clone())), verdict: Verdict::Retry(reason) }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
