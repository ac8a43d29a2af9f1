//! Figures of what is stored, kept soon after it is stored, so that a year is summed without a look at
//! its events.

mod fill;
mod fold;
mod histogram;
mod table;

use std::sync::Arc;

use bloodbank_core::Kind;

pub(crate) use self::fill::{counted_rows, day_is_right, days, fill};
pub(crate) use self::fold::{FOLD, Tail, uncounted};
pub(crate) use self::histogram::{BUCKETS, Histogram};
pub(crate) use self::table::{Figures, SUMS, by_hour_and_day};
use crate::Standing;
use crate::event::kind_of;
use crate::sql::{Row, Value};
use crate::{Position, StoreError};

/// In microseconds.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// The hours of a day.
pub(crate) const DAY: i64 = 24;

/// The most that a time counts in a mean, so that no sum gets too large for its column.
const MOST: i64 = HOUR;

/// How far events are counted, and how far there are any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadRange {
    /// The figures that are kept are those of the events up to here.
    pub(crate) counted: Position,
    /// The last position.
    pub(crate) position: Position,
}

/// What of one event is counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) kind: Kind,
    pub(crate) key: Arc<str>,
    pub(crate) source: Arc<str>,
    pub(crate) standing: Standing,
    pub(crate) bytes: i64,
    /// Microseconds since 1970, like all times here.
    pub(crate) timestamp: Option<i64>,
    pub(crate) received: i64,
    /// It is taken away.
    pub(crate) is_gone: bool,
}

impl Counted {
    /// The columns of [`Counted::of`], none of which needs the body to be read.
    pub(crate) const COLUMNS: &str =
        "kind, key, source, standing, OCTET_LENGTH(body), timestamp, received";

    /// Reads the columns of a row from this one on.
    pub(crate) fn of(row: &Row, first: usize) -> Result<Self, StoreError> {
        let standing = row.text(first + 3)?.parse();
        Ok(Counted {
            kind: kind_of(row.text(first)?)?,
            key: row.text(first + 1)?.into(),
            source: row.text(first + 2)?.into(),
            standing: standing.map_err(|_| StoreError::column("standing"))?,
            bytes: row.int(first + 4)?,
            timestamp: row.maybe_int(first + 5)?,
            received: row.int(first + 6)?,
            is_gone: false,
        })
    }

    /// When its hour began.
    pub(crate) fn hour(&self) -> i64 {
        begin(self.received, HOUR)
    }
}

/// When the span of this length began that a time lies in.
pub(crate) fn begin(time: i64, span: i64) -> i64 {
    time.div_euclid(span) * span
}

/// What is known of some events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) events: i64,
    pub(crate) bytes: i64,
    pub(crate) invalid: i64,
    pub(crate) unknown: i64,
    pub(crate) malformed: i64,
    /// How many of them say when they happened.
    pub(crate) told: i64,
    pub(crate) latency: i64,
    /// The least number there is, where none of them says so.
    pub(crate) longest: i64,
    pub(crate) latencies: Histogram,
}

impl Default for Sum {
    fn default() -> Self {
        Sum {
            events: 0,
            bytes: 0,
            invalid: 0,
            unknown: 0,
            malformed: 0,
            told: 0,
            latency: 0,
            longest: i64::MIN,
            latencies: Histogram::default(),
        }
    }
}

impl Sum {
    /// Adds an event, or takes it away. The longest time stays, then: which is the next one only the
    /// other events could say.
    pub(crate) fn add(&mut self, one: &Counted) {
        let sign = if one.is_gone { -1 } else { 1 };
        self.events += sign;
        self.bytes += sign * one.bytes;
        match one.standing {
            Standing::Valid => {}
            Standing::Invalid => self.invalid += sign,
            Standing::Unknown => self.unknown += sign,
            Standing::Malformed => self.malformed += sign,
        }
        if let Some(timestamp) = one.timestamp {
            let latency = one.received.saturating_sub(timestamp);
            self.told += sign;
            self.latency += sign * latency.clamp(-MOST, MOST);
            self.latencies.add(latency, sign);
            if !one.is_gone {
                self.longest = self.longest.max(latency);
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Sum) {
        self.events += other.events;
        self.bytes += other.bytes;
        self.invalid += other.invalid;
        self.unknown += other.unknown;
        self.malformed += other.malformed;
        self.told += other.told;
        self.latency = self.latency.saturating_add(other.latency);
        self.longest = self.longest.max(other.longest);
        self.latencies.merge(&other.latencies);
    }

    /// Reads the columns of [`SUMS`] from this one on.
    pub(crate) fn of(row: &Row, first: usize) -> Result<Self, StoreError> {
        let mut latencies = Histogram::default();
        for (column, count) in (first + 8..).zip(&mut latencies.0) {
            *count = row.int(column)?;
        }
        Ok(Sum {
            events: row.int(first)?,
            bytes: row.int(first + 1)?,
            invalid: row.int(first + 2)?,
            unknown: row.int(first + 3)?,
            malformed: row.int(first + 4)?,
            told: row.int(first + 5)?,
            latency: row.int(first + 6)?,
            longest: row.int(first + 7)?,
            latencies,
        })
    }

    fn values(&self) -> impl Iterator<Item = Value> {
        let Sum { events, bytes, invalid, unknown, malformed, told, latency, longest, .. } = *self;
        let counts = [events, bytes, invalid, unknown, malformed, told, latency, longest];
        counts.into_iter().chain(self.latencies.0).map(Value::Int)
    }

    /// Whether they say the same, apart from the longest time, which may be that of a pruned event.
    fn agrees(&self, stored: &Sum) -> bool {
        self.longest <= stored.longest && *self == Sum { longest: self.longest, ..stored.clone() }
    }
}
