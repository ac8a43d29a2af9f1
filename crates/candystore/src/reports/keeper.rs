//! From the reports of subscribers into a store.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{Delivery, Queue, Report, Settlement, Subscription, Topology, Transport};
use tokio::time::{Instant, sleep, timeout};

use crate::{EventStore, RecordError, StoreError};

/// The most batches that are kept together.
const MOST: usize = 50;
/// How long they wait for more after the first.
const GATHER: Duration = Duration::from_millis(20);
/// How long to leave a store alone that has failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often to look for what is too old.
const LOOK: Duration = Duration::from_secs(60);

/// Keeps what subscribers on a broker report of their messages, as long as it runs.
///
/// It declares [`Queue::of_reports`]; subscribers report as long as that queue is there, and what they
/// report waits in it, up to its limit.
pub struct ReportKeeper {
    store: EventStore,
    transport: Arc<dyn Transport>,
    keep: Duration,
}

impl ReportKeeper {
    /// Keeps what is reported for so long; `None` if the environment says that nothing is to be kept
    /// (`BLOODBANK_REPORT_DAYS=0`).
    pub fn from_env(store: EventStore, transport: Arc<dyn Transport>) -> Option<Self> {
        let keep = crate::embedded::reports_from_env()?;
        Some(ReportKeeper { store, transport, keep })
    }

    /// Keeps what comes until `shutdown` is done.
    ///
    /// # Errors
    /// If the bus does not give us the queue, or has ended the consuming.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), RecordError> {
        let queue = Queue::of_reports();
        let name = queue.name.clone();
        self.transport.declare(&Topology::new().with_queue(queue)).await?;
        let mut deliveries = self.transport.subscribe(Subscription::new(&*name)).await?;
        tokio::pin!(shutdown);
        let mut looked = Instant::now();
        let ended = loop {
            let first = tokio::select! {
                biased;
                () = &mut shutdown => break Ok(()),
                first = deliveries.recv() => first,
                () = sleep(LOOK) => None,
            };
            if let Some(first) = first {
                let mut batch = vec![first];
                while batch.len() < MOST
                    && let Ok(Some(next)) = timeout(GATHER, deliveries.recv()).await
                {
                    batch.push(next);
                }
                self.keep(&batch).await;
            } else if looked.elapsed() < LOOK {
                break Err(RecordError::Ended { queue: name });
            }
            if looked.elapsed() >= LOOK {
                self.prune().await;
                looked = Instant::now();
            }
        };
        deliveries.close().await;
        ended
    }

    /// What cannot be kept is put back, for when it can.
    async fn keep(&self, batch: &[Delivery]) {
        let kept = self.store.keep_reports(batch.iter().flat_map(read).collect()).await;
        let settlement = match kept {
            Ok(()) => Settlement::Ack,
            Err(error) => {
                tracing::warn!(%error, "what became of messages is not kept for the moment");
                sleep(PAUSE).await;
                match error {
                    StoreError::Closed => return,
                    _ => Settlement::Requeue,
                }
            }
        };
        for delivery in batch {
            // What cannot be settled any more comes again.
            let _ = self.transport.settle(delivery, settlement.clone()).await;
        }
    }

    async fn prune(&self) {
        if let Err(error) = self.store.prune_reports(self.keep).await {
            tracing::warn!(%error, "old reports of what became of messages are not removed");
        }
    }
}

fn read(delivery: &Delivery) -> Vec<Report> {
    let reports = Report::read(&delivery.body);
    reports.unwrap_or_else(|| {
        tracing::warn!(queue = %delivery.queue, "a message is not a list of reports, and is dropped");
        Vec::new()
    })
}

impl std::fmt::Debug for ReportKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportKeeper").field("keep", &self.keep).finish_non_exhaustive()
    }
}
