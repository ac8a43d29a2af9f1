//! One walk over everything.

use std::collections::{HashMap, HashSet};

use super::chain::Chain;
use super::parts::{end_of_part, rows};
use super::{MOST_PROBLEMS, Verified, VerifyProgress, columns, figures};
use crate::clock::BOUND;
use crate::event::EventRow;
use crate::pruned::{PrunedRange, PrunedRow, touching};
use crate::sql::{Connection, Row, Value, find, table};
use crate::{Checkpoint, Position, StoreError};

/// How many positions are tried one by one where a part of them cannot be read.
const ONE_BY_ONE: Position = 500;

/// How many ranges are read at a time.
const RANGES: u64 = 1_000;

table! {
    /// What the head says of the events.
    HeadRow in "head" {
        position: Position,
        received: i64,
        digest: String,
        unchained: Position,
        counted: Position,
    }
}

/// What other tables say of some positions.
struct Beside {
    pruned: Vec<PrunedRow>,
    /// The times that events were stored with whose times were put right since.
    repaired: HashMap<Position, i64>,
}

impl Beside {
    async fn of(
        connection: &mut Connection,
        first: Position,
        last: Position,
    ) -> Result<Self, StoreError> {
        let pruned = touching(connection, first, last).await?;
        let sql = "SELECT position, received FROM repairs WHERE position >= $1 AND position <= $2";
        let rows = connection.query(sql, &[Value::position(first), Value::position(last)]).await?;
        let repaired = rows.iter().map(|row| Ok::<_, StoreError>((row.position(0)?, row.int(1)?)));
        Ok(Beside { pruned, repaired: repaired.collect::<Result<_, _>>()? })
    }
}

/// Where the walk is.
pub(super) struct Scan {
    found: Verified,
    /// The last position that is accounted for.
    done: Position,
    /// When the event before was stored, in microseconds since 1970.
    received: i64,
    keys: HashSet<String>,
    chain: Chain,
}

impl Scan {
    /// Looks at everything that a connection sees.
    pub(super) async fn run(
        connection: &mut Connection,
        expected: Option<Checkpoint>,
        mut progress: impl FnMut(VerifyProgress),
    ) -> Result<Verified, StoreError> {
        let sql = format!("SELECT {}, {} FROM head", HeadRow::COLUMNS, connection.clock());
        let rows = connection.query(&sql, &[]).await?;
        let mut found = Verified::default();
        let [row] = &rows[..] else {
            found.note(None, format!("the head has {} rows instead of one", rows.len()));
            return Ok(found);
        };
        let head = HeadRow::of(row)?;
        let Ok(digest) = head.digest.parse() else {
            found.note(None, "the head's digest is not a digest");
            return Ok(found);
        };
        let checkpoint = Checkpoint { position: head.position, digest };
        found.head = Some(checkpoint);
        let chain = Chain::new(head.unchained, expected);
        let (keys, of) = (HashSet::new(), head.position);
        let mut scan = Scan { found, done: 0, received: i64::MIN, keys, chain };
        while scan.part(connection, of).await? {
            progress(VerifyProgress { done: scan.done, of });
        }
        scan.rest(connection, of).await?;
        scan.chain.end(checkpoint, &mut scan.found);
        if head.received < scan.received {
            scan.found.note(None, "the head says an earlier time than the last event");
        }
        if head.received > row.int(5)?.saturating_add(BOUND) {
            scan.found.note(None, "the head says a time that is ahead of the clock");
        }
        if head.counted > of {
            scan.found.note(None, "the head says that figures count what is behind the last event");
        }
        scan.ranges(connection, of).await?;
        scan.key_table(connection).await?;
        scan.file(connection).await?;
        // What is damaged or lost is told already, and is no part of the figures of the rest.
        if scan.found.is_clean() {
            figures::compare(connection, head.counted, &mut scan.found).await?;
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
        let beside = Beside::of(connection, after + 1, end).await?;
        for row in rows {
            self.row(&row, &beside, head)?;
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
        let beside = Beside::of(connection, first, last).await?;
        let is_pruned = |at: Position| beside.pruned.iter().any(|r| r.first <= at && at <= r.last);
        for position in (first..=last).filter(|&position| !is_pruned(position)) {
            match rows(connection, position - 1, position).await {
                Ok(rows) => {
                    for row in rows {
                        self.row(&row, &beside, head)?;
                    }
                }
                Err(StoreError::Damaged(what)) => {
                    self.gap(position, &beside.pruned);
                    self.chain.lose();
                    self.damaged(position, [format!("it cannot be read: {what}")]);
                    self.done = position;
                }
                Err(error) => return Err(error),
            }
        }
        self.gap(last + 1, &beside.pruned);
        self.done = last;
        Ok(())
    }

    fn row(&mut self, row: &Row, beside: &Beside, head: Position) -> Result<(), StoreError> {
        let position = row.position(0)?;
        self.gap(position, &beside.pruned);
        self.done = position;
        let read = EventRow::of(row).and_then(|row| Ok((row.clone().event()?, row)));
        let mut problems = match read {
            Ok((event, row)) => {
                self.found.unchained += u64::from(row.digest.is_none());
                let received = beside.repaired.get(&position).copied().unwrap_or(row.received);
                let chained = self.chain.event(&row, received);
                let problems = columns::problems(&row, &event);
                // What the columns say is more to the point.
                let chained = chained.into_iter().filter(|_| problems.is_empty());
                let chained: Vec<String> = chained.map(str::to_owned).collect();
                [problems, chained].concat()
            }
            Err(StoreError::Damaged(what)) => {
                self.chain.lose();
                vec![format!("it cannot be read: {what}")]
            }
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
    fn gap(&mut self, next: Position, pruned: &[PrunedRow]) {
        let done = self.done;
        self.chain.go(done + 1, next, pruned);
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
            let pruned = touching(connection, self.done + 1, head).await?;
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
