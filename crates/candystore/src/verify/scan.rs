//! One walk over everything.

use std::collections::HashSet;

use super::parts::{end_of_part, rows};
use super::{MOST_PROBLEMS, Verified, VerifyProgress, columns, figures};
use crate::event::EventRow;
use crate::pruned::{PrunedRange, between};
use crate::sql::{Connection, Row, Value, find};
use crate::{Position, StoreError};

/// How many positions are tried one by one where a part of them cannot be read.
const ONE_BY_ONE: Position = 500;

/// How many ranges are read at a time.
const RANGES: u64 = 1_000;

/// Where the walk is.
pub(super) struct Scan {
    found: Verified,
    /// The last position that is accounted for.
    done: Position,
    /// When the event before was stored, in microseconds since 1970.
    received: i64,
    keys: HashSet<String>,
}

impl Scan {
    /// Looks at everything that a connection sees.
    pub(super) async fn run(
        connection: &mut Connection,
        mut progress: impl FnMut(VerifyProgress),
    ) -> Result<Verified, StoreError> {
        let mut scan =
            Scan { found: Verified::default(), done: 0, received: i64::MIN, keys: HashSet::new() };
        let head = connection.query("SELECT position, received FROM head", &[]).await?;
        let [head] = &head[..] else {
            scan.found.note(None, format!("the head has {} rows instead of one", head.len()));
            return Ok(scan.found);
        };
        let (of, received) = (head.position(0)?, head.int(1)?);
        while scan.part(connection, of).await? {
            progress(VerifyProgress { done: scan.done, of });
        }
        scan.rest(connection, of).await?;
        if received < scan.received {
            scan.found.note(None, "the head says an earlier time than the last event");
        }
        scan.ranges(connection, of).await?;
        scan.key_table(connection).await?;
        scan.file(connection).await?;
        // What is damaged or lost is told already, and is no part of the figures of the rest.
        if scan.found.is_clean() {
            figures::compare(connection, &mut scan.found).await?;
        }
        Ok(scan.found)
    }

    /// Looks at the next part of the events; false when there are no more.
    async fn part(
        &mut self,
        connection: &mut Connection,
        head: Position,
    ) -> Result<bool, StoreError> {
        let after = self.done;
        let read = match end_of_part(connection, after).await {
            Ok(None) => return Ok(false),
            Ok(Some(end)) => rows(connection, after, end).await.map(|rows| (end, rows)),
            Err(error) => Err(error),
        };
        let (end, rows) = match read {
            Ok(read) => read,
            Err(StoreError::Damaged(_)) if connection.is_sqlite() && after < head => {
                return self.one_by_one(connection, head).await.map(|()| true);
            }
            Err(error) => return Err(error),
        };
        let pruned = between(connection, after, end.saturating_add(1)).await?;
        for row in rows {
            self.row(&row, &pruned, head)?;
        }
        Ok(true)
    }

    /// Where a part of the file cannot be read, what is around it still can.
    async fn one_by_one(
        &mut self,
        connection: &mut Connection,
        head: Position,
    ) -> Result<(), StoreError> {
        let (first, last) = (self.done + 1, head.min(self.done + ONE_BY_ONE));
        let pruned = between(connection, self.done, last + 1).await?;
        let is_pruned = |at: Position| pruned.iter().any(|r| r.first <= at && at <= r.last);
        for position in (first..=last).filter(|&position| !is_pruned(position)) {
            match rows(connection, position - 1, position).await {
                Ok(rows) => {
                    for row in rows {
                        self.row(&row, &pruned, head)?;
                    }
                }
                Err(StoreError::Damaged(what)) => {
                    self.gap(position, &pruned);
                    self.damaged(position, [format!("it cannot be read: {what}")]);
                    self.done = position;
                }
                Err(error) => return Err(error),
            }
        }
        self.gap(last + 1, &pruned);
        self.done = last;
        Ok(())
    }

    fn row(&mut self, row: &Row, pruned: &[PrunedRange], head: Position) -> Result<(), StoreError> {
        let position = row.position(0)?;
        self.gap(position, pruned);
        self.done = position;
        let read = EventRow::of(row).and_then(|row| Ok((row.clone().event()?, row)));
        let mut problems = match read {
            Ok((event, row)) => columns::problems(&row, &event),
            Err(StoreError::Damaged(what)) => vec![format!("it cannot be read: {what}")],
            Err(error) => return Err(error),
        };
        if let Some(&Value::Int(received)) = find::<EventRow>(row, "received") {
            if received < self.received {
                problems.push("it was received before the event before it".to_owned());
            }
            self.received = received;
        }
        if position > head {
            problems.push(format!("it lies behind the head, which says {head}"));
        }
        if let Some(Value::Text(key)) = find::<EventRow>(row, "key")
            && !self.keys.contains(key)
        {
            self.keys.insert(key.clone());
        }
        self.damaged(position, problems);
        Ok(())
    }

    /// Notes what is wrong with one event.
    fn damaged(&mut self, position: Position, problems: impl IntoIterator<Item = String>) {
        let before = self.found.found;
        for problem in problems {
            self.found.note(position, problem);
        }
        self.found.events += 1;
        self.found.damaged += u64::from(self.found.found > before);
    }

    /// The positions from the last one to `next`, which have no event, were pruned, or else lost.
    fn gap(&mut self, next: Position, pruned: &[PrunedRange]) {
        let done = self.done;
        let mut from = done + 1;
        for range in pruned.iter().filter(|range| range.first < next && range.last > done) {
            self.lost(from, range.first);
            from = from.max(range.last + 1);
        }
        self.lost(from, next);
    }

    fn lost(&mut self, from: Position, before: Position) {
        if from >= before {
            return;
        }
        self.found.lost += before - from;
        let what = match before - from {
            1 => "it is lost".to_owned(),
            count => format!("it and those up to {} are lost, {count} in all", before - 1),
        };
        self.found.note(from, what);
    }

    /// What is behind the last event.
    async fn rest(
        &mut self,
        connection: &mut Connection,
        head: Position,
    ) -> Result<(), StoreError> {
        if self.done < head {
            let pruned = between(connection, self.done, head + 1).await?;
            self.gap(head + 1, &pruned);
        }
        Ok(())
    }

    /// What is recorded as pruned must be gone, and recorded once.
    async fn ranges(
        &mut self,
        connection: &mut Connection,
        head: Position,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT first, last, (SELECT MIN(position) FROM events \
             WHERE position >= first AND position <= last) \
             FROM pruned WHERE first > $1 ORDER BY first LIMIT {RANGES}"
        );
        let (mut first, mut end) = (Value::Int(i64::MIN), 0);
        loop {
            let rows = connection.query(&sql, &[first]).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            first = Value::Int(last.int(0)?);
            for row in &rows {
                let range = PrunedRange::of(row)?;
                self.range(range, end, head, row.maybe_position(2)?);
                end = range.last.max(end);
            }
        }
    }

    fn range(
        &mut self,
        range: PrunedRange,
        end: Position,
        head: Position,
        event: Option<Position>,
    ) {
        let PrunedRange { first, last } = range;
        self.found.pruned += range.count();
        if first > last || first <= end || last > head {
            let what =
                format!("the record says that {first} to {last} are pruned, which cannot be");
            self.found.note(first, what);
        }
        if let Some(position) = event {
            self.found.note(position, "it is recorded as pruned, and is there");
        }
    }

    /// Questions by pattern find only keys of that table.
    async fn key_table(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        for row in connection.query("SELECT key FROM keys", &[]).await? {
            self.keys.remove(row.text(0)?);
        }
        let mut missing: Vec<String> = self.keys.drain().collect();
        missing.sort_unstable();
        for key in missing {
            self.found.note(None, format!("the table of keys lacks `{key}`"));
        }
        Ok(())
    }

    /// What SQLite itself says of its file: whether tables and indexes agree.
    async fn file(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        if !connection.is_sqlite() {
            return Ok(());
        }
        let sql = format!("PRAGMA integrity_check({MOST_PROBLEMS})");
        match connection.query(&sql, &[]).await {
            Ok(rows) => {
                for row in rows {
                    let said = row.text(0)?;
                    if said != "ok" {
                        self.found.note(None, format!("SQLite: {said}"));
                    }
                }
                Ok(())
            }
            Err(StoreError::Damaged(what)) => {
                self.found.note(None, format!("SQLite: {what}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
