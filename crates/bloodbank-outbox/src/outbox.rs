//! Messages written in the caller's own transaction.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bloodbank_bus::Json;
use bloodbank_core::{Command, Event, Kind, LiveContracts, ProducedBy, Sealer, SentBy, Service};
use serde_json::Value;

use crate::{Dialect, Draft, Tables};

/// Writes the events and commands of one service into the caller's own transaction, from where a
/// [`Relay`](crate::Relay) sends them.
///
/// What breaks its contract is refused as by a publisher, and nothing is written. Cheap to clone.
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn example<S: bloodbank_core::Service, E: bloodbank_core::Event + bloodbank_core::ProducedBy<S>>(
/// #     client: &mut tokio_postgres::Client, outbox: bloodbank_outbox::Outbox<S>, placed: E,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let tx = client.transaction().await?;
/// tx.execute("UPDATE orders SET state = 'placed' WHERE id = 7", &[]).await?;
/// outbox.publish(&tx, &placed).await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// What the registry does not give to the service does not compile:
///
/// ```compile_fail,E0277
/// # use bloodbank_testkit::catalog::{Idle, contracts, mooring};
/// let outbox = bloodbank_outbox::Outbox::<Idle>::new(contracts());
/// outbox.event(&mooring("t")).row();
/// ```
pub struct Outbox<S> {
    pub(crate) desk: Desk,
    service: PhantomData<fn() -> S>,
}

/// What seals messages, and where they are written.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) sealer: Sealer,
    tables: Tables,
    notify: bool,
    /// The statement for each dialect, made once.
    insert: [Arc<str>; 2],
}

impl Desk {
    fn new(sealer: Sealer, tables: Tables, notify: bool) -> Self {
        let insert = |dialect| tables.insert(dialect, notify).into();
        let insert = [insert(Dialect::Postgres), insert(Dialect::Sqlite)];
        Desk { sealer, tables, notify, insert }
    }

    pub(crate) fn insert(&self, dialect: Dialect) -> Arc<str> {
        match dialect {
            Dialect::Postgres => self.insert[0].clone(),
            Dialect::Sqlite => self.insert[1].clone(),
        }
    }
}

impl<S: Service> Outbox<S> {
    /// An outbox that names the service as the source of its messages. `contracts` judge what is
    /// written.
    pub fn new(contracts: impl Into<LiveContracts>) -> Self {
        let desk = Desk::new(Sealer::of::<S>(contracts.into()), Tables::default(), true);
        Outbox { desk, service: PhantomData }
    }

    /// Names another source in its envelopes: an instance, a host. What it may publish stays.
    pub fn named(mut self, source: &str) -> Self {
        self.desk.sealer = self.desk.sealer.named(source);
        self
    }

    /// Names the tables.
    pub fn tables(mut self, tables: Tables) -> Self {
        self.desk = Desk::new(self.desk.sealer, tables, self.desk.notify);
        self
    }

    /// Wakes no relay at the commit; it finds the row when it looks next. On PostgreSQL commits that
    /// notify go one after the other, through one lock for the whole server, so that thousands a second
    /// are better without.
    pub fn without_notify(mut self) -> Self {
        self.desk = Desk::new(self.desk.sealer, self.desk.tables, false);
        self
    }

    /// Writes an event into the transaction: `outbox.publish(&tx, &event).await?`, or `.now()?` with a
    /// client that blocks.
    ///
    /// # Errors
    /// See [`OutboxError`](crate::OutboxError).
    pub fn publish<'o, T, E: Event + ProducedBy<S>>(
        &'o self,
        tx: T,
        event: &'o E,
    ) -> Draft<'o, &'o E, T> {
        Draft::new(&self.desk, event, tx)
    }

    /// Writes an event whose type is known at run time only.
    ///
    /// # Errors
    /// As with the types: what the contract refuses is refused, and what the registry does not give to
    /// the service is [`SealError::NotAllowed`](bloodbank_core::SealError::NotAllowed).
    pub fn publish_json<'o, T>(
        &'o self,
        tx: T,
        key: &'o str,
        data: Value,
    ) -> Draft<'o, Json<'o>, T> {
        Draft::new(&self.desk, Json::new(Kind::Event, key, data), tx)
    }

    /// Writes a command into the transaction. Whether it has a worker queue shows when it is sent.
    ///
    /// # Errors
    /// See [`OutboxError`](crate::OutboxError).
    pub fn send<'o, T, C: Command + SentBy<S>>(
        &'o self,
        tx: T,
        command: &'o C,
    ) -> Draft<'o, &'o C, T> {
        Draft::new(&self.desk, command, tx)
    }

    /// Writes a command whose type is known at run time only.
    ///
    /// # Errors
    /// Those of [`publish_json`](Outbox::publish_json).
    pub fn send_json<'o, T>(&'o self, tx: T, key: &'o str, data: Value) -> Draft<'o, Json<'o>, T> {
        Draft::new(&self.desk, Json::new(Kind::Command, key, data), tx)
    }

    /// An event that the caller writes with a client of any kind: `outbox.event(&event).row()?`.
    pub fn event<'o, E: Event + ProducedBy<S>>(&'o self, event: &'o E) -> Draft<'o, &'o E> {
        self.publish((), event)
    }

    /// A command that the caller writes with a client of any kind: `outbox.command(&command).row()?`.
    pub fn command<'o, C: Command + SentBy<S>>(&'o self, command: &'o C) -> Draft<'o, &'o C> {
        self.send((), command)
    }
}

impl<S> Clone for Outbox<S> {
    fn clone(&self) -> Self {
        Outbox { desk: self.desk.clone(), service: PhantomData }
    }
}

impl<S> fmt::Debug for Outbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Outbox");
        debug.field("source", &self.desk.sealer.source()).field("tables", &self.desk.tables);
        debug.finish_non_exhaustive()
    }
}
