//! The bus: one transport, and publishers and subscribers on it.

use std::sync::Arc;

#[cfg(feature = "amqp")]
use crate::amqp::{Amqp, AmqpConfig};
#[cfg(feature = "embedded")]
use crate::candystore::{Embedded, EventStore, StoreError, StoreOptions, StoreUrl};
use crate::codec::Payload;
use crate::{
    Durability, InMemory, Inbox, Publisher, Queue, Service, Subscriber, Subscription, Topology,
    Transport, TransportError,
};

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The environment does not say what it should.
    #[cfg(feature = "amqp")]
    #[error(transparent)]
    Config(#[from] crate::amqp::ConfigError),
    /// There is no connection.
    #[cfg(feature = "amqp")]
    #[error(transparent)]
    Connect(#[from] crate::amqp::ConnectError),
    /// The store that the bus would lie in does not open.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No broker is named, and the program has no bus of its own.
    #[error(
        "neither RABBIT_URL nor RABBIT_HOST is set, and this program was built without a bus of its \
         own (feature `embedded`)"
    )]
    NoBus,
}

/// A bus. Cheap to clone; clones share the transport.
#[derive(Clone)]
pub struct Bus {
    transport: Arc<dyn Transport>,
}

impl Bus {
    /// A bus on any transport.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Bus { transport }
    }

    /// A bus inside this process: for tests, and to try things out. Nothing outlives the process.
    pub fn in_memory() -> Self {
        Bus::new(Arc::new(InMemory::new()))
    }

    /// The bus that the environment names: RabbitMQ where there is `RABBIT_URL` or `RABBIT_HOST`, else
    /// one in the store that `DATABASE_URL` names, which is a file unless it says otherwise.
    ///
    /// # Errors
    /// If the variables are not what they should be, no broker can be reached, or the store does not
    /// open.
    pub async fn from_env() -> Result<Self, BusError> {
        #[cfg(feature = "amqp")]
        if let Some(config) = AmqpConfig::from_env()? {
            return Ok(Bus::new(Arc::new(Amqp::connect(config).await?)));
        }
        #[cfg(feature = "embedded")]
        return Ok(Bus::embedded(StoreUrl::from_env().map_err(StoreError::from)?).await?);
        #[cfg(not(feature = "embedded"))]
        Err(BusError::NoBus)
    }

    /// A bus in a store, with nothing to install: what is published is kept, and any number of
    /// processes may be on it.
    ///
    /// # Errors
    /// If the store does not open.
    #[cfg(feature = "embedded")]
    pub async fn embedded(url: StoreUrl) -> Result<Self, StoreError> {
        let store = EventStore::open(StoreOptions::new(url), crate::events::contracts()).await?;
        Ok(Bus::new(Arc::new(Embedded::new(store))))
    }

    /// A publisher that may do what registry.yaml lets the service do.
    pub fn publisher<S: Service>(&self) -> Publisher<S> {
        Publisher::new(self.transport.clone())
    }

    /// A subscriber that gives the handlers of a service the messages of its queues.
    pub fn subscriber<S: Service>(&self) -> Subscriber<S> {
        Subscriber::new(self.transport.clone())
    }

    /// Declares a queue, with its dead letters, and hands out its messages one at a time, to be settled by hand; what breaks
    /// its contract is parked. For tools and tests.
    ///
    /// `P` is one event type, the generated `AnyEvent`, or `serde_json::Value`; `S` is any service of
    /// the contracts.
    ///
    /// # Errors
    ///
    /// Those of [`Transport::declare`] and [`Transport::subscribe`].
    pub async fn inbox<S: Service, P: Payload>(
        &self,
        queue: Queue,
    ) -> Result<Inbox<P>, TransportError> {
        let subscription = Subscription::new(queue.name.clone());
        let topology = Topology::new();
        let topology = match queue.durability {
            Durability::Durable if queue.dead_letters.is_none() => {
                topology.with_parked_queue(queue)
            }
            _ => topology.with_queue(queue),
        };
        self.transport.declare(&topology).await?;
        Inbox::open(self.transport.clone(), S::contracts(), subscription).await
    }

    /// Waits until everything accepted has its answer, and lets go of the bus; see
    /// [`Transport::close`].
    pub async fn close(&self) {
        self.transport.close().await;
    }

    /// The transport, for what the bus has no words for.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").finish_non_exhaustive()
    }
}
