//! From a broker into a store.

mod counting;

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Binding, Deliveries, Delivery, Exchange, Queue, Settlement, Subscription, Topology, Transport,
    TransportError,
};
use bloodbank_core::{Code, Kind};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use self::counting::Counting;
pub use self::counting::Recorded;
use crate::{EventStore, Incoming, StoreError, retention};

/// The most messages of a batch.
const MOST: usize = 1_000;

/// The size from which on a batch takes no more messages, in bytes of their bodies.
const MOST_BYTES: usize = 16 << 20;

/// How long a batch waits for more after its first message.
const GATHER: Duration = Duration::from_millis(5);

/// Two batches: one is stored while the next one comes.
const PREFETCH: u16 = 2_000;

/// The first pause before a store that has failed is tried again; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a recorder or a scheduler has ended. What it held and had not stored is back in its queues.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The store will not take it later either.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus will not give us the queues.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The bus has ended the consuming, for good.
    #[error("the bus has ended the consuming of `{queue}`")]
    Ended {
        /// The queue.
        queue: String,
    },
}

impl RecordError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            RecordError::Store(error) => error.code(),
            RecordError::Transport(error) => error.code(),
            RecordError::Ended { .. } => Code::ConsumingEnded,
        }
    }
}

/// Stores everything that passes on a bus, valid or not: events, and the record of commands.
///
/// A message leaves its queue only when it is committed, so that each is stored once, whatever breaks.
/// What cannot be stored for the moment waits in the queues.
pub struct Recorder {
    store: EventStore,
    transport: Arc<dyn Transport>,
    events: Queue,
    commands: Queue,
    counting: Counting,
}

/// The two queues, as they are consumed.
struct Sources {
    events: Deliveries,
    commands: Deliveries,
}

type Batch = Vec<(Kind, Delivery)>;

impl Recorder {
    /// `queue` is where events wait, and its bindings say which; for all of them, bind it to `#`. Commands
    /// wait in `<queue>.commands`, which is bound to the same patterns.
    pub fn new(store: EventStore, transport: Arc<dyn Transport>, queue: Queue) -> Self {
        let events = queue.recorder();
        let commands = Queue::new(format!("{}.commands", events.name)).recorder();
        let patterns =
            events.bindings.iter().filter(|binding| binding.exchange == Exchange::Events);
        let bind =
            |queue: Queue, binding: &Binding| queue.bind(Exchange::Audit, binding.pattern.clone());
        let commands = patterns.fold(commands, bind);
        let counting = Counting::new(&events.name);
        Recorder { store, transport, events, commands, counting }
    }

    /// The account so far, whenever it changes.
    pub fn progress(&self) -> watch::Receiver<Recorded> {
        self.counting.subscribe()
    }

    /// Declares the queues: what is published from here on is recorded by whoever records next.
    ///
    /// # Errors
    /// If the broker refuses them, or cannot be asked.
    pub async fn declare(&self) -> Result<(), TransportError> {
        let topology = Topology::new().with_parked_queue(self.events.clone());
        self.transport.declare(&topology.with_parked_queue(self.commands.clone())).await
    }

    /// Declares the queues and records until `shutdown` is done; then stores what it has in hand, and
    /// gives the account. While the store fails and may work again, it waits.
    ///
    /// # Errors
    /// [`RecordError`]; nothing is acknowledged that is not stored.
    pub async fn run_until(
        mut self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Recorded, RecordError> {
        self.declare().await?;
        let mut sources = Sources {
            events: self.subscribe(&self.events).await?,
            commands: self.subscribe(&self.commands).await?,
        };
        tokio::pin!(shutdown);
        let retaining = retention::keep(self.store.clone());
        let done = tokio::select! {
            done = self.record(&mut sources, shutdown) => done,
            // It has no end of its own.
            () = retaining => Ok(()),
        };
        sources.events.close().await;
        sources.commands.close().await;
        done.map(|()| self.counting.account())
    }

    async fn subscribe(&self, queue: &Queue) -> Result<Deliveries, TransportError> {
        let subscription = Subscription::new(&*queue.name).with_prefetch(PREFETCH);
        self.transport.subscribe(subscription).await
    }

    async fn record(
        &mut self,
        sources: &mut Sources,
        mut shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<(), RecordError> {
        loop {
            let first = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                first = self.next(sources) => first?,
            };
            let batch = self.gather(sources, first).await?;
            if !self.keep(batch, &mut shutdown).await? {
                return Ok(());
            }
        }
    }

    /// Safe to drop before it is done: nothing is lost.
    async fn next(&self, sources: &mut Sources) -> Result<(Kind, Delivery), RecordError> {
        let (kind, delivery, queue) = tokio::select! {
            delivery = sources.events.recv() => (Kind::Event, delivery, &self.events),
            delivery = sources.commands.recv() => (Kind::Command, delivery, &self.commands),
        };
        let ended = || RecordError::Ended { queue: queue.name.clone() };
        delivery.map(|delivery| (kind, delivery)).ok_or_else(ended)
    }

    async fn gather(
        &self,
        sources: &mut Sources,
        first: (Kind, Delivery),
    ) -> Result<Batch, RecordError> {
        let until = Instant::now() + GATHER;
        let mut bytes = first.1.body.len();
        let mut batch = vec![first];
        while batch.len() < MOST
            && bytes < MOST_BYTES
            && let Ok(next) = timeout_at(until, self.next(sources)).await
        {
            let next = next?;
            bytes += next.1.body.len();
            batch.push(next);
        }
        Ok(batch)
    }

    /// Stores a batch, as often as it takes. Whether it is to go on afterwards.
    async fn keep(
        &mut self,
        mut batch: Batch,
        mut shutdown: impl Future<Output = ()> + Unpin,
    ) -> Result<bool, RecordError> {
        let mut pause = PAUSE;
        loop {
            // What we have lost in the meantime comes again.
            batch.retain(|(_, delivery)| self.transport.is_current(delivery));
            let incoming =
                batch.iter().map(|(kind, delivery)| Incoming::of(*kind, delivery)).collect();
            match self.store.append(incoming).await {
                Ok(appended) => {
                    self.counting.stored(&appended);
                    self.acknowledge(&batch).await;
                    return Ok(true);
                }
                Err(error) if error.is_retryable() => self.counting.waits(error),
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = &mut shutdown => return Ok(false),
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn acknowledge(&self, batch: &Batch) {
        for (_, delivery) in batch {
            // What cannot be acknowledged any more comes again, and is a duplicate then.
            let _ = self.transport.settle(delivery, Settlement::Ack).await;
        }
    }
}
