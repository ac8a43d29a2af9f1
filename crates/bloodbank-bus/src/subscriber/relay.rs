//! From a queue to its partitions, in order.
//!
//! One process at a time has the queue, and passes each message on to the partition of its key. Of one
//! key only one message at a time is under way: none can overtake one that must be sent again. What a
//! process passes on and does not acknowledge is passed on once more by the next one; by then the first
//! copies lie in the partitions in their order, so that the second ones change nothing but cost a look.

use std::sync::Arc;

use tokio::pin;
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::chains::Chains;
use super::consumer::Rest;
use super::partitions::Partitions;
use super::worker::{PAUSE, Worker};
use crate::{Deliveries, Destination, Settlement, TransportError, Verbatim};

/// Passes on what comes, until the shutdown or the end of the deliveries.
pub(super) async fn pass_on_all(
    worker: Arc<Worker>,
    partitions: Arc<Partitions>,
    mut deliveries: Deliveries,
) -> Rest {
    let mut stopped = worker.stopped();
    let stopped = stopped.wait_for(|stopped| *stopped);
    pin!(stopped);
    let mut tasks = JoinSet::new();
    // They hold no more than what the queue gives ahead.
    let chains = Arc::new(Chains::default());
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(done) = tasks.join_next() => {
                if let Err(error) = done {
                    error!(%error, queue = worker.queue(), "a key is not passed on any more");
                    break;
                }
            }
            delivery = deliveries.recv() => {
                let Some(delivery) = delivery else { break };
                let key = partitions.key_of(&delivery);
                if chains.add(&key, delivery) {
                    let (worker, partitions) = (worker.clone(), partitions.clone());
                    tasks.spawn(pass_on(worker, partitions, chains.clone(), key));
                }
            }
        }
    }
    Rest { deliveries: Some(deliveries), tasks }
}

/// Passes on the messages of a key, one after the other, until there are no more.
async fn pass_on(
    worker: Arc<Worker>,
    partitions: Arc<Partitions>,
    chains: Arc<Chains>,
    key: Arc<str>,
) {
    let Some(queue) = partitions.of(&key) else { return };
    while let Some(delivery) = chains.next(&key) {
        let mut is_sent = false;
        while !is_sent {
            if *worker.stopped().borrow() {
                return;
            }
            if !worker.transport().is_current(&delivery) {
                // It comes again, and all after it.
                break;
            }
            let message = Verbatim::of(&delivery);
            match worker.transport().forward(message, Destination::queue(queue)).await {
                Ok(()) => is_sent = true,
                Err(TransportError::Closed) => return,
                Err(error) => {
                    warn!(%error, from = %delivery.queue, to = %queue, "not passed on yet");
                    if worker.pause(PAUSE).await.is_none() {
                        return;
                    }
                }
            }
        }
        if is_sent {
            worker.settle(&delivery, Settlement::Ack).await;
        }
    }
}
