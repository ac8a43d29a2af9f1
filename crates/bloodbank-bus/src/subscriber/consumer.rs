//! The consumer of one queue: it hands out deliveries, each to a task of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::pin;
use tokio::task::{JoinHandle, JoinSet};
use tracing::error;

use super::chains::{self, Partition};
use super::plan::Role;
use super::relay;
use super::worker::{Shared, Worker};
use crate::{Deliveries, Delivery, RetryPolicy, Subscription, TransportError};

/// The consumer of one queue.
pub(super) struct Consumer {
    worker: Arc<Worker>,
    intake: Intake,
    /// Watches for handlers that run long.
    watching: JoinSet<()>,
}

/// Whether deliveries are still taken.
enum Intake {
    Open(JoinHandle<Rest>),
    Ended(Rest),
    /// Its task is gone, and with it everything.
    Lost,
}

/// What is left when nothing new is taken.
pub(super) struct Rest {
    /// `None` if they are closed.
    pub(super) deliveries: Option<Deliveries>,
    pub(super) tasks: JoinSet<()>,
}

impl Consumer {
    pub(super) async fn start(
        shared: Arc<Shared>,
        queue: String,
        retry: RetryPolicy,
        role: Role,
    ) -> Result<Self, TransportError> {
        let batch = u16::try_from(shared.handlers.largest_batch()).unwrap_or(u16::MAX);
        let mut prefetch = shared.options.prefetch().max(batch);
        if role.is_ordered() {
            prefetch = prefetch.min(Subscription::MOST_IN_ORDER);
        }
        let subscription = Subscription::new(&*queue).with_prefetch(prefetch);
        let deliveries = shared.transport.subscribe(subscription.clone()).await?;
        let worker = match &role {
            Role::Partition(partitions, _) => {
                // In each partition as many keys side by side as there can be messages.
                let places = usize::from(Subscription::MOST_IN_ORDER);
                let slots = partitions.slots.clone();
                Worker::in_order(shared, queue, retry).with_places(places).with_slots(slots)
            }
            Role::Plain => Worker::new(shared, queue, retry),
            Role::InOrder | Role::Relay(_) => Worker::in_order(shared, queue, retry),
        };
        let worker = Arc::new(worker);
        let mut watching = JoinSet::new();
        let watched = worker.clone();
        watching.spawn(async move { watched.watch().await });
        let same = worker.clone();
        let intake = Intake::Open(match role {
            Role::Plain | Role::InOrder => tokio::spawn(hand_out(same, deliveries)),
            Role::Relay(partitions) => {
                tokio::spawn(relay::pass_on_all(same, partitions, deliveries))
            }
            Role::Partition(partitions, number) => {
                let partition = Partition { partitions, number, subscription };
                tokio::spawn(chains::follow_all(same, partition, deliveries))
            }
        });
        Ok(Consumer { worker, intake, watching })
    }

    /// Waits until nothing new is taken and everything that was taken is done with. Safe to drop
    /// before it is done.
    pub(super) async fn finish(&mut self) {
        if let Intake::Open(handing_out) = &mut self.intake {
            self.intake = match handing_out.await {
                Ok(rest) => Intake::Ended(rest),
                Err(_) => Intake::Lost,
            };
        }
        if let Intake::Ended(rest) = &mut self.intake {
            while rest.tasks.join_next().await.is_some() {}
        }
    }

    pub(super) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// How many messages are being handled.
    pub(super) fn working(&self) -> usize {
        self.worker.working()
    }

    /// Ends handlers that are left, and gives back what they have not settled.
    pub(super) async fn close(self) {
        let rest = match self.intake {
            Intake::Open(handing_out) => handing_out.await.ok(),
            Intake::Ended(rest) => Some(rest),
            Intake::Lost => None,
        };
        if let Some(Rest { deliveries, mut tasks }) = rest {
            tasks.shutdown().await;
            if let Some(deliveries) = deliveries {
                deliveries.close().await;
            }
        }
        drop(self.watching);
    }
}

/// Waits until a consumer takes nothing new any more, and says on which queue.
pub(super) async fn first_to_end(consumers: &mut [Consumer]) -> String {
    std::future::poll_fn(|context| {
        for consumer in consumers.iter_mut() {
            let Intake::Open(handing_out) = &mut consumer.intake else { continue };
            if let Poll::Ready(ended) = Pin::new(handing_out).poll(context) {
                consumer.intake = ended.map_or(Intake::Lost, Intake::Ended);
                return Poll::Ready(consumer.worker.queue().to_owned());
            }
        }
        Poll::Pending
    })
    .await
}

/// Gives each delivery a task once a handler may begin, in order, until the shutdown or the end of the
/// deliveries. A message that must wait gives up its place to the next.
async fn hand_out(worker: Arc<Worker>, mut deliveries: Deliveries) -> Rest {
    let mut stopped = worker.stopped();
    let stopped = stopped.wait_for(|stopped| *stopped);
    pin!(stopped);
    let mut tasks = JoinSet::new();
    // The next message, which waits for a place. No place waits for a message: others need it.
    let mut next: Option<Delivery> = None;
    loop {
        let place = tokio::select! {
            biased;
            _ = &mut stopped => break,
            place = worker.place(), if next.is_some() => place,
            Some(done) = tasks.join_next() => match done {
                Ok(()) => continue,
                // Handlers' panics are caught before.
                Err(error) => {
                    error!(%error, queue = worker.queue(), "a message was dropped in the middle");
                    break;
                }
            },
            delivery = deliveries.recv(), if next.is_none() => match delivery {
                Some(delivery) => {
                    next = Some(delivery);
                    continue;
                }
                None => break,
            }
        };
        let (Some(delivery), Some(place)) = (next.take(), place) else { break };
        let turn = worker.turn(&delivery.key).await;
        tasks.spawn(worker.clone().work(delivery, turn, place));
    }
    worker.begin_no_more();
    Rest { deliveries: Some(deliveries), tasks }
}
