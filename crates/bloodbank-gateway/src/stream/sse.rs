//! `GET /stream`: server-sent events.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream::unfold;

use super::frames::Frame;
use super::{Following, open};
use crate::Gateway;
use crate::caller::Reader;
use crate::events::Which;
use crate::parameters::Queries;
use crate::problem::{Answer, ProblemBody};

/// Tells proxies not to gather what is sent.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Follow what passes, as server-sent events
///
/// Each event is a message whose `id` is its position, so that a reader that comes back with
/// `Last-Event-ID` goes on behind the last one that it has seen, without a gap and without a repeat. Other
/// frames have a name: `gap`, with the range of positions that a slow reader has missed and can page through
/// in `/events`; `pruned` and `damaged`, likewise; `summary`, where that is the view; `end`, when the service
/// ends the stream. Comments say that the stream is alive.
#[utoipa::path(get, path = "/stream", tag = "streams",
    params(Which, Following,
        ("Last-Event-ID" = Option<u64>, Header, description = "Begin behind this position")),
    responses(
        (status = 200, description = "Events as they pass.", body = String,
            content_type = "text/event-stream"),
        (status = "4XX", description = "The question is not understood, or not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "There is no room for another stream, or the store cannot be asked.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(crate) async fn stream(
    State(gateway): State<Gateway>,
    Reader(caller): Reader,
    Queries(which, following): Queries<Which, Following>,
    headers: HeaderMap,
) -> Answer<impl IntoResponse> {
    let frames = open(&gateway, caller, headers, &which, following).await?;
    let events = unfold(frames, async |mut frames| {
        let frame = frames.next().await?;
        Some((Ok::<Event, Infallible>(event(&frame)), frames))
    });
    Ok(([UNBUFFERED], Sse::new(events)))
}

fn event(frame: &Frame) -> Event {
    let event = Event::default().id(frame.position.to_string());
    match frame.name {
        // What has no data is no message; its id is noted all the same.
        "alive" => event.comment("alive"),
        "event" => event.data(&*frame.json),
        name => event.event(name).data(&*frame.json),
    }
}
