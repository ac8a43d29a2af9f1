//! What is not what was stored.

use std::fmt;

use crate::event::EventRow;
use crate::pruned::touching;
use crate::sql::{Connection, Row, Value};
use crate::{Damage, Position, StoreError, StoredEvent};

/// Events that are damaged or lost, by their positions. They are never taken for sound ones.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedEvents {
    /// The first position.
    pub first: Position,
    /// The last position.
    pub last: Position,
    /// In what they are not what was stored.
    pub what: Damage,
}

impl fmt::Display for DamagedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DamagedEvents { first, last, what } = self;
        match first == last {
            true => write!(f, "position {first}: {what}"),
            false => write!(f, "positions {first} to {last}: {what}"),
        }
    }
}

impl DamagedEvents {
    fn at(position: Position, what: Damage) -> Self {
        DamagedEvents { first: position, last: position, what }
    }

    /// As an error of who asks for this event alone.
    pub(crate) fn error(self) -> StoreError {
        StoreError::Damaged(Damage::Events(Box::new(self)))
    }
}

impl StoredEvent {
    /// Reads a row of [`EventRow::COLUMNS`], and tells what is not sound.
    ///
    /// # Errors
    /// If not even the position can be read.
    pub(crate) fn sound(row: &Row) -> Result<Result<Self, DamagedEvents>, StoreError> {
        let position = row.position(0)?;
        match EventRow::of(row).and_then(EventRow::event) {
            Ok(event) if event.is_sound() => Ok(Ok(event)),
            Ok(_) => Ok(Err(DamagedEvents::at(position, Damage::Body))),
            Err(StoreError::Damaged(what)) => Ok(Err(DamagedEvents::at(position, what))),
            Err(error) => Err(error),
        }
    }
}

/// The positions from one to another that have no event and were not pruned. `known` events are known
/// to be there.
pub(crate) async fn lost(
    c: &mut Connection,
    first: Position,
    last: Position,
    known: u64,
) -> Result<Vec<DamagedEvents>, StoreError> {
    if last < first || last - first + 1 == known {
        return Ok(Vec::new());
    }
    let pruned = touching(c, first, last).await?;
    let range = [Value::position(first), Value::position(last)];
    let sql = "SELECT COUNT(*) FROM events WHERE position >= $1 AND position <= $2";
    let there = c.query_one(sql, &range).await?.position(0)?;
    let gone: u64 =
        pruned.iter().map(|range| range.last.min(last) + 1 - range.first.max(first)).sum();
    if there + gone > last - first {
        return Ok(Vec::new());
    }
    let sql = "SELECT position FROM events WHERE position >= $1 AND position <= $2";
    let mut there: Vec<(Position, Position)> =
        pruned.iter().map(|range| (range.first, range.last)).collect();
    for row in c.query(sql, &range).await? {
        there.push((row.position(0)?, row.position(0)?));
    }
    there.sort_unstable();
    there.push((last + 1, last + 1));
    let (mut next, mut lost) = (first, Vec::new());
    for (from, to) in there {
        if from > next {
            lost.push(DamagedEvents { first: next, last: from - 1, what: Damage::Lost });
        }
        next = next.max(to + 1);
    }
    Ok(lost)
}
