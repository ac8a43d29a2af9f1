//! What a replay would send.

use std::collections::BTreeMap;

use bloodbank_core::Kind;
use chrono::{DateTime, Utc};

use super::ReplayError;
use super::reader::{Read, Reader};
use crate::{EventStore, Filter, Position, StoredEvent};

/// The most events that break their contract that a plan names.
const MOST_NAMED: usize = 100;

/// What a replay would send, counted event by event. Nothing is sent yet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReplayPlan {
    /// Which events: never commands, and none that is stored after the planning.
    pub filter: Filter,
    /// How many.
    pub count: u64,
    /// How many of each key.
    pub keys: BTreeMap<String, u64>,
    /// The first event.
    pub first: Option<Planned>,
    /// The last event.
    pub last: Option<Planned>,
    /// How many break the contract of today, or have none.
    pub unfit: u64,
    /// The first 100 of these.
    pub unfit_named: Vec<Unfit>,
}

/// An event of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// Where it is.
    pub position: Position,
    /// Its routing key.
    pub key: String,
    /// When it happened; when it was stored, if it does not say.
    pub at: DateTime<Utc>,
}

/// An event that breaks the contract of today, or has none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfit {
    /// Where it is.
    pub position: Position,
    /// Its routing key.
    pub key: String,
    /// The first thing wrong with it.
    pub violation: String,
}

impl EventStore {
    /// Counts what a replay of these events would send, and judges each anew. Reads all of them.
    ///
    /// # Errors
    /// [`ReplayError::Commands`]; if the store cannot be asked.
    pub async fn plan_replay(&self, filter: Filter) -> Result<ReplayPlan, ReplayError> {
        let filter = events_up_to(self.position().await?, filter)?;
        let mut reader = Reader::new(self, filter.clone()).await?;
        let mut plan = ReplayPlan {
            filter,
            count: 0,
            keys: BTreeMap::new(),
            first: None,
            last: None,
            unfit: 0,
            unfit_named: Vec::new(),
        };
        while let Some(read) = reader.next().await? {
            plan.add(read);
        }
        Ok(plan)
    }
}

impl ReplayPlan {
    fn add(&mut self, Read { event, violation }: Read) {
        self.count += 1;
        let planned =
            Planned { position: event.position, at: time_of(&event), key: event.key.clone() };
        self.first.get_or_insert_with(|| planned.clone());
        self.last = Some(planned);
        if let Some(violation) = violation {
            self.unfit += 1;
            if self.unfit_named.len() < MOST_NAMED {
                let (position, key) = (event.position, event.key.clone());
                self.unfit_named.push(Unfit { position, key, violation });
            }
        }
        *self.keys.entry(event.key).or_default() += 1;
    }
}

/// When it happened; when it was stored, if it does not say.
pub(super) fn time_of(event: &StoredEvent) -> DateTime<Utc> {
    event.timestamp.unwrap_or(event.received)
}

fn events_up_to(head: Position, mut filter: Filter) -> Result<Filter, ReplayError> {
    if filter.kind == Some(Kind::Command) {
        return Err(ReplayError::Commands);
    }
    filter.kind = Some(Kind::Event);
    filter.last = Some(filter.last.map_or(head, |last| last.min(head)));
    Ok(filter)
}
