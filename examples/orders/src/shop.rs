//! The shop's own database, on SQLite or PostgreSQL.

use std::error::Error;
use std::time::Duration;

use bloodbank::Received;
use bloodbank::outbox::{Dialect, Once, Outbox, Postgres, Source, Sqlite, Tables};
use rusqlite::TransactionBehavior::Immediate;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};

use crate::events::services;
use crate::events::shop::OrderPlaced;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What a service would have in its migrations.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id bigint PRIMARY KEY, article text NOT NULL, quantity integer NOT NULL
    );
    CREATE TABLE IF NOT EXISTS stock (article text PRIMARY KEY, reserved bigint NOT NULL);
";

const NEXT: &str = "SELECT COALESCE(MAX(id), 0) + 1 FROM orders";

const RESERVE: &str = "INSERT INTO stock (article, reserved) VALUES ($1, $2)
    ON CONFLICT (article) DO UPDATE SET reserved = stock.reserved + excluded.reserved";

const TOTALS: &str = "SELECT
    (SELECT CAST(COALESCE(SUM(quantity), 0) AS bigint) FROM orders),
    (SELECT CAST(COALESCE(SUM(reserved), 0) AS bigint) FROM stock)";

/// A connection of the shop's, and where it leads to.
pub(crate) struct Shop {
    url: String,
    connection: Connection,
    outbox: Outbox<services::Shop>,
}

enum Connection {
    Sqlite(Mutex<rusqlite::Connection>),
    Postgres(Mutex<Client>),
}

impl Shop {
    /// Connects, and makes the tables.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let connection = match url.strip_prefix("sqlite:") {
            Some(path) => {
                let connection = rusqlite::Connection::open(path)?;
                connection.busy_timeout(Duration::from_secs(30))?;
                connection.pragma_update(None, "journal_mode", "wal")?;
                connection.execute_batch(TABLES)?;
                connection.execute_batch(&Tables::new().ddl(Dialect::Sqlite))?;
                Connection::Sqlite(Mutex::new(connection))
            }
            None => {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
                tokio::spawn(connection);
                let tables = format!("{TABLES}{}", Tables::new().ddl(Dialect::Postgres));
                // Of two processes that make a table at once, one would fail.
                let lock = "SELECT pg_advisory_xact_lock(hashtext('orders'))";
                client.batch_execute(&format!("BEGIN; {lock}; {tables}; COMMIT")).await?;
                Connection::Postgres(Mutex::new(client))
            }
        };
        let outbox = Outbox::new(crate::events::contracts());
        Ok(Shop { url: url.to_owned(), connection, outbox })
    }

    /// What the relay reads, over a connection of its own.
    pub(crate) fn outbox(&self) -> Result<Box<dyn Source>> {
        Ok(match self.url.strip_prefix("sqlite:") {
            Some(path) => Box::new(Sqlite::new(path)),
            None => Box::new(Postgres::from_url(&self.url)?),
        })
    }

    /// Takes an order, and writes the event of it, in one transaction.
    pub(crate) async fn place(&self, article: &str, quantity: u32) -> Result<()> {
        let event = |order: i64| OrderPlaced::new(order.cast_unsigned(), article, quantity.into());
        match &self.connection {
            Connection::Sqlite(connection) => {
                let mut connection = connection.lock().await;
                let tx = connection.transaction_with_behavior(Immediate)?;
                let order: i64 = tx.query_one(NEXT, [], |row| row.get(0))?;
                let insert = "INSERT INTO orders (id, article, quantity) VALUES (?1, ?2, ?3)";
                tx.execute(insert, (order, article, quantity))?;
                self.outbox.publish(&tx, &event(order)).now()?;
                tx.commit()?;
            }
            Connection::Postgres(client) => {
                let mut client = client.lock().await;
                let tx = client.transaction().await?;
                tx.batch_execute("LOCK TABLE orders IN EXCLUSIVE MODE").await?;
                let order: i64 = tx.query_one(NEXT, &[]).await?.get(0);
                let insert = "INSERT INTO orders (id, article, quantity) VALUES ($1, $2, $3)";
                tx.execute(insert, &[&order, &article, &quantity.cast_signed()]).await?;
                self.outbox.publish(&tx, &event(order)).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Reserves what was ordered, once.
    pub(crate) async fn reserve(&self, placed: &Received<OrderPlaced>) -> Result<()> {
        let OrderPlaced { article, quantity, .. } = &placed.payload;
        let quantity = quantity.cast_signed();
        match &self.connection {
            Connection::Sqlite(connection) => {
                let mut connection = connection.lock().await;
                let tx = connection.transaction_with_behavior(Immediate)?;
                if placed.once(&tx).now()? {
                    tx.execute(RESERVE, (article, quantity))?;
                }
                tx.commit()?;
            }
            Connection::Postgres(client) => {
                let mut client = client.lock().await;
                let tx = client.transaction().await?;
                if placed.once(&tx).await? {
                    tx.execute(RESERVE, &[article, &quantity]).await?;
                }
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// How many articles were ordered, and how many are reserved.
    pub(crate) async fn totals(&self) -> Result<(i64, i64)> {
        match &self.connection {
            Connection::Sqlite(connection) => {
                let connection = connection.lock().await;
                Ok(connection.query_one(TOTALS, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
            }
            Connection::Postgres(client) => {
                let row = client.lock().await.query_one(TOTALS, &[]).await?;
                Ok((row.get(0), row.get(1)))
            }
        }
    }
}
