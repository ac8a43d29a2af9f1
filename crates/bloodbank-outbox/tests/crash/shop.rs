//! The database of a service: aggregates that events tell of, and effects of what was handled.

use std::time::Duration;

use bloodbank_bus::Received;
use bloodbank_outbox::{Once, Outbox};
use bloodbank_testkit::catalog::{self, Any, Parcel};
use rusqlite::TransactionBehavior::Immediate;
use tokio_postgres::{Client, NoTls};

/// How many aggregates the writers contend for.
pub(crate) const AGGREGATES: u32 = 8;

/// Events of one aggregate, at most.
pub(crate) const MOST: u32 = 1_000_000;

/// What stands in the database at first.
pub(crate) fn tables() -> String {
    let rows: Vec<String> = (0..AGGREGATES).map(|id| format!("({id}, 0)")).collect();
    let rows = rows.join(", ");
    format!(
        "CREATE TABLE aggregates (id integer PRIMARY KEY, n integer NOT NULL); \
         CREATE TABLE effects (id integer PRIMARY KEY, n integer NOT NULL); \
         INSERT INTO aggregates VALUES {rows}; INSERT INTO effects VALUES {rows};"
    )
}

/// A connection of the service's own.
pub(crate) enum Shop {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Client>),
}

/// Lets everybody have the lock in turn, for a minute.
fn nap(tries: i32) -> bool {
    std::thread::sleep(Duration::from_micros(500));
    tries < 120_000
}

impl Shop {
    pub(crate) async fn open(url: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let mut connection = rusqlite::Connection::open(path).unwrap();
            connection.busy_handler(Some(nap)).unwrap();
            connection.pragma_update(None, "journal_mode", "wal").unwrap();
            return Shop::Sqlite(connection);
        }
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Shop::Postgres(Box::new(client))
    }

    /// Changes an aggregate and writes the event of it, and commits both, or neither.
    pub(crate) async fn change(&mut self, aggregate: u32, commits: bool) {
        let change = format!("UPDATE aggregates SET n = n + 1 WHERE id = {aggregate} RETURNING n");
        let outbox = Outbox::<Any>::new(catalog::contracts());
        let event = |n: u32| Parcel { n: aggregate * MOST + n };
        match self {
            Shop::Sqlite(connection) => {
                let tx = connection.transaction_with_behavior(Immediate).unwrap();
                let n = tx.query_one(&change, [], |row| row.get(0)).unwrap();
                outbox.publish(&tx, &event(n)).now().unwrap();
                if commits { tx.commit().unwrap() } else { tx.rollback().unwrap() }
            }
            Shop::Postgres(client) => {
                let tx = client.transaction().await.unwrap();
                let n: i32 = tx.query_one(&change, &[]).await.unwrap().get(0);
                outbox.publish(&tx, &event(n.cast_unsigned())).await.unwrap();
                if commits { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
            }
        }
    }

    /// Notes the effect of an event, unless it was noted before.
    pub(crate) async fn handle(&mut self, event: &Received<Parcel>) {
        let aggregate = event.payload.n / MOST;
        let change = format!("UPDATE effects SET n = n + 1 WHERE id = {aggregate}");
        match self {
            Shop::Sqlite(connection) => {
                let tx = connection.transaction_with_behavior(Immediate).unwrap();
                if event.once(&tx).now().unwrap() {
                    tx.execute(&change, []).unwrap();
                }
                tx.commit().unwrap();
            }
            Shop::Postgres(client) => {
                let tx = client.transaction().await.unwrap();
                if event.once(&tx).await.unwrap() {
                    tx.execute(&change, &[]).await.unwrap();
                }
                tx.commit().await.unwrap();
            }
        }
    }

    /// A statement without values.
    pub(crate) async fn run(&self, sql: &str) {
        match self {
            Shop::Sqlite(connection) => connection.execute_batch(sql).unwrap(),
            Shop::Postgres(client) => client.batch_execute(sql).await.unwrap(),
        }
    }

    /// One number.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        match self {
            Shop::Sqlite(connection) => connection.query_one(sql, [], |row| row.get(0)).unwrap(),
            Shop::Postgres(client) => client.query_one(sql, &[]).await.unwrap().get(0),
        }
    }
}
