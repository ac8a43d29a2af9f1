//! How much of what, and how soon it was stored.

mod sums;
mod totals;

use chrono::{DateTime, TimeDelta, Utc};

use self::sums::Sums;
pub use self::totals::Totals;
pub(crate) use self::totals::end;
use crate::query::Scope;
use crate::sql::{Connection, micros_to_time, time_to_micros};
use crate::summary::{DAY, HOUR, Sum};
use crate::{EventStore, Filter, StoreError};

/// In microseconds.
const MINUTE: i64 = 60_000_000;

/// What events are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum By {
    /// By minute, key and source, each for itself.
    Each,
    /// By minute.
    Minute,
    /// By hour.
    Hour,
    /// By day (UTC).
    Day,
    /// By key.
    Key,
    /// By source.
    Source,
    /// By key and source.
    KeyAndSource,
}

impl By {
    /// The span that counts together, in microseconds.
    fn span(self) -> Option<i64> {
        match self {
            By::Each | By::Minute => Some(MINUTE),
            By::Hour => Some(HOUR),
            By::Day => Some(DAY * HOUR),
            By::Key | By::Source | By::KeyAndSource => None,
        }
    }

    fn has_key(self) -> bool {
        matches!(self, By::Each | By::Key | By::KeyAndSource)
    }

    fn has_source(self) -> bool {
        matches!(self, By::Each | By::Source | By::KeyAndSource)
    }
}

/// Events that have something in common.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// When the minute, hour or day began that they were stored in, if they are counted by it.
    pub start: Option<DateTime<Utc>>,
    /// Their key, if they are counted by it.
    pub key: Option<String>,
    /// Their source, if they are counted by it.
    pub source: Option<String>,
    /// How many there are.
    pub count: u64,
    /// How many bytes their bodies have.
    pub bytes: u64,
    /// How many of them break their contract.
    pub invalid: u64,
    /// How many of them have a key without a contract.
    pub unknown: u64,
    /// How many of them are not an envelope.
    pub malformed: u64,
    /// How long it took; `None` if none of them says when it happened.
    pub latency: Option<Latency>,
}

/// How long it took from when events happened, as their envelopes say, to when they were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// On average; each counts at most an hour. Below zero where a clock is ahead of ours.
    pub mean: TimeDelta,
    /// What half of them did not exceed. This and the next two are read from buckets, and are wrong by
    /// at most 20 %, or 64 µs; what is below zero is 0, and what is above 71 minutes counts as that.
    pub p50: TimeDelta,
    /// What 95 of 100 did not exceed.
    pub p95: TimeDelta,
    /// What 99 of 100 did not exceed.
    pub p99: TimeDelta,
    /// The longest. Where it is of a whole hour, it may be that of an event that was pruned since.
    pub max: TimeDelta,
}

impl Group {
    /// How many are anything else than valid.
    pub fn not_valid(&self) -> u64 {
        self.invalid + self.unknown + self.malformed
    }
}

impl EventStore {
    /// Counts what was stored since a time and before another, by what it has in common. In the order
    /// of times, keys and sources.
    ///
    /// Whole hours and days come from figures that are kept, so that a year is as soon summed as an
    /// hour. What is left at both ends, the last few thousand events, which are not in the figures yet,
    /// and everything where it is counted by minute, is read event by event, without the bodies.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn stats(
        &self,
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
        by: By,
    ) -> Result<Vec<Group>, StoreError> {
        let whole = Whole::within(since, until, by);
        let mut sums = Sums::new(by);
        let kept = whole.parts(by);
        let ask = async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| {
                for (hours, from, to) in kept {
                    sums.add_kept(c, hours, from, to).await?;
                }
                sums.add_uncounted(c, whole.from, whole.to).await?;
                Ok(sums)
            })
            .await
        };
        let mut sums = self.readers().run(ask).await?;
        for (since, until) in whole.rest(since, until)? {
            let filter = Filter { since, until, ..Filter::default() };
            let scope = async move |c: &mut Connection| Scope::of(c, &filter).await;
            let Scope { low, high, .. } = self.readers().run(scope).await?;
            sums = sums.add_events(self, low, high).await?;
        }
        sums.groups()
    }
}

/// The whole hours of a range, in microseconds since 1970; none if they cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whole {
    from: i64,
    to: i64,
}

/// From a time and before another, where there are these.
type Range = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl Whole {
    fn within(since: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>, by: By) -> Self {
        if by.span() == Some(MINUTE) {
            return Whole { from: 0, to: 0 };
        }
        let up = |time| up(time_to_micros(time), HOUR);
        let down = |time| time_to_micros(time).div_euclid(HOUR) * HOUR;
        Whole { from: since.map_or(i64::MIN, up), to: until.map_or(i64::MAX, down) }
    }

    /// The figures that make it up: those of days where there are whole ones, and of hours.
    fn parts(self, by: By) -> Vec<(i64, i64, i64)> {
        let Whole { from, to } = self;
        let day = DAY * HOUR;
        // What has no end has whole days only.
        let first = if from == i64::MIN { from } else { up(from, day) };
        let last = if to == i64::MAX { to } else { to.div_euclid(day) * day };
        if by == By::Hour || first >= last {
            return vec![(1, from, to)];
        }
        vec![(1, from, first), (DAY, first, last), (1, last, to)]
    }

    /// What is left of a range.
    fn rest(
        self,
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Vec<Range>, StoreError> {
        if self.from >= self.to {
            return Ok(vec![(since, until)]);
        }
        let mut rest = Vec::new();
        if since.is_some() {
            rest.push((since, Some(micros_to_time(self.from)?)));
        }
        if until.is_some() {
            rest.push((Some(micros_to_time(self.to)?), until));
        }
        Ok(rest)
    }
}

/// The first multiple of a span that is not before a time.
fn up(time: i64, span: i64) -> i64 {
    let rest = time.rem_euclid(span);
    if rest == 0 { time } else { time - rest + span }
}

impl Latency {
    /// In microseconds.
    fn of(sum: &Sum) -> Option<Self> {
        let mean = sum.latency.checked_div(sum.told)?;
        let quantile = |percent| {
            let found = sum.latencies.quantile(percent).unwrap_or_default();
            TimeDelta::microseconds(found.min(sum.longest.max(0)))
        };
        Some(Latency {
            mean: TimeDelta::microseconds(mean),
            p50: quantile(50),
            p95: quantile(95),
            p99: quantile(99),
            max: TimeDelta::microseconds(sum.longest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_made_of_days_hours_and_what_is_left() {
        let time = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        let micros = |text: &str| time_to_micros(time(text).unwrap());
        let (since, until) = (time("2026-01-30T22:30:00Z"), time("2026-02-02T01:00:00.5Z"));
        let whole = Whole::within(since, until, By::Key);
        let [first, day, last, end] = [
            "2026-01-30T23:00:00Z",
            "2026-01-31T00:00:00Z",
            "2026-02-02T00:00:00Z",
            "2026-02-02T01:00:00Z",
        ]
        .map(micros);
        assert_eq!(whole.parts(By::Key), [(1, first, day), (24, day, last), (1, last, end)]);
        assert_eq!(whole.parts(By::Hour), [(1, first, end)]);
        let rest = [(since, time("2026-01-30T23:00:00Z")), (time("2026-02-02T01:00:00Z"), until)];
        assert_eq!(whole.rest(since, until).unwrap(), rest);

        let all = Whole::within(None, None, By::Day);
        assert_eq!(all.parts(By::Day)[1], (24, i64::MIN, i64::MAX));
        assert_eq!(all.rest(None, None).unwrap(), []);

        let (since, until) = (time("2026-01-30T22:30:00Z"), time("2026-01-30T22:40:00Z"));
        let none = Whole::within(since, until, By::Key);
        assert_eq!(none.rest(since, until).unwrap(), [(since, until)]);
        let minutes = Whole::within(since, None, By::Each);
        assert_eq!(minutes.rest(since, None).unwrap(), [(since, None)]);
    }
}
