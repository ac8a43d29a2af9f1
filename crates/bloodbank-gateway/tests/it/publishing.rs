//! Events that are published, alone and in batches.

use axum::http::StatusCode;
use bloodbank_access::Access;
use bloodbank_gateway::Limits;
use bloodbank_testkit::catalog;
use candystore::Filter;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::served::{Served, clinic, mooring};

const CREATED: &str = "/events/terminal.mooring.created";

async fn count(served: &Served) -> u64 {
    served.store.count(&Filter::new()).await.unwrap()
}

#[tokio::test]
async fn an_event_is_published_with_all_that_is_said_of_it_and_read_back() {
    let served = Served::harbour().await;
    let cause = Uuid::now_v7();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let said = served
        .post(
            CREATED,
            &[
                ("X-Correlation-Id", &cause.to_string()),
                ("X-Causation-Id", &cause.to_string()),
                ("X-Session-Id", "s-1"),
                ("traceparent", trace),
            ],
            &mooring("Budget"),
        )
        .await;
    assert_eq!(said.status, StatusCode::ACCEPTED);
    let envelope = said.json();
    assert_eq!(envelope["event_type"], "terminal.mooring.created");
    assert_eq!(envelope["source"], "http");
    assert_eq!(envelope["correlation_id"], cause.to_string());
    assert_eq!(envelope["causation_id"], cause.to_string());
    assert_eq!(envelope["session_id"], "s-1");
    assert_eq!(envelope["traceparent"], trace);
    assert_eq!(envelope["data"]["topic"], "Budget");

    let found = served.get(said.header("location")).await.json();
    assert_eq!(found["envelope"], envelope);
    assert_eq!((&found["position"], &found["standing"]), (&json!(1), &json!("valid")));
    assert_eq!(served.get("/events/1").await.json(), found);
    let id = envelope["id"].as_str().unwrap().parse().unwrap();
    let stored = served.store.get(id).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&stored.body).unwrap(), envelope);
}

#[tokio::test]
async fn what_breaks_its_contract_is_refused_with_every_violation() {
    let served = Served::harbour().await;
    let mut broken = mooring("");
    broken["max_rounds"] = json!(11);
    let problem = served.post(CREATED, &[], &broken).await.problem(422, "payload-refused");
    assert_eq!(
        problem["violations"],
        json!([
            {
                "in": "payload", "pointer": "/topic",
                "message": "expected at least 1 character, found \"\"",
                "keyword": "minLength", "keyword_location": "/$defs/mooring/properties/topic/minLength",
            },
            {
                "in": "payload", "pointer": "/max_rounds",
                "message": "expected at most 10, found 11",
                "keyword": "maximum", "keyword_location": "/$defs/mooring/properties/max_rounds/maximum",
            },
        ]),
        "{problem:#}"
    );
    let same = served.post("/validate/terminal.mooring.created", &[], &broken).await;
    assert_eq!(same.problem(422, "payload-refused")["violations"], problem["violations"]);
    let valid = served.post("/validate/terminal.mooring.created", &[], &mooring("Budget")).await;
    assert_eq!(valid.json(), json!({ "key": "terminal.mooring.created", "valid": true }));
    assert_eq!(count(&served).await, 0);

    // The envelope's own fields, too.
    let long = "s".repeat(256);
    let said = served.post(CREATED, &[("X-Session-Id", &long)], &mooring("Budget")).await;
    let problem = said.problem(422, "payload-refused");
    assert_eq!(problem["violations"][0]["in"], "envelope");
    assert_eq!(problem["violations"][0]["pointer"], "/session_id");
}

#[tokio::test]
async fn a_key_that_nobody_knows_is_answered_with_those_that_look_like_it() {
    let served = Served::harbour().await;
    let said = served.post("/events/terminal.mooring.create", &[], &json!({})).await;
    let problem = said.problem(404, "wrong-kind");
    assert!(problem["detail"].as_str().unwrap().contains("/commands/terminal.mooring.create"));
    let said = served.post("/events/terminal.mooring.creatd", &[], &json!({})).await;
    let problem = said.problem(404, "unknown-key");
    let suggestions = problem["suggestions"].as_array().unwrap();
    assert!(suggestions.contains(&json!("terminal.mooring.created")), "{problem:#}");
    // Nothing of the harbour is known in the clinic.
    let served = Served::with(clinic(), |_| Access::open(), |gateway| gateway).await;
    served.post(CREATED, &[], &mooring("Budget")).await.problem(404, "unknown-key");
    let (desk, patient) = ([("X-Source", "desk")], json!({ "ward": "B2" }));
    let said = served.post("/events/clinic.patient.admitted", &desk, &patient).await;
    assert_eq!(said.json()["source"], "desk");
}

#[tokio::test]
async fn the_same_idempotency_key_is_answered_the_same_and_says_one_thing_only() {
    let served = Served::harbour().await;
    let key = [("Idempotency-Key", "order-7")];
    let first = served.post(CREATED, &key, &mooring("Budget")).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::ACCEPTED, ""));
    let again = served.post(CREATED, &key, &mooring("Budget")).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json(), first.json());
    let other = served.post(CREATED, &key, &mooring("Holidays")).await;
    assert_eq!(other.problem(409, "id-conflict")["id"], first.json()["id"]);

    // Who asks another instance, or this one after a restart, is answered from the store.
    let later = bloodbank_gateway::router(bloodbank_gateway::Gateway::new(
        served.bus.clone(),
        served.store.clone(),
        served.contracts.clone(),
        Access::open(),
    ));
    let later = Served { router: later, ..served };
    assert_eq!(later.post(CREATED, &key, &mooring("Budget")).await.json(), first.json());
    later.post(CREATED, &key, &mooring("Holidays")).await.problem(409, "id-conflict");
    assert_eq!(count(&later).await, 1);
    let totals = later.store.totals().await.unwrap();
    assert_eq!((totals.duplicates, totals.quarantined), (0, 0));
}

#[tokio::test]
async fn many_requests_with_one_idempotency_key_publish_once() {
    let served = Served::harbour().await;
    let (key, payload) = ([("Idempotency-Key", "k")], mooring("Budget"));
    let ask = || served.post(CREATED, &key, &payload);
    let answers = tokio::join!(ask(), ask(), ask(), ask());
    let all = [answers.0, answers.1, answers.2, answers.3];
    assert!(all.iter().all(|said| said.json() == all[0].json()), "{all:?}");
    let replayed = all.iter().filter(|said| said.header("idempotency-replayed") == "true");
    assert_eq!(replayed.count(), 3);
    assert_eq!(count(&served).await, 1);
}

#[tokio::test]
async fn a_source_that_is_named_has_the_rights_that_the_registry_gives_it() {
    let served = Served::harbour().await;
    let said = served.post(CREATED, &[("X-Source", "board")], &mooring("Budget")).await;
    assert_eq!((said.status, &said.json()["source"]), (StatusCode::ACCEPTED, &json!("board")));
    let said = served.post("/events/lot.parcel", &[("X-Source", "board")], &json!({"n": 1})).await;
    said.problem(403, "not-allowed");
    let said = served.post(CREATED, &[("X-Source", "nobody")], &mooring("Budget")).await;
    said.problem(403, "unknown-service");
    assert_eq!(count(&served).await, 1);
}

fn envelope(key: &str, source: &str, data: &Value) -> Value {
    json!({
        "id": Uuid::now_v7(), "event_type": key, "source": source,
        "timestamp": "2026-01-31T12:00:00Z", "data": data, "tenant": "kept",
    })
}

#[tokio::test]
async fn a_whole_envelope_is_published_as_it_is_under_the_same_rules() {
    let served = Served::harbour().await;
    let whole = envelope("terminal.mooring.created", "board", &mooring("Budget"));
    let said = served.post("/events", &[], &whole).await;
    assert_eq!(said.status, StatusCode::ACCEPTED);
    let answered = said.json();
    assert_eq!((&answered["id"], &answered["tenant"]), (&whole["id"], &whole["tenant"]));
    // Once more is the same message; with other contents it is another one under its id.
    assert_eq!(served.post("/events", &[], &whole).await.status, StatusCode::ACCEPTED);
    let mut other = whole.clone();
    other["data"]["topic"] = json!("Holidays");
    served.post("/events", &[], &other).await.problem(409, "id-conflict");
    assert_eq!(count(&served).await, 1);

    let wrong = envelope("lot.parcel", "board", &json!({}));
    served.post("/events", &[], &wrong).await.problem(403, "not-allowed");
    served.post("/events", &[], &json!({"id": 7})).await.problem(400, "envelope-malformed");
    let mut wrong = whole;
    wrong["source"] = json!("http");
    wrong["data"] = json!({});
    served.post("/events", &[], &wrong).await.problem(422, "payload-refused");
}

#[tokio::test]
async fn a_batch_is_answered_message_by_message_in_its_order() {
    let served = Served::harbour().await;
    let batch: Vec<Value> = (0..2_500)
        .map(|n| match n % 1_000 {
            7 => envelope("terminal.mooring.created", "http", &json!({})),
            8 => envelope("no.such.key", "http", &json!({})),
            9 => json!("not an envelope"),
            _ => envelope("lot.parcel", "http", &json!({ "n": n })),
        })
        .collect();
    let text: String = batch.iter().map(|line| format!("{line}\n")).collect();
    let kind = [("Content-Type", "application/x-ndjson")];
    let said = served.post_bytes("/events", &kind, format!("\n{text}\n")).await;
    assert_eq!(said.status, StatusCode::MULTI_STATUS);
    assert_eq!(said.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = said
        .body
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 2_500);
    for (n, line) in lines.iter().enumerate() {
        let (status, code) = match n % 1_000 {
            7 => (422, json!("payload-refused")),
            8 => (404, json!("unknown-key")),
            9 => (400, json!("envelope-malformed")),
            _ => (202, Value::Null),
        };
        assert_eq!((&line["number"], &line["status"]), (&json!(n + 1), &json!(status)), "{line:#}");
        assert_eq!(line["problem"]["code"], code);
        assert_eq!(line["id"], batch[n]["id"]);
    }
    // The store has them in the order of the batch.
    let mut pages = served.store.pages(Filter::new()).await.unwrap();
    let mut stored = Vec::new();
    loop {
        match pages.next().await.unwrap() {
            page if page.is_empty() => break,
            page => stored.extend(page.into_iter().map(|event| event.id.to_string())),
        }
    }
    let accepted = lines.iter().filter(|line| line["status"] == 202);
    let accepted: Vec<&str> = accepted.map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(stored, accepted);

    let all: Vec<&Value> = batch.iter().take(3).collect();
    let said = served.post("/events", &[], &json!(all)).await;
    assert_eq!(said.status, StatusCode::ACCEPTED);
    assert_eq!(said.json().as_array().unwrap().len(), 3);
    assert_eq!(count(&served).await, accepted.len() as u64);
}

#[tokio::test]
async fn a_batch_over_the_limits_is_refused_as_a_whole_and_the_limit_is_said() {
    let mut limits = Limits::default();
    (limits.batch, limits.batch_body) = (3, 2_000);
    let served =
        Served::with(catalog::contracts(), |_| Access::open(), |it| it.with_limits(limits)).await;
    let one = envelope("lot.parcel", "http", &json!({}));
    let problem =
        served.post("/events", &[], &json!(vec![&one; 4])).await.problem(413, "body-too-large");
    assert!(problem["detail"].as_str().unwrap().contains("at most 3 "), "{problem:#}");
    let large = envelope("lot.parcel", "http", &json!({ "x": "y".repeat(2_000) }));
    let problem = served.post("/events", &[], &json!([large])).await.problem(413, "body-too-large");
    assert!(problem["detail"].as_str().unwrap().contains("2000 bytes"), "{problem:#}");
    assert_eq!(count(&served).await, 0);
}
