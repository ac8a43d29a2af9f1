//! `POST /events`: whole envelopes, one or many.

use std::collections::VecDeque;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bloodbank_access::Caller;
use bloodbank_bus::Publishing;
use bloodbank_core::{Code, Envelope, EnvelopeError, Kind, Validated, escape_control};
use candystore::AuditOutcome;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::publish::{EnvelopeBody, Said};
use super::source::sealer;
use crate::Gateway;
use crate::audit::{Origin, note, note_refusal};
use crate::body::{Media, media_type, not_json, parse, read};
use crate::caller::Anyone;
use crate::problem::{Answer, Problem, ProblemBody};

/// How many messages of a batch are on their way at a time.
const WINDOW: usize = 1_000;

/// What became of one message of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchLine {
    /// Which message of the batch it is, from 1.
    number: usize,
    /// 202, or what it would have been answered with alone.
    status: u16,
    /// The id of the message, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// Why it was not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemBody>,
}

/// Publish whole envelopes
///
/// One envelope as JSON, or a batch: an array of envelopes, or one envelope on each line
/// (`application/x-ndjson`). A batch is published in its order, and answered with a line for each message in
/// the same order and form: 202 where the bus has all of it, 207 where something of it was refused. A batch
/// that is over the limits is refused as a whole.
#[utoipa::path(post, path = "/events", tag = "events",
    request_body(description = "An envelope, an array of envelopes, or an envelope on each line",
        content((EnvelopeBody = "application/json"), (String = "application/x-ndjson"))),
    responses(
        (status = 202, description = "The bus has it, or all of the batch.", body = EnvelopeBody),
        (status = 207, description = "Some of the batch was refused.", body = Vec<BatchLine>),
        (status = "4XX", description = "Nothing was published.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = "5XX", description = "It was not published, or nobody knows whether it was.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(crate) async fn publish_envelopes(
    State(gateway): State<Gateway>,
    Anyone(caller): Anyone,
    origin: Origin,
    request: Request,
) -> Answer<Response> {
    let media = media_type(request.headers(), &[Media::Json, Media::Lines])?;
    let limits = gateway.limits();
    let bytes = read(request.into_body(), limits.batch_body, limits.read).await?;
    if media == Media::Lines {
        let lines = lines(&bytes);
        check_count(&gateway, lines.len())?;
        let parsed = lines
            .into_iter()
            .map(|line| serde_json::from_slice(line).map_err(|error| malformed(&error)));
        let lines = publish_all(&gateway, &caller, parsed).await;
        note_refusals(&gateway, &caller, &origin, &lines).await;
        return Ok(in_lines(&lines));
    }
    match parse(&bytes)? {
        Value::Array(items) => {
            check_count(&gateway, items.len())?;
            let read = |item| serde_json::from_value(item).map_err(|error| malformed(&error));
            let lines = publish_all(&gateway, &caller, items.into_iter().map(read)).await;
            note_refusals(&gateway, &caller, &origin, &lines).await;
            Ok((status(&lines), axum::Json(lines)).into_response())
        }
        one => {
            check_size(&gateway, &bytes)?;
            let envelope: Envelope =
                serde_json::from_value(one).map_err(|error| malformed(&error))?;
            let key = envelope.event_type.clone();
            let sealed = seal(&gateway, &caller, envelope);
            let problem = sealed.as_ref().err();
            note_refusal(&gateway, &caller, &origin, "publish", &key, problem).await;
            let sealed = sealed?;
            let envelope = sealed.get().clone();
            gateway.publisher().publish_sealed(sealed).await?;
            Ok(Said { envelope, replayed: false }.into_response())
        }
    }
}

/// Notes how many messages of a batch the caller was not let publish: once for all of them.
async fn note_refusals(gateway: &Gateway, caller: &Caller, origin: &Origin, lines: &[BatchLine]) {
    let refused = lines.iter().filter(|line| line.status == StatusCode::FORBIDDEN.as_u16()).count();
    if refused > 0 {
        let came = (AuditOutcome::Refused, format!("{refused} of {}", lines.len()));
        note(gateway, caller, origin, "publish", "batch", came).await;
    }
}

/// The lines that hold anything.
fn lines(bytes: &Bytes) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).collect()
}

fn check_count(gateway: &Gateway, count: usize) -> Answer<()> {
    let most = gateway.limits().batch;
    if count <= most {
        return Ok(());
    }
    let detail = format!("the batch has {count} messages; at most {most} are taken at a time");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, detail))
}

fn check_size(gateway: &Gateway, bytes: &Bytes) -> Answer<()> {
    let most = gateway.limits().body;
    if bytes.len() <= most {
        return Ok(());
    }
    let detail = format!("the envelope has more than {most} bytes");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, detail))
}

fn malformed(error: &serde_json::Error) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => {
            EnvelopeError::Malformed(escape_control(&error.to_string())).into()
        }
        _ => not_json(error),
    }
}

fn seal(gateway: &Gateway, caller: &Caller, envelope: Envelope) -> Answer<Validated<Envelope>> {
    let (key, source) = (&envelope.event_type, Some(envelope.source.as_str()));
    let sealer = sealer(gateway, caller, Kind::Event, key, source)?;
    Ok(sealer.seal_envelope(Kind::Event, envelope)?)
}

/// Publishes in order, many at a time, and says what became of each.
async fn publish_all(
    gateway: &Gateway,
    caller: &Caller,
    envelopes: impl Iterator<Item = Answer<Envelope>>,
) -> Vec<BatchLine> {
    let (mut lines, mut under_way) = (Vec::new(), VecDeque::new());
    for envelope in envelopes {
        let begun = match envelope {
            Ok(envelope) => begin(gateway, caller, envelope).await,
            Err(problem) => Begun { id: None, publishing: Err(problem) },
        };
        under_way.push_back(begun);
        if under_way.len() >= WINDOW
            && let Some(first) = under_way.pop_front()
        {
            lines.push(first.end(lines.len() + 1).await);
        }
    }
    for begun in under_way {
        lines.push(begun.end(lines.len() + 1).await);
    }
    lines
}

/// A message of a batch on its way, or refused.
struct Begun {
    id: Option<Uuid>,
    publishing: Answer<Publishing>,
}

async fn begin(gateway: &Gateway, caller: &Caller, envelope: Envelope) -> Begun {
    let id = Some(envelope.id);
    let sealed = match seal(gateway, caller, envelope) {
        Ok(sealed) => sealed,
        Err(problem) => return Begun { id, publishing: Err(problem) },
    };
    let publishing = gateway.publisher().publish_sealed(sealed).accepted().await;
    Begun { id, publishing: publishing.map_err(Problem::from) }
}

impl Begun {
    async fn end(self, number: usize) -> BatchLine {
        let ended = match self.publishing {
            Ok(publishing) => publishing.await.map(drop).map_err(Problem::from),
            Err(problem) => Err(problem),
        };
        let problem = ended.err();
        let status = problem.as_ref().map_or(StatusCode::ACCEPTED, Problem::status);
        let problem = problem.map(|problem| problem.body(None));
        BatchLine { number, status: status.as_u16(), id: self.id, problem }
    }
}

fn status(lines: &[BatchLine]) -> StatusCode {
    match lines.iter().all(|line| line.problem.is_none()) {
        true => StatusCode::ACCEPTED,
        false => StatusCode::MULTI_STATUS,
    }
}

fn in_lines(lines: &[BatchLine]) -> Response {
    let mut body = Vec::with_capacity(96 * lines.len());
    for line in lines {
        // Into memory it cannot fail.
        let _ = serde_json::to_writer(&mut body, line);
        body.push(b'\n');
    }
    let mut response = (status(lines), body).into_response();
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
