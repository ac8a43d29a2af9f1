//! What carries messages: RabbitMQ, a durable log, or memory.

use std::pin::Pin;

use crate::{
    Confirm, Deliveries, Delivery, Destination, Encoded, Outcome, Report, Request, Settlement,
    Topology, TransportError, Trouble, Verbatim,
};

/// A boxed future, so that `dyn Transport` works.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A message bus, seen from one process.
///
/// At least once: a message that was accepted is delivered until it is settled, so it may come twice;
/// [`Envelope::id`](bloodbank_core::Envelope::id) tells. Every method has a deadline of the transport's own: none hangs because
/// the other side is away. Methods are called inside a tokio runtime.
pub trait Transport: Send + Sync + 'static {
    /// Makes sure that queues and bindings exist. Idempotent; never removes anything.
    ///
    /// On RabbitMQ dead-letter queues are declared before the queues that name them. On a log a new
    /// queue starts at the end.
    ///
    /// # Errors
    /// [`TransportError::Conflict`] if a queue exists with other properties,
    /// [`TransportError::Undeclared`] if it names a dead-letter queue that is nowhere declared.
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>>;

    /// Publishes an event, or sends a command, under the key that the envelope says.
    ///
    /// Starts at once where there is room, else when the [`Confirm`] is first polled; messages that one
    /// task publishes one after the other, each accepted before the next, keep their order. It is done when the bus is responsible for the message: on RabbitMQ when the broker
    /// has confirmed it, on a log when it is committed. A command is copied to
    /// [`Exchange::Audit`](crate::Exchange::Audit) once its worker queue has it.
    ///
    /// # Errors
    /// An event that no queue wants is fine, a command is [`TransportError::Unroutable`]. See
    /// [`TransportError::is_retryable`]; retry with the same [`Encoded::id`].
    fn publish(&self, message: Encoded) -> Confirm;

    /// Sends a command and waits for what its handler answers.
    ///
    /// # Errors
    /// Those of [`publish`](Transport::publish).
    fn request(&self, message: Encoded) -> Request;

    /// Answers a command that came with [`Delivery::reply_to`].
    ///
    /// # Errors
    /// [`TransportError::NoCaller`] if nobody is known to wait for the answer any more; otherwise if it
    /// cannot be sent.
    fn answer(&self, command: &Delivery, body: Vec<u8>) -> Confirm;

    /// Passes bytes on as they are. Done when the bus is responsible for them, like
    /// [`publish`](Transport::publish); settle the original only then.
    ///
    /// # Errors
    /// [`TransportError::Undeclared`] for a queue that is not there, else those of `publish`; what
    /// goes to [`Exchange::Replay`](crate::Exchange::Replay) and no queue takes is
    /// [`TransportError::Unroutable`]. So is what goes to [`Destination::Listeners`] and nobody
    /// listens to, unless the bus has an [`unrouted_queue`](Transport::unrouted_queue), where it then
    /// lies again.
    fn forward(&self, message: Verbatim, to: Destination) -> Confirm;

    /// Passes several messages on to one queue, in their order. Done when the bus is responsible for all
    /// of them.
    ///
    /// After the first one that is not taken no later one is sent, other than those that were on their way
    /// already. One after the other, unless the transport has a faster way.
    ///
    /// # Errors
    /// Those of [`forward`](Transport::forward), of the first one that was not taken; nothing is known of
    /// those after it, so that all have to be passed on again.
    fn forward_run(&self, run: Vec<Verbatim>, queue: &str) -> BoxFuture<'_, Outcome> {
        let queue = queue.to_owned();
        Box::pin(async move {
            for message in run {
                self.forward(message, Destination::Queue(queue.clone())).await?;
            }
            Ok(())
        })
    }

    /// Starts to consume a queue. Consumers of one queue compete.
    ///
    /// # Errors
    /// [`TransportError::Undeclared`] if there is no such queue.
    fn subscribe(
        &self,
        subscription: Subscription,
    ) -> BoxFuture<'_, Result<Deliveries, TransportError>>;

    /// Whether a delivery can still be settled. One that cannot comes again, maybe to another process,
    /// so that handling it now would be once too often.
    fn is_current(&self, delivery: &Delivery) -> bool;

    /// Says what became of a delivery. A transport may gather acknowledgements and send them later;
    /// if it fails before, the message comes again.
    ///
    /// # Errors
    /// [`TransportError::Stale`] if the delivery was settled before or its consumer is gone. Where
    /// the message cannot be put where it should go (the dead-letter queue is full), that error, and
    /// the delivery is not settled.
    fn settle<'a>(
        &'a self,
        delivery: &'a Delivery,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), TransportError>>;

    /// The queue in which events lie that nobody listens to; `None` where the bus keeps none.
    fn unrouted_queue(&self) -> Option<String> {
        None
    }

    /// Whether a new queue may begin with what was published before it was there: see
    /// [`Queue::start`](crate::Queue::start).
    fn keeps_history(&self) -> bool {
        false
    }

    /// Whether there is a queue of this name.
    ///
    /// # Errors
    /// If that cannot be asked.
    fn has_queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, TransportError>> {
        let what = format!("asking whether `{name}` is there");
        Box::pin(async move { Err(TransportError::Unsupported { what }) })
    }

    /// Whether subscribers are to report what becomes of messages, because the transport does not keep
    /// that itself and somebody else may want to know.
    fn wants_reports(&self) -> bool {
        false
    }

    /// Passes on what became of messages, at most once: what cannot be passed on is lost.
    ///
    /// # Errors
    /// [`TransportError::Undeclared`] if nobody wants to know at the moment.
    fn report(&self, _reports: &[Report]) -> Confirm {
        Confirm::settled(Ok(()))
    }

    /// Why nothing can be published at the moment, as far as it is known without asking the other side.
    fn trouble(&self) -> Option<Trouble> {
        None
    }

    /// Waits until everything accepted has its answer, and lets go of the bus. Everything asked
    /// afterwards is [`TransportError::Closed`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What to consume, and how much at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// The queue's name.
    pub queue: String,
    /// The most deliveries that are under way and not settled; 0 counts as 1. What is being settled need
    /// not count.
    pub prefetch: u16,
    /// Ends after what lies in the queue now, instead of waiting for more. Nothing bounds what is
    /// under way then, so that a whole queue can be looked at.
    pub until_empty: bool,
}

impl Subscription {
    /// The most messages ahead of which order can be kept: RabbitMQ's quorum queues put back more than 32
    /// messages of a lost consumer in any order.
    pub const MOST_IN_ORDER: u16 = 32;

    /// A queue, with a prefetch of 100.
    pub fn new(queue: impl Into<String>) -> Self {
        Subscription { queue: queue.into(), prefetch: 100, until_empty: false }
    }

    /// A look at what lies in a queue now. What is not settled stays there, maybe in another order.
    pub fn browse(queue: impl Into<String>) -> Self {
        Subscription { until_empty: true, ..Subscription::new(queue) }
    }

    /// Sets the most deliveries that are under way and not settled.
    pub fn with_prefetch(mut self, prefetch: u16) -> Self {
        self.prefetch = prefetch;
        self
    }
}
