//! Users of a PostgreSQL store, each with the rights of its role.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Headers, Publisher, Queue, Settlement, Subscription, Topology, Transport, TransportError,
};
use bloodbank_core::Code;
use bloodbank_testkit::catalog::{Any, CreateMooring};
use bloodbank_testkit::{Postgres, catalog};
use candystore::{Embedded, EventStore, Filter, Order, Prune, Role, StoreError};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::databases::{Database, parcel, publish};

/// A store of one user, and one user more for each role.
struct Users {
    client: Client,
    /// The URL of the user to whom the tables belong.
    url: String,
    /// What names of users end with: they are those of the whole server.
    ending: String,
}

impl Users {
    async fn new() -> Option<Self> {
        if !bloodbank_testkit::postgres() {
            return None;
        }
        let url = Postgres::shared().await.fresh_url().await;
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let ending = url.rsplit('/').next().unwrap().to_owned();
        let users = Users { client, url, ending };
        users.database("bloodbank").migrate().await.unwrap();
        for role in Role::ALL {
            let name = users.name(role);
            users.run(&format!("CREATE ROLE {name} LOGIN")).await;
            for statement in role.grants("public", &name) {
                users.run(&statement).await;
            }
        }
        Some(users)
    }

    fn name(&self, role: Role) -> String {
        format!("{role}_{}", self.ending)
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    fn database(&self, user: &str) -> Database {
        Database::at(self.url.replace("bloodbank@", &format!("{user}@")).parse().unwrap())
    }

    fn of(&self, role: Role) -> Database {
        self.database(&self.name(role))
    }

    async fn bus(&self, role: Role) -> Embedded {
        Embedded::new(self.of(role).open().await)
    }
}

fn is_denied<T: std::fmt::Debug>(done: Result<T, StoreError>) {
    assert!(matches!(done, Err(StoreError::Denied { .. })), "{done:?}");
}

fn is_denied_on_the_bus(done: Result<(), TransportError>) {
    assert_eq!(done.as_ref().map_err(TransportError::code), Err(Code::StoreDenied), "{done:?}");
}

async fn may_declare(bus: &Embedded, name: &str) -> Result<(), TransportError> {
    let queue = catalog::queue(name, &["lot.parcel"]);
    bus.declare(&Topology::new().with_parked_queue(queue)).await
}

async fn may_prune(store: &EventStore) -> Result<(), StoreError> {
    let mut all = Prune::new(vec!["#".parse().unwrap()]);
    all.keep = Some(0);
    all.force = true;
    let plan = store.plan_prune(all).await?;
    store.prune(&plan, |_| ()).await.map(|_| ())
}

/// Reads in every way.
async fn may_read(database: &Database) {
    let store = database.open_to_read().await.unwrap();
    assert_eq!(store.position().await.unwrap(), 1);
    assert_eq!(store.count(&Filter::new()).await.unwrap(), 1);
    let page = store.page(&Filter::new(), Order::Newest, 10, None).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert!(store.verify(|_| ()).await.unwrap().is_clean());
    store.quarantined(0, 10).await.unwrap();
    store.replays(10).await.unwrap();
    store.scheduled(10).await.unwrap();
    assert!(!Embedded::new(store).queues().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_does_its_work_and_no_other() {
    let Some(users) = Users::new().await else { return };

    let consumer = users.bus(Role::Consumer).await;
    may_declare(&consumer, "sorting").await.unwrap();

    let publisher = users.bus(Role::Publisher).await;
    publish(&publisher).await.unwrap();
    is_denied_on_the_bus(may_declare(&publisher, "other").await);
    is_denied(may_prune(publisher.store()).await);

    may_read(&users.of(Role::Reader)).await;
    // Opening it for writing does nothing yet.
    let reader = users.bus(Role::Reader).await;
    is_denied(reader.store().append(vec![parcel(1)]).await);
    is_denied_on_the_bus(publish(&reader).await);
    is_denied_on_the_bus(may_declare(&reader, "other").await);

    let mut deliveries = consumer.subscribe(Subscription::new("sorting")).await.unwrap();
    let delivery = timeout(Duration::from_secs(30), deliveries.recv()).await.unwrap().unwrap();
    let later = Settlement::Retry { after: Duration::ZERO, headers: Headers::new() };
    consumer.settle(&delivery, later).await.unwrap();
    let delivery = timeout(Duration::from_secs(30), deliveries.recv()).await.unwrap().unwrap();
    consumer.settle(&delivery, Settlement::Park { headers: Headers::new() }).await.unwrap();
    deliveries.close().await;
    is_denied(consumer.store().append(vec![parcel(2)]).await);
    is_denied_on_the_bus(publish(&consumer).await);
    is_denied(may_prune(consumer.store()).await);

    let operator = users.of(Role::Operator).open().await;
    operator.append(vec![parcel(3)]).await.unwrap();
    may_prune(&operator).await.unwrap();
    assert_eq!(operator.count(&Filter::new()).await.unwrap(), 0);
    let bus = Embedded::new(operator);
    consumer.close().await;
    bus.remove_queue("sorting").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_fills_a_queue_that_has_a_limit_and_an_operator_puts_its_times_right() {
    let Some(users) = Users::new().await else { return };
    let consumer = users.bus(Role::Consumer).await;
    let queue = Queue::of_command("terminal.mooring.create").unwrap().with_max_len(2);
    consumer.declare(&Topology::new().with_parked_queue(queue)).await.unwrap();
    let bus = Arc::new(users.bus(Role::Publisher).await);
    let publisher = Publisher::<Any>::new(bus.clone(), catalog::contracts());
    let create = CreateMooring { topic: "Harbour".to_owned() };
    for _ in 0..2 {
        publisher.send(&create).await.unwrap();
        // What lies in the log must be looked through before the queue is known to be full.
        publish(&bus).await.unwrap();
    }
    let full = publisher.send(&create).await.unwrap_err();
    assert!(full.to_string().contains("is full"), "{full}");
    users.run("UPDATE events SET received = received + 31536000000000 WHERE position = 4").await;
    is_denied(bus.store().repair_clock(true).await.map(|_| ()));
    let operator = users.of(Role::Operator).open().await;
    assert_eq!(operator.repair_clock(true).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_owner_of_the_tables_migrates_them() {
    let Some(users) = Users::new().await else { return };
    users.run("DELETE FROM migrations WHERE version > 5").await;
    for role in Role::ALL {
        let error = users.of(role).try_open().await.err().unwrap();
        assert!(matches!(error, StoreError::Older { found: 5, .. }), "{role}: {error}");
    }
}

/// A table that nobody is granted is one that everybody's work stops at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_is_granted_to_every_role() {
    let Some(users) = Users::new().await else { return };
    // Partitions are reached by their table alone.
    let sql = "SELECT tablename FROM pg_tables JOIN pg_class ON relname = tablename \
         WHERE schemaname = 'public' AND NOT relispartition ORDER BY 1";
    let rows = users.client.query(sql, &[]).await.unwrap();
    let there: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for role in Role::ALL {
        let mut granted: Vec<_> = role.tables().map(|(table, _)| table).collect();
        granted.sort_unstable();
        assert_eq!(granted, there, "{role}");
    }
}

/// Only the owner of the tables makes and drops partitions: it does that for others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_made_and_dropped_for_those_who_store_and_prune() {
    let Some(users) = Users::new().await else { return };
    users.run("DROP TABLE events_1_10000000; UPDATE head SET room = 0, width = 1").await;
    let publisher = users.bus(Role::Publisher).await;
    for _ in 0..3 {
        publish(&publisher).await.unwrap();
    }
    let all = async || -> i64 {
        let sql = "SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'events'::regclass";
        users.client.query_one(sql, &[]).await.unwrap().get(0)
    };
    assert_eq!(all().await, 3);
    let statements = ["SELECT candystore_make_room(9)", "SELECT candystore_drop_partition(1, 1)"];
    for (role, refused) in [(Role::Reader, 2), (Role::Consumer, 2), (Role::Publisher, 1)] {
        let url = users.url.replace("bloodbank@", &format!("{}@", users.name(role)));
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        for statement in statements.iter().rev().take(refused) {
            let error = client.batch_execute(statement).await.unwrap_err();
            assert_eq!(
                error.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{role}: {statement}"
            );
        }
    }
    assert_eq!(all().await, 3);
    may_prune(&users.of(Role::Operator).open().await).await.unwrap();
    assert_eq!(all().await, 0);
    publish(&publisher).await.unwrap();
    assert_eq!(all().await, 1);
}
