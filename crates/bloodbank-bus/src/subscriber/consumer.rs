//! The consumer of one queue: its deliveries, and the workers on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::worker::{Shared, Worker};
use crate::metrics::QueueMetrics;
use crate::{Deliveries, RetryPolicy, Subscription, TransportError};

/// RabbitMQ's quorum queues put back more than 32 messages of a lost consumer in any order.
const MOST_IN_ORDER: u16 = 32;

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
