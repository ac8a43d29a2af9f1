//! Errors: each is a problem that says what to do, and none tells anything of the inside.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bloodbank_access::Access;
use bloodbank_bus::Transport;
use bloodbank_gateway::Limits;
use bloodbank_testkit::catalog;
use serde_json::json;

use crate::served::{Served, mooring};

#[tokio::test]
async fn a_path_and_a_method_that_are_not_there() {
    let served = Served::harbour().await;
    served.get("/nothing").await.problem(404, "route-missing");
    served.get("/%2e%2e/%2e%2e/etc/passwd").await.problem(404, "route-missing");
    let request = Request::put("/events").body(Body::empty()).unwrap();
    let said = served.ask(request).await;
    said.problem(405, "method-refused");
    let mut allowed: Vec<&str> = said.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    let request = Request::builder().method(Method::OPTIONS).uri("/events");
    let said = served.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(said.status, StatusCode::NO_CONTENT);
    assert!(said.header("allow").contains("POST"), "{said:?}");
    let request = Request::head("/events").body(Body::empty()).unwrap();
    let said = served.ask(request).await;
    assert_eq!((said.status, said.body.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn a_body_of_another_kind_or_size_is_refused() {
    let mut limits = Limits::default();
    limits.body = 1_000;
    let served =
        Served::with(catalog::contracts(), |_| Access::open(), |it| it.with_limits(limits)).await;
    let path = "/events/lot.parcel";
    let post = async |kind: &str, body: &str| {
        served.post_bytes(path, &[("Content-Type", kind)], body.to_owned()).await
    };
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "json",
        "application/x-ndjson",
    ] {
        post(kind, "{}").await.problem(415, "media-type-refused");
    }
    served.post_bytes(path, &[], "{}").await.problem(415, "media-type-refused");
    let encoded = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    served.post_bytes(path, &encoded, "{}").await.problem(415, "media-type-refused");

    let json = "application/json; charset=utf-8";
    assert_eq!(post(json, "{}").await.status, StatusCode::ACCEPTED);
    for (body, place) in [
        ("", "line 1, column 0"),
        ("{", "line 1"),
        ("{}x", "line 1, column 3"),
        ("\u{feff}{}", "line 1, column 1"),
    ] {
        let problem = post(json, body).await.problem(400, "not-json");
        assert!(problem["detail"].as_str().unwrap().starts_with(place), "{body}: {problem:#}");
    }
    let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
    let problem = post(json, &deep).await.problem(400, "not-json");
    assert!(problem["detail"].as_str().unwrap().contains("recursion"), "{problem:#}");
    served
        .post_bytes(path, &[("Content-Type", json)], b"{\"a\":\"\xff\"}".to_vec())
        .await
        .problem(400, "not-json");
    let large = json!({ "x": "y".repeat(1_000) }).to_string();
    let problem = post(json, &large).await.problem(413, "body-too-large");
    assert!(problem["detail"].as_str().unwrap().contains("1000 bytes"), "{problem:#}");
    // What is JSON and not a payload is for the contract to say.
    post(json, "7").await.problem(422, "payload-refused");
}

#[tokio::test]
async fn a_parameter_that_is_not_what_it_should_be_is_named() {
    let served = Served::harbour().await;
    for (query, named) in [
        ("limit=many", "limit"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limits=1", "limits"),
        ("access_token=x", "access_token"),
        ("key=A..b", "key"),
        ("correlation=x", "correlation"),
        ("since=tomorrow", "since"),
        ("standing=good", "standing"),
        ("first=-1", "first"),
    ] {
        let problem =
            served.get(&format!("/events?{query}")).await.problem(400, "parameter-refused");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{query}: {problem:#}");
    }
    served.get("/events?where=topic").await.problem(400, "parameter-refused");
    served.get("/events?cursor=x").await.problem(400, "cursor-foreign");
    served.get("/events/x").await.problem(400, "parameter-refused");
    served.get("/events/%ff").await.problem(400, "parameter-refused");
    served.get("/events/x/chain").await.problem(400, "parameter-refused");
    served.get("/events/99").await.problem(404, "event-missing");
    for (name, value) in
        [("X-Correlation-Id", "x"), ("X-Causation-Id", ""), ("Idempotency-Key", "")]
    {
        let said = served.post("/events/lot.parcel", &[(name, value)], &json!({})).await;
        let problem = said.problem(400, "parameter-refused");
        assert!(problem["detail"].as_str().unwrap().contains(name), "{problem:#}");
    }
}

#[tokio::test]
async fn what_does_not_work_at_the_moment_says_when_to_try_again_and_nothing_of_the_inside() {
    let served = Served::harbour().await;
    assert_eq!(served.get("/ready").await.status, StatusCode::OK);
    served.bus.close().await;
    let said = served.post("/events/terminal.mooring.created", &[], &mooring("Budget")).await;
    let problem = said.problem(503, "bus-closed");
    assert_eq!(said.header("retry-after"), "2");
    assert!(problem["id"].is_string(), "{problem:#}");
    let said = served.get("/ready").await;
    assert_eq!(said.status, StatusCode::SERVICE_UNAVAILABLE);
    let health = said.json();
    assert_eq!(
        (&health["parts"][0]["name"], &health["parts"][0]["code"]),
        (&json!("bus"), &json!("bus-closed"))
    );
    assert_eq!(served.get("/health").await.status, StatusCode::OK);

    // A store that was taken away.
    let path = served.folder.path().join("store.db");
    std::fs::remove_file(&path).unwrap();
    let said = served.post("/events/lot.parcel", &[("Idempotency-Key", "k")], &json!({})).await;
    let folder = served.folder.path().to_string_lossy().into_owned();
    assert!(!String::from_utf8_lossy(&said.body).contains(&folder), "{said:?}");
}

#[tokio::test]
async fn an_id_of_a_request_is_the_callers_if_it_is_plain() {
    let served = Served::harbour().await;
    let ask = async |id: &str| {
        let request = Request::get("/nothing").header("X-Request-Id", id);
        served.ask(request.body(Body::empty()).unwrap()).await
    };
    let said = ask("abc-1").await;
    assert_eq!(said.problem(404, "route-missing")["instance"], "urn:bloodbank:request:abc-1");
    let said = ask("a b\"").await;
    assert_ne!(said.header("x-request-id"), "a b\"");
    said.problem(404, "route-missing");
}
