//! Each test runs on SQLite and on PostgreSQL.

use bloodbank_bus::{Encoded, Headers, Transport, TransportError};
use bloodbank_core::{Kind, Meta, Sealer};
use bloodbank_testkit::{ONE_TABLE, Pooler, Postgres, catalog};
use candystore::{Embedded, EventStore, Incoming, Migrated, StoreError, StoreOptions, StoreUrl};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::raw::change;

/// An empty database, which goes with it.
pub(crate) struct Database {
    pub(crate) url: StoreUrl,
    _folder: Option<TempDir>,
    _pooler: Option<Pooler>,
}

/// Transactions that the pooler lets the server have at a time.
const POOLED: u32 = 3;

impl Database {
    pub(crate) async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::file(folder.path().join("store.db"));
        Some(Database { url, _folder: Some(folder), _pooler: None })
    }

    pub(crate) async fn postgres() -> Option<Self> {
        if !bloodbank_testkit::postgres() {
            return None;
        }
        let url = Postgres::shared().await.fresh_url().await.parse().unwrap();
        Some(Database::at(url))
    }

    /// Behind a pooler in transaction mode.
    pub(crate) async fn pooled() -> Option<Self> {
        if !bloodbank_testkit::pooler() {
            return None;
        }
        let server = Postgres::shared().await;
        let pooler = Pooler::start(server, POOLED).await;
        let url = pooler.url(&server.fresh_url().await).parse().unwrap();
        Some(Database { _pooler: Some(pooler), ..Database::at(url) })
    }

    /// One that is there.
    pub(crate) fn at(url: StoreUrl) -> Self {
        Database { url, _folder: None, _pooler: None }
    }

    pub(crate) async fn open(&self) -> EventStore {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn open_to_read(&self) -> Result<EventStore, StoreError> {
        let options = StoreOptions::new(self.url.clone());
        EventStore::open_to_read(options, catalog::contracts()).await
    }

    pub(crate) async fn migrate(&self) -> Result<Option<Migrated>, StoreError> {
        EventStore::migrate(StoreOptions::new(self.url.clone())).await
    }

    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        EventStore::check(StoreOptions::new(self.url.clone())).await
    }

    pub(crate) async fn try_open(&self) -> Result<EventStore, StoreError> {
        EventStore::open(StoreOptions::new(self.url.clone()), catalog::contracts()).await
    }
}

/// Makes two tests of each function that takes a [`Database`].
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::databases::Database::sqlite().await.unwrap()).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(database) = crate::databases::Database::postgres().await {
                        super::$name(database).await;
                    }
                }
            )+
        }
    };
}
pub(crate) use on_both;

/// Makes a test of each function that takes a [`Database`], behind a pooler.
macro_rules! behind_a_pooler {
    ($($name:ident),+ $(,)?) => {
        mod pooled {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(database) = crate::databases::Database::pooled().await {
                        super::$name(database).await;
                    }
                }
            )+
        }
    };
}
pub(crate) use behind_a_pooler;

/// An event of the catalog whose contract takes anything.
pub(crate) fn parcel(n: u32) -> Incoming {
    event("lot.parcel", json!({ "n": n }), Meta::new())
}

/// An event of a million bytes and some.
pub(crate) fn large(n: u32) -> Incoming {
    event("lot.parcel", json!({ "n": n, "text": "x".repeat(1_000_000) }), Meta::new())
}

/// An event, whatever its contract says of it.
pub(crate) fn event(key: &str, data: Value, meta: Meta) -> Incoming {
    let envelope = bloodbank_core::Envelope::new(key, "test", data, meta);
    Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap())
}

/// Publishes an event that is valid.
pub(crate) async fn publish(bus: &Embedded) -> Result<(), TransportError> {
    let sealer = Sealer::unrestricted(catalog::contracts().into(), "test");
    let envelope = sealer.seal(Kind::Event, "lot.parcel", json!({ "n": 1 }), Meta::new()).unwrap();
    bus.publish(Encoded::new(envelope, Headers::new()).unwrap()).await
}

/// Makes the tables of a store those of an earlier version: 4, the last without typed headers, or 5.
pub(crate) async fn make_older(database: &Database, version: i64) {
    let tables = [
        "scheduled",
        "reports",
        "moves",
        "catch_ups",
        "summaries",
        "payload_indexes",
        "retention",
        "clock_steps",
        "repairs",
        "damaged",
        "handled",
        "audit",
    ];
    let columns = [
        "consumers DROP COLUMN name",
        "messages DROP COLUMN since",
        "events DROP COLUMN digest",
        "head DROP COLUMN digest",
        "head DROP COLUMN unchained",
        "head DROP COLUMN counted",
        "pruned DROP COLUMN digest",
        "head DROP COLUMN room",
        "head DROP COLUMN width",
    ];
    if !matches!(database.url, StoreUrl::Sqlite(_)) {
        change(database, ONE_TABLE).await;
    }
    let mut sql = format!("DELETE FROM migrations WHERE version > {version}");
    sql.extend(tables.map(|table| format!("; DROP TABLE {table}")));
    sql.extend(columns.map(|column| format!("; ALTER TABLE {column}")));
    change(database, &sql).await;
}
