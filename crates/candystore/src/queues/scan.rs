//! What the log holds for a queue.

use bloodbank_core::Kind;

use super::QueueRow;
use crate::StoreError;
use crate::event::kind_of;
use crate::sql::{Connection, Row, Value};

/// How many heads of the log are read at a time, at most.
pub(crate) const CHUNK: i64 = 1_000;

/// Those that are read first. Each chunk after them is four times as large.
const FIRST_CHUNK: i64 = 16;

/// The most heads that one scan reads; then others get their turn.
const MOST_HEADS: i64 = 20 * CHUNK;

/// What the log holds for a queue.
pub(crate) struct Scan {
    /// Positions that it wants, in order.
    pub(crate) wanted: Vec<i64>,
    /// It has been read up to here.
    pub(crate) until: i64,
    /// Whether it goes on behind that.
    pub(crate) more: bool,
}

impl Scan {
    pub(crate) fn nothing(until: i64) -> Self {
        Scan { wanted: Vec::new(), until, more: true }
    }
}

/// What of an event tells who wants it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) position: i64,
    /// What can be wanted at all: what is not damaged, and not the history of another store.
    wanted: Option<(Kind, String)>,
}

/// The heads that were read last, for those who come to them next: as they are within one transaction.
#[derive(Default)]
pub(crate) struct Heads {
    heads: Vec<Head>,
    /// They come after this position.
    from: i64,
    /// They go up to here.
    until: i64,
    /// There were no more.
    is_end: bool,
}

impl Heads {
    /// Reads heads that come after a position, unless they are there.
    async fn read(
        &mut self,
        connection: &mut Connection,
        after: i64,
        count: i64,
    ) -> Result<(), StoreError> {
        let is_within = self.from <= after && after < self.until;
        let is_behind_all = self.is_end && self.from <= after && after >= self.until;
        if is_within || is_behind_all {
            return Ok(());
        }
        let columns = Head::COLUMNS;
        let sql =
            format!("SELECT {columns} FROM events WHERE position > $1 ORDER BY position LIMIT $2");
        let rows = connection.query(&sql, &[Value::Int(after), Value::Int(count)]).await?;
        let heads = rows.iter().map(Head::of).collect::<Result<Vec<_>, _>>()?;
        let until = heads.last().map_or(after, |last| last.position);
        *self = Heads { is_end: (heads.len() as i64) < count, heads, from: after, until };
        Ok(())
    }

    fn between(&self, after: i64, end: i64) -> &[Head] {
        let start = self.heads.partition_point(|head| head.position <= after);
        let stop = self.heads.partition_point(|head| head.position <= end).max(start);
        &self.heads[start..stop]
    }
}

impl Head {
    /// The columns that [`Head::of`] reads.
    pub(crate) const COLUMNS: &str = "position, kind, key, imported";

    pub(crate) fn of(row: &Row) -> Result<Self, StoreError> {
        let position = row.int(0)?;
        let wanted = match (kind_of(row.text(1).unwrap_or_default()), row.text(2)) {
            (Ok(kind), Ok(key)) => Some((kind, key.to_owned())),
            _ => {
                tracing::warn!(position, "an event is damaged, so that no queue can want it");
                None
            }
        };
        Ok(Head { position, wanted: wanted.filter(|_| row.int(3).is_ok_and(|said| said == 0)) })
    }

    /// Whether a queue wants it.
    pub(crate) fn is_for(&self, queue: &QueueRow) -> bool {
        let is_wanted =
            |(kind, key): &(Kind, String)| queue.wants(*kind, key, self.position.unsigned_abs());
        self.wanted.as_ref().is_some_and(is_wanted)
    }
}

/// Reads on in the log, from after one position to another, until that many wanted messages are
/// found. Gives up, for now, after many that are not wanted.
pub(crate) async fn read_log(
    connection: &mut Connection,
    queue: &QueueRow,
    after: i64,
    end: i64,
    most: usize,
) -> Result<Scan, StoreError> {
    read_heads(connection, &mut Heads::default(), queue, (after, end), most).await
}

/// The same with heads that may have been read already. The range is after its first position.
pub(crate) async fn read_heads(
    connection: &mut Connection,
    heads: &mut Heads,
    queue: &QueueRow,
    (after, end): (i64, i64),
    most: usize,
) -> Result<Scan, StoreError> {
    let mut scan = Scan::nothing(after);
    let last = after.saturating_add(MOST_HEADS);
    // One more than is asked for tells whether there is more.
    let enough = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let mut chunk = enough.clamp(FIRST_CHUNK, CHUNK);
    while scan.wanted.len() < most && scan.until < last {
        heads.read(connection, scan.until, chunk).await?;
        for head in heads.between(scan.until, end) {
            if scan.wanted.len() == most {
                return Ok(scan);
            }
            scan.until = head.position;
            if head.is_for(queue) {
                scan.wanted.push(scan.until);
            }
        }
        if heads.is_end || heads.until >= end {
            scan.more = false;
            break;
        }
        chunk = chunk.saturating_mul(4).min(CHUNK);
    }
    Ok(scan)
}
