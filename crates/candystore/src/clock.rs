//! When an event is stored.
//!
//! Positions are the order of events. Times follow them, and go back only where a clock was wrong by
//! more than [`BOUND`]: a wrong clock spoils the times of what it has stored itself, and no others.

use std::iter;
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::sql::{Connection, Value, table};
use crate::{Position, StoreError};

/// What gives the time.
pub(crate) type Clock = fn() -> DateTime<Utc>;

/// How far a clock may be behind the last event before it is believed all the same, in microseconds:
/// 5 minutes. Within it the time stands still until the clock has caught up.
pub(crate) const BOUND: i64 = 300_000_000;

table! {
    /// A row of `clock_steps`: here the times of events go back.
    ClockStep in "clock_steps" {
        /// The first event with an earlier time.
        position: Position,
        /// The time of the event before it, in microseconds since 1970.
        earlier: i64,
        /// Its own time.
        later: i64,
    }
}

/// The time of the next event: now, or when another store got it, and not before the last one. A last
/// one that is too far ahead of now was given by a wrong clock, or our clock is wrong; nobody can tell,
/// so the time is what our clock says, as it will be when the clocks are right.
pub(crate) fn next(last: i64, now: i64, given: Option<i64>) -> i64 {
    match last > now.saturating_add(BOUND) {
        true => now,
        false => given.unwrap_or(now).min(now).max(last),
    }
}

/// The times of a store's events, which go forward with their positions but for a few steps.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    /// Where they go back, in the order of positions; nowhere, most often.
    steps: Vec<ClockStep>,
    /// The last position.
    head: Position,
}

impl Times {
    /// Reads where they go back.
    pub(crate) async fn of(c: &mut Connection, head: Position) -> Result<Self, StoreError> {
        let sql = format!("SELECT {} FROM clock_steps ORDER BY position", ClockStep::COLUMNS);
        let steps = c.query(&sql, &[]).await?.iter().map(ClockStep::of).collect::<Result<_, _>>();
        Ok(Times { steps: steps?, head })
    }

    /// Where they go back.
    pub(crate) fn steps(&self) -> &[ClockStep] {
        &self.steps
    }

    /// The first position of a time or a later one. Where times go back, events of earlier times may
    /// follow it.
    pub(crate) async fn first_since(
        &self,
        c: &mut Connection,
        time: i64,
    ) -> Result<Option<Position>, StoreError> {
        if self.steps.is_empty() {
            let sql = "SELECT position FROM events WHERE received >= $1 \
                 ORDER BY received, position LIMIT 1";
            let rows = c.query(sql, &[Value::Int(time)]).await?;
            return rows.first().map(|row| row.position(0)).transpose();
        }
        for (first, last) in self.runs() {
            if let Some(position) = first_of_run(c, time, first, last).await? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// The last position of an earlier time; less than the first if there is none. Where times go back,
    /// events of later times may stand before it.
    pub(crate) async fn last_before(
        &self,
        c: &mut Connection,
        time: i64,
    ) -> Result<Position, StoreError> {
        let mut found = 0;
        for (first, last) in self.runs() {
            let end = match self.steps.is_empty() {
                true => self.first_since(c, time).await?,
                false => first_of_run(c, time, first, last).await?,
            };
            match end {
                Some(end) if end <= first => {}
                Some(end) => found = end - 1,
                None => found = last,
            }
        }
        Ok(found)
    }

    /// The parts in which times do not go back, by their first and last positions.
    fn runs(&self) -> impl Iterator<Item = (Position, Position)> {
        let firsts = iter::once(1).chain(self.steps.iter().map(|step| step.position));
        let lasts = self.steps.iter().map(|step| step.position.saturating_sub(1));
        firsts.zip(lasts.chain([self.head]))
    }
}

/// The first position of a run that has a time or a later one, found by halving.
pub(crate) async fn first_of_run(
    c: &mut Connection,
    time: i64,
    first: Position,
    last: Position,
) -> Result<Option<Position>, StoreError> {
    let sql = "SELECT position, received FROM events WHERE position >= $1 AND position <= $2 \
         ORDER BY position DESC LIMIT 1";
    let (mut low, mut high, mut found) = (first, last, None);
    while low <= high {
        let middle = low + (high - low) / 2;
        let rows = c.query(sql, &[Value::position(low), Value::position(middle)]).await?;
        match rows.first() {
            Some(row) if row.int(1)? >= time => {
                found = Some(row.position(0)?);
                high = row.position(0)?.saturating_sub(1);
            }
            // Nothing stands there, or it is earlier.
            _ => low = middle + 1,
        }
    }
    Ok(found)
}

/// The time of a server, known from what it said last and from how long ago that was. It is behind the
/// server's by less than an answer takes, as long as both clocks go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerTime {
    /// A moment, and what the server's clock said then, in microseconds since 1970.
    moment: Instant,
    said: i64,
}

impl ServerTime {
    /// From what the server has said in an answer that came at this moment.
    pub(crate) fn new(said: i64, answered: Instant) -> Self {
        ServerTime { moment: answered, said }
    }

    /// What the server's clock says now.
    pub(crate) fn now(&self) -> i64 {
        self.at(Instant::now())
    }

    fn at(&self, moment: Instant) -> i64 {
        let since = moment.saturating_duration_since(self.moment);
        self.said.saturating_add(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// What the server said was said between asking and its answer, whenever that was.
    pub(crate) fn adjust(&mut self, said: i64, asked: Instant, answered: Instant) {
        let (first, last) = (self.at(asked), self.at(answered));
        *self = ServerTime {
            moment: answered,
            said: last - (first - said).max(0) + (said - last).max(0),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_of_a_server_is_kept_between_what_it_can_be() {
        let start = Instant::now();
        let after = |micros| start + Duration::from_micros(micros);
        let mut time = ServerTime::new(5_000, start);
        assert_eq!(time.at(after(10)), 5_010);
        for (asked, answered, said, expected) in [
            // As it was expected, at the beginning or at the end.
            (100, 200, 5_100, 5_200),
            (300, 400, 5_400, 5_400),
            // The server's clock is ahead of what was expected.
            (500, 600, 5_650, 5_650),
            // It is behind: that was said when it was asked at the earliest.
            (700, 800, 5_700, 5_800),
        ] {
            time.adjust(said, after(asked), after(answered));
            assert_eq!(time.at(after(answered)), expected);
        }
    }

    #[test]
    fn time_stands_still_for_a_clock_that_is_a_little_behind_and_goes_back_for_one_that_is_far() {
        let last = 1_000 * BOUND;
        assert_eq!(next(last, last + 1, None), last + 1);
        assert_eq!(next(last, last - 1, None), last);
        assert_eq!(next(last, last - BOUND, None), last);
        assert_eq!(next(last, last - BOUND - 1, None), last - BOUND - 1);
        assert_eq!(next(0, i64::MAX, None), i64::MAX);
    }

    #[test]
    fn the_time_of_another_store_is_kept_unless_it_goes_back_or_ahead() {
        let last = 1_000 * BOUND;
        assert_eq!(next(last, last + 9, Some(last + 3)), last + 3);
        assert_eq!(next(last, last + 9, Some(last - 3)), last);
        assert_eq!(next(last, last + 9, Some(last + 30)), last + 9);
        assert_eq!(next(last, last - 2 * BOUND, Some(3)), last - 2 * BOUND);
    }
}
