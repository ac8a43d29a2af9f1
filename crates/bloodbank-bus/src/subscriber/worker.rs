//! What is done with one message, from its queue through its handler to its end.

mod attempt;
mod claim;
mod conclude;
mod in_place;
mod places;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bloodbank_core::{Envelope, LiveContracts};
use chrono::Utc;
use tokio::sync::{Semaphore, watch};
use tokio::time::{self, sleep};
use tracing::{Instrument, debug, error_span};

use self::attempt::Attempted;
use self::claim::name_of;
use self::places::Permits;
pub(super) use self::places::{Place, Turn};
use super::Options;
use super::call::Calling;
use super::handlers::Handlers;
use super::reporter::Reporter;
use crate::metrics::QueueMetrics;
use crate::reading::{Escaped, Fault};
use crate::{Answer, Claim, Delivery, Next, Reason, RetryPolicy, Settlement, Transport};

/// How long to wait before something that failed for now is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// How often a message may be lost with its consumer before it is parked.
const MOST_LOST: u32 = 20;

/// What all workers of a subscriber use.
pub(super) struct Shared {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) contracts: LiveContracts,
    pub(super) handlers: Handlers,
    /// What stands around all handlers.
    pub(super) layers: Option<Next>,
    pub(super) options: Options,
    /// Whether the memory of what was handled has failed of late.
    pub(super) dedup_fails: AtomicBool,
    /// True once nothing new is to be taken.
    pub(super) stopped: watch::Receiver<bool>,
    /// Tells what became of messages.
    pub(super) reporter: Reporter,
}

/// Handles the messages of one queue.
pub(super) struct Worker {
    shared: Arc<Shared>,
    queue: String,
    metrics: QueueMetrics,
    /// When its messages are tried again.
    retry: RetryPolicy,
    /// Whether its messages keep their order, so that one that failed is tried again in place.
    is_ordered: bool,
    /// As many as handlers may run at a time. Closed when none may begin any more.
    places: Arc<Semaphore>,
    /// Where messages wait in their places: as many as handlers may run at a time.
    slots: Arc<Semaphore>,
    /// How many messages are being handled.
    working: AtomicUsize,
    calling: Calling,
}

/// What is to be done with a message after a look at it.
enum Step {
    /// The delivery as the last attempt knew it.
    Settle(Arc<Delivery>, Settlement),
    /// Nothing: it goes back with what came after it, in order, when the consumer is closed.
    Leave,
    /// Somebody else is at it: it is looked at again after a pause.
    Wait,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, queue: String, retry: RetryPolicy) -> Self {
        let places = shared.options.concurrency.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(places));
        let metrics = QueueMetrics::new(&queue);
        let calling = Calling::new(shared.options.timeout);
        let working = AtomicUsize::new(0);
        let slots = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let is_ordered = false;
        Worker { shared, queue, metrics, retry, is_ordered, places, slots, working, calling }
    }

    /// A worker that handles one message after the other.
    pub(super) fn in_order(shared: Arc<Shared>, queue: String, retry: RetryPolicy) -> Self {
        Worker { is_ordered: true, ..Worker::new(shared, queue, retry) }.with_places(1)
    }

    /// So many messages may be begun with at a time.
    pub(super) fn with_places(mut self, places: usize) -> Self {
        self.places = Arc::new(Semaphore::new(places));
        self
    }

    /// As many handlers as this has room for may run at a time, beside those of others.
    pub(super) fn with_slots(mut self, slots: Arc<Semaphore>) -> Self {
        self.slots = slots;
        self
    }

    pub(super) fn transport(&self) -> &dyn Transport {
        &*self.shared.transport
    }

    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// How many messages are being handled.
    pub(super) fn working(&self) -> usize {
        self.working.load(Ordering::Relaxed)
    }

    /// How long the oldest handler has been running.
    pub(super) fn oldest_handler(&self) -> Option<Duration> {
        self.calling.running.oldest()
    }

    /// Whether its messages keep their order.
    pub(super) fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    /// True once nothing new is to be taken.
    pub(super) fn stopped(&self) -> watch::Receiver<bool> {
        self.shared.stopped.clone()
    }

    /// Tells of handlers that run long, for ever.
    pub(super) async fn watch(&self) {
        self.calling.running.watch(&self.queue, &self.metrics).await;
    }

    /// Handles a message. While it waits for others it takes nobody's place.
    pub(super) async fn work(self: Arc<Self>, delivery: Delivery, turn: Turn, place: Place) {
        let delivery = Arc::new(delivery);
        self.metrics.received.increment(1);
        self.metrics.size.record(delivery.body.len() as f64);
        let mut permits = self.enter(&delivery.key, turn, Some(place)).await;
        while let Some(taken) = permits {
            if !self.shared.transport.is_current(&delivery) {
                return debug!(queue = %delivery.queue, "its connection is gone; it comes again");
            }
            let is_done = self.process(&delivery, taken).await;
            if is_done || Box::pin(self.pause(PAUSE)).await.is_none() {
                return;
            }
            let turn = self.turn(&delivery.key).await;
            permits = self.enter(&delivery.key, turn, None).await;
        }
    }

    /// Whether a message is done with.
    async fn process(&self, delivery: &Arc<Delivery>, taken: Permits) -> bool {
        self.working.fetch_add(1, Ordering::Relaxed);
        self.metrics.in_process.increment(1);
        let since = Instant::now();
        let step = self.look_at(delivery).await;
        // Others may begin while it is settled, but where an order is kept.
        let taken = self.is_ordered.then_some(taken);
        let is_done = !matches!(step, Step::Wait);
        if let Step::Settle(delivery, settlement) = step {
            let report = self.shared.reporter.report(&delivery, &settlement);
            if self.settle(&delivery, settlement).await {
                self.shared.reporter.send(report);
            }
        }
        drop(taken);
        if is_done {
            self.metrics.duration.record(since.elapsed().as_secs_f64());
        }
        self.metrics.in_process.decrement(1);
        self.working.fetch_sub(1, Ordering::Relaxed);
        is_done
    }

    async fn look_at(&self, delivery: &Arc<Delivery>) -> Step {
        match delivery.envelope() {
            Ok(envelope) => {
                let envelope = Arc::clone(envelope);
                let lag = Utc::now().signed_duration_since(envelope.timestamp);
                self.metrics.lag.set(lag.num_milliseconds() as f64 / 1_000.0);
                // Of the highest level, so that every line names its message, however little is logged.
                let span = error_span!(
                    "handle",
                    id = %envelope.id,
                    key = %Escaped(&envelope.event_type),
                    correlation_id = envelope.correlation_id.map(tracing::field::display),
                    traceparent = envelope.traceparent,
                    attempt = delivery.attempt,
                    queue = %delivery.queue,
                );
                self.handle(envelope, delivery).instrument(span).await
            }
            Err(error) => {
                let fault = Fault::from(error.clone());
                let key = Escaped(&*delivery.key);
                let span = error_span!("handle", %key, queue = %delivery.queue);
                let parked = Box::pin(self.park_fault(delivery, &fault)).instrument(span).await;
                Step::Settle(delivery.clone(), parked)
            }
        }
    }

    async fn handle(&self, envelope: Arc<Envelope>, delivery: &Arc<Delivery>) -> Step {
        let (name, since) = (name_of(&envelope, delivery), time::Instant::now());
        match self.claim(&name).await {
            None => return Step::Leave,
            Some(Claim::Done(answer)) => {
                let skipped = Box::pin(self.skip(delivery, answer)).await;
                return Step::Settle(delivery.clone(), skipped);
            }
            Some(Claim::Busy) => return Step::Wait,
            Some(Claim::New) => {}
        }
        // Only now: where this process is still at it, its connection was cut and nothing was lost.
        if delivery.lost > MOST_LOST {
            self.release(&name).await;
            let lost = lost_too_often(delivery);
            let parked = self.park(delivery, Reason::DeliveryLimit, &lost);
            return Step::Settle(delivery.clone(), parked);
        }
        let attempted = tokio::select! {
            // A handler that is done at once needs no timer.
            biased;
            attempted = self.attempt_all(envelope, delivery, since) => attempted,
            never = self.keep_claim(&name) => match never {},
        };
        let Some(Attempted { outcome, told, delivery }) = attempted else {
            self.release(&name).await;
            return Step::Leave;
        };
        let settlement = match outcome {
            Ok(handled) => self.conclude(&name, handled, told, &delivery).await,
            Err(fault) => {
                self.release(&name).await;
                Box::pin(self.park_fault(&delivery, &fault)).await
            }
        };
        Step::Settle(delivery, settlement)
    }

    /// What was handled before is not handled again; whoever calls is told what came of it.
    async fn skip(&self, delivery: &Delivery, answer: Option<Arc<[u8]>>) -> Settlement {
        debug!("handled before");
        self.metrics.duplicates.increment(1);
        self.metrics.processed("skipped");
        if delivery.reply_to.is_some() {
            let unknown = || Answer::Error("handled before, and not as a call".to_owned());
            let answer = answer.map(|answer| answer.to_vec());
            let answer = answer.or_else(|| serde_json::to_vec(&unknown()).ok());
            self.reply(delivery, answer.unwrap_or_default()).await;
        }
        Settlement::Drop { reason: "it was handled before".to_owned() }
    }

    /// Waits; `None` on shutdown.
    pub(super) async fn pause(&self, time: Duration) -> Option<()> {
        let mut stopped = self.shared.stopped.clone();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => None,
            () = sleep(time) => Some(()),
        }
    }
}

fn lost_too_often(delivery: &Delivery) -> String {
    let lost = delivery.lost;
    format!(
        "its consumer was lost {lost} times before the message was settled; it was handled alone all \
         but the first times"
    )
}
