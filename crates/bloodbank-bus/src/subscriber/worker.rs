//! Workers: one message after the other, from the queue through its handler to its end.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bloodbank_core::{Envelope, LiveContracts};
use chrono::Utc;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{Instrument, debug, error, info_span, warn};

use super::Options;
use super::handlers::{Handled, Handlers, Incoming};
use crate::metrics::QueueMetrics;
use crate::reading::{self, Fault};
use crate::{
    Answer, Claim, Deliveries, Delivery, Reason, RetryPolicy, Settlement, Subscription, Transport,
    TransportError, Verdict, expiry, headers,
};

/// How long to wait before something that failed for now is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest of these waits, after many failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a claim on a message is renewed while it is handled.
const RENEWAL: Duration = Duration::from_secs(20);
/// RabbitMQ's quorum queues put back more than 32 messages of a lost consumer in any order.
const MOST_IN_ORDER: u16 = 32;

/// What all workers of a subscriber use.
pub(super) struct Shared {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) contracts: LiveContracts,
    pub(super) handlers: Handlers,
    pub(super) options: Options,
    /// True once nothing new is to be taken.
    pub(super) stopped: watch::Receiver<bool>,
}

/// The workers on one queue.
pub(super) struct Consumer {
    queue: String,
    deliveries: Arc<Mutex<Deliveries>>,
    workers: JoinSet<()>,
    working: Arc<AtomicUsize>,
}

impl Consumer {
    pub(super) async fn start(
        shared: Arc<Shared>,
        queue: String,
        retry: RetryPolicy,
    ) -> Result<Self, TransportError> {
        let mut prefetch = shared.options.prefetch;
        if shared.options.strict_order {
            prefetch = prefetch.min(MOST_IN_ORDER);
        }
        let subscription = Subscription::new(&*queue).with_prefetch(prefetch);
        let deliveries = shared.transport.subscribe(subscription).await?;
        let deliveries = Arc::new(Mutex::new(deliveries));
        let count = if shared.options.strict_order { 1 } else { shared.options.concurrency };
        let metrics = Arc::new(QueueMetrics::new(&queue));
        let retry = Arc::new(retry);
        let working = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..count {
            let worker =
                Worker { shared: shared.clone(), metrics: metrics.clone(), retry: retry.clone() };
            workers.spawn(worker.run(deliveries.clone(), working.clone()));
        }
        Ok(Consumer { queue, deliveries, workers, working })
    }

    /// Waits for all workers.
    pub(super) async fn finish(&mut self) {
        while self.workers.join_next().await.is_some() {}
    }

    /// How many messages are being handled.
    pub(super) fn working(&self) -> usize {
        self.working.load(Ordering::Relaxed)
    }

    /// Ends workers that are left, and gives back what they have not settled.
    pub(super) async fn close(mut self) {
        self.workers.shutdown().await;
        if let Some(deliveries) = Arc::into_inner(self.deliveries) {
            deliveries.into_inner().close().await;
        }
    }
}

/// Waits until a worker has ended by itself, and says on which queue.
pub(super) async fn first_to_end(consumers: &mut [Consumer]) -> String {
    std::future::poll_fn(|context| {
        for consumer in consumers.iter_mut() {
            if let Poll::Ready(Some(_)) = consumer.workers.poll_join_next(context) {
                return Poll::Ready(consumer.queue.clone());
            }
        }
        Poll::Pending
    })
    .await
}

struct Worker {
    shared: Arc<Shared>,
    metrics: Arc<QueueMetrics>,
    /// When messages of its queue are tried again.
    retry: Arc<RetryPolicy>,
}

impl Worker {
    async fn run(self, deliveries: Arc<Mutex<Deliveries>>, working: Arc<AtomicUsize>) {
        let mut stopped = self.shared.stopped.clone();
        let next = || async { deliveries.lock().await.recv().await };
        loop {
            let delivery = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                delivery = next() => delivery,
            };
            let Some(delivery) = delivery else { return };
            working.fetch_add(1, Ordering::Relaxed);
            self.metrics.in_process.increment(1);
            let since = Instant::now();
            self.process(delivery).await;
            self.metrics.duration.record(since.elapsed().as_secs_f64());
            self.metrics.in_process.decrement(1);
            working.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn process(&self, delivery: Delivery) {
        self.metrics.received.increment(1);
        self.metrics.size.record(delivery.body.len() as f64);
        if !self.shared.transport.is_current(&delivery) {
            return debug!(queue = %delivery.queue, "its connection is gone; it comes again");
        }
        let delivery = Arc::new(delivery);
        let settlement = match delivery.envelope() {
            Ok(envelope) => {
                let envelope = Arc::clone(envelope);
                let lag = Utc::now().signed_duration_since(envelope.timestamp);
                self.metrics.lag.set(lag.num_milliseconds() as f64 / 1_000.0);
                let span = info_span!(
                    "handle",
                    id = %envelope.id,
                    key = %envelope.event_type,
                    correlation_id = envelope.correlation_id.map(tracing::field::display),
                    traceparent = envelope.traceparent,
                    attempt = delivery.attempt,
                    queue = %delivery.queue,
                );
                self.handle(envelope, &delivery).instrument(span).await
            }
            Err(error) => {
                let fault = Fault::from(error.clone());
                let span = info_span!("handle", key = %delivery.key, queue = %delivery.queue);
                Some(self.park_fault(&delivery, &fault).instrument(span).await)
            }
        };
        if let Some(settlement) = settlement {
            self.settle(&delivery, settlement).await;
        }
    }

    /// What is to become of a message; `None` if it is to stay where it is.
    async fn handle(
        &self,
        envelope: Arc<Envelope>,
        delivery: &Arc<Delivery>,
    ) -> Option<Settlement> {
        let name = name_of(&envelope, delivery);
        match self.claim(&name).await? {
            Claim::Done(answer) => {
                debug!("handled before");
                self.metrics.duplicates.increment(1);
                self.metrics.processed("skipped");
                if delivery.reply_to.is_some() {
                    let unknown = || Answer::Error("handled before, and not as a call".to_owned());
                    let answer = answer.map(|answer| answer.to_vec());
                    let answer = answer.or_else(|| serde_json::to_vec(&unknown()).ok());
                    self.reply(delivery, answer.unwrap_or_default()).await;
                }
                return Some(Settlement::Ack);
            }
            Claim::New | Claim::Busy => {}
        }
        let attempted = tokio::select! {
            attempted = self.attempt_all(envelope, delivery) => attempted,
            never = self.keep_claim(&name) => match never {},
        };
        match attempted {
            Ok(Some((handled, last))) => Some(self.conclude(&name, handled, &last).await),
            // It goes back with what came after it, in order, when the consumer is closed.
            Ok(None) => {
                self.release(&name).await;
                None
            }
            Err(fault) => {
                self.release(&name).await;
                Some(self.park_fault(delivery, &fault).await)
            }
        }
    }

    /// As many attempts as are made without letting go, and the delivery as the last one saw it;
    /// `None` on shutdown.
    async fn attempt_all(
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

    /// Says again and again that somebody is at it.
    async fn keep_claim(&self, name: &str) -> Infallible {
        loop {
            sleep(RENEWAL).await;
            if let Err(error) = self.shared.options.dedup.renew(name).await {
                warn!(%error, "another worker may take up what is being handled");
            }
        }
    }

    /// Waits while another worker is at the same message; `None` on shutdown.
    async fn claim(&self, name: &str) -> Option<Claim> {
        loop {
            match self.shared.options.dedup.begin(name).await {
                Ok(Claim::Busy) => {}
                Ok(claim) => return Some(claim),
                Err(error) => {
                    warn!(%error, "a message is handled without a look at what was handled before");
                    return Some(Claim::New);
                }
            }
            self.pause(PAUSE).await?;
        }
    }

    async fn finish(&self, name: &str, answer: Option<Vec<u8>>) {
        let finished = self.shared.options.dedup.finish(name, answer.map(Into::into)).await;
        if let Err(error) = finished {
            warn!(%error, "a message that was handled may be handled again");
        }
    }

    async fn release(&self, name: &str) {
        if let Err(error) = self.shared.options.dedup.release(name).await {
            warn!(%error, "a message that was not handled may be taken for one that is");
        }
    }

    /// One call of the handler; a panic is a failure.
    async fn attempt(
        &self,
        envelope: Arc<Envelope>,
        delivery: &Arc<Delivery>,
    ) -> Result<Handled, Fault> {
        let Some(handler) = self.shared.handlers.find(&envelope.event_type) else {
            if self.shared.options.skip_others {
                return Ok(Handled { verdict: Verdict::Done, answer: None });
            }
            return Err(Fault::NoHandler(envelope.event_type.clone()));
        };
        expiry::check(delivery)?;
        let contracts = self.shared.contracts.current();
        let mut running = handler(Incoming { contracts, envelope, delivery: delivery.clone() });
        let caught = std::future::poll_fn(move |context| {
            std::panic::catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context)))
                .map_or_else(|panic| Poll::Ready(Err(panic)), |poll| poll.map(Ok))
        });
        caught.await.unwrap_or_else(|panic| {
            let reason = format!("the handler panicked: {}", words_of(&*panic));
            let answer = Some(Answer::Error(reason.clone()));
            Ok(Handled { verdict: Verdict::Retry(reason), answer })
        })
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
            let handled = self.attempt(envelope.clone(), &delivery).await?;
            let (Verdict::Retry(reason), None) = (&handled.verdict, &delivery.reply_to) else {
                return Ok(Some((handled, delivery)));
            };
            let Some(after) = self.retry.after(delivery.attempt) else {
                return Ok(Some((handled, delivery)));
            };
            warn!(attempt = delivery.attempt, error = %reason, "tried again in {after:?}");
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

    /// From what the handler said to what becomes of the message.
    async fn conclude(&self, name: &str, handled: Handled, delivery: &Delivery) -> Settlement {
        let Handled { verdict, answer } = handled;
        let answer = answer.and_then(|answer| serde_json::to_vec(&answer).ok());
        // Who calls is told of a failure at once, and decides whether to call again.
        let called = delivery.reply_to.is_some();
        let told = match &answer {
            Some(answer) if called => {
                self.reply(delivery, answer.clone()).await && !is_late(delivery)
            }
            _ => false,
        };
        let retry = &self.retry;
        match verdict {
            Verdict::Done | Verdict::Drop(_) => {
                // Whoever sends it again is answered as whoever called.
                self.finish(name, answer.filter(|_| called)).await;
            }
            _ => self.release(name).await,
        }
        match verdict {
            Verdict::Done => {
                self.metrics.processed("acked");
                Settlement::Ack
            }
            Verdict::Retry(reason) if told => {
                warn!(error = %reason, "the caller was told of a failure");
                self.metrics.processed("dropped");
                Settlement::Ack
            }
            Verdict::Retry(reason) => match retry.after(delivery.attempt) {
                Some(after) if !self.shared.options.strict_order => {
                    warn!(error = %reason, "tried again in {after:?}");
                    self.metrics.retries.increment(1);
                    self.metrics.processed("retried");
                    Settlement::Retry { after, headers: reading::retrying(delivery, &reason) }
                }
                _ => self.park(delivery, Reason::Exhausted, &reason),
            },
            Verdict::Park(reason) => self.park(delivery, Reason::Parked, &reason),
            Verdict::Drop(reason) => {
                warn!(%reason, "dropped");
                self.metrics.processed("dropped");
                Settlement::Ack
            }
        }
    }

    fn park(&self, delivery: &Delivery, reason: Reason, error: &str) -> Settlement {
        error!(%reason, %error, "parked");
        self.parking(delivery, reason, error)
    }

    fn parking(&self, delivery: &Delivery, reason: Reason, error: &str) -> Settlement {
        self.metrics.parked(reason.as_str());
        self.metrics.processed("parked");
        Settlement::Park { headers: reading::parking(delivery, reason, error) }
    }

    /// Parks what no handler can take, and tells whoever called.
    async fn park_fault(&self, delivery: &Delivery, fault: &Fault) -> Settlement {
        if delivery.reply_to.is_some()
            && let Ok(answer) = serde_json::to_vec(&Answer::Error(fault.to_string()))
        {
            self.reply(delivery, answer).await;
        }
        error!(reason = %fault.reason(), error = fault.without_payload(), "parked");
        self.parking(delivery, fault.reason(), &fault.to_string())
    }

    /// Whether whoever called was told.
    async fn reply(&self, delivery: &Delivery, answer: Vec<u8>) -> bool {
        match self.shared.transport.answer(delivery, answer).await {
            Ok(()) => true,
            Err(error) => {
                warn!(%error, "nobody was told");
                false
            }
        }
    }

    /// Settles until it is settled; what cannot be put where it should go stays in the queue.
    async fn settle(&self, delivery: &Delivery, settlement: Settlement) {
        let mut pause = PAUSE;
        loop {
            match self.shared.transport.settle(delivery, settlement.clone()).await {
                Ok(()) => return,
                Err(TransportError::Stale | TransportError::Closed) => {
                    debug!("settled too late: the message comes again");
                    return;
                }
                Err(error) => warn!(%error, queue = %delivery.queue, "not settled yet"),
            }
            if self.pause(pause).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits; `None` on shutdown.
    async fn pause(&self, time: Duration) -> Option<()> {
        let mut stopped = self.shared.stopped.clone();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => None,
            () = sleep(time) => Some(()),
        }
    }
}

/// A message on one queue; in a replay it is another one.
fn name_of(envelope: &Envelope, delivery: &Delivery) -> String {
    match headers::text(&delivery.headers, headers::REPLAY) {
        None => format!("{}/{}", delivery.queue, envelope.id),
        Some(replay) => format!("{}/{}/{replay}", delivery.queue, envelope.id),
    }
}

/// Whether the caller of a command has given up by now.
fn is_late(command: &Delivery) -> bool {
    let until = headers::time(&command.headers, headers::ANSWER_BY);
    until.is_some_and(|until| until < Utc::now())
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
