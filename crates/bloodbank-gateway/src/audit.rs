//! Who did what, noted in the store.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};
use bloodbank_access::Caller;
use candystore::{AuditEntry, AuditOutcome};

use crate::Gateway;
use crate::problem::Problem;

/// Notes what a caller did. What cannot be noted is logged; it was done all the same.
pub(crate) async fn note(
    gateway: &Gateway,
    caller: &Caller,
    origin: &Origin,
    action: &str,
    subject: &str,
    came: (AuditOutcome, String),
) {
    let (outcome, detail) = came;
    let entry = AuditEntry::new(caller.name(), action, subject, origin.0.clone());
    let entry = entry.with_outcome(outcome).with_detail(detail);
    if let Err(error) = gateway.store().audit(entry).await {
        let code = error.code().as_str();
        tracing::warn!(action, subject, code, "the audit is not written");
    }
}

/// Notes that a caller was not let say something, if that is what is wrong.
pub(crate) async fn note_refusal(
    gateway: &Gateway,
    caller: &Caller,
    origin: &Origin,
    action: &str,
    key: &str,
    problem: Option<&Problem>,
) {
    let Some(problem) = problem.filter(|it| it.status() == StatusCode::FORBIDDEN) else { return };
    let came = (AuditOutcome::Refused, problem.code().to_string());
    note(gateway, caller, origin, action, key, came).await;
}

/// From where a request comes: an address, if who serves it has handed it over.
#[derive(Clone, Debug)]
pub(crate) struct Origin(String);

impl Origin {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let address = extensions.get::<ConnectInfo<SocketAddr>>();
        Origin(address.map_or_else(|| "HTTP".to_owned(), |ConnectInfo(it)| it.ip().to_string()))
    }
}

impl FromRequestParts<Gateway> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, Infallible> {
        Ok(Origin::of(&parts.extensions))
    }
}
