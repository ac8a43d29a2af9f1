//! `GET /openapi.json`: the HTTP API, with an operation for each contract.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bloodbank_core::{Bundle, BundledContract, Code, Contracts, Kind};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::caller::Reader;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::{Gateway, conditional, router};

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// Get this document
#[utoipa::path(get, path = "/openapi.json", tag = "contracts",
    responses(
        (status = 200, description = "The API as OpenAPI 3.1.", body = Object,
            headers(("ETag" = String, description = "Names these contents"))),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        (status = "4XX", description = "It is not for this caller.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn openapi(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
    headers: HeaderMap,
) -> Answer<Response> {
    let wrong = |error: serde_json::Error| {
        Problem::internal(StatusCode::INTERNAL_SERVER_ERROR, Code::InternalError, error)
    };
    let document = document(&gateway.contracts()).map_err(wrong)?;
    let bytes = serde_json::to_vec(&document).map_err(wrong)?;
    Ok(conditional::answer(&headers, "application/json", bytes))
}

/// The HTTP API of a gateway with these contracts, as OpenAPI 3.1: each route, and beside it an operation
/// for each contract, with its schema and its examples.
///
/// # Errors
/// None that is known; the signature is serde's.
pub fn document(contracts: &Contracts) -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(router::routes().into_openapi())?;
    document["info"] = json!({
        "title": "Bloodbank",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "The event bus over HTTP: publish, read, follow and operate it.",
        "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
    });
    document["servers"] = json!([{ "url": "/" }]);
    document["security"] = json!([{}, { "token": [] }]);
    document["components"]["securitySchemes"] = json!({
        "token": {
            "type": "http", "scheme": "bearer",
            "description": "A token that was made for the caller; none is needed where the service has none.",
        },
    });
    let paths = without_wildcards(document["paths"].take());
    document["paths"] = with_contracts(contracts.bundle(), paths);
    for (name, schema) in &contracts.bundle().definitions {
        let mut schema = schema.clone();
        point_to_components(&mut schema);
        document["components"]["schemas"][component(name)] = schema;
    }
    Ok(document)
}

/// Paths as OpenAPI writes them: `{*path}` of the router is a parameter like any other.
fn without_wildcards(paths: Value) -> Map<String, Value> {
    let Value::Object(paths) = paths else { return Map::new() };
    paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect()
}

/// Adds an operation for each routing key.
fn with_contracts(bundle: &Bundle, mut paths: Map<String, Value>) -> Value {
    for contract in &bundle.contracts {
        let (folder, template) = match contract.kind {
            Kind::Event => ("events", "/events/{event}"),
            Kind::Command => ("commands", "/commands/{key}"),
        };
        let Some(operation) = paths.get(template).and_then(|item| item.get("post")).cloned() else {
            continue;
        };
        for route in contract.routes() {
            let own = operation_of(bundle, contract, &route, operation.clone());
            paths.insert(format!("/{folder}/{route}"), json!({ "post": own }));
        }
    }
    Value::Object(paths)
}

fn operation_of(
    bundle: &Bundle,
    contract: &BundledContract,
    route: &str,
    mut operation: Value,
) -> Value {
    let verb = if contract.kind == Kind::Event { "publish" } else { "send" };
    operation["operationId"] = format!("{verb}_{}", route.replace('.', "_")).into();
    operation["summary"] = contract.title.clone().into();
    operation["description"] = contract.description.clone().into();
    operation["tags"] = json!([route.split('.').next().unwrap_or(route)]);
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.retain(|parameter| parameter["in"] != "path");
    }
    let mut content = json!({ "schema": { "$ref": reference(&contract.definition) } });
    let examples = bundle.examples(contract).iter().enumerate();
    let examples: Map<String, Value> = examples
        .map(|(index, example)| (format!("example{}", index + 1), json!({ "value": example })))
        .collect();
    if !examples.is_empty() {
        content["examples"] = examples.into();
    }
    operation["requestBody"]["content"] = json!({ "application/json": content });
    if bundle.reply(contract).is_some() {
        let reply = format!("{}/x-bloodbank-reply", reference(&contract.definition));
        operation["responses"]["200"]["content"]["application/json"]["schema"] = json!({
            "type": "object",
            "required": ["id", "reply"],
            "properties": {
                "id": { "type": "string", "format": "uuid" },
                "reply": { "$ref": reply },
            },
        });
    }
    operation
}

/// The name of a definition of the bundle among the components; ours begin otherwise.
fn component(definition: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '.' };
    format!("contract.{}", definition.chars().map(plain).collect::<String>())
}

fn reference(definition: &str) -> String {
    format!("#/components/schemas/{}", component(definition))
}

/// References within the bundle, as references to components.
fn point_to_components(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value {
                    Value::String(target) if key == "$ref" || key == "$dynamicRef" => {
                        *target = moved(target);
                    }
                    _ => point_to_components(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(point_to_components),
        _ => {}
    }
}

fn moved(target: &str) -> String {
    let Some(rest) = target.strip_prefix("#/$defs/") else { return target.to_owned() };
    let (name, rest) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    // As JSON pointers write slashes; names of files have nothing else to be escaped.
    format!("{}{rest}", reference(&name.replace("~1", "/").replace("~0", "~")))
}
