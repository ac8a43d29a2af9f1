//! What caused it, and what followed from it.

mod gather;
mod tree;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use self::gather::Gathered;
use crate::sql::{Connection, Row, micros_to_time};
use crate::{EventStore, Position, Standing, StoreError};

/// Causes and effects, as one or more trees: each effect stands below its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// Each event, followed by what it caused, in the order of positions.
    pub links: Vec<Link>,
    /// There is more behind this position: what [`EventStore::chain_after`] goes on with.
    pub next: Option<Position>,
    /// There is more than [`EventStore::MOST_IN_CHAINS`], which no page has.
    pub is_cut: bool,
}

/// One event in a chain; its payload is got by its position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// What it follows from.
    pub cause: Cause,
    /// How many causes stand above it.
    pub depth: usize,
    /// From its cause to it: by what the envelopes say, or if one says nothing, by when they were
    /// stored. Below zero where clocks differ.
    pub since_cause: Option<TimeDelta>,
    /// Its place in the store.
    pub position: Position,
    /// Its id.
    pub id: Uuid,
    /// Its key.
    pub key: String,
    /// Who said it.
    pub source: String,
    /// When it happened, as its envelope says.
    pub timestamp: Option<DateTime<Utc>>,
    /// When it was stored.
    pub received: DateTime<Utc>,
    /// What it has in common with others.
    pub correlation_id: Option<Uuid>,
    /// What it says it follows from.
    pub causation_id: Option<Uuid>,
    /// What its contract said when it was stored.
    pub standing: Standing,
}

/// What an event follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing: it names no cause.
    None,
    /// The link with this index.
    Link(usize),
    /// It is an orphan: its cause is not stored.
    Missing(Uuid),
    /// In the end, itself. It stands at the top for want of a beginning.
    Cycle(Uuid),
    /// An event of another page, or of what was left out.
    LeftOut(Uuid),
}

impl EventStore {
    /// The most events of a page of a chain.
    pub const MOST_IN_CHAIN: usize = 10_000;

    /// The most events of a chain that are found at all.
    pub const MOST_IN_CHAINS: usize = 1_000_000;

    /// The causes and effects of an event, or of all with a correlation id; `None` if there is no
    /// such id.
    ///
    /// That is everything with its correlation id, the event whose id that is, and whatever causation
    /// links to these, also if it names no correlation or another one. The first
    /// [`MOST_IN_CHAIN`](EventStore::MOST_IN_CHAIN) of them, by position.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn chain(&self, id: Uuid) -> Result<Option<Chain>, StoreError> {
        self.chain_after(id, 0, EventStore::MOST_IN_CHAIN).await
    }

    /// The same behind a position, at most so many. Each page finds the whole chain anew and shows its
    /// part of it: an event whose cause is on another page stands at the top.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn chain_after(
        &self,
        id: Uuid,
        after: Position,
        limit: usize,
    ) -> Result<Option<Chain>, StoreError> {
        let limit = limit.clamp(1, EventStore::MOST_IN_CHAIN);
        let ask = async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| {
                let gathered = Gathered::of(c, id, EventStore::MOST_IN_CHAINS).await?;
                let (links, next) = gathered.page(c, after, limit).await?;
                Ok((gathered, links, next))
            })
            .await
        };
        let (gathered, links, next) = self.long_reader()?.run(ask).await?;
        if gathered.is_empty() {
            return Ok(None);
        }
        let is_cut = gathered.is_cut;
        Ok(Some(Chain { links: tree::of(&gathered, links), next, is_cut }))
    }
}

/// The columns of [`Link::of`].
const COLUMNS: &str = "position, id, key, source, timestamp, received, correlation_id, \
     causation_id, standing";

impl Link {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let standing = row.text(8)?;
        Ok(Link {
            cause: Cause::None,
            depth: 0,
            since_cause: None,
            position: row.position(0)?,
            id: row.id(1)?,
            key: row.text(2)?.to_owned(),
            source: row.text(3)?.to_owned(),
            timestamp: row.maybe_int(4)?.map(micros_to_time).transpose()?,
            received: micros_to_time(row.int(5)?)?,
            correlation_id: row.maybe_id(6)?,
            causation_id: row.maybe_id(7)?,
            standing: standing.parse().map_err(|_| StoreError::column("standing"))?,
        })
    }

    /// How long after its cause it happened.
    fn since(&self, cause: &Link) -> TimeDelta {
        match (self.timestamp, cause.timestamp) {
            (Some(effect), Some(cause)) => effect - cause,
            _ => self.received - cause.received,
        }
    }
}
