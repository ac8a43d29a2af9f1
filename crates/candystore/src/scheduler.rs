//! Keeps messages until they are due, and sends them then.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Confirm, Deliveries, Delivery, Encoded, Queue, ReadBackError, Reason, Settlement, Subscription,
    Topology, Transport, Verbatim, headers,
};
use bloodbank_core::{Contracts, Kind, escape_control};
use chrono::{DateTime, Utc};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, warn};

use crate::scheduled::{Attempted, Scheduled};
use crate::{EventStore, RecordError, StoreError};

/// The most that are taken at a time, from the queue into the store and back.
const MOST: usize = 256;

/// How often it is looked for what is due.
const LOOK: Duration = Duration::from_millis(250);

/// How long a store is left alone that does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps the scheduled messages of a broker in a store until they are due.
///
/// Publishers with [`not_before`](bloodbank_bus::Draft::not_before) send what is not due yet to
/// [`Queue::of_scheduler`]. A scheduler takes it from there into the store, and publishes it when it is
/// due, validated by the contracts of then. What cannot be published stays, with the reason, and is
/// tried again; what has a key without a contract stays until a process knows it. Any number of
/// schedulers may share a store and a queue.
///
/// On the embedded bus every process that consumes sends what is due, so that a scheduler is needed only
/// where none does.
pub struct Scheduler {
    store: EventStore,
    transport: Arc<dyn Transport>,
}

impl Scheduler {
    /// A scheduler that keeps messages of a broker in a store.
    pub fn new(store: EventStore, transport: Arc<dyn Transport>) -> Self {
        Scheduler { store, transport }
    }

    /// Declares the queue, keeps what comes and sends what is due, until `shutdown` is done.
    ///
    /// # Errors
    /// [`RecordError`], where the store or the bus ends it. While the store fails and may work again, it
    /// waits.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), RecordError> {
        let queue = Queue::of_scheduler();
        let name = queue.name.clone();
        self.transport.declare(&Topology::new().with_parked_queue(queue)).await?;
        let subscription = Subscription::new(&*name).with_prefetch(MOST as u16);
        let mut deliveries = self.transport.subscribe(subscription).await?;
        let ended = tokio::select! {
            biased;
            () = shutdown => Ok(()),
            ended = self.run(&mut deliveries) => Err(ended),
        };
        deliveries.close().await;
        ended
    }

    /// Keeps and sends. May be dropped: what is not acknowledged comes again, and what was claimed is
    /// sent by another process, with the same id, when the claim is over.
    async fn run(&self, deliveries: &mut Deliveries) -> RecordError {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                biased;
                _ = looks.tick() => self.send().await,
                first = deliveries.recv() => match first {
                    Some(first) => self.keep(first, deliveries).await,
                    None => return RecordError::Ended { queue: Queue::of_scheduler().name },
                },
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    async fn send(&self) -> Result<(), RecordError> {
        match send_due(&self.store, &*self.transport).await {
            Err(error) if error.is_retryable() => {
                warn!(%error, "scheduled messages have to wait");
                sleep(PAUSE).await;
                Ok(())
            }
            sent => sent.map(|_| ()).map_err(RecordError::Store),
        }
    }

    /// Takes what has come into the store.
    async fn keep(&self, first: Delivery, more: &mut Deliveries) -> Result<(), RecordError> {
        let mut batch = vec![first];
        while batch.len() < MOST
            && let Some(next) = more.try_recv()
        {
            batch.push(next);
        }
        let contracts = self.store.contracts();
        let (mut kept, mut messages) = (Vec::new(), Vec::new());
        for delivery in batch {
            match read(&contracts, &delivery) {
                Ok(message) => {
                    messages.push(message);
                    kept.push(delivery);
                }
                Err(reason) => {
                    // The reason may repeat parts of the message, which the log does not get.
                    let key = escape_control(&delivery.key);
                    error!(key, reason = %Reason::NoEnvelope, "a scheduled message was parked");
                    let parking = Settlement::parked(&delivery, Reason::NoEnvelope, &reason);
                    self.settle(&delivery, parking).await;
                }
            }
        }
        while let Err(error) = self.store.schedule(messages.clone()).await {
            if !error.is_retryable() {
                return Err(error.into());
            }
            warn!(%error, "scheduled messages wait in their queue");
            sleep(PAUSE).await;
        }
        for delivery in kept {
            self.settle(&delivery, Settlement::Ack).await;
        }
        Ok(())
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) {
        if let Err(error) = self.transport.settle(delivery, settlement).await {
            // It is known by its id then.
            warn!(%error, "a scheduled message comes again");
        }
    }
}

/// What a message says of itself, and when it is due.
fn read(contracts: &Contracts, delivery: &Delivery) -> Result<Scheduled, String> {
    let envelope = delivery.envelope().map_err(ToString::to_string)?;
    let due = headers::time(&delivery.headers, headers::NOT_BEFORE)
        .ok_or_else(|| format!("its header {} does not say when it is due", headers::NOT_BEFORE))?;
    // A key that is not known here yet may be known when it is due.
    let kind = contracts.contract(&delivery.key).map_or(Kind::Event, |contract| contract.kind);
    let body = delivery.body.clone();
    let message = Scheduled::new(envelope.id, kind, &*delivery.key, due, body);
    let (headers, properties) = (delivery.headers.clone(), delivery.properties.clone());
    Ok(Scheduled { headers, properties, ..message })
}

/// Publishes what is due, until nothing is that can be sent from here. Gives when the next message is
/// due, if there is one.
///
/// # Errors
/// If the store cannot be used; what was claimed is claimed by another process a little later.
pub(crate) async fn send_due(
    store: &EventStore,
    transport: &dyn Transport,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    loop {
        let next = store.next_scheduled().await?;
        if next.is_none_or(|next| next > Utc::now()) {
            return Ok(next);
        }
        let due = store.claim_due(MOST).await?;
        if due.is_empty() {
            return Ok(next);
        }
        let contracts = store.contracts();
        let mut sending = Vec::with_capacity(due.len());
        for message in &due {
            sending.push(start(&contracts, transport, message).await);
        }
        let mut attempted = Vec::with_capacity(due.len());
        for (message, started) in due.iter().zip(sending) {
            // What breaks its contract is told with parts of the payload, which the log does not get.
            let (id, key) = (message.id, &message.key);
            let outcome = match started {
                Ok(confirm) => confirm.await.map_err(|error| {
                    warn!(%id, key, %error, "due, and not sent yet");
                    error.to_string()
                }),
                Err(error) => {
                    warn!(%id, key, error = %error.code(), "due, and not sent yet");
                    Err(error.to_string())
                }
            };
            attempted.push(Attempted { id: message.id, attempts: message.attempts, outcome });
        }
        store.attempted(attempted).await?;
    }
}

/// Hands a message to the bus; its contract may have changed since it was scheduled.
async fn start(
    contracts: &Contracts,
    transport: &dyn Transport,
    message: &Scheduled,
) -> Result<Confirm, ReadBackError> {
    let Scheduled { kind, key, headers, properties, body, .. } = message;
    // Whoever has kept it may not have known its contract.
    let kind = contracts.contract(key).map_or(*kind, |contract| contract.kind);
    let mut headers = headers.clone();
    // A clock that was set back must not make it wait once more.
    headers.remove(headers::NOT_BEFORE);
    let kept = Verbatim::stored(key.as_str(), body.clone(), headers);
    let message = Encoded::read_back(contracts, kind, kept.with_properties(properties.clone()))?;
    let mut confirm = transport.publish(message);
    confirm.accepted().await;
    Ok(confirm)
}
