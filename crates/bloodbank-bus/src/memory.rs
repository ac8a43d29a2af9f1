//! The transport for tests: the routing of a broker, in memory.

mod queue;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bloodbank_core::{Envelope, Kind, Validated};
use tokio::runtime::Handle;

use self::queue::Message;
use self::state::State;
use crate::{
    BoxFuture, Deliveries, DeliveryTag, Destination, Exchange, Headers, Settlement, Subscription,
    Topology, Transport, TransportError, Verbatim,
};

/// A bus in one process, with the semantics of RabbitMQ's topic exchanges.
///
/// Envelopes are held as the bytes that a broker would hold. Consumers of a queue take turns, each up
/// to its prefetch; what is requeued keeps its place and is marked as redelivered; what is rejected
/// goes to the dead-letter queue with its reason. A command has exactly one worker queue, or declaring
/// the second fails.
///
/// Memory is bounded: a queue that does not say holds 100,000 messages. When one of the queues that
/// want a message is full, none gets it and publishing fails with [`TransportError::Nacked`].
///
/// Clones are the same bus. Nothing here waits except for delays, which need a tokio runtime.
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    state: Arc<Mutex<State>>,
}

impl InMemory {
    /// A bus without queues.
    pub fn new() -> Self {
        InMemory::default()
    }

    /// How many messages of a queue wait for a consumer; 0 if there is no such queue.
    pub fn depth(&self, queue: &str) -> usize {
        self.state().queues.get(queue).map_or(0, |queue| queue.depth())
    }

    /// How many messages of a queue are delivered and not settled; 0 if there is no such queue.
    pub fn unsettled(&self, queue: &str) -> usize {
        self.state().queues.get(queue).map_or(0, |queue| queue.unsettled())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn publish_now(
        &self,
        envelope: &Validated<Envelope>,
        headers: Headers,
    ) -> Result<(), TransportError> {
        let exchange = match envelope.kind() {
            Kind::Event => Exchange::Events,
            Kind::Command => Exchange::Commands,
        };
        let body = envelope
            .to_bytes()
            .map_err(|error| TransportError::Other { reason: error.to_string() })?;
        let message = Message::new(envelope.event_type.as_str().into(), body.into(), headers);
        self.state().route(exchange, &message)
    }

    fn forward_now(&self, message: Verbatim, to: Destination) -> Result<(), TransportError> {
        let Verbatim { key, body, headers } = message;
        let message = Message::new(key, body, headers);
        let (name, delay) = match to {
            Destination::Exchange(exchange) => return self.state().route(exchange, &message),
            Destination::Queue { name, delay } => (name, delay),
        };
        let Some(delay) = delay.filter(|delay| !delay.is_zero()) else {
            let mut state = self.state();
            let queue = state.queue(&name)?;
            queue.has_room()?;
            queue.push(message);
            return Ok(());
        };
        let runtime = Handle::try_current()
            .map_err(|error| TransportError::Other { reason: error.to_string() })?;
        {
            let mut state = self.state();
            let queue = state.queue(&name)?;
            queue.has_room()?;
            queue.expect();
        }
        let state = Arc::downgrade(&self.state);
        runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(state) = state.upgrade()
                && let Ok(queue) = lock(&state).queue(&name)
            {
                queue.arrive(message);
            }
        });
        Ok(())
    }
}

/// No code that holds the lock can leave the state half done, so a poisoned lock is as good as new.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transport for InMemory {
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(async move { self.state().declare(topology) })
    }

    fn publish(
        &self,
        envelope: Validated<Envelope>,
        headers: Headers,
    ) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(std::future::ready(self.publish_now(&envelope, headers)))
    }

    fn forward(
        &self,
        message: Verbatim,
        to: Destination,
    ) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move { self.forward_now(message, to) })
    }

    fn subscribe(
        &self,
        subscription: Subscription,
    ) -> BoxFuture<'_, Result<Deliveries, TransportError>> {
        Box::pin(async move {
            let (id, receiver) = self.state().subscribe(&subscription)?;
            let state = Arc::downgrade(&self.state);
            Ok(Deliveries::new(receiver, move || {
                if let Some(state) = state.upgrade() {
                    lock(&state).cancel(id);
                }
            }))
        })
    }

    fn settle(
        &self,
        tag: DeliveryTag,
        settlement: Settlement,
    ) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move { self.state().settle(tag, settlement) })
    }
}
