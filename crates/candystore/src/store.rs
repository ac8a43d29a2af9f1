//! The store, as programs see it.

use std::sync::Arc;

use bloodbank_core::{Contracts, LiveContracts};
use chrono::{DateTime, Utc};
use tokio::sync::watch;
use uuid::Uuid;

use crate::damaged::lost;
use crate::event::EventRow;
use crate::pulse::Pulse;
use crate::record::Record;
use crate::sql::{Connection, Pool, Target, Value, migrations};
use crate::writer::Writer;
use crate::{
    Appended, DamagedEvents, Incoming, Migrated, Position, StoreError, StoreUrl, StoredEvent,
};

/// Events that are judged on the caller's thread; more go to a thread for work.
const FEW: usize = 16;

/// How to open a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Where it lies.
    pub url: StoreUrl,
    /// How many questions it answers at a time, each on a connection of its own.
    pub readers: usize,
    /// The most pages of 4,096 bytes that a SQLite file may have; no limit of ours by default.
    pub max_pages: Option<u32>,
    /// When it is now, for a SQLite file; a PostgreSQL server has a clock of its own.
    pub clock: fn() -> DateTime<Utc>,
}

impl StoreOptions {
    /// A store with four readers of a file, or one on a server, whose connections are counted.
    pub fn new(url: StoreUrl) -> Self {
        let readers = if matches!(url, StoreUrl::Sqlite(_)) { 4 } else { 1 };
        StoreOptions { url, readers, max_pages: None, clock: Utc::now }
    }

    /// Sets the clock of a SQLite file.
    pub fn with_clock(mut self, clock: fn() -> DateTime<Utc>) -> Self {
        self.clock = clock;
        self
    }

    /// Limits the pages of a SQLite file.
    pub fn with_max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }
}

/// A store of events. Cheap to clone; clones share its connections.
///
/// Any number of processes may write to one store and read from it at a time.
#[derive(Clone)]
pub struct EventStore {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    contracts: LiveContracts,
    writer: Writer,
    migrated: Option<Migrated>,
    readers: Pool,
    pulse: Pulse,
}

impl EventStore {
    /// Opens a store for reading and writing. Makes it if it is not there, and brings its tables up to
    /// date if something is missing ([`migrated`](EventStore::migrated)). `contracts` judge what is
    /// appended.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`], [`StoreError::Foreign`], [`StoreError::Busy`].
    pub async fn open(
        options: StoreOptions,
        contracts: impl Into<LiveContracts>,
    ) -> Result<Self, StoreError> {
        let (readers, clock, target) = (options.readers, options.clock, Target::of(options));
        let (pulse, _) = watch::channel(0);
        let (writer, migrated) = Writer::start(target.clone(), pulse.clone(), clock).await?;
        EventStore::with(target, contracts.into(), writer, migrated, readers, pulse)
    }

    /// Opens a store that is there for reading. Makes and changes nothing, and waits for nobody who
    /// writes; whatever writes is refused with [`StoreError::ReadOnly`].
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Older`], [`StoreError::Open`], [`StoreError::Newer`],
    /// [`StoreError::Foreign`].
    pub async fn open_to_read(
        options: StoreOptions,
        contracts: impl Into<LiveContracts>,
    ) -> Result<Self, StoreError> {
        let (readers, target) = (options.readers, Target::of(options));
        let place = target.url.to_string();
        let (pulse, _) = watch::channel(0);
        let writer = Writer::refusing();
        let store = EventStore::with(target, contracts.into(), writer, None, readers, pulse)?;
        let check = async move |c: &mut Connection| migrations::check(c, &place).await;
        store.readers().run(check).await.map_err(StoreError::while_opening)?;
        Ok(store)
    }

    fn with(
        target: Target,
        contracts: LiveContracts,
        writer: Writer,
        migrated: Option<Migrated>,
        readers: usize,
        pulse: watch::Sender<i64>,
    ) -> Result<Self, StoreError> {
        // Files have as many connections as there are readers.
        let spare = writer.spare().filter(|_| !matches!(target.url, StoreUrl::Sqlite(_)));
        let readers = Pool::with_spare(&target, readers.max(1), spare)?;
        let pulse = Pulse::new(pulse);
        let inner = Inner { target, contracts, writer, migrated, readers, pulse };
        Ok(EventStore { inner: Arc::new(inner) })
    }

    /// What opening it has done to its tables, if something was missing.
    pub fn migrated(&self) -> Option<Migrated> {
        self.inner.migrated
    }

    /// Where it lies.
    pub fn url(&self) -> &StoreUrl {
        &self.inner.target.url
    }

    /// The contracts in force, which judge what is appended and what is replayed.
    pub fn contracts(&self) -> Contracts {
        self.inner.contracts.current()
    }

    /// Stores events in their order, in one transaction. Gives what became of each. An event that is
    /// stored already is not stored again; what breaks its contract is stored and marked.
    ///
    /// # Errors
    /// Nothing is stored then, unless it is [`StoreError::Lost`], which leaves it open. Where
    /// [`is_retryable`](StoreError::is_retryable), the same may be appended again.
    pub async fn append(&self, events: Vec<Incoming>) -> Result<Vec<Appended>, StoreError> {
        let records = self.judge(events).await?;
        self.writer().append(records).await
    }

    async fn judge(&self, events: Vec<Incoming>) -> Result<Vec<Record>, StoreError> {
        let (contracts, few) = (self.contracts(), events.len() <= FEW);
        let judge = move || events.into_iter().map(|event| Record::of(&contracts, event)).collect();
        if few {
            return Ok(judge());
        }
        // An error means that the runtime ends.
        tokio::task::spawn_blocking(judge).await.map_err(|_| StoreError::Closed)
    }

    /// The last position; 0 if nothing was ever stored.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn position(&self) -> Result<Position, StoreError> {
        let sql = "SELECT position FROM head";
        let asked = async move |c: &mut Connection| c.query_one(sql, &[]).await;
        self.readers().run(asked).await?.position(0)
    }

    /// The event at a position, if there is one: what was pruned is gone.
    ///
    /// # Errors
    /// If the database cannot be asked; [`StoreError::Damaged`] if the event is not what was stored, or
    /// is lost.
    pub async fn at(&self, position: Position) -> Result<Option<StoredEvent>, StoreError> {
        let found = self.one("position", Value::position(position)).await?;
        if found.is_none() && position > 0 && position <= self.position().await? {
            let look = async move |c: &mut Connection| lost(c, position, position, 0).await;
            if let Some(lost) = self.readers().run(look).await?.pop() {
                return Err(lost.error());
            }
        }
        Ok(found)
    }

    /// The event with an id, if it is stored.
    ///
    /// # Errors
    /// If the database cannot be asked; [`StoreError::Damaged`] if the event is not what was stored.
    pub async fn get(&self, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        self.one("id", Value::Id(id)).await
    }

    async fn one(&self, column: &str, value: Value) -> Result<Option<StoredEvent>, StoreError> {
        let sql = format!("SELECT {} FROM events WHERE {column} = $1", EventRow::COLUMNS);
        let asked = async move |c: &mut Connection| c.query(&sql, &[value]).await;
        let rows = self.readers().run(asked).await?;
        let event = rows.first().map(StoredEvent::sound).transpose()?;
        event.transpose().map_err(DamagedEvents::error)
    }

    pub(crate) fn target(&self) -> &Target {
        &self.inner.target
    }

    /// A connection for reading beside the others, for what takes long.
    ///
    /// # Errors
    /// If the machine has no thread for us.
    pub(crate) fn long_reader(&self) -> Result<Pool, StoreError> {
        Pool::new(self.target(), 1)
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    pub(crate) fn readers(&self) -> &Pool {
        &self.inner.readers
    }

    /// Changes with every commit of any process that somebody may wait for.
    ///
    /// # Errors
    /// If the machine has no thread for us.
    pub(crate) fn pulse(&self) -> Result<watch::Receiver<i64>, StoreError> {
        self.inner.pulse.subscribe(self.target(), self.readers())
    }
}

#[cfg(test)]
mod tests {
    use bloodbank_core::Kind;
    use bloodbank_testkit::catalog;

    use super::*;
    use crate::writer::Transaction;

    #[tokio::test]
    async fn a_job_that_panics_fails_alone_and_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::file(folder.path().join("store.db"));
        let options = StoreOptions::new(url);
        let store = EventStore::open(options, catalog::contracts()).await.unwrap();
        let incoming = |n: u8| vec![Incoming::new(Kind::Event, "a.b", [n])];
        let record = Record::of(&store.contracts(), incoming(0).remove(0));
        let panics = store.writer().run(async move |transaction: &mut Transaction| {
            transaction.append(&[record]).await?;
            panic!("a mistake of ours");
            #[allow(unreachable_code)]
            Ok(())
        });
        // Together, so that they share a transaction or do not, as it comes.
        let (before, panicked, after) =
            tokio::join!(store.append(incoming(1)), panics, store.append(incoming(2)));
        assert_eq!(panicked, Err(StoreError::Panicked));
        assert_eq!(before.unwrap(), [Appended::Stored(1)]);
        assert_eq!(after.unwrap(), [Appended::Stored(2)]);
        assert_eq!(store.position().await.unwrap(), 2);
    }
}
