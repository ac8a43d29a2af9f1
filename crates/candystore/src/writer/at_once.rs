//! Appending in one round trip, where nobody else has written since the last time.
//!
//! What the head says is known then, and the server's time as well as it must be. One statement, which is
//! a transaction of its own, stores the events if the head still says so, the time is about right, nobody
//! is writing, and none of the events is stored already. Otherwise it does nothing, and they are appended
//! as ever.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::head::Head;
use super::transaction::Transaction;
use crate::event::EventRow;
use crate::record::Record;
use crate::sql::{Cell, Connection, TableRow, Value};
use crate::summary::FOLD;
use crate::{Appended, StoreError};

/// How far the time that is known may be from the server's.
const TOLERANCE: Duration = Duration::from_millis(100);

/// The most bytes that are stored so: what is not stored has been sent in vain.
const MOST_BYTES: usize = 4 << 20;

/// What is to be stored, and the head behind it.
struct Plan {
    head: Head,
    rows: Vec<EventRow>,
}

impl Transaction {
    /// Appends events and commits, if that can be done at once. `None` if nothing was done.
    ///
    /// # Errors
    /// [`StoreError::Lost`], which leaves open whether they are stored.
    pub(super) async fn append_at_once(
        &mut self,
        records: &[Record],
    ) -> Option<Result<Vec<Appended>, StoreError>> {
        let now = self.server_time()?;
        let Plan { head, rows } = self.plan(records, now)?;
        let cells: Vec<Cell<'_>> = rows.iter().flat_map(EventRow::cells).collect();
        if cells.iter().map(Cell::size).sum::<usize>() > MOST_BYTES {
            return None;
        }
        let (sql, values) = (sql(self.connection())?, values(&self.head, &head));
        let sent = Instant::now();
        let done = self.connection().at_once(&sql, &EventRow::TABLE, &cells, &values).await;
        let time = match done.as_deref() {
            Ok([row]) => row.int(0),
            // The head has changed, or somebody writes.
            Ok(_) => return self.not_at_once(),
            Err(StoreError::Lost { .. }) => {
                self.not_at_once::<()>();
                return Some(done.map(|_| Vec::new()));
            }
            // The statement has failed, and nothing was done. It would most likely fail again; if it is
            // not only this statement, the other way will tell why.
            Err(error) => {
                tracing::debug!(%error, "no more is appended in one round trip");
                self.never_at_once = true;
                return self.not_at_once();
            }
        };
        drop(cells);
        for (record, row) in records.iter().zip(&rows) {
            self.tail.push(row.position, record.counted(row.received));
        }
        if let (Ok(said), Some(time)) = (time, &mut self.time) {
            time.adjust(said, sent, Instant::now());
        }
        self.committed_at_once(head);
        Some(Ok(rows.iter().map(|row| Appended::Stored(row.position)).collect()))
    }

    /// Numbers the events behind the head. `None` if anything about them is unusual.
    fn plan(&self, records: &[Record], now: i64) -> Option<Plan> {
        let mut head = self.head.at(now);
        head.commits += 1;
        let mut ids = HashSet::with_capacity(records.len());
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let earlier = head.received;
            let (position, later) = head.next(record.received);
            if !ids.insert(record.id) || !self.keys.contains(&record.key) || later < earlier {
                return None;
            }
            let row = record.chained(position, later, head.digest);
            head.digest = row.digest?;
            rows.push(row);
        }
        let is_due = head.position.saturating_sub(head.counted) >= FOLD;
        let is_beyond = head.position > head.room;
        (!rows.is_empty() && !is_due && !is_beyond).then_some(Plan { head, rows })
    }
}

/// The statement: the columns of the events as `$1` and so on, and behind them those of [`values`].
fn sql(connection: &Connection) -> Option<String> {
    let (clock, lock) = (connection.server_clock()?, connection.lock_or_not()?);
    let columns = EventRow::TABLE.columns;
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let arrays: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
    let ids = columns.iter().position(|(name, _)| *name == "id")? + 1;
    let value = |n: usize| format!("${}", columns.len() + n);
    let [position, received, commits, digest] = [1, 2, 3, 4].map(value);
    let [old_position, old_received, old_commits, old_digest, old_counted] =
        [5, 6, 7, 8, 9].map(value);
    let [now, tolerance] = [10, 11].map(value);
    let telling = connection.telling_of(&commits)?;
    Some(format!(
        "WITH turn AS MATERIALIZED (SELECT {lock} AS is_ours), \
         moved AS (UPDATE head SET position = {position}, received = {received}, \
         commits = {commits}, digest = {digest} FROM turn WHERE turn.is_ours \
         AND head.position = {old_position} AND head.received = {old_received} \
         AND head.commits = {old_commits} AND head.digest = {old_digest} \
         AND head.counted = {old_counted} AND ABS({clock} - {now}) <= {tolerance} \
         AND NOT EXISTS (SELECT 1 FROM candystore_known(${ids})) RETURNING 1), \
         stored AS (INSERT INTO events ({}) SELECT rows.* FROM moved, unnest({}) AS rows) \
         SELECT {clock}, {telling} FROM moved",
        names.join(", "),
        arrays.join(", "),
    ))
}

fn values(old: &Head, new: &Head) -> [Value; 11] {
    let tolerance = i64::try_from(TOLERANCE.as_micros()).unwrap_or_default();
    [
        Value::position(new.position),
        Value::Int(new.received),
        Value::Int(new.commits),
        Value::text(new.digest.to_string()),
        Value::position(old.position),
        Value::Int(old.received),
        Value::Int(old.commits),
        Value::text(old.digest.to_string()),
        Value::position(old.counted),
        Value::Int(new.clock()),
        Value::Int(tolerance),
    ]
}
