//! `/admin`: what changes the service itself, and who did what.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bloodbank_bus::BoxFuture;
use bloodbank_core::Code;
use candystore::{AuditFilter, AuditOutcome, Audited};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Gateway;
use crate::audit::{Origin, note};
use crate::caller::Operator;
use crate::parameters::Query;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::when::When;

/// Reads the contracts again and puts them in force, or says in lines why the old ones stay.
pub(crate) type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(reload)).routes(routes!(audit))
}

/// The contracts that are in force now.
#[derive(Debug, Serialize, ToSchema)]
struct Reloaded {
    /// How many contracts there are.
    contracts: usize,
    /// How many services the registry has.
    services: usize,
}

/// Read the contracts again
///
/// Schemas and registry are read, checked, and put in force all at once; or the old ones stay, and the answer
/// says why. What is under way ends with the contracts that it began with.
#[utoipa::path(post, path = "/admin/reload", tag = "operations",
    responses(
        (status = 200, description = "They are in force.", body = Reloaded),
        (status = 409, description = "The old ones stay.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = "4XX", description = "It is not for this caller.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 501, description = "The service cannot read its contracts again.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn reload(
    State(gateway): State<Gateway>,
    Operator(caller): Operator,
    origin: Origin,
) -> Answer<Json<Reloaded>> {
    let reload = gateway.reload().ok_or_else(|| {
        let detail = "the service cannot read its contracts again";
        Problem::new(StatusCode::NOT_IMPLEMENTED, Code::Unsupported, detail)
    })?;
    let done = reload().await;
    let (contracts, subject) = (gateway.contracts(), "contracts");
    let bundle = contracts.bundle();
    let came = match &done {
        Ok(()) => (AuditOutcome::Done, format!("{} contracts", bundle.contracts.len())),
        Err(_) => (AuditOutcome::Failed, Code::ContractsBroken.to_string()),
    };
    note(&gateway, &caller, &origin, "reload", subject, came).await;
    match done {
        Ok(()) => {
            let services = bundle.services.len();
            Ok(Json(Reloaded { contracts: bundle.contracts.len(), services }))
        }
        Err(why) => Err(Problem::new(StatusCode::CONFLICT, Code::ContractsBroken, why)),
    }
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
