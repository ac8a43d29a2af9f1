//! Bodies of requests: their media type, their size, and the time that they take.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bloodbank_core::{Code, json_problem};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mime::Mime;
use serde_json::Value;
use tokio::time::timeout;

use crate::Gateway;
use crate::problem::{Answer, Problem};

/// A body of JSON, in the bounds of one message.
pub(crate) struct JsonBody(pub(crate) Value);

impl FromRequest<Gateway> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, gateway: &Gateway) -> Answer<Self> {
        media_type(request.headers(), &[Media::Json])?;
        let limits = gateway.limits();
        let bytes = read(request.into_body(), limits.body, limits.read).await?;
        Ok(JsonBody(parse(&bytes)?))
    }
}

/// What bodies may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// One text of JSON.
    Json,
    /// A text of JSON on each line.
    Lines,
}

impl Media {
    fn name(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::Lines => "application/x-ndjson",
        }
    }

    fn of(mime: &Mime) -> Option<Self> {
        if mime.type_() != mime::APPLICATION {
            return None;
        }
        match mime.subtype().as_str() {
            "json" => Some(Media::Json),
            "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" => Some(Media::Lines),
            _ => None,
        }
    }
}

/// Which of the media types that are taken a body has. One must be named: a web page of another origin
/// could otherwise have a browser send a body without asking first.
pub(crate) fn media_type(headers: &HeaderMap, taken: &[Media]) -> Answer<Media> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(refused(taken, "the body has a content encoding"));
    }
    let Some(named) = headers.get(header::CONTENT_TYPE) else {
        return Err(refused(taken, "no `Content-Type` says what the body is"));
    };
    let mime = named.to_str().ok().and_then(|text| text.parse::<Mime>().ok());
    let is_utf8 = |mime: &Mime| mime.get_param(mime::CHARSET).is_none_or(|set| set == mime::UTF_8);
    let media = mime.filter(is_utf8).as_ref().and_then(Media::of);
    media
        .filter(|media| taken.contains(media))
        .ok_or_else(|| refused(taken, "`Content-Type` names something else"))
}

fn refused(taken: &[Media], what: &str) -> Problem {
    let taken: Vec<&str> = taken.iter().map(|media| media.name()).collect();
    let detail = format!("{what}; expected {}, in UTF-8", taken.join(" or "));
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::MediaTypeRefused, detail)
}

/// The bytes of a body, as long as there are not more of them and they do not take longer.
pub(crate) async fn read(body: Body, most: usize, time: Duration) -> Answer<Bytes> {
    match timeout(time, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body has more than {most} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, detail))
        }
        Ok(Err(_)) => {
            let detail = "the body ended before it was whole";
            Err(Problem::new(StatusCode::BAD_REQUEST, Code::BodyIncomplete, detail))
        }
        Err(_) => {
            let detail = format!("the body was not there in {} s", time.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Code::BodyIncomplete, detail))
        }
    }
}

/// A text of JSON, nested no deeper than 128 levels.
pub(crate) fn parse(bytes: &[u8]) -> Answer<Value> {
    serde_json::from_slice(bytes).map_err(|error| not_json(&error))
}

/// Says where, and nothing of what stands there.
pub(crate) fn not_json(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let detail = format!("line {line}, column {column}: {}", json_problem(error));
    Problem::new(StatusCode::BAD_REQUEST, Code::NotJson, detail)
}
