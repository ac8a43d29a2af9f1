//! Replays as they are asked for and answered.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use bloodbank_access::Caller;
use bloodbank_core::{Code, Contracts};
use candystore::{Filter, Pace, Position, ReplayOptions, ReplayPlan, ReplayRun, ReplayTarget};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::events::Which;
use crate::problem::{Answer, Problem};
use crate::when::When;

/// Which events are sent again, where to, and how fast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayRequest {
    /// Routing keys, or patterns of them; all if there are none.
    #[serde(default)]
    key: Vec<String>,
    /// Who said it.
    source: Option<String>,
    /// What has this correlation id, and the event of this id.
    correlation: Option<Uuid>,
    /// Stored then or later: a time, or an age, as in `10m`.
    #[schema(schema_with = crate::when::schema)]
    since: Option<When>,
    /// Stored before then.
    #[schema(schema_with = crate::when::schema)]
    until: Option<When>,
    /// From this position on.
    #[schema(minimum = 1)]
    first: Option<Position>,
    /// Up to this position, with it.
    #[schema(minimum = 1)]
    last: Option<Position>,
    /// Fields of the payload and what they must be: `/topic="Budget"`.
    #[serde(default, rename = "where")]
    fields: Vec<String>,
    /// `replay`, to the queues that hear replays, unless it is said; `live`, to everybody, as if they happened
    /// now; or `queue:<name>`, past all bindings.
    #[schema(pattern = "^(replay|live|queue:.+)$")]
    target: Option<String>,
    /// The most events a second; as fast as the bus takes them unless it is said.
    #[schema(exclusive_minimum = 0)]
    rate: Option<f64>,
    /// So many times as fast as they happened; not together with `rate`.
    #[schema(exclusive_minimum = 0)]
    speed: Option<f64>,
    /// Pass over events that break the contracts of today, instead of refusing.
    #[serde(default)]
    skip_invalid: bool,
}

impl ReplayRequest {
    pub(super) fn filter(&self, contracts: &Contracts, caller: &Caller) -> Answer<Filter> {
        let which = Which {
            key: self.key.clone(),
            source: self.source.clone(),
            correlation: self.correlation,
            since: self.since,
            until: self.until,
            first: self.first,
            last: self.last,
            fields: self.fields.clone(),
            ..Which::default()
        };
        which.filter(contracts, caller)
    }

    pub(super) fn options(&self, author: &str) -> Answer<ReplayOptions> {
        let wrong = |detail: &str| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Code::ParameterRefused, detail)
        };
        let target = self.target.as_deref().unwrap_or("replay").parse::<ReplayTarget>();
        let target = target
            .map_err(|_| wrong("`target`: expected `replay`, `live` or `queue:` and a name"))?;
        let is_positive = |number: f64| number.is_finite() && number > 0.0;
        let pace = match (self.rate, self.speed) {
            (None, None) => Pace::Full,
            (Some(rate), None) if is_positive(rate) => Pace::Rate(rate),
            (None, Some(speed)) if is_positive(speed) => Pace::Speed(speed),
            _ => return Err(wrong("`rate` or `speed`: expected one of them, above 0")),
        };
        let options = ReplayOptions::new(author).with_target(target).with_pace(pace);
        Ok(options.with_skip_invalid(self.skip_invalid))
    }
}

/// What a replay would send.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayPlan)]
pub(super) struct PlanBody {
    /// True: nothing was sent.
    dry_run: bool,
    /// Which events; its range ends where the store ended when it was planned.
    #[schema(value_type = Object)]
    filter: Value,
    /// Where to.
    target: String,
    /// How fast.
    pace: String,
    /// How many events.
    count: u64,
    /// How many of each routing key.
    keys: BTreeMap<String, u64>,
    /// The position of the first of them.
    first: Option<Position>,
    /// The position of the last of them.
    last: Option<Position>,
    /// How many break the contracts of today, or have none.
    unfit: u64,
    /// The first 100 of these.
    unfit_named: Vec<UnfitBody>,
}

/// An event that breaks the contract of today, or has none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Unfit)]
struct UnfitBody {
    /// Its position.
    position: Position,
    /// Its routing key.
    key: String,
    /// The first thing that is wrong with it.
    violation: String,
}

impl PlanBody {
    pub(super) fn of(plan: &ReplayPlan, options: &ReplayOptions) -> Self {
        let unfit = plan.unfit_named.iter().map(|unfit| UnfitBody {
            position: unfit.position,
            key: unfit.key.clone(),
            violation: unfit.violation.clone(),
        });
        PlanBody {
            dry_run: true,
            filter: plan.filter.to_json(),
            target: options.target.to_string(),
            pace: options.pace.to_string(),
            count: plan.count,
            keys: plan.keys.clone(),
            first: plan.first.as_ref().map(|event| event.position),
            last: plan.last.as_ref().map(|event| event.position),
            unfit: plan.unfit,
            unfit_named: unfit.collect(),
        }
    }
}

/// A replay: who sent what where, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replay)]
pub(super) struct RunBody {
    /// Its id.
    id: Uuid,
    /// Who has begun it.
    by: String,
    /// `running`, `done`, `cancelled` or `failed`.
    state: &'static str,
    /// When it began.
    started: DateTime<Utc>,
    /// When this was last stored.
    updated: DateTime<Utc>,
    /// When it ended.
    finished: Option<DateTime<Utc>>,
    /// Where to.
    target: String,
    /// How fast.
    pace: String,
    /// Whether what breaks its contract is passed over.
    skip_invalid: bool,
    /// Which events.
    #[schema(value_type = Object)]
    filter: Value,
    /// How many events there were when it was planned.
    planned: u64,
    /// The position of the first of them.
    first: Option<Position>,
    /// The position of the last of them.
    last: Option<Position>,
    /// Everything up to this position is done.
    reached: Position,
    /// How many events the bus has taken.
    sent: u64,
    /// How many were passed over.
    skipped: u64,
    /// How often it was held up and has tried again.
    retries: u64,
    /// The code's meaning of why it failed is in the log; here, that it has.
    failed: bool,
}

impl RunBody {
    pub(super) fn of(run: &ReplayRun) -> Self {
        RunBody {
            id: run.id,
            by: run.options.author.clone(),
            state: run.state.as_str(),
            started: run.started,
            updated: run.updated,
            finished: run.finished,
            target: run.options.target.to_string(),
            pace: run.options.pace.to_string(),
            skip_invalid: run.options.skip_invalid,
            filter: run.filter.to_json(),
            planned: run.planned,
            first: run.first,
            last: run.last,
            reached: run.reached,
            sent: run.sent,
            skipped: run.skipped,
            retries: run.retries,
            failed: run.error.is_some(),
        }
    }
}
