//! The routes, and what is around each of them.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use bloodbank_core::{Code, escape_control};
use tower::ServiceBuilder;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::csrf::CsrfLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Problem;
use crate::{
    Gateway, audit, bounds, caller, commands, contracts, dlq, docs, events, health, metrics,
    openapi, origin, problem, queues, reload, replays, stats, stream, topology, validate,
};

/// The HTTP API of a gateway, to be served or to be mounted in another router.
pub fn router(gateway: Gateway) -> Router {
    let with = |gateway: &Gateway| gateway.clone();
    let around = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .layer(map_response(guarded))
        .layer(from_fn(problem::render))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(option_layer(cors(gateway.origins())))
        .layer(from_fn_with_state(with(&gateway), bounds::host))
        .layer(csrf(gateway.origins()))
        .layer(from_fn_with_state(with(&gateway), caller::admit))
        .layer(from_fn_with_state(with(&gateway), bounds::rate))
        .layer(from_fn_with_state(with(&gateway), bounds::time));
    let (api, _) = routes().split_for_parts();
    api.merge(docs::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(around)
        .with_state(gateway)
}

/// All routes of the API, with their documentation.
pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .merge(events::routes())
        .merge(commands::routes())
        .merge(stats::routes())
        .merge(stream::routes())
        .merge(validate::routes())
        .merge(contracts::routes())
        .merge(openapi::routes())
        .merge(topology::routes())
        .merge(queues::routes())
        .merge(dlq::routes())
        .merge(replays::routes())
        .merge(audit::routes())
        .merge(health::routes())
        .merge(reload::routes())
        .merge(metrics::routes())
}

/// Lets web pages of these origins ask; without any, browsers keep answers from all of them.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    let asked = [
        "authorization",
        "content-type",
        "idempotency-key",
        "last-event-id",
        "if-none-match",
        "traceparent",
        "tracestate",
        "x-causation-id",
        "x-correlation-id",
        "x-request-id",
        "x-session-id",
        "x-source",
    ];
    let told = [header::ETAG, header::LINK, header::LOCATION, header::RETRY_AFTER];
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(asked.map(HeaderName::from_static))
        .expose_headers(told)
        .max_age(Duration::from_secs(600));
    (!origins.is_empty()).then(|| layer.allow_origin(AllowOrigin::list(origins)))
}

type Refuse = fn(tower_http::csrf::ProtectionError) -> Response;

/// Keeps web pages of other origins from changing anything; browsers do not ask before they send a form.
fn csrf(origins: &[String]) -> CsrfLayer<Refuse> {
    let trust = |layer: CsrfLayer, origin: &String| {
        // What is not an origin is never that of a page.
        layer.clone().add_trusted_origin(origin).unwrap_or(layer)
    };
    let refuse: Refuse = |_| origin::refusal();
    origins.iter().fold(CsrfLayer::new(), trust).with_rejection_response(refuse)
}

/// Says of every answer that it is what it says it is, and nothing to be framed or run.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let set = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in set {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
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

/// What panics say is for the log, which has it already.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    let (status, code) = (StatusCode::INTERNAL_SERVER_ERROR, Code::InternalError);
    Problem::internal(status, code, "a handler panicked").into_response()
}
