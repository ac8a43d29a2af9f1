//! `POST /validate/{key}`: every violation, and nothing is published.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Gateway;
use crate::body::JsonBody;
use crate::caller::Anyone;
use crate::parameters::Path;
use crate::problem::{Answer, ProblemBody};

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(validate))
}

/// That a payload keeps its contract.
#[derive(Debug, Serialize, ToSchema)]
struct Validity {
    /// The routing key whose contract was asked.
    key: String,
    /// True; a payload that is not valid is answered with 422.
    valid: bool,
}

/// Check a payload against its contract
///
/// Publishes nothing. What breaks the contract is answered with every violation.
#[utoipa::path(post, path = "/validate/{key}", tag = "contracts",
    params(("key" = String, Path, description = "The routing key, with its version from 2 on")),
    request_body(content = Object, description = "The payload", content_type = "application/json"),
    responses(
        (status = 200, description = "It keeps its contract.", body = Validity),
        (status = "4XX", description = "It does not, or there is no such contract.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn validate(
    State(gateway): State<Gateway>,
    Anyone(_caller): Anyone,
    Path(key): Path<String>,
    JsonBody(payload): JsonBody,
) -> Answer<Json<Validity>> {
    gateway.contracts().check(&key, &payload)?;
    Ok(Json(Validity { key, valid: true }))
}
