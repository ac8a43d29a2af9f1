//! `GET /contracts` and `/schemas`: the catalogue in force.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bloodbank_core::{Bundle, BundledContract, BundledService, Code, Contracts, Kind};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::caller::Reader;
use crate::parameters::Path;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::{Gateway, conditional};

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(contracts))
        .routes(routes!(contract))
        .routes(routes!(schema))
}

/// The contracts in force.
#[derive(Debug, Serialize, ToSchema)]
struct Catalogue {
    /// Each routing key.
    contracts: Vec<Entry>,
}

/// A routing key and its contract.
#[derive(Debug, Serialize, ToSchema)]
struct Entry {
    /// The routing key, with its version.
    key: String,
    /// `event` or `command`.
    kind: &'static str,
    /// The version of the contract.
    version: u32,
    /// The `$id` of its schema, else the path of its file.
    schema_id: String,
    /// What it is, in a few words.
    title: String,
    /// What it is about.
    description: String,
    /// Where its schema is served.
    schema: String,
    /// The services that may publish or send it.
    produced_by: Vec<String>,
    /// The services that listen to it or carry it out.
    consumed_by: Vec<String>,
}

/// A contract with all that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
struct WholeContract {
    /// The same as in the list.
    #[serde(flatten)]
    entry: Entry,
    /// The schema of the payload, as a document of its own (JSON Schema 2020-12).
    document: Value,
    /// The schema of what a command is answered with, if it says.
    reply: Option<Value>,
    /// Payloads that keep it.
    examples: Vec<Value>,
    /// Payloads that break it, and why.
    counterexamples: Vec<CounterexampleBody>,
}

/// A payload that breaks its contract.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Counterexample)]
struct CounterexampleBody {
    /// What is wrong with it.
    why: String,
    /// The payload.
    data: Value,
}

impl Entry {
    fn of(bundle: &Bundle, contract: &BundledContract, route: String) -> Self {
        let named = |may: &dyn Fn(&BundledService) -> bool| {
            let services = bundle.services.iter().filter(|service| may(service));
            services.map(|service| service.name.clone()).collect()
        };
        let (produced_by, consumed_by) = match contract.kind {
            Kind::Event => (
                named(&|service| service.produces.contains(&route)),
                named(&|service| service.consumes.contains(&route)),
            ),
            Kind::Command => (
                named(&|service| service.sends.contains(&route)),
                named(&|service| service.handles.contains(&route)),
            ),
        };
        Entry {
            key: route,
            kind: contract.kind.as_str(),
            version: contract.version,
            schema_id: contract.schema_id.clone(),
            title: contract.title.clone(),
            description: contract.description.clone(),
            schema: format!("/schemas/{}.json", contract.definition),
            produced_by,
            consumed_by,
        }
    }
}

/// List the contracts
#[utoipa::path(get, path = "/contracts", tag = "contracts",
    responses(
        (status = 200, description = "The contracts in force.", body = Catalogue,
            headers(("ETag" = String, description = "Names these contents"))),
        (status = 304, description = "They are those that `If-None-Match` names."),
        (status = "4XX", description = "It is not for this caller.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn contracts(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    headers: HeaderMap,
) -> Answer<Response> {
    let contracts = gateway.contracts();
    let bundle = contracts.bundle();
    let all = bundle.contracts.iter().flat_map(|contract| {
        contract.routes().map(move |route| Entry::of(bundle, contract, route))
    });
    json_of(&headers, &Catalogue { contracts: all.collect() })
}

/// Get a contract
///
/// With its schema as a document of its own, its examples, and who may use it.
#[utoipa::path(get, path = "/contracts/{key}", tag = "contracts",
    params(("key" = String, Path, description = "The routing key, with its version from 2 on")),
    responses(
        (status = 200, description = "The contract.", body = WholeContract,
            headers(("ETag" = String, description = "Names these contents"))),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        (status = "4XX", description = "There is none, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn contract(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    let contracts = gateway.contracts();
    let (bundle, contract) = (contracts.bundle(), contracts.find(&key)?);
    let counterexamples = bundle.counterexamples(contract);
    let whole = WholeContract {
        entry: Entry::of(bundle, contract, key),
        document: bundle.document(contract),
        reply: bundle.reply_document(contract),
        examples: bundle.examples(contract).to_vec(),
        counterexamples: counterexamples
            .map(|it| CounterexampleBody { why: it.why.to_owned(), data: it.data.clone() })
            .collect(),
    };
    json_of(&headers, &whole)
}

/// Get a schema
///
/// By the path of its file, or by the path of its `$id`: where the host of the `$id`s is this one, they
/// resolve. The document needs no other.
#[utoipa::path(get, path = "/schemas/{*path}", tag = "contracts",
    params(("path" = String, Path, description = "The path of the schema: `theboard/meeting.created.v1.json`")),
    responses(
        (status = 200, description = "The schema.", body = Object, content_type = "application/schema+json",
            headers(("ETag" = String, description = "Names these contents"))),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        (status = "4XX", description = "There is none, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
async fn schema(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    let contracts = gateway.contracts();
    let document = document(&contracts, &path).ok_or_else(|| {
        let detail = "no schema of the contracts in force has this path";
        Problem::new(StatusCode::NOT_FOUND, Code::SchemaMissing, detail)
    })?;
    Ok(conditional::answer(&headers, "application/schema+json", bytes(&document)?))
}

fn document(contracts: &Contracts, path: &str) -> Option<Value> {
    let bundle = contracts.bundle();
    let ends = [format!("/{path}"), format!("/schemas/{path}")];
    let is_meant = |contract: &&BundledContract| {
        contract.uri().and_then(path_of).is_some_and(|id| ends.iter().any(|end| end == id))
    };
    let name = path.trim_end_matches(".json").trim_end_matches(".schema");
    let by_file = bundle.contracts.iter().find(|contract| contract.definition == name);
    if let Some(contract) = by_file.or_else(|| bundle.contracts.iter().find(is_meant)) {
        let mut document = bundle.document(contract);
        if let Some(id) = contract.uri() {
            document["$id"] = json!(id);
        }
        return Some(document);
    }
    // What contracts share has no key of its own.
    let mut library = bundle.contracts.first()?.clone();
    bundle.definitions.contains_key(name).then(|| {
        library.definition = name.to_owned();
        bundle.document(&library)
    })
}

/// The path of a URI with a host.
fn path_of(uri: &str) -> Option<&str> {
    let rest = uri.split_once("://")?.1;
    rest.find('/').map(|at| &rest[at..])
}

fn json_of(headers: &HeaderMap, body: &impl Serialize) -> Answer<Response> {
    Ok(conditional::answer(headers, "application/json", bytes(body)?))
}

fn bytes(body: &impl Serialize) -> Answer<Vec<u8>> {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    serde_json::to_vec(body).map_err(|error| Problem::internal(status, Code::InternalError, error))
}
