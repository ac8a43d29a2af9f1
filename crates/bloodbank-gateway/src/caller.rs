//! Who asks: found once for each request, and asked at each door.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bloodbank_access::{AccessError, Caller};

use crate::Gateway;
use crate::problem::Problem;

/// Paths that need no token: they say nothing about what passes.
const PUBLIC: [&str; 6] = ["/", "/docs", "/docs/docs.css", "/docs/docs.js", "/health", "/ready"];

/// Finds out who asks, and refuses who does not say so where a token is needed.
pub(crate) async fn admit(
    State(gateway): State<Gateway>,
    mut request: Request,
    next: Next,
) -> Response {
    if PUBLIC.contains(&request.uri().path()) || request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    match caller_of(&gateway, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who asks, by the token that the headers present.
pub(crate) fn caller_of(gateway: &Gateway, headers: &HeaderMap) -> Result<Caller, Problem> {
    let presented = headers.get(header::AUTHORIZATION).map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    // Another scheme, or not a text: what no token can be.
    let presented = presented.map(Option::unwrap_or_default);
    Ok(gateway.access().caller(presented)?)
}

/// Who asks, whatever it may do; its doors ask for rights to keys.
#[derive(Clone, Debug)]
pub(crate) struct Anyone(pub(crate) Caller);

/// Who asks, and may read.
#[derive(Clone, Debug)]
pub(crate) struct Reader(pub(crate) Caller);

/// Who asks, and may operate.
#[derive(Clone, Debug)]
pub(crate) struct Operator(pub(crate) Caller);

fn admitted(parts: &Parts) -> Result<Caller, Problem> {
    let caller = parts.extensions.get::<Caller>();
    caller.cloned().ok_or_else(|| AccessError::TokenMissing.into())
}

impl FromRequestParts<Gateway> for Anyone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        admitted(parts).map(Anyone)
    }
}

impl FromRequestParts<Gateway> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        let caller = admitted(parts)?;
        match caller.may_read() {
            true => Ok(Reader(caller)),
            false => Err(caller.lacks("read").into()),
        }
    }
}

impl FromRequestParts<Gateway> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Problem> {
        let caller = admitted(parts)?;
        match caller.may_operate() {
            true => Ok(Operator(caller)),
            false => Err(caller.lacks("operate").into()),
        }
    }
}
