//! Messages on their way out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bloodbank_core::{Envelope, EnvelopeError};
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

use crate::decoded::Decoded;
use crate::{Headers, Properties, Reason, Verbatim, headers, reading};

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
    /// How often it was delivered before from this queue and came back, as far as the transport
    /// counts: because its consumer was lost (a crash, a cut connection), or it was requeued. A
    /// message that comes from its queue for the first time, or for the first time after a retry or a
    /// redrive, has 0. Transports deliver a message alone from [`SUSPECT`](Delivery::SUSPECT) losses
    /// on, so that only a message that was begun is counted any further. A transport in memory cannot
    /// lose consumers, and says at most 1.
    pub lost: u32,
    /// Where the sender of a command waits for an answer. Means nothing to another transport.
    pub reply_to: Option<Arc<str>>,
    pub(crate) decoded: Decoded,
}

impl Delivery {
    /// From how many losses on a message is delivered alone, and handled without waiting for others: it
    /// may be what ends its consumers. One is an accident: a restart, a cut connection, or what another
    /// consumer has handed back.
    pub const SUSPECT: u32 = 2;

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
            lost: 0,
            reply_to: None,
            decoded,
        }
    }

    /// Sets whether it was delivered before; how often is not known.
    pub fn with_redelivered(self, redelivered: bool) -> Self {
        self.with_lost(u32::from(redelivered))
    }

    /// Sets how often it was delivered before and came back.
    pub fn with_lost(mut self, times: u32) -> Self {
        (self.redelivered, self.lost) = (times > 0, times);
        self
    }

    /// Whether it was lost so often that it is taken alone.
    pub fn is_suspect(&self) -> bool {
        self.lost >= Delivery::SUSPECT
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
    /// It leaves the queue like what is done, though no handler has done anything with it.
    Drop {
        /// Why, for who looks for it.
        reason: String,
    },
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

impl Settlement {
    /// For those who park by hand: into the dead letters, with the reason and what is said of it.
    pub fn parked(delivery: &Delivery, reason: Reason, error: &str) -> Self {
        Settlement::Park { headers: reading::parking(delivery, reason, error) }
    }
}

/// The deliveries to one consumer.
///
/// Dropping it cancels the consumer: what it has not settled goes back to the queue, marked as
/// redelivered. [`close`](Deliveries::close) does the same and waits for it.
pub struct Deliveries {
    receiver: mpsc::Receiver<Delivery>,
    start: Option<Start>,
    waiting: Option<Waiting>,
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
        let cancel = Cancel(Some(Box::new(cancel)));
        Deliveries { receiver, start: None, waiting: None, cancel, closed: None }
    }

    /// For transports that take back what nobody has begun with: `start` is told of each delivery that
    /// is about to be handed out, and says whether it still may be. Those that may not are skipped.
    pub fn with_start(mut self, start: impl Fn(&Delivery) -> bool + Send + Sync + 'static) -> Self {
        self.start = Some(Box::new(start));
        self
    }

    /// For transports whose `cancel` only starts the cancelling: `closed` ends when it is done.
    pub fn with_closed(mut self, closed: oneshot::Receiver<()>) -> Self {
        self.closed = Some(closed);
        self
    }

    /// For transports that bring nothing before somebody waits for it.
    pub fn with_waiting(mut self, waiting: Waiting) -> Self {
        self.waiting = Some(waiting);
        self
    }

    /// The next delivery; `None` when the transport has ended the consumer (it is closed, or the queue
    /// is gone). Subscribe again to find out why.
    ///
    /// Safe to drop before it is done: nothing is lost.
    pub async fn recv(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// The same for hand-written futures.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            let polled = self.receiver.poll_recv(context);
            if let Some(waiting) = &self.waiting {
                waiting.set(polled.is_pending());
            }
            match std::task::ready!(polled) {
                Some(delivery) if !self.starts(&delivery) => {}
                next => return Poll::Ready(next),
            }
        }
    }

    /// The next delivery if it is here already.
    pub fn try_recv(&mut self) -> Option<Delivery> {
        loop {
            let received = self.receiver.try_recv();
            if let Some(waiting) = &self.waiting {
                waiting.set(received.is_err());
            }
            let delivery = received.ok()?;
            if self.starts(&delivery) {
                return Some(delivery);
            }
        }
    }

    fn starts(&self, delivery: &Delivery) -> bool {
        self.start.as_ref().is_none_or(|start| start(delivery))
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

/// Whether somebody waits for a delivery. Clones are about the same one.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<(AtomicBool, Notify)>);

impl Waiting {
    /// Nobody waits.
    pub fn new() -> Self {
        Waiting::default()
    }

    /// Returns when somebody waits. For one task at a time.
    pub async fn wait(&self) {
        let (waits, told) = &*self.0;
        while !waits.load(Ordering::Acquire) {
            told.notified().await;
        }
    }

    fn set(&self, is_waiting: bool) {
        let (waits, told) = &*self.0;
        if waits.load(Ordering::Relaxed) != is_waiting {
            waits.store(is_waiting, Ordering::Release);
            told.notify_one();
        }
    }
}

type Start = Box<dyn Fn(&Delivery) -> bool + Send + Sync>;

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
