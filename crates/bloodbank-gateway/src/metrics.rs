//! `GET /metrics`: the figures of the process.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bloodbank_core::Code;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Gateway;
use crate::caller::Reader;
use crate::problem::{Answer, Problem, ProblemBody};

/// The media type of the text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Get the figures of the process
///
/// As text for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses(
        (status = 200, description = "The figures.", body = String, content_type = "text/plain"),
        (status = "4XX", description = "It is not for this caller.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 501, description = "The service keeps no figures.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn metrics(State(gateway): State<Gateway>, Reader(_caller): Reader) -> Answer<Response> {
    let figures = gateway.figures().ok_or_else(|| {
        let detail = "the service keeps no figures";
        Problem::new(StatusCode::NOT_IMPLEMENTED, Code::Unsupported, detail)
    })?;
    Ok(([(header::CONTENT_TYPE, TEXT)], figures()).into_response())
}
