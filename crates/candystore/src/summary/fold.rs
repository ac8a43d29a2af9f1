//! Figures that are not kept yet: those of the last events, which are counted a few thousand at a time.
//!
//! What is not counted yet is never changed: who prunes events, or changes their times, counts everything
//! first, in the same transaction.

use super::fill::rows_between;
use super::table::{add, by_hour_and_day};
use super::{Counted, HeadRange};
use crate::sql::{Connection, Value};
use crate::writer::Transaction;
use crate::{Position, StoreError};

/// So many events are counted at a time. As many are read, at most, by who asks for figures.
pub(crate) const FOLD: Position = 4_096;

/// The last events of the log, as far as this process knows them without reading them.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The position of the first of them.
    first: Position,
    events: Vec<Counted>,
}

impl Tail {
    /// How far it was, to go back there.
    pub(crate) fn mark(&self) -> (Position, usize) {
        (self.first, self.events.len())
    }

    /// Forgets what was stored since then.
    pub(crate) fn back_to(&mut self, (first, length): (Position, usize)) {
        match self.first == first && self.events.len() >= length {
            true => self.events.truncate(length),
            false => self.clear(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
    }

    /// Adds the event that was stored last.
    pub(crate) fn push(&mut self, position: Position, event: Counted) {
        if self.end() != position {
            self.clear();
        }
        if self.events.is_empty() {
            self.first = position;
        }
        self.events.push(event);
    }

    /// Forgets everything, unless it is still the end of the log and none of it is counted.
    pub(crate) fn check(&mut self, head: HeadRange) {
        if self.first <= head.counted || self.end() != head.position + 1 {
            self.clear();
        }
    }

    /// The position behind the last one.
    fn end(&self) -> Position {
        self.first + self.events.len() as Position
    }
}

/// The events that are not counted yet, in one state of the store.
pub(crate) async fn uncounted(connection: &mut Connection) -> Result<Vec<Counted>, StoreError> {
    let row = connection.query_one("SELECT counted, position FROM head", &[]).await?;
    let HeadRange { counted, position } =
        HeadRange { counted: row.position(0)?, position: row.position(1)? };
    readable(connection, counted + 1, position).await
}

/// The events of a range of positions, but for those that cannot be read: `verify` tells of them, and
/// they keep nobody from storing others.
async fn readable(
    connection: &mut Connection,
    mut first: Position,
    last: Position,
) -> Result<Vec<Counted>, StoreError> {
    let (sql, mut all) = (rows_between(), Vec::new());
    while first <= last {
        let range = [Value::position(first), Value::position(last)];
        let rows = connection.query(&sql, &range).await?;
        let Some(end) = rows.last() else { break };
        first = end.position(0)?.saturating_add(1);
        all.extend(rows.iter().filter_map(|row| Counted::of(row, 1).ok()));
    }
    Ok(all)
}

impl Transaction {
    /// Counts the events that are not counted yet, if there are many of them.
    pub(crate) async fn fold_many(&mut self) -> Result<(), StoreError> {
        match self.head.position.saturating_sub(self.head.counted) >= FOLD {
            true => self.fold().await,
            false => Ok(()),
        }
    }

    /// Counts the events that are not counted yet. Must be done before any event is deleted or changed.
    pub(crate) async fn fold(&mut self) -> Result<(), StoreError> {
        let HeadRange { counted, position } = self.head.range();
        if counted >= position {
            return Ok(());
        }
        let tail = std::mem::take(&mut self.tail);
        let first = if tail.events.is_empty() { position + 1 } else { tail.first };
        let unknown = self.read_uncounted(counted + 1, first - 1).await?;
        let figures = by_hour_and_day(unknown.iter().chain(&tail.events));
        add(self.connection(), &figures).await?;
        self.all_counted();
        Ok(())
    }

    /// Reads what others have stored. A part of the file that cannot be read must not keep anybody from
    /// storing.
    async fn read_uncounted(
        &mut self,
        first: Position,
        last: Position,
    ) -> Result<Vec<Counted>, StoreError> {
        if first > last {
            return Ok(Vec::new());
        }
        self.connection().batch("SAVEPOINT fold").await?;
        let (read, end) = match readable(self.connection(), first, last).await {
            Err(StoreError::Damaged(damage)) => {
                tracing::warn!(first, last, %damage, "events cannot be read, and are in no figures");
                (Vec::new(), "ROLLBACK TO SAVEPOINT fold; RELEASE SAVEPOINT fold")
            }
            read => (read?, "RELEASE SAVEPOINT fold"),
        };
        self.connection().batch(end).await?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use bloodbank_core::Kind;

    use super::*;
    use crate::Standing;

    fn one() -> Counted {
        Counted {
            kind: Kind::Event,
            key: "a.b".into(),
            source: "ada".into(),
            standing: Standing::Valid,
            bytes: 1,
            timestamp: None,
            received: 0,
            is_gone: false,
        }
    }

    #[test]
    fn a_tail_is_the_end_of_the_log_or_nothing() {
        let mut tail = Tail::default();
        (5..8).for_each(|position| tail.push(position, one()));
        let kept = tail.mark();
        tail.check(HeadRange { counted: 4, position: 7 });
        assert_eq!(tail.mark(), kept);
        tail.push(8, one());
        tail.back_to(kept);
        assert_eq!(tail.mark(), (5, 3));
        tail.push(20, one());
        assert_eq!(tail.mark(), (20, 1));
        tail.back_to(kept);
        assert_eq!(tail.events.len(), 0, "what is known is of another place");
        for head in [
            HeadRange { counted: 5, position: 7 },
            HeadRange { counted: 4, position: 8 },
            HeadRange { counted: 0, position: 6 },
        ] {
            (5..8).for_each(|position| tail.push(position, one()));
            tail.check(head);
            assert_eq!(tail.events.len(), 0, "{head:?}");
        }
    }
}
