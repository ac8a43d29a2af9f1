//! Attempts: the calls of a handler.

use std::sync::Arc;

use bloodbank_core::Envelope;
use tokio::time::Instant;
use tower_service::Service;

use super::super::call::caught;
use super::Worker;
use crate::layer::{self, Message};
use crate::reading::Fault;
use crate::{Answer, Delivery, Handled, Verdict, expiry};

/// What came of the attempts at a message.
pub(super) struct Attempted {
    pub(super) outcome: Result<Handled, Fault>,
    /// Whether its caller was told; `None` if nobody has tried.
    pub(super) told: Option<bool>,
    /// As the last attempt knew it.
    pub(super) delivery: Arc<Delivery>,
}

impl Worker {
    /// As many attempts as are made without letting go; `None` on shutdown.
    pub(super) async fn attempt_all(
        &self,
        envelope: Arc<Envelope>,
        delivery: &Arc<Delivery>,
        since: Instant,
    ) -> Option<Attempted> {
        if self.is_ordered() {
            // In a box: every task would have to have room for it.
            return Box::pin(self.attempt_in_place(envelope, delivery, since)).await;
        }
        let outcome = self.attempt(envelope, delivery).await;
        Some(Attempted { outcome, told: None, delivery: Arc::clone(delivery) })
    }

    /// One call of the handler. It fails if it panics, and if it takes longer than it may: then it is
    /// dropped where it is.
    pub(super) async fn attempt(
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
}

/// What stands for a handler that has not said anything.
fn failed(reason: String) -> Handled {
    Handled { answer: Some(Answer::Error(reason.clone())), verdict: Verdict::Retry(reason) }
}
