//! Tokens: what each may do, and what nobody may do without one.

use axum::body::Body;
use axum::http::Request;
use bloodbank_access::{Access, Keys, Rights, TokenFile};
use bloodbank_testkit::catalog;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::served::{Answered, Served, clinic, mooring};

const CREATED: &str = "/events/terminal.mooring.created";

fn tokens(folder: &TempDir) -> TokenFile {
    TokenFile::at(folder.path().join("tokens.json"))
}

fn bearer(file: &TokenFile, name: &str, rights: Rights) -> String {
    format!("Bearer {}", file.create(name, rights).unwrap().as_str())
}

async fn get(served: &Served, path: &str, token: &str) -> Answered {
    served.ask(Request::get(path).header("Authorization", token).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn each_token_does_what_it_may_and_nothing_else() {
    let open = |folder: &TempDir| Access::by(tokens(folder));
    let served = Served::with(catalog::contracts(), open, |gateway| gateway).await;
    let file = tokens(&served.folder);
    let parcels = Keys::Patterns { publish: vec!["lot.#".parse().unwrap()], send: Vec::new() };
    let porter = bearer(&file, "porter", Rights::none().with_keys(parcels));
    let board = bearer(&file, "front", Rights::none().with_keys(Keys::Service("board".to_owned())));
    let reader = bearer(&file, "reader", Rights::none().with_read());

    let said = served.post(CREATED, &[], &mooring("Budget")).await;
    said.problem(401, "token-missing");
    assert!(said.header("www-authenticate").starts_with("Bearer"), "{said:?}");
    for wrong in ["Bearer x", "Basic eDp5", "Bearer", "bb_1"] {
        let said = served.post(CREATED, &[("Authorization", wrong)], &mooring("Budget")).await;
        said.problem(401, "token-unknown");
    }
    let post = async |path: &str, token: &str, source: Option<&str>, payload: &Value| {
        let mut headers = vec![("Authorization", token)];
        headers.extend(source.map(|source| ("X-Source", source)));
        served.post(path, &headers, payload).await
    };
    let parcel = json!({ "n": 1 });
    let said = post("/events/lot.parcel", &porter, None, &parcel).await;
    assert_eq!(said.json()["source"], "porter");
    post(CREATED, &porter, None, &mooring("Budget")).await.problem(403, "right-missing");
    post("/events/lot.parcel", &porter, Some("board"), &parcel).await.problem(403, "right-missing");
    post("/commands/terminal.mooring.create", &porter, None, &json!({}))
        .await
        .problem(403, "right-missing");
    let said = post(CREATED, &board, None, &mooring("Budget")).await;
    assert_eq!(said.json()["source"], "board");
    post("/events/lot.parcel", &board, None, &parcel).await.problem(403, "not-allowed");
    post("/events/lot.parcel", &reader, None, &parcel).await.problem(403, "right-missing");
    let whole = json!({
        "id": uuid::Uuid::now_v7(), "event_type": "lot.parcel", "source": "board",
        "timestamp": "2026-01-31T12:00:00Z", "data": {},
    });
    post("/events", &porter, None, &whole).await.problem(403, "right-missing");

    for path in ["/events", "/events/1", "/stats"] {
        served.get(path).await.problem(401, "token-missing");
        get(&served, path, &porter).await.problem(403, "right-missing");
        assert_eq!(get(&served, path, &reader).await.status, 200, "{path}");
    }
    for path in ["/health", "/ready"] {
        assert_eq!(served.get(path).await.status, 200, "{path}");
    }
    file.revoke("reader").unwrap();
    get(&served, "/events", &reader).await.problem(401, "token-unknown");
}

#[tokio::test]
async fn what_is_sensitive_is_hidden_from_who_may_not_see_it() {
    let open = |folder: &TempDir| Access::by(tokens(folder));
    let served = Served::with(clinic(), open, |gateway| gateway).await;
    let file = tokens(&served.folder);
    let writer = bearer(&file, "desk", Rights::all());
    let reader = bearer(&file, "reader", Rights::none().with_read());
    let payload = json!({ "ward": "B2", "diagnosis": "measles" });
    let admitted = "/events/clinic.patient.admitted";
    let said = served.post(admitted, &[("Authorization", &writer)], &payload).await;
    let place = said.header("location").to_owned();
    let id = said.json()["id"].as_str().unwrap().to_owned();
    for path in [
        &place,
        "/events",
        "/events?where=/ward=%22B2%22",
        &format!("/events/{id}/chain"),
        &format!("/events/{id}/deliveries"),
    ] {
        let said = get(&served, path, &reader).await;
        assert_eq!(said.status, 200, "{path}");
        assert!(!String::from_utf8_lossy(&said.body).contains("measles"), "{path}");
    }
    assert_eq!(
        get(&served, &place, &reader).await.json()["envelope"]["data"]["diagnosis"],
        "(hidden)"
    );
    assert_eq!(
        get(&served, &place, &writer).await.json()["envelope"]["data"]["diagnosis"],
        "measles"
    );
    // Nor may it be found out by asking for it.
    let guess = "/events?where=/diagnosis=%22measles%22";
    get(&served, guess, &reader).await.problem(403, "right-missing");
    assert_eq!(get(&served, guess, &writer).await.json()["events"].as_array().unwrap().len(), 1);

    let broken = json!({ "ward": "B2", "diagnosis": "something long and private" });
    let said = served.post(admitted, &[("Authorization", &writer)], &broken).await;
    said.problem(422, "payload-refused");
    assert!(!String::from_utf8_lossy(&said.body).contains("private"));
}
