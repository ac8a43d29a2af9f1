//! What is stored, found again.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::served::{Served, mooring};

async fn filled(parcels: u32) -> Served {
    let served = Served::harbour().await;
    for n in 0..parcels {
        let said = served.post("/events/lot.parcel", &[], &json!({ "n": n })).await;
        assert_eq!(said.status, StatusCode::ACCEPTED);
    }
    served
}

fn numbers(page: &Value) -> Vec<u64> {
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["envelope"]["data"]["n"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pages_lead_to_each_other_by_link_and_by_cursor() {
    let served = filled(7).await;
    let (mut path, mut seen) = ("/events?limit=3&key=lot.%23&order=oldest".to_owned(), Vec::new());
    loop {
        let said = served.get(&path).await;
        let page = said.json();
        seen.extend(numbers(&page));
        let link = said.header("link");
        assert_eq!(link.is_empty(), page["next"].is_null(), "{link}");
        let Some(next) = page["next"].as_str() else { break };
        assert!(link.ends_with("; rel=\"next\"") && link.contains(next), "{link}");
        let to = link.trim_start_matches('<').split('>').next().unwrap();
        assert!(to.contains("key=lot.%23") && to.contains("limit=3"), "{link}");
        path = to.to_owned();
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
    let newest = served.get("/events?limit=2").await.json();
    assert_eq!(numbers(&newest), [6, 5]);
    let next = newest["next"].as_str().unwrap();
    served
        .get(&format!("/events?limit=2&order=oldest&cursor={next}"))
        .await
        .problem(400, "cursor-order");
    served
        .get(&format!("/events?key=lot.parcel&cursor={next}"))
        .await
        .problem(400, "cursor-filter");
}

#[tokio::test]
async fn filters_are_those_of_the_store() {
    let served = filled(3).await;
    let headers = [("X-Source", "board"), ("X-Session-Id", "s 1")];
    let said = served.post("/events/terminal.mooring.created", &headers, &mooring("Budget")).await;
    let id = said.json()["id"].as_str().unwrap().to_owned();
    let count = async |query: &str| {
        let page = served.get(&format!("/events?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}");
        page.json()["events"].as_array().unwrap().len()
    };
    for (query, expected) in [
        ("", 4),
        ("key=lot.parcel&key=terminal.%23", 4),
        ("key=lot.*", 3),
        ("source=board", 1),
        ("session=s%201", 1),
        ("session=s+1", 1),
        ("standing=valid", 4),
        ("standing=invalid", 0),
        ("first=2&last=3", 2),
        ("since=1h", 4),
        ("until=1h", 0),
        ("since=2999-01-01T00:00:00Z", 0),
        ("where=/n=1", 1),
        ("where=/topic=%22Budget%22", 1),
        ("commands=true", 4),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
    assert_eq!(count(&format!("correlation={id}")).await, 1);
}

#[tokio::test]
async fn what_followed_from_an_event_is_shown_below_it() {
    let served = Served::harbour().await;
    let first = served.post("/events/lot.parcel", &[], &json!({ "n": 0 })).await.json();
    let id = first["id"].as_str().unwrap();
    let because = [("X-Correlation-Id", id), ("X-Causation-Id", id)];
    for n in 1..4 {
        served.post("/events/lot.parcel", &because, &json!({ "n": n })).await;
    }
    let chain = served.get(&format!("/events/{id}/chain?limit=3")).await.json();
    let links = chain["links"].as_array().unwrap();
    let depths: Vec<_> = links.iter().map(|link| (&link["depth"], &link["cause"])).collect();
    let (none, stored) = (json!("none"), json!("stored"));
    let (top, below) = (json!(0), json!(1));
    assert_eq!(depths, [(&top, &none), (&below, &stored), (&below, &stored)]);
    let next = chain["next"].as_u64().unwrap();
    let rest = served.get(&format!("/events/{id}/chain?after={next}")).await.json();
    assert_eq!(rest["links"].as_array().unwrap().len(), 1);
    let nobody = uuid::Uuid::now_v7();
    served.get(&format!("/events/{nobody}/chain")).await.problem(404, "event-missing");
    served.get(&format!("/events/{nobody}/deliveries")).await.problem(404, "event-missing");
}

#[tokio::test]
async fn deliveries_say_where_a_message_went() {
    let served = Served::harbour().await;
    let queue = bloodbank_testkit::catalog::queue("depot", &["lot.parcel"]);
    let topology = bloodbank_bus::Topology::new().with_queue(queue);
    bloodbank_bus::Transport::declare(&*served.bus, &topology).await.unwrap();
    let said = served.post("/events/lot.parcel", &[], &json!({ "n": 0 })).await.json();
    let id = said["id"].as_str().unwrap();
    let known = served.get(&format!("/events/{id}/deliveries")).await.json();
    assert_eq!(
        (&known["event"]["key"], &known["event"]["position"]),
        (&json!("lot.parcel"), &json!(1))
    );
    assert_eq!(known["queues"][0]["queue"], "depot");
    assert_eq!(known["queues"][0]["held"][0]["state"], "unread");
}

#[tokio::test]
async fn figures_count_by_key_source_and_time() {
    let served = filled(3).await;
    let board = [("X-Source", "board")];
    served.post("/events/terminal.mooring.created", &board, &mooring("Budget")).await;
    let stats = served.get("/stats").await.json();
    assert_eq!((&stats["by"], &stats["totals"]["events"]), (&json!("key"), &json!(4)));
    let groups = stats["groups"].as_array().unwrap();
    let counts: Vec<_> = groups.iter().map(|group| (&group["key"], &group["count"])).collect();
    let (parcel, created) = (json!("lot.parcel"), json!("terminal.mooring.created"));
    assert_eq!(counts, [(&parcel, &json!(3)), (&created, &json!(1))]);
    assert!(groups[0]["latency"]["p99_us"].as_i64().unwrap() >= 0, "{stats:#}");
    assert!(groups[0]["per_second"].as_f64().unwrap() > 0.0, "{stats:#}");
    let by = served.get("/stats?by=source&since=10m").await.json();
    assert_eq!(
        (&by["groups"][0]["source"], &by["groups"][0]["count"]),
        (&json!("board"), &json!(1))
    );
    for by in ["each", "minute", "hour", "day"] {
        let stats = served.get(&format!("/stats?by={by}")).await.json();
        let counts = stats["groups"].as_array().unwrap().iter();
        assert_eq!(counts.map(|group| group["count"].as_u64().unwrap()).sum::<u64>(), 4, "{by}");
    }
    let none = served.get("/stats?until=1h&since=2h").await.json();
    assert_eq!(none["groups"], json!([]));
    served.get("/stats?by=colour").await.problem(400, "parameter-refused");
}
