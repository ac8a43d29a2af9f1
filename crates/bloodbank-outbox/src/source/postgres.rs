//! An outbox in PostgreSQL.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Socket};

use super::{Source, not_connected};
use crate::{DatabaseError, Dialect, Tables, Value, tx};

/// How long to wait for a connection, or for the answer to a statement. A server that says nothing for
/// so long counts as gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first of the two numbers of the advisory lock; the second is the table's own.
const LOCK: i64 = 0x0B10_0D0B;

/// The server notices within half a minute that a relay's machine is gone, and gives the lock to another.
/// By default it takes two hours.
const KEEPALIVES: [&str; 3] = [
    "SET tcp_keepalives_idle = 15",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
];

/// An outbox in PostgreSQL, read over one connection of its own.
///
/// An advisory lock of the session makes it the only one that sends; the server drops the lock when the
/// connection ends. It hears of new rows by `LISTEN`, for which a pooler between must not share
/// connections.
pub struct Postgres {
    connect: Connect,
    tables: Tables,
    client: Option<Client>,
    leads: bool,
    /// Something was committed, or the connection has ended.
    news: Arc<Notify>,
}

/// Opens a connection, and lets it tell of news.
type Connect = Box<dyn Fn(Arc<Notify>) -> BoxFuture<'static, Result<Client, Error>> + Send + Sync>;

impl Postgres {
    /// The database that the configuration names, without TLS. Connects when a relay asks.
    pub fn new(config: Config) -> Self {
        Postgres::with_tls(config, NoTls)
    }

    /// The same from a URL, `postgres://user:password@host/database`.
    ///
    /// # Errors
    /// If the text is not such a URL.
    pub fn from_url(url: &str) -> Result<Self, DatabaseError> {
        url.parse().map(Postgres::new).map_err(DatabaseError::new)
    }

    /// The same by TLS, as tokio-postgres takes it.
    pub fn with_tls<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket, Stream: Send, TlsConnect: Send> + Clone + Send + Sync + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let connect: Connect = Box::new(move |news| {
            let (mut config, tls) = (config.clone(), tls.clone());
            if config.get_application_name().is_none() {
                config.application_name("bloodbank-outbox");
            }
            Box::pin(async move {
                let (client, connection) = config.connect(tls).await?;
                tokio::spawn(listen(connection, news));
                Ok(client)
            })
        });
        let tables = Tables::default();
        Postgres { connect, tables, client: None, leads: false, news: Arc::default() }
    }

    /// Names the tables.
    #[must_use]
    pub fn tables(mut self, tables: Tables) -> Self {
        self.tables = tables;
        self
    }

    async fn connected(&mut self) -> Result<(), DatabaseError> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        (self.client, self.leads) = (None, false);
        let connecting = timeout(PATIENCE, (self.connect)(self.news.clone())).await;
        let client = connecting.map_err(DatabaseError::new)?.map_err(DatabaseError::new)?;
        self.client = Some(client);
        for setting in KEEPALIVES {
            self.execute(setting, Vec::new()).await?;
        }
        Ok(())
    }

    async fn leads(&mut self) -> Result<bool, DatabaseError> {
        self.connected().await?;
        if !self.leads {
            let listen = format!("LISTEN {}", quoted_channel(&self.tables));
            self.execute(&listen, Vec::new()).await?;
            // The number of the table, so that two names of one table are one lock.
            let ask = format!(
                "SELECT CASE WHEN pg_try_advisory_lock({LOCK}, CAST(CAST(CAST($1 AS regclass) AS oid) \
                 AS integer)) THEN CAST(1 AS bigint) ELSE CAST(0 AS bigint) END"
            );
            let table = vec![Value::text(self.tables.quoted_outbox())];
            let rows = self.query(&ask, table).await?;
            self.leads = rows.first().and_then(|row| row.first()) == Some(&Value::Int(1));
        }
        Ok(self.leads)
    }

    /// Lets go of a connection whose server does not answer in time: the lock goes with it, and whatever
    /// it answers later means nothing.
    fn gone(&mut self, elapsed: Elapsed) -> DatabaseError {
        (self.client, self.leads) = (None, false);
        DatabaseError::new(elapsed)
    }
}

impl Source for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn tables(&self) -> &Tables {
        &self.tables
    }

    fn open(&mut self) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(self.connected())
    }

    fn lead(&mut self) -> BoxFuture<'_, Result<bool, DatabaseError>> {
        Box::pin(self.leads())
    }

    fn execute<'s>(
        &'s mut self,
        sql: &'s str,
        values: Vec<Value>,
    ) -> BoxFuture<'s, Result<u64, DatabaseError>> {
        Box::pin(async move {
            let client = self.client.as_ref().ok_or_else(not_connected)?;
            let executed = timeout(PATIENCE, tx::execute_postgres(client, sql, &values)).await;
            executed.map_err(|elapsed| self.gone(elapsed))?
        })
    }

    fn query<'s>(
        &'s mut self,
        sql: &'s str,
        values: Vec<Value>,
    ) -> BoxFuture<'s, Result<Vec<Vec<Value>>, DatabaseError>> {
        Box::pin(async move {
            let client = self.client.as_ref().ok_or_else(not_connected)?;
            let asked = timeout(PATIENCE, tx::query_postgres(client, sql, &values)).await;
            asked.map_err(|elapsed| self.gone(elapsed))?
        })
    }

    fn wait(&mut self, at_most: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Whether there was news or not, it looks again.
            let _ = timeout(at_most, self.news.notified()).await;
        })
    }

    fn poll(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The channel as SQL names it; it is a name, and takes no value.
fn quoted_channel(tables: &Tables) -> String {
    format!("\"{}\"", tables.channel().replace('"', "\"\""))
}

/// Drives a connection until it ends, and tells of what it hears.
async fn listen<S, T>(mut connection: Connection<S, T>, news: Arc<Notify>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if matches!(message, AsyncMessage::Notification(_)) {
            news.notify_one();
        }
    }
    // Let the relay see that it is gone.
    news.notify_one();
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("tables", &self.tables).finish_non_exhaustive()
    }
}
