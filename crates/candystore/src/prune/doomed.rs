//! The positions of a plan, in their order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::{DoomedKey, PrunePlan};
use crate::sql::{Connection, Value};
use crate::{Position, StoreError};

/// The most events that go in one transaction.
const MOST: usize = 1_000;

/// The widest a batch reaches, so that few recorded ranges lie within it.
const WIDEST: Position = 10_000;

/// How many positions of a key are read at a time.
const AHEAD: usize = 250;

/// Positions that are to go and have not gone yet.
///
/// All keys go forward together: if one went after the other, what they leave behind would be many
/// small ranges instead of few large ones.
pub(super) struct Doomed {
    keys: Vec<Key>,
    /// The next position of each key, and the key's place.
    next: BinaryHeap<Reverse<(Position, usize)>>,
}

/// Of one key.
struct Key {
    key: String,
    /// The last position that was read.
    after: Position,
    until: Position,
    ready: VecDeque<Position>,
}

impl Doomed {
    pub(super) fn new(plan: &PrunePlan) -> Self {
        let key = |doomed: &DoomedKey| Key {
            key: doomed.key.clone(),
            after: doomed.first.0,
            until: doomed.last.0,
            ready: VecDeque::new(),
        };
        let next = plan.keys.iter().zip(0..).map(|(key, place)| Reverse((key.first.0, place)));
        Doomed { next: next.collect(), keys: plan.keys.iter().map(key).collect() }
    }

    /// The next positions, in order; none when there are no more.
    pub(super) async fn batch(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Vec<Position>, StoreError> {
        let mut batch: Vec<Position> = Vec::new();
        while let Some(&Reverse((position, place))) = self.next.peek() {
            let is_wide = batch.first().is_some_and(|first| position - first >= WIDEST);
            if is_wide || batch.len() == MOST {
                break;
            }
            self.next.pop();
            batch.push(position);
            if let Some(position) = self.keys[place].next(connection).await? {
                self.next.push(Reverse((position, place)));
            }
        }
        Ok(batch)
    }
}

impl Key {
    async fn next(&mut self, connection: &mut Connection) -> Result<Option<Position>, StoreError> {
        if self.ready.is_empty() {
            let sql = format!(
                "SELECT position FROM events WHERE key = $1 AND position > $2 AND position <= $3 \
                 ORDER BY position LIMIT {AHEAD}"
            );
            let (after, until) = (Value::position(self.after), Value::position(self.until));
            let values = [Value::text(self.key.as_str()), after, until];
            for row in connection.query(&sql, &values).await? {
                self.after = row.position(0)?;
                self.ready.push_back(self.after);
            }
        }
        Ok(self.ready.pop_front())
    }
}
