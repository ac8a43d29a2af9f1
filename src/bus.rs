//! The bus: one transport, and publishers and subscribers on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "amqp")]
use crate::amqp::{Amqp, AmqpConfig, ConnectError, Exchanges};
#[cfg(feature = "embedded")]
use crate::candystore::{CatchUp, Embedded, EventStore, StoreError, StoreOptions, StoreUrl};
use crate::codec::Payload;
#[cfg(feature = "outbox")]
use crate::outbox::{Outbox, Relay, Source};
use crate::{
    AnySubscriber, BusStatus, Code, Durability, DynamicPublisher, EnvelopeForm, InMemory, Inbox,
    LiveContracts, Phase, Publisher, Queue, RunError, SealError, Sealer, Service, Subscriber,
    SubscriberWatch, Subscription, Topology, Transport, TransportError,
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

impl BusError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            #[cfg(feature = "amqp")]
            BusError::Config(error) => error.code(),
            #[cfg(feature = "amqp")]
            BusError::Connect(error) => error.code(),
            #[cfg(feature = "embedded")]
            BusError::Store(error) => error.code(),
            BusError::NoBus => Code::NoBus,
        }
    }
}

/// A bus: a transport, and the contracts by which everything on it is judged.
///
/// Cheap to clone; clones share both. The contracts are the caller's, `events::contracts()` for those
/// that were generated; [`contracts`](Bus::contracts) lets a running process swap them.
#[derive(Clone)]
pub struct Bus {
    transport: Arc<dyn Transport>,
    contracts: LiveContracts,
    form: EnvelopeForm,
    /// The subscribers that were made, for their status.
    subscribers: Arc<Mutex<Vec<SubscriberWatch>>>,
}

impl Bus {
    /// A bus on any transport.
    pub fn new(transport: Arc<dyn Transport>, contracts: impl Into<LiveContracts>) -> Self {
        let (contracts, form) = (contracts.into(), EnvelopeForm::Native);
        Bus { transport, contracts, form, subscribers: Arc::default() }
    }

    /// The same bus, whose publishers publish in these words: our own unless said. All are understood.
    pub fn in_form(mut self, form: EnvelopeForm) -> Self {
        self.form = form;
        self
    }

    /// A bus inside this process: for tests, and to try things out. Nothing outlives the process.
    pub fn in_memory(contracts: impl Into<LiveContracts>) -> Self {
        Bus::new(Arc::new(InMemory::new()), contracts)
    }

    /// The bus that the environment names: RabbitMQ where there is `RABBIT_URL` or `RABBIT_HOST`, else
    /// one in the store that `DATABASE_URL` names, which is a file unless it says otherwise. On RabbitMQ
    /// events go to the exchange of registry.yaml.
    ///
    /// # Errors
    /// If the variables are not what they should be or contradict registry.yaml, no broker can be reached, or the store does not
    /// open.
    pub async fn from_env(contracts: impl Into<LiveContracts>) -> Result<Self, BusError> {
        let contracts = contracts.into();
        #[cfg(feature = "amqp")]
        if let Some(config) =
            AmqpConfig::from_env_and(contracts.current().bundle().exchange.as_ref())?
        {
            return Ok(Bus::connect(config, contracts).await?);
        }
        #[cfg(feature = "embedded")]
        return Ok(Bus::embedded(StoreUrl::from_env().map_err(StoreError::from)?, contracts).await?);
        #[cfg(not(feature = "embedded"))]
        Err(BusError::NoBus)
    }

    /// A bus on RabbitMQ. Where the configuration leaves the exchanges as they are by default, they are
    /// those that registry.yaml names; a swap of the contracts moves no exchange.
    ///
    /// # Errors
    /// If no broker can be reached, or it rejects the configuration.
    #[cfg(feature = "amqp")]
    pub async fn connect(
        mut config: AmqpConfig,
        contracts: impl Into<LiveContracts>,
    ) -> Result<Self, ConnectError> {
        let contracts = contracts.into();
        if let Some(declared) = &contracts.current().bundle().exchange
            && config.exchanges == Exchanges::default()
        {
            config.exchanges = config.exchanges.with_declared(declared);
        }
        Ok(Bus::new(Arc::new(Amqp::connect(config).await?), contracts))
    }

    /// A bus in a store, with nothing to install: what is published is kept, and any number of
    /// processes may be on it.
    ///
    /// # Errors
    /// If the store does not open.
    #[cfg(feature = "embedded")]
    pub async fn embedded(
        url: StoreUrl,
        contracts: impl Into<LiveContracts>,
    ) -> Result<Self, StoreError> {
        let contracts = contracts.into();
        let store = EventStore::open(StoreOptions::new(url), contracts.clone()).await?;
        Ok(Bus::new(Arc::new(Embedded::new(store)), contracts))
    }

    /// The same bus, whose new queues may begin with the past that a store has recorded of it: see
    /// [`Subscriber::from`]. On RabbitMQ; the bus in a store has its record anyway.
    #[cfg(feature = "embedded")]
    pub fn with_history(mut self, store: EventStore) -> Self {
        self.transport = Arc::new(CatchUp::new(self.transport, store));
        self
    }

    /// The contracts in force, and the way to swap them.
    pub fn contracts(&self) -> &LiveContracts {
        &self.contracts
    }

    /// A publisher that may do what registry.yaml lets the service do.
    pub fn publisher<S: Service>(&self) -> Publisher<S> {
        Publisher::new(self.transport.clone(), self.contracts.clone()).in_form(self.form)
    }

    /// The same for a service that is named at run time, and payloads as JSON.
    ///
    /// # Errors
    /// [`SealError::UnknownService`] if the registry has no service of this name.
    pub fn dynamic_publisher(&self, service: &str) -> Result<DynamicPublisher, SealError> {
        if self.contracts.current().bundle().service(service).is_none() {
            return Err(SealError::UnknownService { service: service.to_owned() });
        }
        let sealer = Sealer::for_service(self.contracts.clone(), service);
        Ok(DynamicPublisher::new(self.transport.clone(), sealer).in_form(self.form))
    }

    /// A publisher of JSON that the registry does not bind, for tools: it may say whatever keeps its
    /// contract.
    pub fn unrestricted_publisher(&self, source: &str) -> DynamicPublisher {
        let sealer = Sealer::unrestricted(self.contracts.clone(), source);
        DynamicPublisher::new(self.transport.clone(), sealer)
    }

    /// A subscriber that gives the handlers of a service the messages of its queues.
    pub fn subscriber<S: Service>(&self) -> Subscriber<S> {
        let subscriber = Subscriber::new(self.transport.clone(), self.contracts.clone());
        let mut watched = self.watched();
        // One that ended and is made anew takes the place of the old one.
        watched.retain(|it| it.status().service != S::NAME || it.status().phase != Phase::Ended);
        watched.push(subscriber.watch());
        subscriber
    }

    /// How the transport and the subscribers of this bus are doing at the moment. Asks nobody, so that it
    /// can be called as often as one likes.
    ///
    /// ```
    /// # use bloodbank::Bus;
    /// # use bloodbank::events;
    /// # let bus = Bus::in_memory(events::contracts());
    /// // In the handler of `GET /ready`, of any web framework:
    /// let answer = bus.status().probe();
    /// assert_eq!(answer.code, 200);
    /// ```
    pub fn status(&self) -> BusStatus {
        let subscribers = self.watched().iter().map(SubscriberWatch::status).collect();
        BusStatus::new(self.transport.trouble(), subscribers)
    }

    fn watched(&self) -> MutexGuard<'_, Vec<SubscriberWatch>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An outbox: writes what a publisher of the service would publish into the caller's own database
    /// transaction, in our own form whatever [`in_form`](Bus::in_form) says. A [`relay`](Bus::relay) sends
    /// it.
    #[cfg(feature = "outbox")]
    pub fn outbox<S: Service>(&self) -> Outbox<S> {
        Outbox::new(self.contracts.clone())
    }

    /// A relay: sends to this bus what outboxes have written into a database.
    #[cfg(feature = "outbox")]
    pub fn relay<F: Source>(&self, source: F) -> Relay<F> {
        Relay::new(self.transport.clone(), self.contracts.clone(), source)
    }

    /// Declares a queue, with its dead letters, and hands out its messages one at a time, to be settled by hand; what breaks
    /// its contract is parked. For tools and tests.
    ///
    /// `P` is one event type, the generated `AnyEvent`, or `serde_json::Value`.
    ///
    /// # Errors
    ///
    /// Those of [`Transport::declare`] and [`Transport::subscribe`].
    pub async fn inbox<P: Payload>(&self, queue: Queue) -> Result<Inbox<P>, TransportError> {
        let subscription = Subscription::new(queue.name.clone());
        let topology = Topology::new();
        let topology = match queue.durability {
            Durability::Durable if queue.dead_letters.is_none() => {
                topology.with_parked_queue(queue)
            }
            _ => topology.with_queue(queue),
        };
        self.transport.declare(&topology).await?;
        Inbox::open(self.transport.clone(), self.contracts.clone(), subscription).await
    }

    /// Runs subscribers until the process is told to end (SIGTERM, or Ctrl-C): then they take nothing
    /// new, let handlers finish, and end. The bus stays open.
    ///
    /// ```no_run
    /// # use bloodbank::events::{self, services, theboard};
    /// # use bloodbank::{Bus, Received};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::from_env(events::contracts()).await?;
    /// let meetings = bus
    ///     .subscriber::<services::TheboardSync>()
    ///     .on(async |meeting: Received<theboard::MeetingCreatedV2>| {})
    ///     .skip_others();
    /// let ready = meetings.ready();
    /// tokio::spawn(async move {
    ///     if ready.await {
    ///         println!("every queue is consumed");
    ///     }
    /// });
    /// bus.run([meetings.into()]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RunError::Failed`] with each service that failed. When one fails, the others are drained, too.
    pub async fn run(
        &self,
        subscribers: impl IntoIterator<Item = AnySubscriber>,
    ) -> Result<(), RunError> {
        crate::run(subscribers).await
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
