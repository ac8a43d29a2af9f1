//! `GET /events/{event}/deliveries`: where a message went, and what became of it.

use axum::Json;
use axum::extract::State;
use bloodbank_bus::Report;
use candystore::{Held, HeldState, InQueue, Whereabouts};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::one::{id, missing};
use super::stored::StoredBody;
use crate::Gateway;
use crate::caller::Reader;
use crate::parameters::Path;
use crate::problem::{Answer, ProblemBody};

/// Where a message went, and what became of it in each queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deliveries)]
pub(crate) struct DeliveriesBody {
    /// The id of the message.
    id: Uuid,
    /// The event without its message, if it is stored.
    event: Option<StoredBody>,
    /// The queues of the bus in the store that want it, or hold it.
    queues: Vec<QueueBody>,
    /// What became of it, the oldest first: the queue, when, at which attempt, its fate (`handled`,
    /// `dropped`, `failed`, `parked`), and who had it.
    #[schema(value_type = Vec<Object>)]
    reports: Vec<Report>,
    /// Since when it is known what became of messages; null if nothing is known of any.
    reports_since: Option<DateTime<Utc>>,
    /// When it is due, if it is scheduled.
    due: Option<DateTime<Utc>>,
    /// When it was cancelled, if it was scheduled.
    cancelled: Option<DateTime<Utc>>,
    /// The replays that have sent it, the newest first.
    replays: Vec<Uuid>,
    /// How many messages with the same id and other contents lie in quarantine.
    quarantined: usize,
}

/// A queue that wants a message, or holds it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InQueue)]
struct QueueBody {
    /// Its name.
    queue: String,
    /// The queue whose dead letters lie in it.
    dead_letters_of: Option<String>,
    /// Whether one of its bindings wants the message.
    bound: bool,
    /// How it holds the message, once for each copy; nothing where it is done with it.
    held: Vec<HeldBody>,
}

/// How a queue holds a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Held)]
struct HeldBody {
    /// `unread`, `ready`, `in_flight` or `delayed`.
    state: &'static str,
    /// How many positions are before it, while it is unread.
    before: Option<u64>,
    /// Since when a consumer has it, while it is in flight.
    since: Option<DateTime<Utc>>,
    /// Which consumer has it.
    by: Option<String>,
    /// When it is tried again, while it is delayed.
    until: Option<DateTime<Utc>>,
    /// How often its handlers have failed.
    failed: u32,
    /// What they said, or why it was parked.
    error: Option<String>,
    /// Why it was parked, in a word.
    reason: Option<String>,
    /// When it was parked.
    parked_at: Option<DateTime<Utc>>,
    /// How often it was lost with its consumer, or handed back.
    lost: u32,
    /// The replay that it is part of.
    replay: Option<String>,
    /// How often it was brought back from the dead letters.
    redrives: u32,
}

impl HeldBody {
    fn of(held: Held) -> Self {
        let mut body = HeldBody {
            state: "ready",
            before: None,
            since: None,
            by: None,
            until: None,
            failed: held.failed,
            error: held.error,
            reason: held.reason,
            parked_at: held.parked_at,
            lost: held.lost,
            replay: held.replay,
            redrives: held.redrives,
        };
        match held.state {
            HeldState::Unread { before } => (body.state, body.before) = ("unread", Some(before)),
            HeldState::InFlight { since, by } => {
                (body.state, body.since, body.by) = ("in_flight", since, by);
            }
            HeldState::Delayed { until } => (body.state, body.until) = ("delayed", Some(until)),
            _ => {}
        }
        body
    }
}

impl From<InQueue> for QueueBody {
    fn from(queue: InQueue) -> Self {
        QueueBody {
            queue: queue.queue,
            dead_letters_of: queue.dead_letters_of,
            bound: queue.is_bound,
            held: queue.held.into_iter().map(HeldBody::of).collect(),
        }
    }
}

impl From<Whereabouts> for DeliveriesBody {
    fn from(known: Whereabouts) -> Self {
        DeliveriesBody {
            id: known.id,
            event: known.event.as_ref().map(StoredBody::without_message),
            queues: known.queues.into_iter().map(QueueBody::from).collect(),
            reports: known.reports,
            reports_since: known.reports_since,
            due: known.scheduled.map(|scheduled| scheduled.due),
            cancelled: known.cancelled,
            replays: known.replays.iter().map(|run| run.id).collect(),
            quarantined: known.quarantined.len(),
        }
    }
}

/// Get where a message went
///
/// Also what is not stored yet, or not any more, as far as something is known of its id.
#[utoipa::path(get, path = "/events/{event}/deliveries", tag = "events",
    params(("event" = Uuid, Path, description = "The id of the message")),
    responses(
        (status = 200, description = "Where it went.", body = DeliveriesBody),
        (status = "4XX", description = "Nothing is known of it, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn deliveries(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    Path(event): Path<String>,
) -> Answer<Json<DeliveriesBody>> {
    let known = gateway.store().whereabouts(id(&event)?).await?;
    match known.is_unknown() {
        true => Err(missing()),
        false => Ok(Json(known.into())),
    }
}
