//! Attempts: the calls of a handler.

use std::sync::Arc;

use bloodbank_core::Envelope;
use tokio::sync::SemaphorePermit;
use tower_service::Service;
use tracing::warn;

use super::super::call::caught;
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
            return self.attempt_in_place(envelope, delivery).await;
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
        let calling = self.calling.clone();
        let message =
            Message::new(envelope.clone(), delivery.clone(), contracts, handler.clone(), calling);
        let begin = || match &self.shared.layers {
            None => handler(message),
            Some(layers) => layers.clone().call(message),
        };
        let called = match self.shared.handlers.is_batched(&envelope.event_type) {
            // The call of its handler is that of its batch, which it waits for.
            true => caught(begin).await,
            false => self.calling.call(envelope, begin).await,
        };
        match called {
            Ok(Ok(handled)) => Ok(handled),
            Ok(Err(error)) => layer::verdict_of(error).map(Handled::from),
            Err(reason) => Ok(failed(reason)),
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
