//! Times that a wrong clock has given, put right.

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::{BOUND, ClockStep, Times, first_of_run};
use crate::sql::{Connection, Value, micros_to_time};
use crate::summary;
use crate::writer::Transaction;
use crate::{EventStore, Position, StoreError};

/// How the times of events stand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockState {
    /// The positions at which times go back. Before each of them a clock was ahead, or from there on one
    /// was behind.
    pub steps: Vec<Position>,
    /// How far the last event is ahead of now, if that is more than 5 minutes.
    pub ahead: Option<TimeDelta>,
}

/// Events whose time is, or was, put right. Those of one range have one time then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockRepair {
    /// The first position.
    pub first: Position,
    /// The last position.
    pub last: Position,
    /// The times that the first and the last of them were stored with.
    pub were: (DateTime<Utc>, DateTime<Utc>),
    /// The time that they get: that of the nearest event whose time is right.
    pub becomes: DateTime<Utc>,
}

impl EventStore {
    /// Whether times of events go back, or are ahead of now. On PostgreSQL its server says when it is
    /// now.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn clock_state(&self) -> Result<ClockState, StoreError> {
        let asked = async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| {
                let sql = format!("SELECT position, received, {} FROM head", c.clock());
                let head = c.query_one(&sql, &[]).await?;
                let ahead = head.int(1)?.saturating_sub(head.int(2)?);
                let times = Times::of(c, head.position(0)?).await?;
                let steps = times.steps().iter().map(|step| step.position).collect();
                let ahead = (ahead > BOUND).then(|| TimeDelta::microseconds(ahead));
                Ok(ClockState { steps, ahead })
            })
            .await
        };
        self.readers().run(asked).await
    }

    /// Puts right the times that a wrong clock has given, or, without `do_it`, only finds out what that
    /// would change. It gives what has changed or would.
    ///
    /// Where times go back, either the events before had a clock that was ahead, or those behind had one
    /// that was behind. A time in the future is wrong; otherwise the fewer events are taken for the wrong
    /// ones. They get the time of the nearest event on the other side. The time that each was stored
    /// with is kept in the table `repairs`, and the digests go on covering it.
    ///
    /// # Errors
    /// If the database cannot be written to; nothing is changed then.
    pub async fn repair_clock(&self, do_it: bool) -> Result<Vec<ClockRepair>, StoreError> {
        self.writer().run(async move |t: &mut Transaction| t.repair_clock(do_it).await).await
    }
}

impl Transaction {
    async fn repair_clock(&mut self, do_it: bool) -> Result<Vec<ClockRepair>, StoreError> {
        if do_it {
            let repairs = self.put_times_right().await?;
            if !repairs.is_empty() {
                // The figures are kept by these times.
                self.execute("DELETE FROM summaries", &[]).await?;
                summary::fill(self.connection()).await?;
                self.all_counted();
            }
            return Ok(repairs);
        }
        self.trial(async |t: &mut Transaction| t.put_times_right().await).await
    }

    async fn put_times_right(&mut self) -> Result<Vec<ClockRepair>, StoreError> {
        let (head, now) = (self.head.position, self.head.clock());
        let steps = Times::of(self.connection(), head).await?.steps().to_vec();
        let mut repairs = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let end = steps.get(at + 1).map_or(head, |next| next.position - 1);
            repairs.extend(self.mend(step, end, now).await?);
            let sql = "DELETE FROM clock_steps WHERE position = $1";
            self.execute(sql, &[Value::position(step.position)]).await?;
        }
        let future = now.saturating_add(BOUND);
        if time_at(self.connection(), "<=", head).await?.is_some_and(|last| last > future)
            && let Some(first) = first_of_run(self.connection(), now + 1, 1, head).await?
        {
            repairs.push(self.set_time(first, head, now).await?);
        }
        if let Some(last) = time_at(self.connection(), "<=", head).await? {
            self.head.received = last;
        }
        Ok(repairs)
    }

    /// Puts the times on one side of a step right; those before it go back nowhere. `end` is the last
    /// position behind it up to which they do not.
    async fn mend(
        &mut self,
        step: &ClockStep,
        end: Position,
        now: i64,
    ) -> Result<Option<ClockRepair>, StoreError> {
        let at = step.position;
        let earlier = time_at(self.connection(), "<", at).await?;
        let later = time_at(self.connection(), ">=", at).await?;
        // One side may have been pruned.
        let (Some(earlier), Some(later)) = (earlier, later) else { return Ok(None) };
        if earlier <= later {
            return Ok(None);
        }
        let ahead = first_of_run(self.connection(), later + 1, 1, at - 1).await?.unwrap_or(at);
        let caught_up = first_of_run(self.connection(), earlier, at, end).await?;
        let behind = caught_up.map_or(end, |position| position - 1);
        let is_ahead = earlier > now.saturating_add(BOUND) || at - ahead <= behind + 1 - at;
        match is_ahead {
            true => self.set_time(ahead, at - 1, later).await.map(Some),
            false => self.set_time(at, behind, earlier).await.map(Some),
        }
    }

    async fn set_time(
        &mut self,
        first: Position,
        last: Position,
        time: i64,
    ) -> Result<ClockRepair, StoreError> {
        let was_first = time_at(self.connection(), ">=", first).await?.unwrap_or(time);
        let was_last = time_at(self.connection(), "<=", last).await?.unwrap_or(time);
        let (from, to) = (Value::position(first), Value::position(last));
        let sql = "INSERT INTO repairs SELECT position, received, CAST($3 AS BIGINT) FROM events \
             WHERE position >= $1 AND position <= $2 ON CONFLICT (position) DO NOTHING";
        let now = Value::Int(self.head.clock());
        self.execute(sql, &[from.clone(), to.clone(), now]).await?;
        let sql = "UPDATE events SET received = $3 WHERE position >= $1 AND position <= $2";
        self.execute(sql, &[from, to, Value::Int(time)]).await?;
        let were = (micros_to_time(was_first)?, micros_to_time(was_last)?);
        Ok(ClockRepair { first, last, were, becomes: micros_to_time(time)? })
    }
}

/// The time of the nearest event to a position, on the side that the comparison names.
async fn time_at(
    connection: &mut Connection,
    comparison: &str,
    position: Position,
) -> Result<Option<i64>, StoreError> {
    let order = if comparison.starts_with('<') { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT received FROM events WHERE position {comparison} $1 ORDER BY position {order} LIMIT 1"
    );
    let rows = connection.query(&sql, &[Value::position(position)]).await?;
    rows.first().map(|row| row.int(0)).transpose()
}
