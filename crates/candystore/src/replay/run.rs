//! The record of replays.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Replay;
use super::options::{Pace, ReplayOptions, ReplayTarget};
use super::plan::ReplayPlan;
use crate::sql::{Connection, Row, Value, table, words};
use crate::{EventStore, Filter, Position, StoreError};

/// How a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayState {
    /// It is under way, or its process was killed.
    Running,
    /// Everything planned was sent or skipped.
    Done,
    /// Somebody has stopped it. It can be resumed.
    Cancelled,
    /// It could not go on. It can be resumed.
    Failed,
}

impl ReplayState {
    const ALL: [ReplayState; 4] =
        [ReplayState::Running, ReplayState::Done, ReplayState::Cancelled, ReplayState::Failed];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            ReplayState::Running => "running",
            ReplayState::Done => "done",
            ReplayState::Cancelled => "cancelled",
            ReplayState::Failed => "failed",
        }
    }
}

impl fmt::Display for ReplayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One replay: who sent what where, and what became of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReplayRun {
    /// Its id, which each event carries as [`headers::REPLAY`](bloodbank_bus::headers::REPLAY).
    pub id: Uuid,
    /// Which events; its range ends where the store ended when it was planned.
    pub filter: Filter,
    /// Where to, how fast, by whom.
    pub options: ReplayOptions,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When this was last stored; each second while it runs.
    pub updated: DateTime<Utc>,
    /// When it ended, however it did.
    pub finished: Option<DateTime<Utc>>,
    /// How it stands.
    pub state: ReplayState,
    /// How many events there were when it was planned.
    pub planned: u64,
    /// The position of the first of them.
    pub first: Option<Position>,
    /// The position of the last of them.
    pub last: Option<Position>,
    /// Everything up to this position is done; 0 before the first.
    pub reached: Position,
    /// How many events the bus has taken.
    pub sent: u64,
    /// How many were passed over, as they break their contract.
    pub skipped: u64,
    /// How often it was held up and has tried again from where it was. What ended it is no part of
    /// this.
    pub retries: u64,
    /// Why it ended, if it failed.
    pub error: Option<String>,
}

table! {
    /// A row of `replays`.
    RunRow in "replays" {
        id: Uuid,
        author: String,
        started: DateTime<Utc>,
        updated: DateTime<Utc>,
        finished: Option<DateTime<Utc>>,
        state: ReplayState,
        /// As JSON.
        filter: String,
        target: String,
        pace: String,
        skip_invalid: bool,
        planned: u64,
        first_position: Option<Position>,
        last_position: Option<Position>,
        reached: Position,
        sent: u64,
        skipped: u64,
        retries: u64,
        error: Option<String>,
    }
}

words! {
    ReplayState: |word: &str| ReplayState::ALL.into_iter().find(|state| state.as_str() == word),
}

impl ReplayRun {
    pub(super) fn new(plan: &ReplayPlan, options: ReplayOptions) -> Self {
        let now = Utc::now();
        ReplayRun {
            id: Uuid::now_v7(),
            filter: plan.filter.clone(),
            options,
            started: now,
            updated: now,
            finished: None,
            state: ReplayState::Running,
            planned: plan.count,
            first: plan.first.as_ref().map(|event| event.position),
            last: plan.last.as_ref().map(|event| event.position),
            reached: 0,
            sent: 0,
            skipped: 0,
            retries: 0,
            error: None,
        }
    }

    /// How long it takes until it is certain that it does not run any more, unless it is heard of; zero
    /// if it is.
    pub fn lease(&self) -> Duration {
        if self.state != ReplayState::Running {
            return Duration::ZERO;
        }
        // A clock that is ahead of ours makes it no longer.
        let silent = Utc::now().signed_duration_since(self.updated).to_std().unwrap_or_default();
        Replay::LEASE.saturating_sub(silent)
    }

    /// What is left to send.
    pub fn rest(&self) -> Filter {
        let mut filter = self.filter.clone();
        let next = self.reached.saturating_add(1);
        filter.first = Some(filter.first.map_or(next, |first| first.max(next)));
        filter
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
        let row = RunRow::of(row)?;
        let filter = serde_json::from_str(&row.filter).ok();
        let filter = filter.and_then(|json| Filter::from_json(&json));
        Ok(ReplayRun {
            id: row.id,
            filter: filter.ok_or_else(|| StoreError::column("filter"))?,
            options: ReplayOptions {
                author: row.author,
                target: row.target.parse::<ReplayTarget>()?,
                pace: row.pace.parse::<Pace>()?,
                skip_invalid: row.skip_invalid,
            },
            started: row.started,
            updated: row.updated,
            finished: row.finished,
            state: row.state,
            planned: row.planned,
            first: row.first_position,
            last: row.last_position,
            reached: row.reached,
            sent: row.sent,
            skipped: row.skipped,
            retries: row.retries,
            error: row.error,
        })
    }

    fn row(&self) -> RunRow {
        RunRow {
            id: self.id,
            author: self.options.author.clone(),
            started: self.started,
            updated: self.updated,
            finished: self.finished,
            state: self.state,
            filter: self.filter.to_json().to_string(),
            target: self.options.target.to_string(),
            pace: self.options.pace.to_string(),
            skip_invalid: self.options.skip_invalid,
            planned: self.planned,
            first_position: self.first,
            last_position: self.last,
            reached: self.reached,
            sent: self.sent,
            skipped: self.skipped,
            retries: self.retries,
            error: self.error.clone(),
        }
    }

    /// Stores it, in place of what was stored of it before.
    pub(super) async fn save(&mut self, store: &EventStore) -> Result<(), StoreError> {
        self.updated = Utc::now();
        let row = self.row();
        let saved = store.writer().run(async move |transaction| {
            let sql = "DELETE FROM replays WHERE id = $1";
            transaction.execute(sql, &[Value::Id(row.id)]).await?;
            transaction.insert_rows(&[row]).await
        });
        saved.await
    }
}

impl EventStore {
    /// The last replays, newest first.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn replays(&self, limit: u32) -> Result<Vec<ReplayRun>, StoreError> {
        let sql = format!(
            "SELECT {} FROM replays ORDER BY started DESC, id DESC LIMIT $1",
            RunRow::COLUMNS
        );
        self.runs(sql, vec![Value::Int(limit.into())]).await
    }

    /// The last replays that have gone over a position, newest first.
    pub(crate) async fn replays_over(
        &self,
        position: Position,
        limit: u32,
    ) -> Result<Vec<ReplayRun>, StoreError> {
        let sql = format!(
            "SELECT {} FROM replays WHERE first_position <= $1 AND last_position >= $1 \
             AND reached >= $1 ORDER BY started DESC, id DESC LIMIT $2",
            RunRow::COLUMNS
        );
        self.runs(sql, vec![Value::position(position), Value::Int(limit.into())]).await
    }

    /// A replay, by its id.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn replay(&self, id: Uuid) -> Result<Option<ReplayRun>, StoreError> {
        let sql = format!("SELECT {} FROM replays WHERE id = $1", RunRow::COLUMNS);
        Ok(self.runs(sql, vec![Value::Id(id)]).await?.pop())
    }

    async fn runs(&self, sql: String, values: Vec<Value>) -> Result<Vec<ReplayRun>, StoreError> {
        let asked = async move |c: &mut Connection| c.query(&sql, &values).await;
        self.readers().run(asked).await?.iter().map(ReplayRun::of).collect()
    }
}
