//! `GET /queues`: what waits, and who takes it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bloodbank_bus::{BoxFuture, Topology, TransportError};
use bloodbank_core::Code;
use candystore::Embedded;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Gateway;
use crate::caller::Reader;
use crate::problem::{Answer, Problem, ProblemBody};

/// Says how the queues of a bus stand: what no transport of itself tells.
pub trait Queues: Send + Sync + 'static {
    /// Each queue that there is, by name.
    ///
    /// # Errors
    /// If the bus cannot be asked.
    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueState>, TransportError>>;
}

/// How a queue stands. What is `None` the bus does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Messages that wait for a consumer.
    pub waiting: u64,
    /// Messages that consumers have and have not settled.
    pub in_flight: Option<u64>,
    /// Messages that wait until they are tried again.
    pub delayed: Option<u64>,
    /// Consumers.
    pub consumers: Option<u64>,
    /// The age of the oldest message that is not settled.
    pub oldest: Option<Duration>,
}

impl QueueState {
    /// A queue in which so many messages wait.
    pub fn new(name: impl Into<String>, waiting: u64) -> Self {
        QueueState { name: name.into(), waiting, ..QueueState::default() }
    }

    /// Sets how many consumers it has.
    pub fn with_consumers(mut self, consumers: u64) -> Self {
        self.consumers = Some(consumers);
        self
    }
}

impl Queues for Embedded {
    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueState>, TransportError>> {
        Box::pin(async move {
            let queues = Embedded::queues(self).await;
            let queues = queues.map_err(|error| TransportError::Unavailable {
                code: error.code(),
                reason: error.to_string(),
            })?;
            let state = |status: candystore::QueueStatus| QueueState {
                name: status.queue.name,
                waiting: status.unread + status.ready,
                in_flight: Some(status.unsettled),
                delayed: Some(status.delayed),
                consumers: Some(status.consumers),
                oldest: status.age,
            };
            Ok(queues.into_iter().map(state).collect())
        })
    }
}

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(queues))
}

/// The queues of the bus.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queues)]
struct QueuesBody {
    /// Each queue that there is, and each that registry.yaml declares.
    queues: Vec<QueueBody>,
}

/// A queue. What is null the bus does not tell.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueBody {
    /// Its name.
    pub(crate) name: String,
    /// Whether the bus has it.
    pub(crate) exists: bool,
    /// Whether registry.yaml declares it.
    pub(crate) declared: bool,
    /// Messages that wait for a consumer.
    pub(crate) waiting: u64,
    /// Messages that consumers have and have not settled.
    in_flight: Option<u64>,
    /// Messages that wait until they are tried again.
    delayed: Option<u64>,
    /// Consumers.
    pub(crate) consumers: Option<u64>,
    /// The age in seconds of the oldest message that is not settled.
    oldest_seconds: Option<u64>,
    /// The queue that its dead letters go to.
    dead_letters: Option<String>,
}

impl QueueBody {
    fn of(state: QueueState) -> Self {
        QueueBody {
            name: state.name,
            exists: true,
            declared: false,
            waiting: state.waiting,
            in_flight: state.in_flight,
            delayed: state.delayed,
            consumers: state.consumers,
            oldest_seconds: state.oldest.map(|age| age.as_secs()),
            dead_letters: None,
        }
    }

    fn missing(name: &str) -> Self {
        QueueBody { exists: false, ..QueueBody::of(QueueState::new(name, 0)) }
    }
}

/// List the queues
#[utoipa::path(get, path = "/queues", tag = "operations",
    responses(
        (status = 200, description = "The queues of the bus.", body = QueuesBody),
        (status = "4XX", description = "It is not for this caller.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The bus cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn queues(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
) -> Answer<Json<QueuesBody>> {
    Ok(Json(QueuesBody { queues: all(&gateway).await? }))
}

/// Each queue that there is, and each that is declared, by name.
pub(crate) async fn all(gateway: &Gateway) -> Answer<Vec<QueueBody>> {
    let asked = gateway.queues().ok_or_else(|| {
        let detail = "the service does not know the queues of its bus";
        Problem::new(StatusCode::NOT_IMPLEMENTED, Code::Unsupported, detail)
    })?;
    let mut all: Vec<QueueBody> = asked.queues().await?.into_iter().map(QueueBody::of).collect();
    for declared in Topology::of(gateway.contracts().bundle()).queues {
        let known = all.iter().position(|queue| queue.name == declared.name);
        let at = known.unwrap_or_else(|| {
            all.push(QueueBody::missing(&declared.name));
            all.len() - 1
        });
        (all[at].declared, all[at].dead_letters) = (true, declared.dead_letters);
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}
