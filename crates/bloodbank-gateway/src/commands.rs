//! `POST /commands/{key}`: commands, sent, or sent and waited for.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bloodbank_access::Caller;
use bloodbank_bus::DynamicPublisher;
use bloodbank_core::{Delay, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Gateway;
use crate::audit::{Origin, note_refusal};
use crate::body::JsonBody;
use crate::caller::Anyone;
use crate::events::{Beside, EnvelopeBody, say, sealer};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemBody};

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(send))
}

/// Whether the answer of the handler is waited for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// For how long the answer of the handler is waited for: `10s`, `500ms`, `1m`.
    #[param(value_type = Option<String>, pattern = "^[1-9][0-9]{0,2}(ms|s)$", example = "10s")]
    wait: Option<Delay>,
}

/// What the handler of a command has answered.
#[derive(Debug, Serialize, ToSchema)]
struct Reply {
    /// The id of the command.
    id: Uuid,
    /// What its handler answers; `x-bloodbank-reply` in the command's schema describes it.
    reply: Value,
}

/// Send a command
///
/// Answered with 202 and the envelope once the worker queue of the command has it. With `wait` it is
/// answered with 200 and what the handler answers; 504 with the id says that no answer came in time: ask
/// again with the same idempotency key to wait for the same work.
#[utoipa::path(post, path = "/commands/{key}", tag = "commands",
    params(("key" = String, Path, description = "The routing key, with its version from 2 on"), Waiting, Beside),
    request_body(content = Object, description = "The payload", content_type = "application/json"),
    responses(
        (status = 200, description = "The handler has answered.", body = Reply),
        (status = 202, description = "The worker queue has it.", body = EnvelopeBody),
        (status = "4XX", description = "It was not sent.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = "5XX", description = "It was not sent, was not answered, or its handler failed.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn send(
    State(gateway): State<Gateway>,
    Anyone(caller): Anyone,
    origin: Origin,
    Path(key): Path<String>,
    Query(waiting): Query<Waiting>,
    beside: Beside,
    JsonBody(payload): JsonBody,
) -> Answer<Response> {
    let most = gateway.limits().wait;
    if waiting.wait.is_some_and(|wait| wait.duration() > most) {
        let detail = format!("parameter `wait` of the query: at most {} s", most.as_secs());
        return Err(Problem::parameter(detail));
    }
    let answer = match waiting.wait {
        None => say(&gateway, &caller, Kind::Command, &key, payload, &beside)
            .await
            .map(IntoResponse::into_response),
        Some(wait) => call(&gateway, &caller, &key, payload, &beside, wait)
            .await
            .map(|reply| Json(reply).into_response()),
    };
    note_refusal(&gateway, &caller, &origin, "send", &key, answer.as_ref().err()).await;
    answer
}

async fn call(
    gateway: &Gateway,
    caller: &Caller,
    key: &str,
    payload: Value,
    beside: &Beside,
    wait: Delay,
) -> Answer<Reply> {
    let sealer = sealer(gateway, caller, Kind::Command, key, beside.source.as_deref())?;
    let mut meta = beside.meta();
    // The id is answered, and only sealing makes it of an idempotency key.
    let id = sealer.seal(Kind::Command, key, payload.clone(), meta.clone())?.id;
    meta.id = Some(id);
    let publisher = DynamicPublisher::new(gateway.transport().clone(), sealer);
    let calling = publisher.call::<Value>(key, payload).meta(meta).within(wait.duration());
    let mut reply = calling.await?;
    if !caller.sees_sensitive() {
        gateway.contracts().hide_reply(key, &mut reply);
    }
    Ok(Reply { id, reply })
}
