//! Effects that happen once.

use std::future::Ready;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bloodbank_bus::Received;
use uuid::Uuid;

use crate::{DatabaseError, Dialect, Tables, Tx, Value};

/// Notes in the caller's own transaction which messages were handled, so that the effect of each
/// happens once, however often it comes.
///
/// The consumer of a message is its queue. A handler asks first, and does its work in the same
/// transaction:
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn example<P>(client: &mut tokio_postgres::Client, received: bloodbank_bus::Received<P>)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// use bloodbank_outbox::Once;
///
/// let tx = client.transaction().await?;
/// if received.once(&tx).await? {
///     tx.execute("UPDATE stock SET reserved = reserved + 1", &[]).await?;
/// }
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Inbox {
    insert: [Arc<str>; 2],
    prune: [Arc<str>; 2],
}

/// The namespace (RFC 9562) of the ids of replayed messages.
const REPLAYS: Uuid = Uuid::from_u128(0x51c8_7a0e_92d4_4f6b_b3a1_0d6e_8f29_c754);

/// The longest age that databases can reckon with: 90 years.
const LONGEST: Duration = Duration::from_secs(90 * 365 * 24 * 60 * 60);

/// That of the default name, whose statements are made once.
static INBOX: LazyLock<Inbox> = LazyLock::new(Inbox::default);

impl Default for Inbox {
    fn default() -> Self {
        Inbox::new(&Tables::default())
    }
}

impl Inbox {
    /// An inbox in the table of this name.
    pub fn new(tables: &Tables) -> Self {
        let table = tables.quoted_inbox();
        let insert = |consumer: &str, id: &str| {
            let insert = format!("INSERT INTO {table} (consumer, id) VALUES ({consumer}, {id})");
            Arc::from(insert + " ON CONFLICT (consumer, id) DO NOTHING")
        };
        let prune = |before: &str| format!("DELETE FROM {table} WHERE handled < {before}").into();
        Inbox {
            insert: [insert("$1", "CAST(CAST($2 AS text) AS uuid)"), insert("?1", "?2")],
            prune: [
                prune("clock_timestamp() - CAST($1 AS bigint) * INTERVAL '1 second'"),
                prune("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || ?1 || ' seconds')"),
            ],
        }
    }

    /// Notes a message as handled, and says whether that is the first time. If another transaction is
    /// just handling it, the answer waits for the end of that one, on PostgreSQL; on SQLite there is one
    /// that writes at a time.
    ///
    /// A message of a replay is another one than the same message live, as for deduplication.
    ///
    /// # Errors
    /// What the database says. Roll back then.
    pub fn once<T: Tx, P>(&self, tx: T, received: &Received<P>) -> Handling<T::Executing> {
        let id = match received.replay() {
            None => received.envelope.id,
            Some(replay) => {
                Uuid::new_v5(&REPLAYS, format!("{}/{replay}", received.envelope.id).as_bytes())
            }
        };
        self.note(tx, received.queue(), id)
    }

    /// The same for a message that did not come from the bus. `consumer` is any name.
    ///
    /// # Errors
    /// What the database says. Roll back then.
    pub fn note<T: Tx>(&self, tx: T, consumer: &str, id: Uuid) -> Handling<T::Executing> {
        let sql = of(&self.insert, tx.dialect());
        let values = vec![Value::text(consumer), Value::text(id.to_string())];
        Handling { executing: tx.execute(sql, values) }
    }

    /// Forgets what was handled longer ago than this, and says how many messages that were. What comes
    /// again later than that is handled again.
    ///
    /// # Errors
    /// What the database says.
    pub async fn prune<T: Tx>(&self, tx: T, older_than: Duration) -> Result<u64, DatabaseError> {
        let sql = of(&self.prune, tx.dialect());
        let seconds = older_than.min(LONGEST).as_secs().cast_signed();
        tx.execute(sql, vec![Value::Int(seconds)]).await
    }
}

fn of(statements: &[Arc<str>; 2], dialect: Dialect) -> Arc<str> {
    match dialect {
        Dialect::Postgres => statements[0].clone(),
        Dialect::Sqlite => statements[1].clone(),
    }
}

/// `received.once(&tx)`, in the inbox of the default name.
pub trait Once {
    /// See [`Inbox::once`].
    ///
    /// # Errors
    /// What the database says. Roll back then.
    fn once<T: Tx>(&self, tx: T) -> Handling<T::Executing>;
}

impl<P> Once for Received<P> {
    fn once<T: Tx>(&self, tx: T) -> Handling<T::Executing> {
        INBOX.once(tx, self)
    }
}

/// Whether a message is handled for the first time: `.await`, or `.now()` with a client that blocks.
#[derive(Debug)]
#[must_use = "a message is handled only the first time"]
pub struct Handling<F> {
    executing: F,
}

impl Handling<Ready<Result<u64, DatabaseError>>> {
    /// The same as awaiting it, for a client that blocks and code that is not async.
    ///
    /// # Errors
    /// What the database says.
    pub fn now(self) -> Result<bool, DatabaseError> {
        Ok(self.executing.into_inner()? > 0)
    }
}

impl<F> Future for Handling<F>
where
    F: Future<Output = Result<u64, DatabaseError>> + Unpin,
{
    type Output = Result<bool, DatabaseError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.executing).poll(context).map_ok(|rows| rows > 0)
    }
}
