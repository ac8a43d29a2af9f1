//! The past, for queues of a bus that keeps no record: it comes from a store, and what is new from the
//! bus, without a seam.
//!
//! A queue that begins with the past is declared first, so that what is published from then on gathers in
//! it. Then its consumer gets what the store has, in order, and what is recorded meanwhile. When a message
//! that lies in the queue has come by way of the store, too, everything before it is there, and the
//! consumer goes on with the queue; what it finds there and has had is not handed out again. So somebody
//! must record the bus into the store (one recorder, or several whose batches are not held up): until
//! what is in the queue is in the store, the queue waits.
//!
//! One process at a time brings the past of a queue; others wait for it. How far it is settled is kept in
//! the store, so that another process, or this one after a crash, goes on there: at least once.

mod feed;
mod held;
mod table;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, Headers, Outcome, Queue,
    Report, Request, Settlement, Start, Subscription, Topology, Transport, TransportError, Trouble,
    Verbatim,
};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::feed::Feed;
use self::held::{Hand, Past};
use crate::embedded::transport_error;
use crate::{EventStore, Position, StoreError};

/// Tags of the past name consumers from here on, where no transport has one.
const FIRST_CONSUMER: u64 = u64::MAX - (1 << 32);

/// A bus whose new queues may begin with what a store has recorded of it: see
/// [`Subscriber::from`](bloodbank_bus::Subscriber::from).
pub struct CatchUp {
    inner: Arc<dyn Transport>,
    store: EventStore,
    /// This process, among those that bring the past.
    owner: Uuid,
    shared: Arc<Shared>,
}

/// What consumers and those who settle share.
#[derive(Default)]
struct Shared {
    hands: Mutex<HashMap<u64, Arc<Hand>>>,
    /// The declared queues that begin with the past.
    queues: Mutex<HashMap<String, Queue>>,
    last: AtomicU64,
}

impl Shared {
    fn hands(&self) -> MutexGuard<'_, HashMap<u64, Arc<Hand>>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand(&self, delivery: &Delivery) -> Option<Arc<Hand>> {
        self.hands().get(&delivery.tag.consumer).cloned()
    }
}

impl CatchUp {
    /// A bus, and the store that it is recorded into.
    pub fn new(bus: Arc<dyn Transport>, store: EventStore) -> Self {
        CatchUp { inner: bus, store, owner: Uuid::now_v7(), shared: Arc::default() }
    }

    /// The position up to which a queue gets what was recorded; what is behind it comes from the bus.
    /// `None` before that is known, and for a queue that has not begun with the past.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn caught_up(&self, queue: &str) -> Result<Option<Position>, StoreError> {
        let progress = table::progress(&self.store, queue).await?;
        Ok(progress.and_then(|progress| progress.done).map(|(done, _)| done))
    }

    /// Notes where new queues begin, before they are there: a crash in between loses nothing.
    async fn begin(&self, queue: &Queue) -> Result<(), TransportError> {
        let name = &queue.name;
        if self.inner.has_queue(name).await? {
            tracing::info!(queue = %name, "the queue is there, and goes on where it was");
        } else {
            table::begin(&self.store, name, queue.start).await.map_err(transport_error)?;
        }
        self.shared.queues().insert(name.clone(), queue.clone());
        Ok(())
    }

    async fn start(&self, subscription: Subscription) -> Result<Deliveries, TransportError> {
        let name = subscription.queue.clone();
        let queue = self.shared.queues().get(&name).cloned();
        let Some(queue) = queue.filter(|_| !subscription.until_empty) else {
            return self.inner.subscribe(subscription).await;
        };
        let progress = table::progress(&self.store, &name).await.map_err(transport_error)?;
        let Some(progress) = progress else { return self.inner.subscribe(subscription).await };
        if !self.inner.has_queue(&name).await? {
            return Err(TransportError::Undeclared { queue: name });
        }
        let consumer = FIRST_CONSUMER + self.shared.last.fetch_add(1, Ordering::Relaxed);
        let hand = Arc::new(Hand::new(consumer, &name, progress.reached));
        self.shared.hands().insert(consumer, hand.clone());
        let (sender, receiver) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let (closed, when_closed) = oneshot::channel();
        let feed = Feed {
            inner: self.inner.clone(),
            store: self.store.clone(),
            owner: self.owner,
            queue,
            subscription,
            hand,
            sender,
            stopped,
            live: tokio::sync::Mutex::new(None),
        };
        let shared = self.shared.clone();
        tokio::spawn(async move {
            feed.run().await;
            shared.hands().remove(&consumer);
            drop(closed);
        });
        let cancel = move || {
            stop.send_replace(true);
        };
        Ok(Deliveries::new(receiver, cancel).with_closed(when_closed))
    }

    async fn settle_past(
        &self,
        hand: &Hand,
        delivery: &Delivery,
        settlement: Settlement,
    ) -> Result<(), TransportError> {
        let past = hand.take(delivery.tag).ok_or(TransportError::Stale)?;
        match settlement {
            Settlement::Requeue => hand.later(past, Duration::ZERO, Headers::new()),
            Settlement::Retry { after, headers } => hand.later(past, after, headers),
            Settlement::Park { headers } => {
                if let Err(error) = self.park(hand, &past, headers).await {
                    hand.put_back(delivery.tag, past);
                    return Err(error);
                }
                hand.settled(&past);
            }
            _ => hand.settled(&past),
        }
        Ok(())
    }

    async fn park(&self, hand: &Hand, past: &Past, noted: Headers) -> Result<(), TransportError> {
        let dead = self.shared.queues().get(hand.queue()).and_then(|it| it.dead_letters.clone());
        let Some(dead) = dead else { return Ok(()) };
        let mut message = past.message.clone();
        message.headers.extend(noted);
        self.inner.forward(message, Destination::Queue(dead)).await
    }
}

impl std::fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatchUp").field("store", self.store.url()).finish_non_exhaustive()
    }
}

impl Transport for CatchUp {
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(async move {
            if !self.inner.keeps_history() {
                for queue in topology.queues.iter().filter(|it| it.start != Start::Now) {
                    self.begin(queue).await?;
                }
            }
            self.inner.declare(topology).await
        })
    }

    fn forward_run(&self, run: Vec<Verbatim>, queue: &str) -> BoxFuture<'_, Outcome> {
        self.inner.forward_run(run, queue)
    }

    fn publish(&self, message: Encoded) -> Confirm {
        self.inner.publish(message)
    }

    fn request(&self, message: Encoded) -> Request {
        self.inner.request(message)
    }

    fn answer(&self, command: &Delivery, body: Vec<u8>) -> Confirm {
        self.inner.answer(command, body)
    }

    fn forward(&self, message: Verbatim, to: Destination) -> Confirm {
        self.inner.forward(message, to)
    }

    fn subscribe(
        &self,
        subscription: Subscription,
    ) -> BoxFuture<'_, Result<Deliveries, TransportError>> {
        Box::pin(self.start(subscription))
    }

    fn is_current(&self, delivery: &Delivery) -> bool {
        match self.shared.hand(delivery) {
            Some(hand) => hand.holds(delivery.tag),
            None => self.inner.is_current(delivery),
        }
    }

    fn settle<'a>(
        &'a self,
        delivery: &'a Delivery,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        match self.shared.hand(delivery) {
            Some(hand) => {
                Box::pin(async move { self.settle_past(&hand, delivery, settlement).await })
            }
            None if delivery.tag.consumer >= FIRST_CONSUMER => {
                Box::pin(async { Err(TransportError::Stale) })
            }
            None => self.inner.settle(delivery, settlement),
        }
    }

    fn unrouted_queue(&self) -> Option<String> {
        self.inner.unrouted_queue()
    }

    fn keeps_history(&self) -> bool {
        true
    }

    fn has_queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, TransportError>> {
        self.inner.has_queue(name)
    }

    fn wants_reports(&self) -> bool {
        self.inner.wants_reports()
    }

    fn report(&self, reports: &[Report]) -> Confirm {
        self.inner.report(reports)
    }

    fn trouble(&self) -> Option<Trouble> {
        self.inner.trouble()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
