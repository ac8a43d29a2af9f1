//! From a queue to its partitions, in order.
//!
//! One process at a time has the queue, and passes each message on to the partition of its key: all that
//! has come of a key as one run, and the next run when that one is confirmed, so that none can overtake one
//! that must be sent again. What a process passes on and does not acknowledge is passed on once more by the
//! next one; by then the first copies lie in the partitions in their order, so that the second ones change
//! nothing but cost a look.

use std::sync::Arc;

use tokio::pin;
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::chains::Chains;
use super::consumer::Rest;
use super::partitions::Partitions;
use super::worker::{PAUSE, Worker};
use crate::{Deliveries, Delivery, Settlement, TransportError, Verbatim};

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

/// Passes on the messages of a key, run by run, until there are no more.
async fn pass_on(
    worker: Arc<Worker>,
    partitions: Arc<Partitions>,
    chains: Arc<Chains>,
    key: Arc<str>,
) {
    let Some(queue) = partitions.of(&key) else { return };
    loop {
        let run = chains.next_run(&key);
        if run.is_empty() || pass_on_run(&worker, run, queue).await.is_none() {
            return;
        }
    }
}

/// Passes on one run, as often as it takes, and message by message after a failure: one that cannot be
/// passed on holds up only those behind it. `None` on shutdown.
async fn pass_on_run(worker: &Worker, mut run: Vec<Delivery>, queue: &str) -> Option<()> {
    let mut most = run.len();
    while !run.is_empty() {
        if *worker.stopped().borrow() {
            return None;
        }
        // The others come again, and all after them.
        run.retain(|delivery| worker.transport().is_current(delivery));
        let messages: Vec<Verbatim> = run.iter().take(most).map(Verbatim::of).collect();
        let count = messages.len();
        match worker.transport().forward_run(messages, queue).await {
            Ok(()) => {
                for delivery in run.drain(..count) {
                    worker.settle(&delivery, Settlement::Ack).await;
                }
            }
            Err(TransportError::Closed) => return None,
            Err(error) => {
                warn!(%error, from = worker.queue(), to = queue, messages = run.len(), "not passed on yet");
                worker.pause(PAUSE).await?;
                most = 1;
            }
        }
    }
    Some(())
}
