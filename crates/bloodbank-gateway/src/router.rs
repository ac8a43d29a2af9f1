//! The routes, and what is around each of them.

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bloodbank_core::{Code, escape_control};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Problem;
use crate::{Gateway, caller, commands, events, health, problem, stats, stream, validate};

/// The HTTP API of a gateway, to be served or to be mounted in another router.
pub fn router(gateway: Gateway) -> Router {
    let (routes, _document) = routes().split_for_parts();
    let around = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .layer(from_fn(problem::render))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(gateway.clone(), caller::admit));
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(around)
        .with_state(gateway)
}

/// All routes, with their documentation.
pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .merge(events::routes())
        .merge(commands::routes())
        .merge(stats::routes())
        .merge(stream::routes())
        .merge(validate::routes())
        .merge(health::routes())
}

async fn no_route(uri: Uri) -> Problem {
    let detail = format!("there is no path `{}`", escape_control(&shortened(uri.path())));
    Problem::new(StatusCode::NOT_FOUND, Code::RouteMissing, detail)
}

/// The router adds `Allow`.
async fn no_method(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let path = escape_control(&shortened(uri.path()));
    let detail = format!("`{path}` is not there for {method}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodRefused, detail).into_response()
}

fn shortened(path: &str) -> String {
    path.chars().take(200).collect()
}

/// What panics says is for the log, which has it already.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    let (status, code) = (StatusCode::INTERNAL_SERVER_ERROR, Code::InternalError);
    Problem::internal(status, code, "a handler panicked").into_response()
}
