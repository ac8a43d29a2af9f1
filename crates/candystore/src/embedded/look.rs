//! What a process sees of its queues, without writing anything.
//!
//! One look after a commit serves all consumers of the process: how their queues stand, and the heads
//! of what is new in the log.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use uuid::Uuid;

use crate::queues::QueueRow;
use crate::queues::scan::{Head, read_log};
use crate::sql::{Connection, Row, Value};
use crate::{EventStore, StoreError};

/// How many heads of the log are kept for consumers that come late.
const MOST_HEADS: usize = 4_096;

/// The most new heads that one look reads; who needs older ones reads the log.
const NEW_HEADS: i64 = 1_000;

/// What there is for a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// There is something to claim, or to find out by trying.
    pub(super) is_there: bool,
    /// The log goes on behind what was seen; look again.
    pub(super) more: bool,
    /// The log up to here holds nothing for the queue.
    pub(super) until: i64,
    /// When the next message that waits is due.
    pub(super) due: Option<Instant>,
}

/// What is looked for.
pub(super) struct Looking<'a> {
    pub(super) queue: &'a Arc<QueueRow>,
    /// Of the queues, when that was read.
    pub(super) version: Uuid,
    /// See [`Seen::until`].
    pub(super) seen: i64,
    /// The commits that must be seen, as the pulse says.
    pub(super) commits: i64,
}

/// The last look.
#[derive(Debug, Default)]
pub(super) struct Look(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// As the pulse said before.
    commits: Option<i64>,
    /// When that was.
    at: Option<Instant>,
    version: Uuid,
    /// The last position, when this was the version.
    head: i64,
    /// Queues that have consumers.
    queues: HashMap<i64, Standing>,
    /// What is in the log after `from`.
    heads: VecDeque<Head>,
    from: i64,
}

/// How a queue stands.
#[derive(Clone, Copy, Debug)]
struct Standing {
    cursor: i64,
    is_ready: bool,
    due: Option<Instant>,
}

impl Look {
    /// Looks anew the next time, unless somebody has looked so lately.
    pub(super) async fn forget(&self, lately: Duration) {
        let mut state = self.0.lock().await;
        if state.at.is_none_or(|at| at.elapsed() >= lately) {
            state.commits = None;
        }
    }

    /// Looks whether a claim would give anything.
    pub(super) async fn look(
        &self,
        store: &EventStore,
        looking: Looking<'_>,
    ) -> Result<Seen, StoreError> {
        let mut state = self.0.lock().await;
        if state.commits < Some(looking.commits) || state.is_due() {
            state.refresh(store, looking.commits).await?;
        }
        let Looking { queue, version, seen, .. } = looking;
        // A queue that is gone, or another declaration, shows when something is claimed.
        let unknown = Seen { is_there: true, more: false, until: seen, due: None };
        let Some(standing) = state.queues.get(&queue.number) else { return Ok(unknown) };
        if standing.is_ready || state.version != version {
            return Ok(unknown);
        }
        let (after, due) = (seen.max(standing.cursor), standing.due);
        if after >= state.from {
            return Ok(state.among_heads(queue, after, due));
        }
        let from = state.from;
        drop(state);
        further_back(store, queue.clone(), after, from, due).await
    }
}

impl State {
    fn is_due(&self) -> bool {
        let now = Instant::now();
        self.queues.values().any(|queue| queue.due.is_some_and(|due| due <= now))
    }

    fn among_heads(&self, queue: &QueueRow, after: i64, due: Option<Instant>) -> Seen {
        let start = self.heads.partition_point(|head| head.position <= after);
        let wanted = self.heads.range(start..).find(|head| head.is_for(queue));
        let until = wanted.map_or(self.head.max(after), |head| head.position - 1);
        Seen { is_there: wanted.is_some(), more: false, until, due }
    }

    async fn refresh(&mut self, store: &EventStore, commits: i64) -> Result<(), StoreError> {
        self.commits = None;
        let (known, is_first) = (self.head, self.version.is_nil());
        let asked = async move |connection: &mut Connection| {
            let standing = standing(connection).await?;
            let head = standing.first().map_or(Ok(known), |row| row.int(3))?;
            // Behind the head that came with the version there may be another version's.
            let from = if is_first { head } else { known.max(head - NEW_HEADS) };
            Ok((standing, head, from, heads(connection, from, head).await?))
        };
        let (standing, head, from, heads) = store.readers().run(asked).await?;
        self.queues.clear();
        for row in &standing {
            self.version = row.id(2)?;
            self.queues.insert(row.int(0)?, Standing::of(row)?);
        }
        if from != self.head {
            self.heads.clear();
            self.from = from;
        }
        for row in heads {
            self.heads.push_back(Head::of(&row)?);
        }
        while self.heads.len() > MOST_HEADS {
            self.from = self.heads.pop_front().map_or(head, |first| first.position);
        }
        (self.head, self.commits, self.at) = (head, Some(commits), Some(Instant::now()));
        Ok(())
    }
}

impl Standing {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let now = row.int(4)?;
        let due = row.maybe_int(5)?.map(|due| Duration::from_micros((due - now).max(0) as u64));
        Ok(Standing {
            cursor: row.int(1)?,
            is_ready: row.maybe_int(6)?.is_some() || due.is_some_and(|due| due.is_zero()),
            due: due.and_then(|due| Instant::now().checked_add(due)),
        })
    }
}

async fn standing(connection: &mut Connection) -> Result<Vec<Row>, StoreError> {
    let clock = connection.clock();
    let sql = format!(
        "SELECT q.number, q.cursor, b.version, h.position, {clock}, \
         (SELECT MIN(due) FROM messages m WHERE m.queue = q.number AND due IS NOT NULL), \
         (SELECT place FROM messages m WHERE m.queue = q.number AND consumer IS NULL \
          AND due IS NULL LIMIT 1) \
         FROM queues q, bus b, head h WHERE q.number IN (SELECT queue FROM consumers)"
    );
    connection.query(&sql, &[]).await
}

async fn heads(connection: &mut Connection, from: i64, until: i64) -> Result<Vec<Row>, StoreError> {
    if from >= until {
        return Ok(Vec::new());
    }
    let columns = Head::COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM events WHERE position > $1 AND position <= $2 ORDER BY position"
    );
    connection.query(&sql, &[Value::Int(from), Value::Int(until)]).await
}

/// For who is far behind.
async fn further_back(
    store: &EventStore,
    queue: Arc<QueueRow>,
    after: i64,
    until: i64,
    due: Option<Instant>,
) -> Result<Seen, StoreError> {
    let read = async move |connection: &mut Connection| {
        read_log(connection, &queue, after, until, 1).await
    };
    let scan = store.readers().run(read).await?;
    Ok(match scan.wanted.first() {
        Some(first) => Seen { is_there: true, more: false, until: first - 1, due },
        None if scan.more => Seen { is_there: false, more: true, until: scan.until, due },
        // Nothing up to the heads that are kept.
        None => Seen { is_there: false, more: true, until, due },
    })
}
