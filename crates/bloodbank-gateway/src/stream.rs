//! What passes, told as it passes: as server-sent events, and by WebSocket.

mod feed;
mod frames;
mod hub;
mod sse;
mod summary;
mod ws;

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use bloodbank_access::Caller;
use bloodbank_bus::Start;
use bloodbank_core::Code;
use candystore::Position;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::feed::Feed;
use self::frames::Frames;
pub(crate) use self::hub::Hub;
use crate::Gateway;
use crate::events::Which;
use crate::problem::{Answer, Problem};

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(sse::stream)).routes(routes!(ws::ws))
}

/// Where a stream begins, and what it shows.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Following {
    /// Begin behind this position. Without it, and without `first` and `since`, it begins now.
    after: Option<Position>,
    /// What of each event is shown; all of it unless it is said.
    #[param(inline)]
    view: Option<View>,
}

/// What a stream shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum View {
    /// Each event whole.
    Full,
    /// Counts by key of all that passed, and the last events without their messages, at most 20 times a
    /// second.
    Summary,
}

/// The number of a header: the last position that a reader has seen.
fn last_event_id(headers: &HeaderMap) -> Answer<Option<Position>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    let expected = "header `Last-Event-ID`: expected a position, as in the last `id:`";
    position.map(Some).ok_or_else(|| Problem::parameter(expected))
}

/// Opens a stream, if there is room for one.
async fn open(
    gateway: &Gateway,
    caller: Caller,
    headers: HeaderMap,
    which: &Which,
    following: Following,
) -> Answer<Frames> {
    if *gateway.ending().borrow() {
        let detail = "the service is being ended";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::ServiceEnding, detail);
        return Err(problem.after(Duration::from_secs(2)));
    }
    let seat = gateway.seats().clone().try_acquire_owned().map_err(|_| full(gateway))?;
    let filter = which.filter(&gateway.contracts(), &caller)?;
    // A reader that comes back asks with the same query as before.
    let after = last_event_id(&headers)?.or(following.after);
    let head = gateway.store().position().await?;
    if after.is_some_and(|after| after > head) {
        let detail = format!("the position to begin behind: there are only positions up to {head}");
        return Err(Problem::parameter(detail));
    }
    let start = match (after, filter.first, filter.since) {
        (Some(after), ..) => Start::Position(after + 1),
        (_, Some(first), _) => Start::Position(first),
        (_, _, Some(since)) => Start::Time(since),
        _ => Start::Now,
    };
    let is_summary = following.view == Some(View::Summary);
    let feed = Feed::open(gateway, filter, start, is_summary).await?;
    Ok(Frames::new(gateway.clone(), caller, headers, feed, is_summary, seat))
}

fn full(gateway: &Gateway) -> Problem {
    let most = gateway.limits().streams;
    let detail = format!("{most} streams are open, and no more are held at a time");
    let code = Code::TooManyStreams;
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).after(Duration::from_secs(5))
}
