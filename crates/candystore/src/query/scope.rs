//! From a filter to what the database is asked.

use bloodbank_core::{Kind, TopicPattern};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::clock::Times;
use crate::payload::{Expressions, PayloadIndex};
use crate::record::indexed;
use crate::sql::{Connection, Value, time_to_micros};
use crate::{Filter, Position, Standing, StoreError};

/// The most keys that are looked up one by one. More are told apart while reading.
const MOST_KEYS: usize = 100;

/// A source with fewer events than this is looked up before its keys are.
const RARE: i64 = 200;

/// By what the events are looked up. Each has an index that goes by position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Way {
    Position,
    Keys(Vec<String>),
    Source(String),
    Session(String),
    Correlation(Uuid),
    /// A field of the payload that has an index, and the values that may be meant by one.
    Field(Expressions, Vec<Value>),
    Standing(Standing),
    Commands,
}

/// What each event must pass besides, once it is looked up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Keys(Vec<String>),
    Equals(&'static str, Value),
    /// Stored then or later, in microseconds since 1970.
    Since(i64),
    /// Stored earlier.
    Until(i64),
}

/// A filter, with what only the database knows: which positions its times are, and which keys its
/// patterns. Good for one state of the store.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) way: Way,
    pub(crate) tests: Vec<Test>,
    /// The first position and the last one. Nothing passes if they cross.
    pub(crate) low: Position,
    pub(crate) high: Position,
    /// The last position that was given out.
    pub(crate) head: Position,
}

impl Scope {
    /// Asks what only the database knows.
    pub(crate) async fn of(c: &mut Connection, filter: &Filter) -> Result<Self, StoreError> {
        let head = c.query_one("SELECT position FROM head", &[]).await?.position(0)?;
        let mut low = filter.first.unwrap_or(1).max(1);
        let mut high = filter.last.unwrap_or(head).min(head);
        let mut tests = Vec::new();
        if filter.since.is_some() || filter.until.is_some() {
            let times = Times::of(c, head).await?;
            let goes_back = !times.steps().is_empty();
            if let Some(since) = filter.since.map(micros_up) {
                low = low.max(times.first_since(c, since).await?.unwrap_or(head + 1));
                tests.extend(goes_back.then_some(Test::Since(since)));
            }
            if let Some(until) = filter.until.map(micros_up) {
                high = high.min(times.last_before(c, until).await?);
                tests.extend(goes_back.then_some(Test::Until(until)));
            }
        }
        let mut scope = Scope { way: Way::Position, tests, low, high, head };
        scope.choose(c, filter).await?;
        Ok(scope)
    }

    /// Whether nothing can pass.
    pub(crate) fn is_empty(&self) -> bool {
        self.low > self.high
    }

    /// Whether positions rule nothing out.
    pub(crate) fn is_whole(&self) -> bool {
        self.low <= 1 && self.high >= self.head
    }

    /// How many lists of positions are merged into one.
    pub(crate) fn arms(&self) -> usize {
        match &self.way {
            Way::Keys(keys) => keys.len().max(1),
            Way::Correlation(_) => 2,
            Way::Field(_, values) => 2 * values.len(),
            _ => 1,
        }
    }

    /// Finds the way that passes by the fewest events that are not meant. Whatever is set and is not
    /// the way becomes a test.
    async fn choose(&mut self, c: &mut Connection, filter: &Filter) -> Result<(), StoreError> {
        // Whoever has set it, it is as long as the column has it.
        let source = filter.source.as_deref().map(|text| indexed(text).into_owned());
        let session = filter.session.as_deref().map(|text| indexed(text).into_owned());
        let keys = keys_of(c, &filter.keys).await?;
        let source_first = match (&source, &keys) {
            (Some(source), Some(_)) => self.is_rare(c, source).await?,
            (source, None) => source.is_some(),
            (None, Some(_)) => false,
        };
        // From what is most telling to what is least so.
        if let Some(id) = filter.correlation {
            self.way = Way::Correlation(id);
        }
        if let Some(session) = &session {
            self.set(Way::Session(session.clone()), text("session_id", session));
        }
        // Each event is read for its fields in the end, so that this is no test of its own.
        if self.way == Way::Position
            && let Some((expressions, values)) = PayloadIndex::of(c, &filter.fields).await?
        {
            self.way = Way::Field(expressions, values);
        }
        if let Some(standing) = filter.standing {
            let way = match standing {
                Standing::Valid => Way::Position,
                other => Way::Standing(other),
            };
            self.set(way, text("standing", standing.as_str()));
        }
        if let (Some(source), true) = (&source, source_first) {
            self.set(Way::Source(source.clone()), text("source", source));
        }
        if let Some(keys) = keys {
            if keys.is_empty() {
                self.high = 0;
            }
            let way = match keys.len() > MOST_KEYS {
                true => Way::Position,
                false => Way::Keys(keys.clone()),
            };
            self.set(way, Test::Keys(keys));
        }
        if let (Some(source), false) = (&source, source_first) {
            self.set(Way::Source(source.clone()), text("source", source));
        }
        if let Some(kind) = filter.kind {
            let way = match kind {
                Kind::Event => Way::Position,
                Kind::Command => Way::Commands,
            };
            self.set(way, text("kind", kind.as_str()));
        }
        Ok(())
    }

    /// Takes the way if there is none yet, else the test.
    fn set(&mut self, way: Way, test: Test) {
        if self.way == Way::Position && way != Way::Position {
            self.way = way;
        } else {
            self.tests.push(test);
        }
    }

    async fn is_rare(&self, c: &mut Connection, source: &str) -> Result<bool, StoreError> {
        let sql = "SELECT COUNT(*) FROM (SELECT position FROM events WHERE source = $1 \
             AND position BETWEEN $2 AND $3 LIMIT $4) AS few";
        let (low, high) = (Value::position(self.low), Value::position(self.high));
        let values = [Value::text(source), low, high, Value::Int(RARE)];
        Ok(c.query_one(sql, &values).await?.int(0)? < RARE)
    }
}

fn text(column: &'static str, text: &str) -> Test {
    Test::Equals(column, Value::text(text))
}

/// The first position that was stored then or later. `head` is the last one that is looked at.
pub(crate) async fn first_since(
    c: &mut Connection,
    head: Position,
    time: DateTime<Utc>,
) -> Result<Option<Position>, StoreError> {
    Times::of(c, head).await?.first_since(c, micros_up(time)).await
}

/// Microseconds since 1970, rounded up: what was stored in a microsecond before this time is no part
/// of what follows.
fn micros_up(time: DateTime<Utc>) -> i64 {
    let has_rest = !time.timestamp_subsec_nanos().is_multiple_of(1_000);
    time_to_micros(time) + i64::from(has_rest)
}

/// The keys that the patterns stand for; `None` if they stand for all.
async fn keys_of(
    c: &mut Connection,
    patterns: &[TopicPattern],
) -> Result<Option<Vec<String>>, StoreError> {
    if patterns.is_empty() || patterns.iter().any(|pattern| pattern.as_str() == "#") {
        return Ok(None);
    }
    if !patterns.iter().any(TopicPattern::is_wild) {
        let mut keys: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        keys.sort_unstable();
        keys.dedup();
        return Ok(Some(keys));
    }
    let rows = c.query("SELECT key FROM keys ORDER BY key", &[]).await?;
    let mut keys = Vec::new();
    for row in &rows {
        let key = row.text(0)?;
        if patterns.iter().any(|pattern| pattern.matches(key)) {
            keys.push(key.to_owned());
        }
    }
    Ok((keys.len() < rows.len()).then_some(keys))
}
