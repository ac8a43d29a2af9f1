//! `GET /stats`: how much of what, how often, and how soon it was stored.

use axum::Json;
use axum::extract::State;
use candystore::{By, Group, Latency, Position, Totals};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Gateway;
use crate::caller::Reader;
use crate::parameters::Query;
use crate::problem::{Answer, ProblemBody};
use crate::when::When;

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(stats))
}

/// Of which time, and by what it is counted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Question {
    /// What was stored then or later: a time, or an age, as in `10m`. An hour ago unless it is said.
    #[param(schema_with = crate::when::schema)]
    since: Option<When>,
    /// What was stored before then; up to now unless it is said.
    #[param(schema_with = crate::when::schema)]
    until: Option<When>,
    /// By what it is counted; by key unless it is said.
    #[param(inline)]
    by: Option<ByBody>,
}

/// By what events are counted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = By)]
enum ByBody {
    /// By minute, key and source, each for itself.
    Each,
    /// By minute.
    Minute,
    /// By hour.
    Hour,
    /// By day, in UTC.
    Day,
    /// By routing key.
    Key,
    /// By source.
    Source,
}

impl From<ByBody> for By {
    fn from(by: ByBody) -> Self {
        match by {
            ByBody::Each => By::Each,
            ByBody::Minute => By::Minute,
            ByBody::Hour => By::Hour,
            ByBody::Day => By::Day,
            ByBody::Key => By::Key,
            ByBody::Source => By::Source,
        }
    }
}

/// How much was stored in a time, and what the store holds in all.
#[derive(Debug, Serialize, ToSchema)]
struct Stats {
    /// Stored then or later.
    since: DateTime<Utc>,
    /// Stored before then.
    until: DateTime<Utc>,
    /// By what it is counted.
    by: ByBody,
    /// In the order of times, keys and sources.
    groups: Vec<GroupBody>,
    /// What the store holds in all.
    totals: TotalsBody,
}

/// Events that have something in common.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupBody {
    /// When the minute, hour or day began that they were stored in, if they are counted by it.
    start: Option<DateTime<Utc>>,
    /// Their key, if they are counted by it.
    key: Option<String>,
    /// Their source, if they are counted by it.
    source: Option<String>,
    /// How many there are.
    count: u64,
    /// How many there are a second, over the part of the time that they are counted in.
    per_second: f64,
    /// How many bytes their messages have.
    bytes: u64,
    /// How many break their contract.
    invalid: u64,
    /// How many have a key without a contract.
    unknown: u64,
    /// How many are not an envelope.
    malformed: u64,
    /// From when they happened to when they were stored; null if none says when it happened.
    latency: Option<LatencyBody>,
}

/// From when events happened to when they were stored, in microseconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Latency)]
struct LatencyBody {
    /// On average; below zero where clocks differ.
    mean_us: i64,
    /// What half of them did not exceed; this and the next two within 20 %.
    p50_us: i64,
    /// What 95 of 100 did not exceed.
    p95_us: i64,
    /// What 99 of 100 did not exceed.
    p99_us: i64,
    /// The longest.
    max_us: i64,
}

impl From<Latency> for LatencyBody {
    fn from(latency: Latency) -> Self {
        let micros = |time: TimeDelta| time.num_microseconds().unwrap_or(i64::MAX);
        LatencyBody {
            mean_us: micros(latency.mean),
            p50_us: micros(latency.p50),
            p95_us: micros(latency.p95),
            p99_us: micros(latency.p99),
            max_us: micros(latency.max),
        }
    }
}

/// What the store holds in all.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Totals)]
struct TotalsBody {
    /// Stored events.
    events: u64,
    /// Stored records of commands.
    commands: u64,
    /// How many of both are anything else than valid.
    not_valid: u64,
    /// How many came again, and were not stored again.
    duplicates: u64,
    /// How many lie in quarantine: their id is that of another event.
    quarantined: u64,
    /// The first position that is there.
    first: Option<EndBody>,
    /// The last position that is there.
    last: Option<EndBody>,
    /// Bytes of the SQLite file; on PostgreSQL those of the table of events, its indexes with it.
    size_bytes: u64,
}

/// A position, and when it was stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = End)]
struct EndBody {
    /// The position.
    position: Position,
    /// When it was stored.
    received: DateTime<Utc>,
}

impl From<Totals> for TotalsBody {
    fn from(totals: Totals) -> Self {
        let end = |(position, received)| EndBody { position, received };
        TotalsBody {
            events: totals.events,
            commands: totals.commands,
            not_valid: totals.not_valid,
            duplicates: totals.duplicates,
            quarantined: totals.quarantined,
            first: totals.first.map(end),
            last: totals.last.map(end),
            size_bytes: totals.size,
        }
    }
}

/// Count what was stored
///
/// With rates and latencies, by key, by source, or over time.
#[utoipa::path(get, path = "/stats", tag = "events", params(Question),
    responses(
        (status = 200, description = "How much was stored.", body = Stats),
        (status = "4XX", description = "The question is not understood, or not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn stats(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    Query(question): Query<Question>,
) -> Answer<Json<Stats>> {
    let now = Utc::now();
    let by = question.by.unwrap_or(ByBody::Key);
    let since = question.since.map_or(now - TimeDelta::hours(1), |when| when.0);
    let until = question.until.map(|when| when.0);
    let groups = gateway.store().stats(Some(since), until, by.into()).await?;
    let totals = gateway.store().totals().await?.into();
    let until = until.unwrap_or(now);
    let body = |group| GroupBody::of(group, by.span(), (since, until.min(now)));
    Ok(Json(Stats { since, until, by, groups: groups.into_iter().map(body).collect(), totals }))
}

impl ByBody {
    /// The span that counts together.
    fn span(self) -> Option<TimeDelta> {
        match self {
            ByBody::Each | ByBody::Minute => Some(TimeDelta::minutes(1)),
            ByBody::Hour => Some(TimeDelta::hours(1)),
            ByBody::Day => Some(TimeDelta::days(1)),
            ByBody::Key | ByBody::Source => None,
        }
    }
}

impl GroupBody {
    /// `range` is what was asked for, up to now at the most.
    fn of(group: Group, span: Option<TimeDelta>, range: (DateTime<Utc>, DateTime<Utc>)) -> Self {
        let (mut from, mut to) = range;
        if let (Some(start), Some(span)) = (group.start, span) {
            (from, to) = (from.max(start), to.min(start + span));
        }
        // What was stored this very moment has taken a millisecond at least.
        let seconds = (to - from).num_milliseconds().max(1) as f64 / 1e3;
        GroupBody {
            start: group.start,
            key: group.key,
            source: group.source,
            count: group.count,
            per_second: group.count as f64 / seconds,
            bytes: group.bytes,
            invalid: group.invalid,
            unknown: group.unknown,
            malformed: group.malformed,
            latency: group.latency.map(LatencyBody::from),
        }
    }
}
