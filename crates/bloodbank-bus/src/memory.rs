//! The transport for tests: the routing of a broker, in memory.

mod queue;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_core::Kind;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use self::queue::Message;
use self::state::State;
use crate::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, Exchange, Outcome, Request,
    Settlement, Subscription, Topology, Transport, TransportError, Trouble, Verbatim,
};

/// A bus in one process, with the semantics of RabbitMQ's topic exchanges.
///
/// Envelopes are held as the bytes that a broker would hold. Consumers of a queue take turns, each up
/// to its prefetch; what is requeued keeps its place and is marked as redelivered; what is parked
/// goes to the dead-letter queue with its reason. A command has exactly one worker queue, or declaring
/// the second fails.
///
/// A queue of events holds what it gets, unless it has a limit: then its oldest messages go to its dead
/// letters. Any other queue that does not say holds 100,000 messages, and one that is full refuses more
/// with [`TransportError::Nacked`].
///
/// Clones are the same bus. Nothing here waits except for delays.
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

    /// How many events no queue wanted, except those that only record.
    pub fn unrouted(&self) -> u64 {
        self.state().unrouted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn publish_now(&self, message: Encoded, reply_to: Option<Arc<str>>) -> Outcome {
        let kind = message.kind();
        let properties = message.properties();
        let (envelope, body, headers) = message.into_parts();
        let message = Verbatim::stored(envelope.event_type.as_str(), body, headers)
            .with_properties(properties);
        let message = Message::new(message, reply_to);
        let mut state = self.state();
        state.check_open()?;
        match kind {
            Kind::Event => state.route(Exchange::Events, &message),
            Kind::Command => {
                state.route(Exchange::Commands, &message)?;
                state.route(Exchange::Audit, &message)
            }
        }
    }

    fn forward_now(&self, message: Verbatim, to: Destination) -> Outcome {
        let message = Message::new(message, None);
        let mut state = self.state();
        state.check_open()?;
        match to {
            Destination::Exchange(exchange) => state.route(exchange, &message),
            Destination::Listeners => state.tell_listeners(&message),
            Destination::Queue(name) => {
                let queue = state.queue(&name)?;
                queue.has_room()?;
                queue.push(message);
                state.let_oldest_go(&name);
                Ok(())
            }
        }
    }

    /// Publishes a message when it is due. It goes with the process, as everything here does.
    fn schedule(&self, message: Encoded, due: DateTime<Utc>) -> Outcome {
        self.state().check_open()?;
        let state = Arc::downgrade(&self.state);
        tokio::spawn(async move {
            // Timers may be early by the clock that says what is due.
            while let Some(left) = time_until(due) {
                tokio::time::sleep(left).await;
            }
            if let Some(state) = state.upgrade()
                && let Err(error) = (InMemory { state }).publish_now(message, None)
            {
                tracing::warn!(%error, "a scheduled message was not published");
            }
        });
        Ok(())
    }

    fn settle_now(&self, delivery: &Delivery, settlement: Settlement) -> Outcome {
        if let Some((queue, after, message)) = self.state().settle(delivery.tag, settlement)? {
            self.put_back_later(queue, after, message);
        }
        Ok(())
    }

    fn put_back_later(&self, queue: String, after: Duration, message: Message) {
        let state = Arc::downgrade(&self.state);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(state) = state.upgrade()
                && let Ok(queue) = lock(&state).queue(&queue)
            {
                queue.arrive(message);
            }
        });
    }
}

/// How long it is until then; `None` if the time has come.
fn time_until(due: DateTime<Utc>) -> Option<Duration> {
    due.signed_duration_since(Utc::now()).to_std().ok().filter(|left| !left.is_zero())
}

/// No code that holds the lock can leave the state half done, so a poisoned lock is as good as new.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transport for InMemory {
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(async move { self.state().declare(topology) })
    }

    fn has_queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, TransportError>> {
        Box::pin(async move { Ok(self.state().queue(name).is_ok()) })
    }

    fn publish(&self, message: Encoded) -> Confirm {
        if let Some(due) = message.due() {
            return Confirm::settled(self.schedule(message, due));
        }
        Confirm::settled(self.publish_now(message, None))
    }

    fn request(&self, message: Encoded) -> Request {
        let (sender, answer) = oneshot::channel();
        let address = self.state().wait(sender);
        let outcome = self.publish_now(message, Some(address.clone()));
        if outcome.is_err() {
            self.state().waiting.remove(&address);
        }
        Request { confirm: Confirm::settled(outcome), answer }
    }

    fn answer(&self, command: &Delivery, body: Vec<u8>) -> Confirm {
        let Some(to) = &command.reply_to else { return Confirm::settled(Ok(())) };
        let waiting = self.state().waiting.remove(to);
        let answered = waiting.is_some_and(|waiting| waiting.send(body.into()).is_ok());
        Confirm::settled(answered.then_some(()).ok_or(TransportError::NoCaller))
    }

    fn forward(&self, message: Verbatim, to: Destination) -> Confirm {
        Confirm::settled(self.forward_now(message, to))
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

    fn is_current(&self, delivery: &Delivery) -> bool {
        self.state().is_unsettled(delivery.tag)
    }

    fn settle<'a>(
        &'a self,
        delivery: &'a Delivery,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(std::future::ready(self.settle_now(delivery, settlement)))
    }

    fn trouble(&self) -> Option<Trouble> {
        let closed = self.state().check_open().err()?;
        Some(Trouble::new(closed, Duration::ZERO))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.state().close();
        Box::pin(std::future::ready(()))
    }
}
