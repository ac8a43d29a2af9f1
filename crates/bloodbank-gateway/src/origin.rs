//! Which web pages may ask.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bloodbank_core::Code;

use crate::Gateway;
use crate::problem::{Answer, Problem};

/// Refuses who asks from a web page of another origin, if that is not among those that are named.
pub(crate) fn check(gateway: &Gateway, headers: &HeaderMap) -> Answer<()> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let Ok(origin) = origin.to_str() else { return Err(refused()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let is_own = authority.is_some() && authority == host;
    let is_named = gateway.origins().iter().any(|named| named == origin);
    if is_own || is_named { Ok(()) } else { Err(refused()) }
}

/// That a web page of another origin asks.
fn refused() -> Problem {
    let detail = "the request comes from a web page of another origin, which is not among those that \
                  may ask";
    Problem::new(StatusCode::FORBIDDEN, Code::OriginRefused, detail)
}

/// The same as an answer.
pub(crate) fn refusal() -> Response {
    refused().into_response()
}
