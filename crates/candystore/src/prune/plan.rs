//! What a prune reaches.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::iter;

use bloodbank_core::TopicPattern;

use super::protected::needed;
use super::{DoomedKey, Prune, PrunePlan, whole};
use crate::clock::Times;
use crate::partitions::Partition;
use crate::sql::{Connection, Value, micros_to_time};
use crate::{Position, StoreError};

/// How many events are counted in one step: no question takes long.
const STEP: usize = 10_000;

/// Every limit comes down to a last position for each key.
pub(super) async fn make(
    connection: &mut Connection,
    prune: &Prune,
) -> Result<PrunePlan, StoreError> {
    let needed = if prune.force { None } else { needed(connection).await? };
    let for_all = age_limit(connection, prune).await?.max(bytes_limit(connection, prune).await?);
    let mut limits = Vec::new();
    for row in connection.query("SELECT key FROM keys ORDER BY key", &[]).await? {
        let key = row.text(0)?;
        let limit = match is_meant(key, prune) {
            true => for_all.max(keep_limit(connection, prune, key).await?),
            false => 0,
        };
        limits.push((key.to_owned(), limit));
    }
    let free_of =
        |limit: Position| needed.map_or(limit, |needed| limit.min(needed.saturating_sub(1)));
    let free: Vec<(String, Position)> =
        limits.iter().map(|(key, limit)| (key.clone(), free_of(*limit))).collect();
    let whole = whole::find(connection, &free).await?;
    let mut by_key: BTreeMap<String, DoomedKey> = BTreeMap::new();
    for partition in &whole {
        for doomed in whole::count(connection, *partition).await? {
            add(&mut by_key, doomed);
        }
    }
    let mut held = 0;
    for (key, limit) in &limits {
        let free = free_of(*limit);
        for (after, until) in beside(&whole, free) {
            let counted = count(connection, key, after, until).await?;
            counted.into_iter().for_each(|doomed| add(&mut by_key, doomed));
        }
        held += count(connection, key, free, *limit).await?.map_or(0, |held| held.events);
    }
    let keys = by_key.into_values().collect();
    Ok(PrunePlan { keys, held, needed, whole, force: prune.force })
}

/// Adds events of a key to others of it.
fn add(all: &mut BTreeMap<String, DoomedKey>, one: DoomedKey) {
    match all.entry(one.key.clone()) {
        Entry::Vacant(entry) => {
            entry.insert(one);
        }
        Entry::Occupied(mut entry) => entry.get_mut().add(&one),
    }
}

impl DoomedKey {
    fn add(&mut self, other: &DoomedKey) {
        self.events += other.events;
        self.bytes += other.bytes;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// What there is up to a position beside partitions, which are in order: each after a position up to
/// another.
fn beside(whole: &[Partition], until: Position) -> Vec<(Position, Position)> {
    let ends = whole.iter().map(|partition| partition.last).filter(|last| *last < until);
    let begins = whole.iter().map(|partition| partition.first - 1);
    let afters = iter::once(0).chain(ends);
    let gaps = afters.zip(begins.chain([Position::MAX]));
    gaps.map(|(after, begin)| (after, begin.min(until))).filter(|(a, u)| a < u).collect()
}

/// Whether a key matches one of the patterns, of which none means all keys, and none of those that stay.
fn is_meant(key: &str, prune: &Prune) -> bool {
    let matches = |pattern: &TopicPattern| pattern.matches(key);
    (prune.keys.is_empty() || prune.keys.iter().any(matches)) && !prune.except.iter().any(matches)
}

/// The last position up to which all was stored too long ago; 0 if nothing was.
async fn age_limit(connection: &mut Connection, prune: &Prune) -> Result<Position, StoreError> {
    let Some(age) = prune.older_than else { return Ok(0) };
    // The clock is the database's, which gave the events their times.
    let sql = format!("SELECT {}", connection.clock());
    let now = connection.query_one(&sql, &[]).await?.int(0)?;
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let before = now.saturating_sub(age);
    let head = connection.query_one("SELECT position FROM head", &[]).await?.position(0)?;
    // Where a clock was wrong, nothing goes that stands behind an event that may stay.
    let times = Times::of(connection, head).await?;
    let last = async |connection: &mut Connection, before| {
        let stays = times.first_since(connection, before).await?;
        Ok::<_, StoreError>(stays.map_or(head, |first| first - 1))
    };
    let limit = last(connection, before).await?;
    if prune.patience.is_zero() {
        return Ok(limit);
    }
    // A partition goes as a whole if all of it is old enough soon.
    let patience = i64::try_from(prune.patience.as_micros()).unwrap_or(i64::MAX);
    let soon = last(connection, before.saturating_add(patience)).await?;
    let mut partitions = Partition::all(connection).await?.into_iter();
    let cut = partitions.find(|it| it.first <= limit && limit < it.last && it.last <= soon);
    Ok(cut.map_or(limit, |partition| partition.first - 1))
}

/// The last position of a key that is not among the newest; 0 if all are.
async fn keep_limit(
    connection: &mut Connection,
    prune: &Prune,
    key: &str,
) -> Result<Position, StoreError> {
    let Some(keep) = prune.keep else { return Ok(0) };
    let sql = "SELECT position FROM events WHERE key = $1 ORDER BY position DESC LIMIT 1 OFFSET $2";
    // There is no store with more events than that.
    let rows = connection.query(sql, &[Value::text(key), Value::position(keep)]).await?;
    rows.first().map_or(Ok(0), |row| row.position(0))
}

/// The last position with which the bodies of all keys have too many bytes; 0 if they have not.
async fn bytes_limit(connection: &mut Connection, prune: &Prune) -> Result<Position, StoreError> {
    let Some(mut left) = prune.max_bytes else { return Ok(0) };
    let sql = format!(
        "SELECT position, length(body), key FROM events WHERE position < $1 \
         ORDER BY position DESC LIMIT {STEP}"
    );
    let mut before = Position::MAX;
    loop {
        let rows = connection.query(&sql, &[Value::position(before)]).await?;
        let Some(last) = rows.last() else { return Ok(0) };
        before = last.position(0)?;
        for row in &rows {
            if is_meant(row.text(2)?, prune) {
                match left.checked_sub(row.position(1)?) {
                    Some(rest) => left = rest,
                    None => return row.position(0),
                }
            }
        }
    }
}

/// The events of a key after a position up to another, if there are any.
async fn count(
    connection: &mut Connection,
    key: &str,
    mut after: Position,
    until: Position,
) -> Result<Option<DoomedKey>, StoreError> {
    let sql = format!(
        "SELECT COUNT(*), CAST(SUM(size) AS BIGINT), MIN(position), MIN(received), \
         MAX(position), MAX(received) \
         FROM (SELECT position, received, length(body) AS size FROM events \
         WHERE key = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT {STEP}) AS step"
    );
    let mut all: Option<DoomedKey> = None;
    while after < until {
        let between = [Value::text(key), Value::position(after), Value::position(until)];
        let row = connection.query_one(&sql, &between).await?;
        let (Some(events), Some(bytes)) = (row.maybe_position(0)?, row.maybe_position(1)?) else {
            break;
        };
        let first = (row.position(2)?, micros_to_time(row.int(3)?)?);
        let last = (row.position(4)?, micros_to_time(row.int(5)?)?);
        after = last.0;
        let step = DoomedKey { key: key.to_owned(), events, bytes, first, last };
        match &mut all {
            Some(all) => all.add(&step),
            None => all = Some(step),
        }
    }
    Ok(all)
}
