//! What passed in a short while, counted.

use std::collections::{BTreeMap, VecDeque};

use candystore::{Position, StoredEvent};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// The most events that are shown of a summary; the last ones.
const MOST_ROWS: usize = 50;

/// What passed in a short while: counts of all of it, and the last events without their messages.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    /// The first position that this is about; it follows the last one of the summary before.
    first: Position,
    /// The last position that this is about.
    pub(super) last: Position,
    /// How many events passed.
    count: u64,
    /// How many of each key.
    counts: BTreeMap<String, u64>,
    /// The last of them, the oldest first.
    rows: VecDeque<Row>,
}

/// An event without its message.
#[derive(Debug, Serialize)]
struct Row {
    position: Position,
    id: Uuid,
    kind: &'static str,
    key: String,
    source: String,
    received: DateTime<Utc>,
    correlation_id: Option<Uuid>,
    causation_id: Option<Uuid>,
    standing: &'static str,
}

impl Summary {
    /// Of what passes behind a position.
    pub(super) fn behind(position: Position) -> Self {
        Summary { first: position + 1, ..Summary::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn add(&mut self, event: &StoredEvent) {
        self.count += 1;
        match self.counts.get_mut(&event.key) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(event.key.clone(), 1)),
        }
        if self.rows.len() == MOST_ROWS {
            self.rows.pop_front();
        }
        self.rows.push_back(Row {
            position: event.position,
            id: event.id,
            kind: event.kind.as_str(),
            key: event.key.clone(),
            source: event.source.clone(),
            received: event.received,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            standing: event.standing.as_str(),
        });
    }
}
