//! Workers: one message after the other, from the queue through its handler to its end.

mod attempt;
mod claim;
mod conclude;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bloodbank_core::{Envelope, LiveContracts};
use chrono::Utc;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tracing::{Instrument, debug, info_span};

use self::claim::name_of;
use super::Options;
use super::handlers::Handlers;
use crate::metrics::QueueMetrics;
use crate::reading::Fault;
use crate::{Answer, Claim, Deliveries, Delivery, RetryPolicy, Settlement, Transport};

/// How long to wait before something that failed for now is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// What all workers of a subscriber use.
pub(super) struct Shared {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) contracts: LiveContracts,
    pub(super) handlers: Handlers,
    pub(super) options: Options,
    /// True once nothing new is to be taken.
    pub(super) stopped: watch::Receiver<bool>,
}
/// One of the workers on a queue.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: Arc<QueueMetrics>,
    /// When messages of its queue are tried again.
    pub(super) retry: Arc<RetryPolicy>,
}

impl Worker {
    pub(super) async fn run(self, deliveries: Arc<Mutex<Deliveries>>, working: Arc<AtomicUsize>) {
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
    /// Waits; `None` on shutdown.
    async fn pause(&self, time: Duration) -> Option<()> {
        let mut stopped = self.shared.stopped.clone();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => None,
            () = sleep(time) => Some(()),
        }
    }
}
