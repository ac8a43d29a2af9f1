//! A database with the tables, and what tests do in it.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{InMemory, Subscription, Transport};
use bloodbank_core::LiveContracts;
use bloodbank_outbox::{
    Outbox, OutboxError, Postgres, Relay, Source, Sqlite, Waiting, Written, create_tables, list,
};
use bloodbank_testkit::catalog::{self, Any, Parcel, queue};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

/// How long to wait for what must come.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) enum Place {
    Sqlite(TempDir),
    Postgres(String),
}

/// A connection of the caller's.
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Client>),
}

/// SQLite, and PostgreSQL where it is on the machine.
pub(crate) async fn places() -> Vec<Place> {
    let mut places = vec![Place::sqlite().await];
    places.extend(Place::postgres().await);
    places
}

impl Place {
    pub(crate) async fn sqlite() -> Self {
        let place = Place::Sqlite(tempfile::tempdir().unwrap());
        let Connection::Sqlite(connection) = place.connect().await else { unreachable!() };
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        create_tables(&mut place.source()).await.unwrap();
        place
    }

    pub(crate) async fn postgres() -> Option<Self> {
        if !bloodbank_testkit::postgres() {
            return None;
        }
        let url = bloodbank_testkit::Postgres::shared().await.fresh_url().await;
        let place = Place::Postgres(url);
        create_tables(&mut place.source()).await.unwrap();
        Some(place)
    }

    pub(crate) fn source(&self) -> Box<dyn Source> {
        match self {
            Place::Sqlite(folder) => Box::new(Sqlite::new(folder.path().join("shop.db"))),
            Place::Postgres(url) => Box::new(Postgres::from_url(url).unwrap()),
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        match self {
            Place::Sqlite(folder) => {
                let path = folder.path().join("shop.db");
                Connection::Sqlite(rusqlite::Connection::open(path).unwrap())
            }
            Place::Postgres(url) => Connection::Postgres(Box::new(connect(url).await)),
        }
    }

    /// Everything in the outbox.
    pub(crate) async fn waiting(&self) -> Vec<Waiting> {
        list(&mut self.source(), 10_000).await.unwrap()
    }

    pub(crate) async fn until_empty(&self) {
        until(async || self.waiting().await.is_empty()).await;
    }

    pub(crate) fn relay(&self, bus: &InMemory) -> Relay<Box<dyn Source>> {
        self.relay_by(bus, catalog::contracts().into())
    }

    pub(crate) fn relay_by(
        &self,
        bus: &InMemory,
        contracts: LiveContracts,
    ) -> Relay<Box<dyn Source>> {
        let bus: Arc<dyn Transport> = Arc::new(bus.clone());
        Relay::new(bus, contracts, self.source()).retry(Duration::from_millis(20))
    }
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Connection {
    /// Statements without values, of the caller's.
    pub(crate) async fn run(&self, sql: &str) {
        match self {
            Connection::Sqlite(connection) => connection.execute_batch(sql).unwrap(),
            Connection::Postgres(client) => client.batch_execute(sql).await.unwrap(),
        }
    }

    /// Writes these events in one transaction of their own.
    pub(crate) async fn parcels(&mut self, numbers: impl IntoIterator<Item = u32>) {
        let outbox = Outbox::<Any>::new(catalog::contracts());
        self.run("BEGIN").await;
        for n in numbers {
            self.publish(&outbox, &Parcel { n }).await.unwrap();
        }
        self.run("COMMIT").await;
    }

    pub(crate) async fn publish(
        &self,
        outbox: &Outbox<Any>,
        parcel: &Parcel,
    ) -> Result<Written, OutboxError> {
        match self {
            Connection::Sqlite(connection) => outbox.publish(connection, parcel).now(),
            Connection::Postgres(client) => outbox.publish(&**client, parcel).await,
        }
    }
}

/// A bus in memory, with a queue `q` of all parcels and moorings.
pub(crate) async fn bus() -> InMemory {
    catalog::bus([queue("q", &["lot.parcel", "terminal.#"])]).await.0
}

/// The bytes of everything in the queue `q`, in order.
pub(crate) async fn bodies(bus: &InMemory) -> Vec<Arc<[u8]>> {
    let mut deliveries = bus.subscribe(Subscription::browse("q")).await.unwrap();
    let mut bodies = Vec::new();
    while let Some(delivery) = deliveries.recv().await {
        bodies.push(delivery.body.clone());
    }
    deliveries.close().await;
    bodies
}

/// The numbers of the parcels in the queue `q`, in order.
pub(crate) async fn numbers(bus: &InMemory) -> Vec<u64> {
    let number = |body: Arc<[u8]>| {
        let envelope: serde_json::Value = serde_json::from_slice(&body).unwrap();
        envelope["data"]["n"].as_u64().unwrap()
    };
    bodies(bus).await.into_iter().map(number).collect()
}

/// A relay that runs until it is stopped.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(relay: Relay<Box<dyn Source>>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async move { stopped.await.unwrap() };
            relay.run_until(stopped).await.unwrap();
        });
        Running { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn abort(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until(mut yes: impl AsyncFnMut() -> bool) {
    let ask = async {
        while !yes().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, ask).await.expect("it did not come in time");
}
