//! Pruning: letting old events go, one by one or by whole partitions.

mod doomed;
mod plan;
mod protected;
mod whole;

use std::collections::VecDeque;
use std::time::Duration;

use bloodbank_core::TopicPattern;
use chrono::{DateTime, Utc};

use self::doomed::Doomed;
use self::protected::protected;
use crate::partitions::Partition;
use crate::pruned::ranges_of;
use crate::sql::{Connection, Value};
use crate::summary::{Counted, counted_rows};
use crate::writer::Transaction;
use crate::{EventStore, Position, StoreError};

/// Which events are to go: those of the keys that any of the limits reaches.
///
/// An event that was pruned is not known any more: if it is appended again, it is stored again.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Prune {
    /// Events whose keys match one of these patterns; none means all keys.
    pub keys: Vec<TopicPattern>,
    /// What was stored longer ago goes.
    pub older_than: Option<Duration>,
    /// What is not among the newest so many of its key goes.
    pub keep: Option<u64>,
    /// The oldest go until the bodies of all these keys together have at most so many bytes.
    pub max_bytes: Option<u64>,
    /// Also what a queue, a consumer that catches up, or a replay that runs still needs.
    pub force: bool,
    /// Keys that match one of these stay, whatever else they match.
    pub(crate) except: Vec<TopicPattern>,
    /// So much longer than their age, events stay with which a whole partition goes then.
    pub(crate) patience: Duration,
}

impl Prune {
    /// Nothing goes, until a limit is set.
    pub fn new(keys: Vec<TopicPattern>) -> Self {
        Prune { keys, ..Prune::default() }
    }

    /// Lets go what was stored longer ago.
    pub fn with_older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Keeps the newest so many of each key.
    pub fn with_keep(mut self, events: u64) -> Self {
        self.keep = Some(events);
        self
    }

    /// Keeps the newest that have at most so many bytes together.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Whether what is still needed goes, too.
    pub fn with_force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }
}

/// What would go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrunePlan {
    /// By key, in their order; keys of which nothing goes are left out.
    pub keys: Vec<DoomedKey>,
    /// How many events the limits reach that stay, as they are still needed.
    pub held: u64,
    /// The lowest position that a queue, a consumer that catches up, or a replay that runs still needs; it
    /// and what follows stays. `None` if none does, and if it is not asked ([`Prune::force`]).
    pub needed: Option<Position>,
    /// Partitions of the table of events of which nothing stays.
    whole: Vec<Partition>,
    force: bool,
}

impl PrunePlan {
    /// Whether nothing would go, not even an empty partition.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.whole.is_empty()
    }

    /// How many events.
    pub fn events(&self) -> u64 {
        self.keys.iter().map(|key| key.events).sum()
    }

    /// How many bytes their bodies have.
    pub fn bytes(&self) -> u64 {
        self.keys.iter().map(|key| key.bytes).sum()
    }
}

/// What would go of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DoomedKey {
    /// The key.
    pub key: String,
    /// How many events.
    pub events: u64,
    /// How many bytes their bodies have.
    pub bytes: u64,
    /// The first of them, and when it was stored.
    pub first: (Position, DateTime<Utc>),
    /// The last of them, and when it was stored.
    pub last: (Position, DateTime<Utc>),
}

/// How far it is; at the end, what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneProgress {
    /// How many events are gone.
    pub events: u64,
    /// The lowest position that was to go and stays, as it has come to be needed since the plan was
    /// made.
    pub held_from: Option<Position>,
}

impl EventStore {
    /// Finds out what would go, and changes nothing.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn plan_prune(&self, prune: Prune) -> Result<PrunePlan, StoreError> {
        let ask = async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| plan::make(c, &prune).await).await
        };
        self.long_reader()?.run(ask).await
    }

    /// Lets the events of a plan go, a batch in a transaction, so that others can write in between, and
    /// records their positions. What is stored meanwhile stays. `progress` is called after each batch.
    ///
    /// On PostgreSQL a partition of the table of events of which nothing stays is dropped: the disk has
    /// its space at once, and it takes about as long as to read it. It waits for those who read the table
    /// for long, and fails with [`StoreError::Busy`] if they go on.
    ///
    /// # Errors
    /// What was done before the error stays done; the same plan may be done again.
    pub async fn prune(
        &self,
        plan: &PrunePlan,
        mut progress: impl FnMut(PruneProgress),
    ) -> Result<PruneProgress, StoreError> {
        let mut pruning = Pruning::begin(self, plan).await?;
        while pruning.step().await? {
            progress(pruning.done);
        }
        Ok(pruning.done)
    }
}

/// A plan that is carried out, batch by batch.
pub(crate) struct Pruning<'a> {
    store: &'a EventStore,
    whole: VecDeque<Partition>,
    doomed: Option<Doomed>,
    force: bool,
    /// What is done so far.
    pub(crate) done: PruneProgress,
}

impl<'a> Pruning<'a> {
    pub(crate) async fn begin(store: &'a EventStore, plan: &PrunePlan) -> Result<Self, StoreError> {
        if !plan.force && !plan.is_empty() {
            store.pass_unwanted().await?;
        }
        let (doomed, done) = (Some(Doomed::new(plan)), PruneProgress::default());
        let whole = plan.whole.clone().into();
        Ok(Pruning { store, whole, doomed, force: plan.force, done })
    }

    /// Does a batch; false if there was none left.
    pub(crate) async fn step(&mut self) -> Result<bool, StoreError> {
        if let Some(partition) = self.whole.pop_front() {
            let events = whole::remove(self.store, partition, self.force).await?;
            self.done.events += events.unwrap_or_default();
            return Ok(true);
        }
        let Some(mut doomed) = self.doomed.take() else { return Ok(false) };
        let read = async move |c: &mut Connection| {
            let batch = doomed.batch(c).await?;
            Ok((doomed, batch))
        };
        let (doomed, batch) = self.store.readers().run(read).await?;
        if batch.is_empty() {
            return Ok(false);
        }
        let force = self.force;
        let delete = async move |t: &mut Transaction| t.prune(&batch, force).await;
        let done = self.store.writer().run(delete).await?;
        self.done = PruneProgress { events: self.done.events + done.events, ..done };
        // What has come to be needed, and all behind it, stays.
        self.doomed = done.held_from.is_none().then_some(doomed);
        Ok(true)
    }
}

impl Transaction {
    /// Deletes the events at these positions, which are in order, and records that.
    async fn prune(
        &mut self,
        batch: &[Position],
        force: bool,
    ) -> Result<PruneProgress, StoreError> {
        let needed = if force { None } else { protected(self.connection()).await? };
        let free = batch.partition_point(|&position| needed.is_none_or(|needed| position < needed));
        let held_from = batch.get(free).copied();
        let ranges = ranges_of(&batch[..free]);
        let values: Vec<_> = ranges
            .iter()
            .map(|range| vec![Value::position(range.first), Value::position(range.last)])
            .collect();
        self.fold().await?;
        self.note_gone(&batch[..free]).await?;
        let sql = "DELETE FROM events WHERE position >= $1 AND position <= $2";
        self.record_pruned(&ranges).await?;
        let events = self.execute_each(sql, &values).await?;
        Ok(PruneProgress { events, held_from })
    }

    /// Takes the events at these positions, which are in order, out of the figures.
    async fn note_gone(&mut self, positions: &[Position]) -> Result<(), StoreError> {
        let (Some(&first), Some(&last)) = (positions.first(), positions.last()) else {
            return Ok(());
        };
        let mut gone = Vec::new();
        let take = async |_: &mut Connection, rows: Vec<(Position, Counted)>| {
            let rows = rows.into_iter().filter(|(at, _)| positions.binary_search(at).is_ok());
            gone.extend(rows.map(|(_, one)| Counted { is_gone: true, ..one }));
            Ok(())
        };
        counted_rows(self.connection(), first, last, take).await?;
        self.gone.extend(gone);
        Ok(())
    }
}
