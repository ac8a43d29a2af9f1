//! `GET /docs`: the API for people, without anything from elsewhere.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::Gateway;

/// What the pages may do: nothing but show what comes from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("docs/page.html");
const SCRIPT: &str = include_str!("docs/docs.js");
const STYLE: &str = include_str!("docs/docs.css");

/// Pages and what they are made of; they are no part of the API.
pub(crate) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/", get(async || Redirect::temporary("docs")))
        .route("/docs", get(async || page("text/html; charset=utf-8", PAGE)))
        .route("/docs/docs.js", get(async || page("text/javascript; charset=utf-8", SCRIPT)))
        .route("/docs/docs.css", get(async || page("text/css; charset=utf-8", STYLE)))
}

fn page(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)], text)
        .into_response()
}
