//! Which positions retention has let go.

use crate::digest::Digest;
use crate::sql::{Connection, Row, Value, next, table};
use crate::writer::Transaction;
use crate::{EventStore, Position, StoreError};

/// Positions whose events were pruned, from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct PrunedRange {
    /// The first position.
    pub first: Position,
    /// The last position.
    pub last: Position,
}

table! {
    /// A row of `pruned`.
    PrunedRow in "pruned" {
        first: Position,
        last: Position,
        /// That of the last event of the range, if it had one.
        digest: Option<Digest>,
    }
}

impl PrunedRow {
    fn range(&self) -> PrunedRange {
        PrunedRange { first: self.first, last: self.last }
    }
}

impl PrunedRange {
    /// How many positions.
    pub fn count(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// Reads a row of `first, last`.
    pub(crate) fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(PrunedRange { first: row.position(0)?, last: row.position(1)? })
    }
}

impl EventStore {
    /// What was pruned after one position and before another, both excluded: what a reader misses that
    /// comes from the one to the other. In order; without neighbours.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn pruned_between(
        &self,
        after: Position,
        before: Position,
    ) -> Result<Vec<PrunedRange>, StoreError> {
        self.readers().run(async move |c: &mut Connection| between(c, after, before).await).await
    }
}

/// The range that a position is in, if it was pruned.
pub(crate) async fn at(
    connection: &mut Connection,
    position: Position,
) -> Result<Option<PrunedRange>, StoreError> {
    Ok(touching(connection, position, position).await?.pop().map(|row| row.range()))
}

/// What was pruned after one position and before another, both excluded.
pub(crate) async fn between(
    connection: &mut Connection,
    after: Position,
    before: Position,
) -> Result<Vec<PrunedRange>, StoreError> {
    if before <= after.saturating_add(1) {
        return Ok(Vec::new());
    }
    let (first, last) = (after + 1, before - 1);
    let clip =
        |row: &PrunedRow| PrunedRange { first: row.first.max(first), last: row.last.min(last) };
    Ok(touching(connection, first, last).await?.iter().map(clip).collect())
}

/// The ranges that have a position from `first` to `last`, whole.
pub(crate) async fn touching(
    connection: &mut Connection,
    first: Position,
    last: Position,
) -> Result<Vec<PrunedRow>, StoreError> {
    // Ranges do not overlap, so only one that begins before `first` can reach it.
    let sql = format!(
        "SELECT {} FROM pruned WHERE first <= $2 \
         AND first >= COALESCE((SELECT MAX(first) FROM pruned WHERE first <= $1), 0) ORDER BY first",
        PrunedRow::COLUMNS
    );
    let rows = connection.query(&sql, &[Value::position(first), Value::position(last)]).await?;
    let mut ranges = Vec::with_capacity(rows.len());
    for row in &rows {
        let range = PrunedRow::of(row)?;
        if range.last >= first {
            ranges.push(range);
        }
    }
    Ok(ranges)
}

impl Transaction {
    /// Records that positions are pruned; they are in order, and their events still there: what comes
    /// behind a range is chained to the digest of its last event.
    pub(crate) async fn record_pruned(&mut self, ranges: &[PrunedRange]) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(()) };
        let (first, last) = (first.first.saturating_sub(1), last.last + 1);
        let there = touching(self.connection(), first, last).await?;
        let sql = "DELETE FROM pruned WHERE first = $1";
        let firsts: Vec<_> = there.iter().map(|row| vec![Value::position(row.first)]).collect();
        self.execute_each(sql, &firsts).await?;
        let all: Vec<_> =
            there.iter().map(PrunedRow::range).chain(ranges.iter().copied()).collect();
        let mut rows = Vec::new();
        for PrunedRange { first, last } in joined(all) {
            let known = there.iter().find(|row| row.last == last);
            let digest = match known {
                Some(known) => known.digest,
                None => digest_at(self.connection(), last).await?,
            };
            rows.push(PrunedRow { first, last, digest });
        }
        self.insert_rows(&rows).await
    }
}

/// The digest of the event at a position, if it has one.
async fn digest_at(
    connection: &mut Connection,
    position: Position,
) -> Result<Option<Digest>, StoreError> {
    let sql = "SELECT digest FROM events WHERE position = $1";
    let rows = connection.query(sql, &[Value::position(position)]).await?;
    let read = |row: &Row| next(&mut row.0.iter(), "digest");
    rows.first().map_or(Ok(None), read)
}

/// Positions in order, as ranges.
pub(crate) fn ranges_of(positions: &[Position]) -> Vec<PrunedRange> {
    joined(positions.iter().map(|&at| PrunedRange { first: at, last: at }).collect())
}

/// The same positions in as few ranges as there can be, in order.
fn joined(mut ranges: Vec<PrunedRange>) -> Vec<PrunedRange> {
    ranges.sort_unstable();
    let mut all: Vec<PrunedRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.first <= last.last + 1 => last.last = last.last.max(range.last),
            _ => all.push(range),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_and_overlaps_become_one_range() {
        let ranges = |pairs: &[(u64, u64)]| -> Vec<PrunedRange> {
            pairs.iter().map(|&(first, last)| PrunedRange { first, last }).collect()
        };
        let several = ranges(&[(7, 7), (1, 2), (3, 3), (9, 12), (10, 11), (14, 15)]);
        assert_eq!(joined(several), ranges(&[(1, 3), (7, 7), (9, 12), (14, 15)]));
        assert_eq!(ranges_of(&[1, 2, 4]), ranges(&[(1, 2), (4, 4)]));
        assert_eq!(ranges_of(&[]), []);
    }
}
