//! `POST /admin/reload`: contracts and registry are read again.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bloodbank_core::{Code, Contracts};
use candystore::AuditOutcome;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Gateway;
use crate::audit::{Origin, note};
use crate::caller::Operator;
use crate::problem::{Answer, Problem, ProblemBody};

/// Reads the contracts again, and puts them in force, or says why not.
pub(crate) type Reload =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Reloaded, String>> + Send>> + Send + Sync>;

/// What reading the contracts again has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[non_exhaustive]
pub struct Reloaded {
    /// How many contracts are in force now.
    pub contracts: usize,
    /// How many services registry.yaml has.
    pub services: usize,
    /// Routing keys that were not known before.
    pub added: Vec<String>,
    /// Routing keys whose contract has another schema now.
    pub changed: Vec<String>,
    /// Routing keys that are not known any more.
    pub removed: Vec<String>,
}

impl Reloaded {
    /// In what contracts differ from those that were in force before.
    pub fn between(old: &Contracts, new: &Contracts) -> Self {
        let digests = |contracts: &Contracts| {
            let routes = contracts.bundle().contracts.iter().flat_map(|it| it.routes());
            let digests = routes.map(|route| {
                let digest = contracts.digest(&route);
                (route, digest)
            });
            digests.collect::<BTreeMap<_, _>>()
        };
        let (before, mut now) = (digests(old), digests(new));
        let is_gone = |key: &&String| !now.contains_key(*key);
        let removed = before.keys().filter(is_gone).cloned().collect();
        now.retain(|key, digest| before.get(key) != Some(digest));
        let (changed, added) = now.into_keys().partition(|key| before.contains_key(key));
        let bundle = new.bundle();
        let (contracts, services) = (bundle.contracts.len(), bundle.services.len());
        Reloaded { contracts, services, added, changed, removed }
    }
}

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(reload))
}

/// Read contracts and registry again
///
/// Puts them in force at once, or keeps the old ones and says why. What is in flight ends with the
/// contracts it began with.
#[utoipa::path(post, path = "/admin/reload", tag = "operations",
    responses(
        (status = 200, description = "They are in force.", body = Reloaded),
        (status = 409, description = "Something is wrong with them, and the old ones stay.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "The caller may not operate.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 501, description = "The service does not read its contracts again.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn reload(
    State(gateway): State<Gateway>,
    Operator(caller): Operator,
    origin: Origin,
) -> Answer<Json<Reloaded>> {
    let Some(reload) = gateway.reload() else {
        let detail = "this service does not read its contracts again";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, Code::Unsupported, detail));
    };
    let done = reload().await;
    let came = match &done {
        Ok(reloaded) => (AuditOutcome::Done, format!("{} contracts", reloaded.contracts)),
        Err(_) => (AuditOutcome::Failed, Code::ReloadRefused.to_string()),
    };
    note(&gateway, &caller, &origin, "reload", "contracts", came).await;
    let done = done.map(Json);
    done.map_err(|why| Problem::new(StatusCode::CONFLICT, Code::ReloadRefused, why))
}
