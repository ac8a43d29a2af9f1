//! The document of the API: it says what the routes do, and nothing else.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use bloodbank_access::Access;
use bloodbank_testkit::catalog;
use serde_json::{Value, json};

use crate::served::{Answered, Served, clinic, mooring};

async fn document(served: &Served) -> Value {
    let said = served.get("/openapi.json").await;
    assert!(said.header("etag").starts_with("W/"));
    said.json()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    all
}

/// Whether the document says that an operation may be answered so, and the body is as it says.
fn check(document: &Value, operation: &Value, name: &str, said: &Answered) {
    let status = said.status.as_u16().to_string();
    let range = format!("{}XX", &status[..1]);
    let answers = &operation["responses"];
    let answer = answers.get(&status).or_else(|| answers.get(&range));
    let answer = answer.unwrap_or_else(|| panic!("{name}: {status} is not in the document"));
    let kind = said.header("content-type").split(';').next().unwrap();
    if said.body.is_empty() {
        return;
    }
    let content = answer["content"].get(kind);
    let content =
        content.unwrap_or_else(|| panic!("{name}: {status} with {kind} is not in the document"));
    if !kind.ends_with("json") {
        return;
    }
    let mut schema = content["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::options().build(&schema).unwrap();
    let body = said.json();
    let errors: Vec<String> = validator
        .iter_errors(&body)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:?}\n{body:#}");
}

#[tokio::test]
async fn every_operation_is_answered_as_the_document_says() {
    let served = Served::harbour().await;
    let id = served.post("/events/lot.parcel", &[], &json!({ "n": 1 })).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let document = document(&served).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let all = operations(&document);
    for (path, method, operation) in &all {
        let filled = path
            .replace("{event}", if method == "post" { "lot.parcel" } else { &id })
            .replace(
                "{key}",
                if path.starts_with("/commands") {
                    "terminal.mooring.create"
                } else {
                    "lot.parcel"
                },
            )
            .replace("{path}", "mooring.json")
            .replace("{queue}", "depot")
            .replace("{id}", &id);
        if path == "/stream" {
            continue; // It does not end.
        }
        let name = format!("{method} {filled}");
        let ask = async |body: &'static str| {
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(&filled);
            let request = request.header("Content-Type", "application/json").body(Body::from(body));
            served.ask(request.unwrap()).await
        };
        let said = ask("{}").await;
        assert_ne!(said.status, 405, "{name}");
        assert!(!String::from_utf8_lossy(&said.body).contains("route-missing"), "{name}");
        check(&document, operation, &name, &said);
        if method == "post" {
            check(&document, operation, &name, &ask("{").await);
            check(&document, operation, &name, &ask("[7]").await);
        }
        let wrong = format!("{filled}?no_such=1");
        let request = Request::builder().method(method.to_uppercase().as_str()).uri(&wrong);
        let request = request.header("Content-Type", "application/json").body(Body::from("{}"));
        check(&document, operation, &name, &served.ask(request.unwrap()).await);
    }
}

#[tokio::test]
async fn every_contract_is_an_operation_with_its_schema_and_examples() {
    let served = Served::with(clinic(), |_| Access::open(), |it| it).await;
    let document = document(&served).await;
    let operation = &document["paths"]["/events/clinic.patient.admitted"]["post"];
    assert_eq!(operation["summary"], "A patient was admitted");
    let content = &operation["requestBody"]["content"]["application/json"];
    let mut schema = content["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let example = &content["examples"]["example1"]["value"];
    assert!(validator.is_valid(example) && !validator.is_valid(&json!({})));
    let said = served.post("/events/clinic.patient.admitted", &[], example).await;
    assert_eq!(said.status, 202);
    check(&document, operation, "publish", &said);
    assert!(document["paths"].get("/events/lot.parcel").is_none());

    let served = Served::harbour().await;
    let document = self::document(&served).await;
    for contract in &catalog::contracts().bundle().contracts {
        for route in contract.routes() {
            let folder =
                if contract.kind == bloodbank_core::Kind::Event { "events" } else { "commands" };
            assert!(document["paths"][format!("/{folder}/{route}")]["post"].is_object(), "{route}");
        }
    }
    let reply = &document["paths"]["/commands/terminal.mooring.count"]["post"]["responses"]["200"];
    let mut schema = reply["content"]["application/json"]["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let id = "0195c3b9-4e77-7a21-9d38-5c0b6f1e2a94";
    assert!(validator.is_valid(&json!({ "id": id, "reply": { "ships": 3 } })));
    assert!(!validator.is_valid(&json!({ "id": id, "reply": {} })));
    let operation = &document["paths"]["/events/terminal.mooring.created"]["post"];
    let said = served.post("/events/terminal.mooring.created", &[], &mooring("Budget")).await;
    check(&document, operation, "publish", &said);
}

#[tokio::test]
async fn the_document_holds_together() {
    let served = Served::harbour().await;
    let document = document(&served).await;
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id.clone()), "{id} stands twice");
        assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{method} {path}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let named = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let named: BTreeSet<&str> =
            named.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        let in_path: BTreeSet<&str> =
            path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        assert_eq!(named, in_path, "{method} {path}");
    }
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(&target[1..]).is_some(), "{target} leads nowhere");
        }
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_page_for_people_takes_nothing_from_elsewhere() {
    let served = Served::harbour().await;
    for (path, kind) in [
        ("/docs", "text/html"),
        ("/docs/docs.js", "text/javascript"),
        ("/docs/docs.css", "text/css"),
    ] {
        let said = served.get(path).await;
        assert_eq!(said.status, 200, "{path}");
        assert!(said.header("content-type").starts_with(kind), "{path}");
        let policy = said.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
            "{policy}"
        );
        let text = String::from_utf8(said.body).unwrap();
        for other in ["http://", "https://", "innerHTML", "eval(", "style=\"", "onclick="] {
            assert!(!text.contains(other), "{path} has {other}");
        }
    }
}
