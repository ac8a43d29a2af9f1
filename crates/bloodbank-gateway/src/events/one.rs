//! `GET /events/{event}`: one stored event.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bloodbank_core::Code;
use candystore::Position;
use uuid::Uuid;

use super::stored::StoredBody;
use crate::Gateway;
use crate::caller::Reader;
use crate::parameters::Path;
use crate::problem::{Answer, Problem, ProblemBody};

/// Get a stored event
///
/// By the id of its envelope, or by its position.
#[utoipa::path(get, path = "/events/{event}", tag = "events",
    params(("event" = String, Path, description = "The id, or the position",
        pattern = "^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[1-9][0-9]{0,17})$")),
    responses(
        (status = 200, description = "The event.", body = StoredBody),
        (status = "4XX", description = "There is none, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(
    State(gateway): State<Gateway>,
    Reader(caller): Reader,
    Path(event): Path<String>,
) -> Answer<Json<StoredBody>> {
    let found = match (event.parse::<Position>(), Uuid::try_parse(&event)) {
        (Ok(position), _) => gateway.store().at(position).await?,
        (_, Ok(id)) => gateway.store().get(id).await?,
        _ => {
            let detail = "the path: expected the id of an event (a UUID), or its position";
            return Err(Problem::parameter(detail));
        }
    };
    let event = found.ok_or_else(missing)?;
    Ok(Json(StoredBody::of(&gateway.contracts(), &caller, event)))
}

/// That no such event is stored.
pub(crate) fn missing() -> Problem {
    let code = Code::EventMissing;
    Problem::new(StatusCode::NOT_FOUND, code, "no event is stored under this id or position")
}

/// The id that a path names.
pub(crate) fn id(text: &str) -> Answer<Uuid> {
    Uuid::try_parse(text).map_err(|_| Problem::parameter("the path: expected an id (a UUID)"))
}
