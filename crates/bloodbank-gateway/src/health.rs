//! `/health` and `/ready`: whether the service lives, and whether each part of it works.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bloodbank_bus::{TransportError, Trouble};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Gateway;

/// How long a part may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Part of a service beside bus and store, such as a recorder, and how it is.
#[derive(Clone)]
pub struct Part {
    name: Arc<str>,
    trouble: Arc<dyn Fn() -> Option<Trouble> + Send + Sync>,
}

impl Part {
    /// A part of this name. `trouble` says why it does not work at the moment; it is called at each probe,
    /// and must not block.
    pub fn new(
        name: impl Into<Arc<str>>,
        trouble: impl Fn() -> Option<Trouble> + Send + Sync + 'static,
    ) -> Self {
        Part { name: name.into(), trouble: Arc::new(trouble) }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Part").field(&self.name).finish()
    }
}

/// Since when something does not work.
#[derive(Debug, Default)]
pub(crate) struct Since(Mutex<Option<Instant>>);

impl Since {
    /// Notes whether it works, and gives for how long it has not.
    fn note(&self, works: bool) -> Duration {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match works {
            true => {
                *since = None;
                Duration::ZERO
            }
            false => since.get_or_insert_with(Instant::now).elapsed(),
        }
    }
}

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Whether each part works.
    ready: bool,
    /// The bus, the store, and what else the service consists of.
    parts: Vec<PartHealth>,
}

/// How a part of the service is.
#[derive(Debug, Serialize, ToSchema)]
struct PartHealth {
    /// `bus`, `store`, or another part.
    name: String,
    /// Whether it works.
    works: bool,
    /// Its state in words.
    state: String,
    /// The code of what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// For how many seconds it has not worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
}

impl PartHealth {
    fn of(name: &str, trouble: Option<Trouble>) -> Self {
        let works = trouble.is_none();
        let code = trouble.as_ref().map(|trouble| trouble.error.code());
        PartHealth {
            name: name.to_owned(),
            works,
            // The words of the error may name hosts and users.
            state: code.map_or("It works.", |code| code.meaning()).to_owned(),
            code: code.map(|code| code.as_str()),
            seconds: trouble.map(|trouble| trouble.lasting.as_secs()),
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready))
}

/// Whether the service lives
///
/// Answers as long as the process does, and says how each part is. Needs no token.
#[utoipa::path(get, path = "/health", tag = "operations",
    responses((status = 200, description = "It lives.", body = Health)))]
async fn health(State(gateway): State<Gateway>) -> Json<Health> {
    Json(look(&gateway).await)
}

/// Whether each part of the service works
///
/// For probes that decide where traffic goes. Needs no token.
#[utoipa::path(get, path = "/ready", tag = "operations",
    responses(
        (status = 200, description = "Each part works.", body = Health),
        (status = 503, description = "A part does not work.", body = Health),
    ))]
async fn ready(State(gateway): State<Gateway>) -> (StatusCode, Json<Health>) {
    let health = look(&gateway).await;
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

async fn look(gateway: &Gateway) -> Health {
    let mut parts = vec![
        PartHealth::of("bus", gateway.transport().trouble()),
        PartHealth::of("store", trouble_of_store(gateway).await),
    ];
    let more = gateway.parts().iter();
    parts.extend(more.map(|part| PartHealth::of(&part.name, (part.trouble)())));
    Health { ready: parts.iter().all(|part| part.works), parts }
}

async fn trouble_of_store(gateway: &Gateway) -> Option<Trouble> {
    let error = match timeout(PATIENCE, gateway.store().position()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            let (code, reason) = (error.code(), error.to_string());
            Some(TransportError::Unavailable { code, reason })
        }
        Err(_) => Some(TransportError::Unknown),
    };
    let lasting = gateway.store_since().note(error.is_none());
    error.map(|error| Trouble::new(error, lasting))
}
