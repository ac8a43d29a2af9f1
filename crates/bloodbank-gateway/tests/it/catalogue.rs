//! The contracts in force, and their schemas.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bloodbank_access::Access;
use bloodbank_testkit::catalog;
use serde_json::{Value, json};

use crate::served::{Answered, Served, clinic};

async fn ask_again(served: &Served, path: &str, tag: &str) -> Answered {
    let request = Request::get(path).header("If-None-Match", tag);
    served.ask(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_catalogue_is_that_of_the_contracts_in_force() {
    let served = Served::harbour().await;
    let said = served.get("/contracts").await;
    let listed = said.json();
    let keys: Vec<&str> = listed["contracts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), catalog::contracts().bundle().contracts.len());
    assert!(keys.contains(&"terminal.mooring.created.v2"), "{keys:?}");
    let first = &listed["contracts"][0];
    assert_eq!(
        (&first["key"], &first["kind"], &first["produced_by"]),
        (&json!("terminal.mooring.created"), &json!("event"), &json!(["board"]))
    );
    let tag = said.header("etag").to_owned();
    let again = ask_again(&served, "/contracts", &tag).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(again.header("etag"), tag);

    // Others are put in force, and nothing is left of these.
    served.contracts.replace(clinic());
    let said = ask_again(&served, "/contracts", &tag).await;
    assert_eq!(said.status, StatusCode::OK);
    assert_eq!(said.json()["contracts"].as_array().unwrap().len(), 1);
    served.get("/contracts/lot.parcel").await.problem(404, "unknown-key");
}

#[tokio::test]
async fn a_contract_comes_with_its_schema_as_a_document_of_its_own() {
    let served = Served::harbour().await;
    let contract = served.get("/contracts/terminal.mooring.created").await.json();
    let validator = jsonschema::validator_for(&contract["document"]).unwrap();
    assert!(validator.is_valid(&crate::served::mooring("Budget")));
    assert!(!validator.is_valid(&crate::served::mooring("")));
    let command = served.get("/contracts/terminal.mooring.count").await.json();
    let validator = jsonschema::validator_for(&command["reply"]).unwrap();
    assert!(validator.is_valid(&json!({ "ships": 3 })) && !validator.is_valid(&json!({})));
    let problem =
        served.get("/contracts/terminal.mooring.creatd").await.problem(404, "unknown-key");
    assert!(!problem["suggestions"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn schemas_are_served_by_their_paths_and_by_their_ids() {
    let served = Served::with(clinic(), |_| Access::open(), |it| it).await;
    let contract = served.get("/contracts/clinic.patient.admitted").await.json();
    let said = served.get(contract["schema"].as_str().unwrap()).await;
    assert_eq!(said.header("content-type"), "application/schema+json");
    let schema: Value = said.json();
    assert_eq!(schema["$id"], "https://clinic.test/patient.admitted.v1.json");
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&json!({ "ward": "B2" })) && !validator.is_valid(&json!({})));
    let by_id = served.get("/schemas/patient.admitted.v1.json").await;
    assert_eq!(by_id.body, said.body);
    let again = ask_again(&served, "/schemas/patient.admitted.v1.json", said.header("etag")).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    for path in ["/schemas/nothing.json", "/schemas/..%2f..%2fetc%2fpasswd", "/schemas/a/../../x"] {
        served.get(path).await.problem(404, "schema-missing");
    }
}
