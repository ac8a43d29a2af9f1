//! `GET /topology`: what registry.yaml declares, beside what is observed.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use bloodbank_bus::Topology as Declaration;
use bloodbank_core::Bundle;
use candystore::{By, Filter, Order};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::caller::Reader;
use crate::parameters::Query;
use crate::problem::{Answer, ProblemBody};
use crate::queues::QueueBody;
use crate::when::When;
use crate::{Gateway, queues};

/// For how many pairs of source and key it is looked up when the last message came.
const MOST_LOOKED_UP: usize = 500;

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(topology))
}

/// Since when it is observed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Observing {
    /// What was stored then or later: a time, or an age, as in `10m`. A day ago unless it is said.
    #[param(schema_with = crate::when::schema)]
    since: Option<When>,
}

/// What registry.yaml declares, beside what is observed.
#[derive(Debug, Serialize, ToSchema)]
struct Topology {
    /// The services as registry.yaml describes them.
    #[schema(value_type = Vec<Object>)]
    services: Value,
    /// The layers that services are shown in.
    #[schema(value_type = Vec<Object>)]
    layers: Value,
    /// What each service may do.
    declared: Vec<Edge>,
    /// Queues that services declare, with what they are bound to.
    #[schema(value_type = Vec<Object>)]
    queues: Value,
    /// Since when it is observed.
    since: DateTime<Utc>,
    /// What sources have published and sent since then.
    observed: Vec<Observed>,
    /// How the queues of the bus stand; null where the service does not know them.
    observed_queues: Option<Vec<QueueBody>>,
    /// Declared, and not observed: events that nobody has published, and queues that are missing or that
    /// nobody consumes.
    unobserved: Unobserved,
}

/// What a service may do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
struct Edge {
    /// The name of the service.
    service: String,
    /// `produces`, `consumes`, `sends` or `handles`.
    does: &'static str,
    /// The routing key, with its version.
    key: String,
}

/// What a source has said.
#[derive(Debug, Serialize, ToSchema)]
struct Observed {
    /// The source; a service of the registry, or somebody else.
    source: String,
    /// The routing key.
    key: String,
    /// How many.
    count: u64,
    /// When the last one was stored.
    last: Option<DateTime<Utc>>,
    /// Whether registry.yaml gives the key to a service of this name.
    declared: bool,
}

/// What is declared and not observed.
#[derive(Debug, Serialize, ToSchema)]
struct Unobserved {
    /// What services may publish or send, and have not.
    edges: Vec<Edge>,
    /// Queues that the bus does not have.
    missing_queues: Vec<String>,
    /// Queues that nobody consumes.
    unconsumed_queues: Vec<String>,
}

/// Get what is declared, and what is observed
///
/// Services, keys, edges and queues of registry.yaml; beside them who has really published what, how much and
/// when last, and how the queues stand.
#[utoipa::path(get, path = "/topology", tag = "operations", params(Observing),
    responses(
        (status = 200, description = "What is declared, and what is observed.", body = Topology),
        (status = "4XX", description = "The question is not understood, or not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Store or bus cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn topology(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    Query(observing): Query<Observing>,
) -> Answer<Json<Topology>> {
    let contracts = gateway.contracts();
    let bundle = contracts.bundle();
    let since = observing.since.map_or_else(|| Utc::now() - TimeDelta::days(1), |when| when.0);
    let declared = declared(bundle);
    let observed = observed(&gateway, &declared, since).await?;
    let observed_queues = match gateway.queues() {
        Some(_) => Some(queues::all(&gateway).await?),
        None => None,
    };
    let is_seen = |edge: &&Edge| {
        let says = |it: &Observed| it.source == edge.service && it.key == edge.key;
        !matches!(edge.does, "produces" | "sends") || observed.iter().any(says)
    };
    let unseen = declared.iter().filter(|edge| !is_seen(edge)).cloned().collect();
    let named = |is_meant: &dyn Fn(&QueueBody) -> bool| {
        let all =
            observed_queues.iter().flatten().filter(|queue| queue.declared && is_meant(queue));
        all.map(|queue| queue.name.clone()).collect()
    };
    let unobserved = Unobserved {
        edges: unseen,
        missing_queues: named(&|queue| !queue.exists),
        // Nobody consumes dead letters, and that is right.
        unconsumed_queues: named(&|queue| {
            queue.exists && queue.consumers == Some(0) && !queue.name.ends_with(".dlq")
        }),
    };
    Ok(Json(Topology {
        services: json!(bundle.services),
        layers: json!(bundle.topology),
        queues: json!(Declaration::of(bundle).queues),
        declared,
        since,
        observed,
        observed_queues,
        unobserved,
    }))
}

fn declared(bundle: &Bundle) -> Vec<Edge> {
    let mut edges = BTreeSet::new();
    for service in &bundle.services {
        let lists = [
            ("produces", &service.produces),
            ("consumes", &service.consumes),
            ("sends", &service.sends),
            ("handles", &service.handles),
        ];
        for (does, keys) in lists {
            let edge =
                |key: &String| Edge { service: service.name.clone(), does, key: key.clone() };
            edges.extend(keys.iter().map(edge));
        }
    }
    edges.into_iter().collect()
}

async fn observed(
    gateway: &Gateway,
    declared: &[Edge],
    since: DateTime<Utc>,
) -> Answer<Vec<Observed>> {
    let groups = gateway.store().stats(Some(since), None, By::KeyAndSource).await?;
    let mut all = Vec::new();
    for group in groups {
        let (key, source) = (group.key.unwrap_or_default(), group.source.unwrap_or_default());
        let last = match all.len() < MOST_LOOKED_UP {
            true => last(gateway, &key, &source).await?,
            false => None,
        };
        let may = |edge: &Edge| {
            edge.service == source && edge.key == key && matches!(edge.does, "produces" | "sends")
        };
        let declared = declared.iter().any(may);
        all.push(Observed { source, key, count: group.count, last, declared });
    }
    Ok(all)
}

async fn last(gateway: &Gateway, key: &str, source: &str) -> Answer<Option<DateTime<Utc>>> {
    // What travelled under no key that can be looked up was not published here.
    let Ok(key) = key.parse() else { return Ok(None) };
    let filter = Filter::new().with_key(key).with_source(source);
    let page = gateway.store().page(&filter, Order::Newest, 1, None).await?;
    Ok(page.events.first().map(|event| event.received))
}
