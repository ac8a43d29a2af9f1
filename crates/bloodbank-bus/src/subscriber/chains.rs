//! The messages of one partition: those of a key one after the other, keys side by side.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::pin;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{error, warn};

use super::consumer::Rest;
use super::partitions::Partitions;
use super::worker::{PAUSE, Worker};
use crate::{Deliveries, Delivery, Subscription, TransportError};

/// After how long a process makes room for others that wait for a partition, at the earliest: the one
/// that was there first would have all of them for ever. Not more often, as RabbitMQ counts what was
/// taken ahead then as lost once more.
const TURN: Duration = Duration::from_secs(60);
/// How much later each partition does so than the one before, so that not all do at once.
const LATER: Duration = Duration::from_secs(1);
/// How long it waits then for what is being handled.
const MOST_WAIT: Duration = Duration::from_secs(2);

/// What one partition is consumed by.
pub(super) struct Partition {
    pub(super) partitions: Arc<Partitions>,
    pub(super) number: usize,
    pub(super) subscription: Subscription,
}

/// Handles what comes, until the shutdown or the end of the deliveries.
pub(super) async fn follow_all(
    worker: Arc<Worker>,
    partition: Partition,
    deliveries: Deliveries,
) -> Rest {
    let mut stopped = worker.stopped();
    let stopped = stopped.wait_for(|stopped| *stopped);
    pin!(stopped);
    let chains = Arc::new(Chains::default());
    let (mut tasks, mut deliveries) = (JoinSet::new(), Some(deliveries));
    let mut turn = Turn::new(partition.number);
    while let Some(open) = &mut deliveries {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(done) = tasks.join_next() => {
                // Handlers' panics are caught before.
                if let Err(error) = done {
                    error!(%error, queue = worker.queue(), "a message was dropped in the middle");
                    break;
                }
            }
            () = sleep_until(turn.until) => turn.is_over(),
            delivery = open.recv(), if !turn.is_ending => {
                let Some(delivery) = delivery else { break };
                turn.is_used = true;
                let key = partition.partitions.key_of(&delivery);
                if chains.add(&key, delivery) {
                    tasks.spawn(follow(worker.clone(), chains.clone(), key));
                }
            }
        }
        if turn.is_ending && tasks.is_empty() {
            deliveries = again(&worker, &partition, deliveries).await;
            turn = Turn::new(partition.number);
        }
    }
    worker.begin_no_more();
    Rest { deliveries, tasks }
}

/// Handles the messages of a key, until there are no more.
async fn follow(worker: Arc<Worker>, chains: Arc<Chains>, key: Arc<str>) {
    while let Some(delivery) = chains.next(&key) {
        let Some(place) = worker.place().await else { return };
        let turn = worker.turn(&delivery.key).await;
        Arc::clone(&worker).work(delivery, turn, place).await;
    }
}

/// Lets others have the partition, and waits for it anew; `None` on shutdown, or if it is gone.
async fn again(
    worker: &Worker,
    partition: &Partition,
    deliveries: Option<Deliveries>,
) -> Option<Deliveries> {
    deliveries?.close().await;
    loop {
        match worker.transport().subscribe(partition.subscription.clone()).await {
            Ok(deliveries) => return Some(deliveries),
            Err(TransportError::Closed | TransportError::Undeclared { .. }) => return None,
            Err(error) => warn!(%error, queue = worker.queue(), "not consumed at the moment"),
        }
        worker.pause(PAUSE).await?;
    }
}

/// How long a process has a partition.
struct Turn {
    until: Instant,
    /// Something came.
    is_used: bool,
    /// Nothing more is taken.
    is_ending: bool,
    length: Duration,
}

impl Turn {
    fn new(number: usize) -> Self {
        let length = TURN + LATER.saturating_mul(u32::try_from(number).unwrap_or_default());
        Turn { until: Instant::now() + length, is_used: false, is_ending: false, length }
    }

    fn is_over(&mut self) {
        // Where nothing comes nobody else has to do with it, and what takes long is not waited for.
        self.is_ending = self.is_used && !self.is_ending;
        let time = if self.is_ending { MOST_WAIT } else { self.length };
        self.until = Instant::now() + time;
    }
}

/// What waits behind the message of its key that is being handled or passed on.
#[derive(Default)]
pub(super) struct Chains(Mutex<HashMap<Arc<str>, VecDeque<Delivery>>>);

impl Chains {
    /// Adds a message at the end of its chain; true if the chain begins with it.
    pub(super) fn add(&self, key: &Arc<str>, delivery: Delivery) -> bool {
        let mut chains = self.lock();
        let begins = !chains.contains_key(key);
        chains.entry(key.clone()).or_default().push_back(delivery);
        begins
    }

    /// The next message of a chain; a chain without one is gone.
    pub(super) fn next(&self, key: &Arc<str>) -> Option<Delivery> {
        let mut chains = self.lock();
        let next = chains.get_mut(key)?.pop_front();
        if next.is_none() {
            chains.remove(key);
        }
        next
    }

    /// All messages of a chain; none if there are no more, and the chain is gone.
    pub(super) fn next_run(&self, key: &Arc<str>) -> Vec<Delivery> {
        let mut chains = self.lock();
        let Some(chain) = chains.get_mut(key) else { return Vec::new() };
        if chain.is_empty() {
            chains.remove(key);
            return Vec::new();
        }
        chain.drain(..).collect()
    }

    /// No code that holds the lock can leave a chain half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, VecDeque<Delivery>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
