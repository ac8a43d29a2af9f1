//! `GET /events/{event}/chain`: what caused an event, and what it caused.

use axum::Json;
use axum::extract::State;
use candystore::{Cause, EventStore, Link, Position};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::list::limit;
use super::one::{id, missing};
use crate::Gateway;
use crate::caller::Reader;
use crate::parameters::{Path, Query};
use crate::problem::{Answer, ProblemBody};

/// Which part of a chain.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// Go on behind this position: the `next` of another part.
    after: Option<Position>,
    /// The most events; 1,000 unless it is said.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<u32>,
}

/// Causes and effects, as one or more trees: each effect stands below its cause.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Chain)]
pub(crate) struct ChainBody {
    /// Each event, followed by what it caused. Messages are got by their ids.
    links: Vec<LinkBody>,
    /// The position behind which it goes on; null where that was all.
    next: Option<Position>,
    /// Whether there is more than any page has.
    is_cut: bool,
}

/// An event in a chain.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link)]
struct LinkBody {
    /// Its place in the store.
    position: Position,
    /// Its id.
    id: Uuid,
    /// Its routing key.
    key: String,
    /// Who said it.
    source: String,
    /// When it happened.
    timestamp: Option<DateTime<Utc>>,
    /// When it was stored.
    received: DateTime<Utc>,
    /// The piece of work that it belongs to.
    correlation_id: Option<Uuid>,
    /// What it says that it follows from.
    causation_id: Option<Uuid>,
    /// What its contract said when it was stored.
    standing: &'static str,
    /// How many causes stand above it.
    depth: usize,
    /// What it follows from: `none`, `stored`, `missing`, `cycle` (in the end, itself) or `left_out` (of
    /// another part).
    cause: &'static str,
    /// From its cause to it, in microseconds; below zero where clocks differ.
    since_cause_us: Option<i64>,
}

impl LinkBody {
    fn of(link: Link) -> Self {
        LinkBody {
            position: link.position,
            id: link.id,
            key: link.key,
            source: link.source,
            timestamp: link.timestamp,
            received: link.received,
            correlation_id: link.correlation_id,
            causation_id: link.causation_id,
            standing: link.standing.as_str(),
            depth: link.depth,
            cause: match link.cause {
                Cause::None => "none",
                Cause::Link(_) => "stored",
                Cause::Missing(_) => "missing",
                Cause::Cycle(_) => "cycle",
                _ => "left_out",
            },
            since_cause_us: link.since_cause.and_then(|time| time.num_microseconds()),
        }
    }
}

/// Get what caused an event, and what it caused
///
/// By the id of an event, or by a correlation id.
#[utoipa::path(get, path = "/events/{event}/chain", tag = "events",
    params(("event" = Uuid, Path, description = "The id of an event, or a correlation id"), Part),
    responses(
        (status = 200, description = "Causes and effects.", body = ChainBody),
        (status = "4XX", description = "There is no such event, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn chain(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    Path(event): Path<String>,
    Query(part): Query<Part>,
) -> Answer<Json<ChainBody>> {
    let limit = limit(part.limit, 1_000, EventStore::MOST_IN_CHAIN as u32)?;
    let after = part.after.unwrap_or_default();
    let chain = gateway.store().chain_after(id(&event)?, after, limit).await?;
    let chain = chain.ok_or_else(missing)?;
    let links = chain.links.into_iter().map(LinkBody::of).collect();
    Ok(Json(ChainBody { links, next: chain.next, is_cut: chain.is_cut }))
}
