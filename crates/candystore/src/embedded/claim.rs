//! From queues to consumers: what the consumers of a process claim at one time is given to them in one
//! transaction, by a few statements for all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::Utc;
use uuid::Uuid;

use super::damaged::{self, Damaged};
use super::lease::Renewing;
use super::lying::{self, Lying};
use super::message::{Place, TAKEN, Taken};
use crate::StoreError;
use crate::queues::scan::{CHUNK, Heads, Scan, read_heads};
use crate::queues::{QueueCache, QueueRow, Queues};
use crate::sql::{Connection, Each, Set, Type, Value, time_to_micros};
use crate::writer::Transaction;

/// What a consumer asks for.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) queue: i64,
    pub(super) consumer: i64,
    /// The most messages.
    pub(super) most: usize,
    /// The log up to here holds nothing for the queue but what its cursor has passed.
    pub(super) seen: i64,
    /// Only what stands behind the first and not behind the second, for those who look at a queue.
    pub(super) within: Option<(Place, Place)>,
    /// Whether somebody has begun with all that the consumer holds.
    pub(super) is_idle: bool,
    /// What the consumer holds, if it does not know how the last claim ended.
    pub(super) held: Option<Vec<Place>>,
    /// Whether it is to be renewed with what it takes.
    pub(super) renews: bool,
}

/// What a consumer gets.
#[derive(Debug)]
pub(super) enum Claimed {
    /// The queue is gone.
    Gone,
    /// The consumer has expired.
    Expired,
    /// These messages.
    Some(Portion),
}

/// Messages for a consumer, in order.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) queue: Arc<QueueRow>,
    /// Of the queues.
    pub(super) version: Uuid,
    pub(super) taken: Vec<Taken>,
    /// Positions in the log whose messages were taken, too, and are still to be read.
    pub(super) wanted: Vec<i64>,
    /// See [`Claim::seen`].
    pub(super) seen: i64,
    /// When the next message that waits is due, in microseconds from now.
    pub(super) due: Option<i64>,
    /// Whether there is more to claim right now.
    pub(super) more: bool,
    /// Whether the consumer was renewed.
    pub(super) is_renewed: bool,
}

/// Gives messages to consumers, each: first what lies in its queue, then what the log holds for it, all
/// in the order of places.
pub(super) async fn claim_all(
    transaction: &mut Transaction,
    cache: &QueueCache,
    claims: &[Claim],
    lease: i64,
) -> Result<Vec<Claimed>, StoreError> {
    // Nobody can wait for what is taken.
    transaction.quiet(true);
    let (version, states) = State::read(transaction.connection(), claims).await?;
    // Without one, all of their queues are gone.
    let queues = match version {
        Some(version) => cache.of(transaction.connection(), version).await?,
        None => Arc::default(),
    };
    let mut claiming = Claiming {
        transaction,
        queues,
        states,
        heads: Heads::default(),
        taken: Vec::new(),
        cursors: BTreeMap::new(),
        renewed: Vec::new(),
    };
    let mut order: Vec<usize> = (0..claims.len()).collect();
    // Heads that were read for one serve those behind it, too.
    order.sort_by_key(|&at| claiming.after(&claims[at]));
    let mut claimed: Vec<(usize, Claimed)> = Vec::with_capacity(claims.len());
    for at in order {
        claimed.push((at, claiming.one(claims[at].clone()).await?));
    }
    claiming.finish(lease).await?;
    claimed.sort_by_key(|(at, _)| *at);
    Ok(claimed.into_iter().map(|(_, claimed)| claimed).collect())
}

/// What several consumers claim in one transaction.
struct Claiming<'a> {
    transaction: &'a mut Transaction,
    queues: Arc<Queues>,
    states: HashMap<(i64, i64), State>,
    heads: Heads,
    /// What was taken from the log, as [`TAKEN`] has it.
    taken: Vec<Vec<Value>>,
    /// Where the queues have read to.
    cursors: BTreeMap<i64, i64>,
    renewed: Vec<i64>,
}

impl Claiming<'_> {
    /// Where the log begins for a claim.
    fn after(&self, claim: &Claim) -> i64 {
        let state = self.states.get(&(claim.queue, claim.consumer));
        self.cursor(claim.queue, state).max(claim.seen)
    }

    fn cursor(&self, queue: i64, state: Option<&State>) -> i64 {
        let read = state.map_or(0, |state| state.cursor);
        self.cursors.get(&queue).copied().unwrap_or(read)
    }

    async fn one(&mut self, mut claim: Claim) -> Result<Claimed, StoreError> {
        let Some(queue) = self.queues.numbered(claim.queue).cloned() else {
            return Ok(Claimed::Gone);
        };
        let Some(state) = self.states.get(&(claim.queue, claim.consumer)).copied() else {
            return Ok(Claimed::Gone);
        };
        if !state.is_alive {
            return Ok(Claimed::Expired);
        }
        if let Some(held) = &claim.held {
            put_back(self.transaction, claim.consumer, held).await?;
        }
        let mut portion = Portion {
            version: self.queues.version(),
            taken: Vec::new(),
            wanted: Vec::new(),
            seen: claim.seen,
            due: state.due.map(|due| due - state.now),
            more: false,
            is_renewed: false,
            queue,
        };
        if portion.queue.spec.ordered && !state.is_oldest {
            // Whatever is due is for another one.
            portion.due = None;
            return Ok(Claimed::Some(portion));
        }
        if state.due.is_some_and(|due| due <= state.now) {
            let sql = "UPDATE messages SET due = NULL WHERE queue = $1 AND due <= $2";
            let values = [Value::Int(claim.queue), Value::Int(state.now)];
            self.transaction.execute(sql, &values).await?;
            portion.more = true;
        }
        let lying = match state.has_lying || portion.more || claim.held.is_some() {
            true => self.lying(&claim, &mut portion).await?,
            false => Vec::new(),
        };
        claim.most = alone(&claim, &lying);
        if claim.most > 0 {
            self.take(&claim, &state, lying, &mut portion).await?;
        }
        Ok(Claimed::Some(portion))
    }

    /// What lies in the queue and can be read; the rest is set aside.
    async fn lying(
        &mut self,
        claim: &Claim,
        portion: &mut Portion,
    ) -> Result<Vec<Taken>, StoreError> {
        let all = lying::read(self.transaction.connection(), claim).await?;
        let (mut lying, mut damaged) = (Vec::new(), Vec::new());
        for (place, one) in all {
            match one {
                Lying::Message(taken) => lying.push(taken),
                Lying::Gone => forget(self.transaction, claim.queue, place).await?,
                Lying::Damaged(reason) => {
                    damaged.push(Damaged { queue: portion.queue.clone(), place, reason });
                }
            }
        }
        // There may be more behind what was not taken.
        portion.more |= !damaged.is_empty();
        damaged::set_aside(self.transaction, damaged).await?;
        Ok(lying)
    }

    /// Gives the first of what lies there and what the log holds to the consumer.
    async fn take(
        &mut self,
        claim: &Claim,
        state: &State,
        mut lying: Vec<Taken>,
        portion: &mut Portion,
    ) -> Result<(), StoreError> {
        lying.truncate(claim.most);
        let cursor = self.cursor(claim.queue, Some(state));
        let is_enough =
            lying.len() == claim.most && lying.last().is_some_and(|m| m.place.0 <= cursor);
        let scan = match is_enough {
            true => Scan::nothing(cursor.max(claim.seen)),
            false => self.scan(claim, cursor, &portion.queue).await?,
        };
        let (lying, wanted) = first(claim.most, lying, &scan.wanted);
        // What is not taken now must be found again.
        portion.seen = match scan.wanted.get(wanted.len()) {
            Some(next) => next - 1,
            None => scan.until,
        };
        portion.more |= scan.more || lying.len() + wanted.len() == claim.most;
        if let Some(last) = lying.last() {
            lying::hand_over(self.transaction, claim, last.place).await?;
        }
        let now = time_to_micros(Utc::now());
        let row =
            |position: &i64| [claim.queue, *position, claim.consumer, now].map(Value::Int).to_vec();
        self.taken.extend(wanted.iter().map(row));
        if !wanted.is_empty() || portion.seen - cursor >= CHUNK {
            self.cursors.insert(claim.queue, portion.seen.max(cursor));
        }
        portion.is_renewed = claim.renews && !(lying.is_empty() && wanted.is_empty());
        if portion.is_renewed {
            self.renewed.push(claim.consumer);
        }
        (portion.taken, portion.wanted) = (lying, wanted.to_vec());
        Ok(())
    }

    async fn scan(
        &mut self,
        claim: &Claim,
        cursor: i64,
        queue: &QueueRow,
    ) -> Result<Scan, StoreError> {
        let end = claim.within.map_or(i64::MAX, |(_, until)| until.0);
        let range = (cursor.max(claim.seen), end);
        let connection = self.transaction.connection();
        read_heads(connection, &mut self.heads, queue, range, claim.most).await
    }

    async fn finish(self, lease: i64) -> Result<(), StoreError> {
        let cursors = self.cursors.into_iter().map(|(queue, cursor)| [queue, cursor]);
        let cursors: Vec<_> = cursors.map(|row| row.map(Value::Int).to_vec()).collect();
        let each = Each {
            one: "UPDATE queues SET cursor = $2 WHERE number = $1",
            all: "UPDATE queues SET cursor = r.cursor \
                 FROM unnest($1, $2) AS r(number, cursor) WHERE queues.number = r.number",
            columns: &[Type::Int, Type::Int],
        };
        let renewing = Renewing::at(self.transaction.connection());
        // They were there when the transaction began.
        let renewed = renewing.rows(&self.renewed, lease);
        let sets: [Set<'_>; 3] =
            [(&TAKEN, &self.taken), (&each, &cursors), (&renewing.each(), &renewed)];
        self.transaction.execute_sets(&sets).await.map(|_| ())
    }
}

/// How many messages may be claimed: what was lost more than once with its consumer is claimed alone,
/// by one that has begun with all that it holds. So only what is begun is counted as lost from then on,
/// and what ends its process again and again can be told from what lay beside it.
fn alone(claim: &Claim, lying: &[Taken]) -> usize {
    match lying.iter().position(Taken::is_suspect) {
        // Who looks at a queue begins with nothing.
        _ if claim.within.is_some() => claim.most,
        None => claim.most,
        Some(0) => usize::from(claim.is_idle),
        Some(first) => first,
    }
}

/// How things stand for a consumer.
#[derive(Clone, Copy, Debug)]
struct State {
    cursor: i64,
    due: Option<i64>,
    now: i64,
    is_alive: bool,
    is_oldest: bool,
    /// Something lies in the queue for anybody.
    has_lying: bool,
}

impl State {
    /// By queue and consumer; without those whose queue is gone. With the version of the queues, if there
    /// is any.
    async fn read(
        connection: &mut Connection,
        claims: &[Claim],
    ) -> Result<(Option<Uuid>, HashMap<(i64, i64), Self>), StoreError> {
        let clock = connection.clock();
        let columns = format!(
            "SELECT w.queue, w.consumer, q.cursor, \
             (SELECT MIN(due) FROM messages WHERE queue = q.number AND due IS NOT NULL), {clock}, \
             (SELECT MIN(number) FROM consumers WHERE queue = q.number), \
             (SELECT number FROM consumers WHERE number = w.consumer), \
             (SELECT place FROM messages WHERE queue = q.number AND consumer IS NULL \
              AND due IS NULL LIMIT 1), (SELECT version FROM bus) FROM queues q JOIN"
        );
        let on = "ON q.number = w.queue";
        let each = Each {
            one: &format!("{columns} (SELECT $1 AS queue, $2 AS consumer) AS w {on}"),
            all: &format!("{columns} unnest($1, $2) AS w(queue, consumer) {on}"),
            columns: &[Type::Int, Type::Int],
        };
        let row = |claim: &Claim| [claim.queue, claim.consumer].map(Value::Int).to_vec();
        let asked: Vec<_> = claims.iter().map(row).collect();
        let (mut version, mut states) = (None, HashMap::new());
        for row in connection.query_all(&each, &asked).await? {
            let consumer = row.int(1)?;
            let state = State {
                cursor: row.int(2)?,
                due: row.maybe_int(3)?,
                now: row.int(4)?,
                is_oldest: row.maybe_int(5)? == Some(consumer),
                is_alive: row.maybe_int(6)?.is_some(),
                has_lying: row.maybe_int(7)?.is_some(),
            };
            states.insert((row.int(0)?, consumer), state);
            version = Some(row.id(8)?);
        }
        Ok((version, states))
    }
}

/// The first so many of both, by place.
fn first(most: usize, mut lying: Vec<Taken>, wanted: &[i64]) -> (Vec<Taken>, &[i64]) {
    let (mut a, mut b) = (0, 0);
    while a + b < most {
        match (lying.get(a), wanted.get(b)) {
            (Some(taken), Some(position)) if taken.place < (*position, 0) => a += 1,
            (Some(_), None) => a += 1,
            (_, Some(_)) => b += 1,
            (None, None) => break,
        }
    }
    lying.truncate(a);
    (lying, &wanted[..b])
}

/// A message whose event was pruned is gone.
pub(super) async fn forget(
    transaction: &mut Transaction,
    queue: i64,
    place: Place,
) -> Result<(), StoreError> {
    let values = [queue, place.0, place.1].map(Value::Int);
    let sql = "DELETE FROM messages WHERE queue = $1 AND place = $2 AND number = $3 \
         AND NOT EXISTS (SELECT 1 FROM events WHERE position = messages.position)";
    if transaction.execute(sql, &values).await? > 0 {
        tracing::warn!(queue, place = place.0, "a message was pruned before it was handled");
        return Ok(());
    }
    // Whoever has not found it has read a server that is behind.
    let sql = "UPDATE messages SET consumer = NULL WHERE queue = $1 AND place = $2 AND number = $3 \
         AND position IS NOT NULL";
    transaction.execute(sql, &values).await.map(|_| ())
}

/// What a consumer was given without knowing it is for anybody again.
async fn put_back(
    transaction: &mut Transaction,
    consumer: i64,
    held: &[Place],
) -> Result<(), StoreError> {
    let sql = "SELECT place, number FROM messages WHERE consumer = $1";
    let given = transaction.connection().query(sql, &[Value::Int(consumer)]).await?;
    let sql = "UPDATE messages SET consumer = NULL WHERE consumer = $1 AND place = $2 \
         AND number = $3";
    let places = given.iter().map(|row| Ok((row.int(0)?, row.int(1)?)));
    let places = places.collect::<Result<Vec<Place>, StoreError>>()?;
    let held: std::collections::HashSet<&Place> = held.iter().collect();
    let lost = places.iter().filter(|place| !held.contains(place));
    let rows: Vec<_> =
        lost.map(|place| [consumer, place.0, place.1].map(Value::Int).to_vec()).collect();
    transaction.quiet(false);
    transaction.execute_each(sql, &rows).await?;
    transaction.quiet(true);
    Ok(())
}
