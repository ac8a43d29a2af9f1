//! `POST /events/{key}`: one payload.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bloodbank_access::Caller;
use bloodbank_core::{Code, Envelope, Kind, Validated, same_value};
use serde_json::Value;
use utoipa::ToSchema;

use super::Beside;
use super::firsts::stored;
use super::source::sealer;
use crate::Gateway;
use crate::audit::{Origin, note_refusal};
use crate::body::JsonBody;
use crate::caller::Anyone;
use crate::parameters::Path;
use crate::problem::{Answer, Problem, ProblemBody};

/// Says that an answer is an earlier one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An envelope as it is answered; `schemas/_common/envelope.v1.json` has the rules of each field.
#[derive(ToSchema)]
#[schema(as = Envelope)]
#[allow(dead_code, reason = "it describes what is answered")]
pub(crate) struct EnvelopeBody {
    /// Names the message; one with the same id is the same message.
    id: uuid::Uuid,
    /// The routing key, with its version.
    event_type: String,
    /// Who said it.
    source: String,
    /// When it happened.
    timestamp: chrono::DateTime<chrono::Utc>,
    /// The piece of work that it belongs to.
    correlation_id: Option<uuid::Uuid>,
    /// The id of the message that it follows from.
    causation_id: Option<uuid::Uuid>,
    /// The session that it belongs to.
    session_id: Option<String>,
    /// The `$id` of its contract.
    schema: Option<String>,
    /// The trace that it belongs to.
    traceparent: Option<String>,
    /// What tracing systems note on the trace.
    tracestate: Option<String>,
    /// The payload, as its contract describes it.
    #[schema(value_type = Object)]
    data: Value,
}

/// A message that was published, or had been before.
pub(crate) struct Said {
    pub(crate) envelope: Envelope,
    /// Whether this is the answer to an earlier request with the same idempotency key.
    pub(crate) replayed: bool,
}

impl IntoResponse for Said {
    fn into_response(self) -> Response {
        let place = HeaderValue::from_str(&format!("/events/{}", self.envelope.id));
        let mut response = (StatusCode::ACCEPTED, Json(&self.envelope)).into_response();
        if let Ok(place) = place {
            response.headers_mut().insert(header::LOCATION, place);
        }
        if self.replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// Publish an event
///
/// The payload is checked against the contract of the key; what breaks it is refused with every violation.
/// Answered once the bus is responsible for the event, with the whole envelope.
#[utoipa::path(post, path = "/events/{event}", tag = "events",
    params(("event" = String, Path, description = "The routing key, with its version from 2 on"), Beside),
    request_body(content = Object, description = "The payload", content_type = "application/json"),
    responses(
        (status = 202, description = "The bus has it.", body = EnvelopeBody),
        (status = "4XX", description = "It was not published.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = "5XX", description = "It was not published, or nobody knows whether it was.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(crate) async fn publish(
    State(gateway): State<Gateway>,
    Anyone(caller): Anyone,
    origin: Origin,
    Path(key): Path<String>,
    beside: Beside,
    JsonBody(payload): JsonBody,
) -> Answer<Said> {
    let said = say(&gateway, &caller, Kind::Event, &key, payload, &beside).await;
    note_refusal(&gateway, &caller, &origin, "publish", &key, said.as_ref().err()).await;
    said
}

/// Seals a payload and publishes or sends it; with an idempotency key only once.
pub(crate) async fn say(
    gateway: &Gateway,
    caller: &Caller,
    kind: Kind,
    key: &str,
    payload: Value,
    beside: &Beside,
) -> Answer<Said> {
    let sealer = sealer(gateway, caller, kind, key, beside.source.as_deref())?;
    let sealed = sealer.seal(kind, key, payload, beside.meta())?;
    if beside.idempotency_key.is_none() {
        return published(gateway, sealed).await;
    }
    let slot = gateway.firsts().slot(sealed.id);
    let mut first = slot.lock().await;
    let earlier = match &*first {
        Some((first, _)) => Some((**first).clone()),
        None => stored(gateway, sealed.id).await?,
    };
    match earlier {
        Some(earlier) if same_value(&earlier.data, &sealed.data) => {
            Ok(Said { envelope: earlier, replayed: true })
        }
        Some(earlier) => Err(used_otherwise(&earlier)),
        None => {
            let said = published(gateway, sealed).await?;
            let bytes = said.envelope.to_bytes().map_or(0, |bytes| bytes.len());
            gateway.firsts().remember(&mut first, &said.envelope, bytes);
            Ok(said)
        }
    }
}

fn used_otherwise(earlier: &Envelope) -> Problem {
    let detail = "the idempotency key was used for another payload, as the message that `id` names";
    Problem::new(StatusCode::CONFLICT, Code::IdConflict, detail).about(earlier.id)
}

async fn published(gateway: &Gateway, sealed: Validated<Envelope>) -> Answer<Said> {
    let envelope = sealed.get().clone();
    gateway.publisher().publish_sealed(sealed).await?;
    Ok(Said { envelope, replayed: false })
}
