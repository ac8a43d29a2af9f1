//! `/replays`: events of the past, sent again.

mod body;
mod running;

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use bloodbank_core::Code;
use candystore::{AuditOutcome, Replay, ReplayError, ReplayRun, ReplayState};
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::body::{PlanBody, ReplayRequest, RunBody};
pub(crate) use self::running::Running;
use crate::Gateway;
use crate::audit::{Origin, note};
use crate::body::JsonBody;
use crate::caller::{Operator, Reader};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemBody};

/// How many replays are listed.
const LISTED: u32 = 100;

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(replays, begin))
        .routes(routes!(replay, cancel))
        .routes(routes!(progress))
}

/// Whether it is done.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Confirm {
    /// Do it; without it nothing is sent, and the answer says what would be.
    #[serde(default)]
    confirm: Option<bool>,
}

/// The last replays.
#[derive(Debug, Serialize, ToSchema)]
struct Replays {
    /// The newest first.
    replays: Vec<RunBody>,
}

/// List the replays
#[utoipa::path(get, path = "/replays", tag = "replays",
    responses(
        (status = 200, description = "The last replays.", body = Replays),
        (status = "4XX", description = "It is not for this caller.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn replays(State(gateway): State<Gateway>, Reader(_caller): Reader) -> Answer<Json<Replays>> {
    let runs = gateway.store().replays(LISTED).await?;
    Ok(Json(Replays { replays: runs.iter().map(RunBody::of).collect() }))
}

/// Send events of the past again
///
/// Without `confirm` nothing is sent, and the answer says what would be. With it the replay is begun, and
/// `Location` leads to it.
#[utoipa::path(post, path = "/replays", tag = "replays", params(Confirm),
    request_body(content = ReplayRequest, description = "Which events, where to, and how fast"),
    responses(
        (status = 200, description = "What would be sent.", body = PlanBody),
        (status = 202, description = "The replay was begun.", body = RunBody),
        (status = "4XX", description = "It was not begun.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn begin(
    State(gateway): State<Gateway>,
    Operator(caller): Operator,
    origin: Origin,
    Query(confirm): Query<Confirm>,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    let request: ReplayRequest = serde_json::from_value(body).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Code::ParameterRefused, error.to_string())
    })?;
    let filter = request.filter(&gateway.contracts(), &caller)?;
    let options = request.options(caller.name())?;
    let plan = gateway.store().plan_replay(filter).await?;
    if confirm.confirm != Some(true) {
        return Ok(Json(PlanBody::of(&plan, &options)).into_response());
    }
    let (store, transport) = (gateway.store().clone(), gateway.transport().clone());
    let replay = Replay::begin(store, transport, &plan, options).await?;
    let run = gateway.running().start(&gateway, replay);
    let came = (AuditOutcome::Done, format!("{} events to {}", run.planned, run.options.target));
    note(&gateway, &caller, &origin, "replay", &run.id.to_string(), came).await;
    let mut response = (StatusCode::ACCEPTED, Json(RunBody::of(&run))).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/replays/{}", run.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Get a replay
#[utoipa::path(get, path = "/replays/{id}", tag = "replays",
    params(("id" = Uuid, Path, description = "The id of the replay")),
    responses(
        (status = 200, description = "The replay.", body = RunBody),
        (status = "4XX", description = "There is none, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn replay(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    Path(id): Path<Uuid>,
) -> Answer<Json<RunBody>> {
    Ok(Json(RunBody::of(&run_of(&gateway, id).await?)))
}

/// Stop a replay
///
/// What was sent stays sent; the record says how far it got.
#[utoipa::path(delete, path = "/replays/{id}", tag = "replays",
    params(("id" = Uuid, Path, description = "The id of the replay")),
    responses(
        (status = 202, description = "It is being stopped.", body = RunBody),
        (status = "4XX", description = "There is none, it does not run here, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn cancel(
    State(gateway): State<Gateway>,
    Operator(caller): Operator,
    origin: Origin,
    Path(id): Path<Uuid>,
) -> Answer<Response> {
    let run = run_of(&gateway, id).await?;
    if gateway.running().cancel(id) {
        let came = (AuditOutcome::Done, format!("at position {}", run.reached));
        note(&gateway, &caller, &origin, "replay.cancel", &id.to_string(), came).await;
        return Ok((StatusCode::ACCEPTED, Json(RunBody::of(&run))).into_response());
    }
    Err(match run.state {
        ReplayState::Running => ReplayError::Running { id }.into(),
        _ => ReplayError::Over { id }.into(),
    })
}

/// Follow a replay, as server-sent events
///
/// Each message is the replay as it stands, at most once a second; the last one says how it has ended.
#[utoipa::path(get, path = "/replays/{id}/progress", tag = "replays",
    params(("id" = Uuid, Path, description = "The id of the replay")),
    responses(
        (status = 200, description = "The replay, whenever it has changed.", body = String,
            content_type = "text/event-stream"),
        (status = "4XX", description = "There is none, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn progress(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    Path(id): Path<Uuid>,
) -> Answer<impl IntoResponse> {
    let run = run_of(&gateway, id).await?;
    let steps = running::Steps::new(&gateway, run);
    let events = unfold(steps, async |mut steps| {
        let run = steps.next().await?;
        // It always has a JSON form.
        let json = serde_json::to_string(&RunBody::of(&run)).unwrap_or_default();
        Some((Ok::<Event, Infallible>(Event::default().data(json)), steps))
    });
    Ok(Sse::new(events))
}

async fn run_of(gateway: &Gateway, id: Uuid) -> Answer<ReplayRun> {
    if let Some(run) = gateway.running().run(id) {
        return Ok(run);
    }
    gateway.store().replay(id).await?.ok_or_else(|| {
        let detail = "there is no replay of this id";
        Problem::new(StatusCode::NOT_FOUND, Code::ReplayMissing, detail)
    })
}
