//! From a queue to its partitions, in order.
//!
//! One process at a time has the queue, and passes each message on to the partition of its key. In one
//! partition only one message at a time is under way: none can overtake one that must be sent again. What
//! a process passes on and does not acknowledge is passed on once more by the next one; by then the first
//! copies lie in the partitions in their order, so that the second ones change nothing but cost a look.

use std::sync::Arc;

use tokio::pin;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::consumer::Rest;
use super::partitions::Partitions;
use super::worker::{PAUSE, Worker};
use crate::{Deliveries, Delivery, Destination, Settlement, TransportError, Verbatim};

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
    let lanes: Vec<mpsc::UnboundedSender<Delivery>> = (partitions.queues().iter())
        .map(|queue| {
            // No more than what the queue gives ahead.
            let (sender, receiver) = mpsc::unbounded_channel();
            tasks.spawn(pass_on(worker.clone(), queue.clone(), receiver));
            sender
        })
        .collect();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            _ = tasks.join_next() => {
                error!(queue = worker.queue(), "a partition gets nothing any more");
                break;
            }
            delivery = deliveries.recv() => {
                let Some(delivery) = delivery else { break };
                if let Some(lane) = lanes.get(partitions.of(&delivery)) {
                    // An error means that its task has ended, which is noticed next.
                    let _ = lane.send(delivery);
                }
            }
        }
    }
    Rest { deliveries: Some(deliveries), tasks }
}

/// Passes on what goes to one partition, one message after the other.
async fn pass_on(
    worker: Arc<Worker>,
    queue: String,
    mut deliveries: mpsc::UnboundedReceiver<Delivery>,
) {
    while let Some(delivery) = deliveries.recv().await {
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
            match worker.transport().forward(message, Destination::queue(&*queue)).await {
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
