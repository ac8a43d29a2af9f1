//! Problems as bodies, with the id of the request.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::Problem;

/// The header that names a request, as the caller or we have named it.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The longest id of a request that is taken from its caller.
const LONGEST_ID: usize = 128;

/// Names each request, and writes the body of a problem.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let id = id_of(request.headers()).unwrap_or_else(|| Uuid::now_v7().to_string());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if problem.status.is_server_error() {
            let cause = problem.more.cause.as_deref().unwrap_or(&problem.detail);
            let (status, code) = (problem.status.as_u16(), problem.code.as_str());
            tracing::warn!(%method, path, status, code, request = id, cause, "a request failed");
        }
        response = written(&problem, &id, response.headers());
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn written(problem: &Problem, id: &str, headers: &HeaderMap) -> Response {
    let body = problem.body(Some(format!("urn:bloodbank:request:{id}")));
    let mut response = match serde_json::to_vec(&body) {
        Ok(body) => (problem.status, body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let own = headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
    let own: HeaderMap = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    response.headers_mut().extend(own);
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    // A problem is of this moment.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The id that the caller has given, if it may stand in a URI and in a log.
fn id_of(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let fits = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_plain);
    fits.then(|| id.to_owned())
}
