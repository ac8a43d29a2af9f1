//! Messages on their way out.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bloodbank_core::{Envelope, EnvelopeError};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::decoded::Decoded;
use crate::{Headers, Properties, Verbatim, headers};

/// A message as it comes from a queue: bytes, which are read as an [`envelope`](Delivery::envelope)
/// when somebody first asks, and not again.
///
/// It stays in the queue until it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// What to settle it by.
    pub tag: DeliveryTag,
    /// The queue it came from.
    pub queue: Arc<str>,
    /// The routing key it was published under.
    pub key: Arc<str>,
    /// The bytes as they were published.
    pub body: Arc<[u8]>,
    /// What travelled beside them.
    pub headers: Headers,
    /// What else did, as far as the transport knows; of an envelope it mostly says the same.
    pub properties: Option<Box<Properties>>,
    /// Which attempt at the message this is, from 1: one more than its handlers have failed, as is
    /// noted on it ([`headers::ATTEMPTS`](crate::headers::ATTEMPTS)). A restart costs no attempt.
    pub attempt: u32,
    /// Whether it was delivered before from this queue and not settled, or was requeued.
    pub redelivered: bool,
    /// Where the sender of a command waits for an answer. Means nothing to another transport.
    pub reply_to: Option<Arc<str>>,
    pub(crate) decoded: Decoded,
}

impl Delivery {
    /// For transports: a message that comes from a queue for the first time. The attempt is what its
    /// headers say.
    pub fn new(tag: DeliveryTag, queue: Arc<str>, message: Verbatim) -> Self {
        let (headers, properties, decoded, key, body) = message.into_parts();
        let attempt = headers::attempt(&headers);
        Delivery {
            tag,
            queue,
            key,
            body,
            headers,
            properties,
            attempt,
            redelivered: false,
            reply_to: None,
            decoded,
        }
    }

    /// Sets whether it was delivered before.
    pub fn with_redelivered(mut self, redelivered: bool) -> Self {
        self.redelivered = redelivered;
        self
    }

    /// Sets where an answer is waited for.
    pub fn with_reply_to(mut self, address: Option<Arc<str>>) -> Self {
        self.reply_to = address;
        self
    }

    /// The envelope, which says the key that it travelled under and keeps the bounds of its schema. A
    /// trace context that stands only in the headers is in it, too. Says nothing about its payload.
    ///
    /// # Errors
    /// Why the bytes are not an envelope that can be taken in.
    pub fn envelope(&self) -> Result<&Arc<Envelope>, &EnvelopeError> {
        self.decoded.get(&self.key, &self.body, &self.headers, self.properties.as_deref())
    }

    /// The id of the envelope, if there is one.
    pub fn id(&self) -> Option<Uuid> {
        self.envelope().ok().map(|envelope| envelope.id)
    }
}

/// Names one delivery to one consumer. Means nothing to another transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryTag {
    /// The consumer; a new one after a reconnect.
    pub consumer: u64,
    /// Counts up within the consumer.
    pub number: u64,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// Done; it leaves the queue.
    Ack,
    /// Back to where it was in the queue, to be delivered again at once, maybe to another consumer.
    Requeue,
    /// Into the same queue again after a while, with these headers beside those it has.
    Retry {
        /// How long it waits. A transport with a ladder of waiting queues takes the nearest step
        /// that is not shorter.
        after: Duration,
        /// What to note on it.
        headers: Headers,
    },
    /// To the dead-letter queue, byte for byte, with these headers beside those it has; dropped if
    /// the queue has none.
    Park {
        /// What to note on it: the reason, above all.
        headers: Headers,
    },
}

/// The deliveries to one consumer.
///
/// Dropping it cancels the consumer: what it has not settled goes back to the queue, marked as
/// redelivered. [`close`](Deliveries::close) does the same and waits for it.
pub struct Deliveries {
    receiver: mpsc::Receiver<Delivery>,
    // Dropped after the receiver is closed.
    cancel: Cancel,
    closed: Option<oneshot::Receiver<()>>,
}

impl Deliveries {
    /// For transports: what the other end of the channel sends, and what to do when nobody listens any
    /// more. `cancel` runs in `drop`, so it must not block.
    pub fn new(
        receiver: mpsc::Receiver<Delivery>,
        cancel: impl FnOnce() + Send + Sync + 'static,
    ) -> Self {
        Deliveries { receiver, cancel: Cancel(Some(Box::new(cancel))), closed: None }
    }

    /// For transports whose `cancel` only starts the cancelling: `closed` ends when it is done.
    pub fn with_closed(mut self, closed: oneshot::Receiver<()>) -> Self {
        self.closed = Some(closed);
        self
    }

    /// The next delivery; `None` when the transport has ended the consumer (it is closed, or the queue
    /// is gone). Subscribe again to find out why.
    ///
    /// Safe to drop before it is done: nothing is lost.
    pub async fn recv(&mut self) -> Option<Delivery> {
        self.receiver.recv().await
    }

    /// The same for hand-written futures.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.receiver.poll_recv(context)
    }

    /// The next delivery if it is here already.
    pub fn try_recv(&mut self) -> Option<Delivery> {
        self.receiver.try_recv().ok()
    }

    /// Cancels the consumer and waits until every acknowledgement so far has been sent.
    pub async fn close(mut self) {
        self.receiver.close();
        let closed = self.closed.take();
        self.cancel.run();
        if let Some(closed) = closed {
            // An error means that the transport is gone, and with it what there was to wait for.
            let _ = closed.await;
        }
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").field("waiting", &self.receiver.len()).finish_non_exhaustive()
    }
}

/// Runs what it holds, once; at the latest when it is dropped.
struct Cancel(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Cancel {
    fn run(&mut self) {
        if let Some(cancel) = self.0.take() {
            cancel();
        }
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.run();
    }
}
