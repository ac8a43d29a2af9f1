//! Who did what: noted in the store, and `GET /audit`, which lists it.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};
use bloodbank_access::Caller;
use candystore::{AuditEntry, AuditFilter, AuditOutcome, Audited};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Gateway;
use crate::caller::Operator;
use crate::parameters::Query;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::when::When;

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

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(audit))
}

/// Which lines of the audit.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// What happened then or later: a time, or an age, as in `10m`.
    #[param(schema_with = crate::when::schema)]
    since: Option<When>,
    /// What this caller did.
    who: Option<String>,
    /// Go on behind this line: the `next` of another page.
    #[param(minimum = 1)]
    before: Option<u64>,
    /// The most lines; 100 unless it is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Lines of the audit.
#[derive(Debug, Serialize, ToSchema)]
struct Audit {
    /// The last ones first.
    entries: Vec<Line>,
    /// What `before` is on the next page; null at the end.
    next: Option<u64>,
}

/// Something that somebody did, or was not let do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditLine)]
struct Line {
    /// Its number.
    number: u64,
    /// When.
    happened: DateTime<Utc>,
    /// Who: the name of a token, `local` where none is needed, or a user of the machine.
    who: String,
    /// What.
    action: String,
    /// On what.
    subject: String,
    /// `done`, `refused` or `failed`.
    outcome: &'static str,
    /// How much was done, or why nothing.
    detail: Option<String>,
    /// From where.
    origin: String,
}

impl Line {
    fn of(audited: Audited) -> Self {
        let Audited { number, happened, entry, .. } = audited;
        Line {
            number,
            happened,
            who: entry.who,
            action: entry.action,
            subject: entry.subject,
            outcome: entry.outcome.as_str(),
            detail: entry.detail,
            origin: entry.origin,
        }
    }
}

/// List who did what
#[utoipa::path(get, path = "/audit", tag = "operations", params(Which),
    responses(
        (status = 200, description = "Lines of the audit.", body = Audit),
        (status = "4XX", description = "The question is not understood, or not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The store cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn audit(
    State(gateway): State<Gateway>,
    Operator(_caller): Operator,
    Query(which): Query<Which>,
) -> Answer<Json<Audit>> {
    let limit = crate::events::limit(which.limit, 100, 1_000)?;
    let mut filter = AuditFilter::new();
    (filter.since, filter.who, filter.before) =
        (which.since.map(|when| when.0), which.who, which.before);
    let found = gateway.store().audited(&filter, limit as u64).await?;
    let next = (found.len() == limit).then(|| found.last().map(|line| line.number)).flatten();
    Ok(Json(Audit { entries: found.into_iter().map(Line::of).collect(), next }))
}
