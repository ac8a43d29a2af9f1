//! What the gateway serves.

use std::fmt;
use std::sync::Arc;

use bloodbank_access::Access;
use bloodbank_bus::{DynamicPublisher, Transport};
use bloodbank_core::{Contracts, LiveContracts, Sealer};
use candystore::EventStore;
use tokio::sync::{Semaphore, watch};

use crate::bounds::Buckets;
use crate::events::Firsts;
use crate::health::{Part, Since};
use crate::queues::Queues;
use crate::reload::{Reload, Reloaded};
use crate::replays::Running;
use crate::stream::Hub;
use crate::{Limits, health};

/// Gives the figures of the process, as text for Prometheus.
type Figures = Arc<dyn Fn() -> String + Send + Sync>;

/// What the gateway serves: a bus, a store, contracts, and who may do what. Cheap to clone; clones are the
/// same gateway.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    transport: Arc<dyn Transport>,
    store: EventStore,
    contracts: LiveContracts,
    access: Access,
    limits: Limits,
    parts: Vec<Part>,
    store_since: Arc<Since>,
    figures: Option<Figures>,
    origins: Vec<String>,
    loopback_only: bool,
    ending: watch::Sender<bool>,
    /// Sends what was sealed.
    publisher: DynamicPublisher,
    firsts: Arc<Firsts>,
    hub: Arc<Hub>,
    buckets: Arc<Buckets>,
    queues: Option<Arc<dyn Queues>>,
    running: Arc<Running>,
    reload: Option<Reload>,
    /// One for each stream that may be open.
    seats: Arc<Semaphore>,
}

impl Gateway {
    /// A gateway to a bus and to the store in which its messages are kept. `contracts` judge what is
    /// published; `access` says who may do what.
    pub fn new(
        transport: Arc<dyn Transport>,
        store: EventStore,
        contracts: impl Into<LiveContracts>,
        access: Access,
    ) -> Self {
        let contracts = contracts.into();
        let sealer = Sealer::unrestricted(contracts.clone(), "http");
        let inner = Inner {
            publisher: DynamicPublisher::new(transport.clone(), sealer),
            firsts: Arc::default(),
            hub: Arc::default(),
            buckets: Arc::default(),
            queues: None,
            running: Arc::default(),
            seats: Arc::new(Semaphore::new(Limits::default().streams)),
            transport,
            store,
            contracts,
            access,
            limits: Limits::default(),
            parts: Vec::new(),
            store_since: Arc::default(),
            figures: None,
            reload: None,
            origins: Vec::new(),
            loopback_only: false,
            ending: watch::Sender::new(false),
        };
        Gateway { inner: Arc::new(inner) }
    }

    /// Sets the bounds.
    pub fn with_limits(self, limits: Limits) -> Self {
        self.with(|inner| {
            inner.seats = Arc::new(Semaphore::new(limits.streams.min(Semaphore::MAX_PERMITS)));
            inner.limits = limits;
        })
    }

    /// Adds a part of the service that `/health` and `/ready` ask beside the bus and the store.
    pub fn with_part(self, part: Part) -> Self {
        self.with(|inner| inner.parts.push(part))
    }

    /// Serves `/metrics` by this, which gives the figures of the process as text for Prometheus.
    pub fn with_figures(self, figures: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.figures = Some(Arc::new(figures)))
    }

    /// Says how the queues of the bus stand by this; without it they are not known.
    pub fn with_queues(self, queues: impl Queues) -> Self {
        self.with(|inner| inner.queues = Some(Arc::new(queues)))
    }

    /// Lets operators read the contracts again. `reload` reads them and puts them in force, or says why the
    /// old ones stay.
    pub fn with_reload<F>(self, reload: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Reloaded, String>> + Send + 'static,
    {
        self.with(|inner| inner.reload = Some(Arc::new(move || Box::pin(reload()))))
    }

    /// Lets web pages of these origins ask: `https://board.example`. None may by default.
    pub fn with_origins(self, origins: impl IntoIterator<Item = String>) -> Self {
        self.with(|inner| inner.origins.extend(origins))
    }

    /// Answers only where `Host` names this machine: `localhost`, `127.0.0.1` or `[::1]`. For addresses
    /// that only this machine reaches: a web page whose name was bound anew to 127.0.0.1 is refused.
    pub fn on_loopback(self) -> Self {
        self.with(|inner| inner.loopback_only = true)
    }

    /// Tells all streams that the service ends, and ends them; stops the replays that run here, which can be
    /// resumed. New streams are refused.
    pub fn end_streams(&self) {
        self.inner.ending.send_replace(true);
    }

    /// The bus.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.inner.transport
    }

    /// The store.
    pub fn store(&self) -> &EventStore {
        &self.inner.store
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn live_contracts(&self) -> &LiveContracts {
        &self.inner.contracts
    }

    /// The contracts in force.
    pub(crate) fn contracts(&self) -> Contracts {
        self.inner.contracts.current()
    }

    pub(crate) fn access(&self) -> &Access {
        &self.inner.access
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.inner.parts
    }

    pub(crate) fn store_since(&self) -> &health::Since {
        &self.inner.store_since
    }

    pub(crate) fn figures(&self) -> Option<&Figures> {
        self.inner.figures.as_ref()
    }

    pub(crate) fn origins(&self) -> &[String] {
        &self.inner.origins
    }

    pub(crate) fn is_loopback_only(&self) -> bool {
        self.inner.loopback_only
    }

    /// Turns true when streams are to end.
    pub(crate) fn ending(&self) -> watch::Receiver<bool> {
        self.inner.ending.subscribe()
    }

    /// Sends what was sealed.
    pub(crate) fn publisher(&self) -> &DynamicPublisher {
        &self.inner.publisher
    }

    pub(crate) fn firsts(&self) -> &Firsts {
        &self.inner.firsts
    }

    /// Tells streams what passes.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.inner.hub
    }

    pub(crate) fn queues(&self) -> Option<&Arc<dyn Queues>> {
        self.inner.queues.as_ref()
    }

    /// The replays that run here.
    pub(crate) fn running(&self) -> &Running {
        &self.inner.running
    }

    pub(crate) fn reload(&self) -> Option<&Reload> {
        self.inner.reload.as_ref()
    }

    pub(crate) fn buckets(&self) -> &Buckets {
        &self.inner.buckets
    }

    /// One for each stream that may be open.
    pub(crate) fn seats(&self) -> &Arc<Semaphore> {
        &self.inner.seats
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.inner));
        self
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("store", self.inner.store.url()).finish_non_exhaustive()
    }
}
