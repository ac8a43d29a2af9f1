//! Queues, dead letters, replays, contracts and the audit.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bloodbank_access::{Access, Keys, Rights, TokenFile};
use bloodbank_bus::{Reason, Settlement, Subscription, Topology, Transport};
use bloodbank_gateway::{Gateway, Reloaded};
use bloodbank_testkit::catalog;
use candystore::{AuditFilter, Embedded};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::served::{Answered, Served, clinic};

const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway that knows its queues, one of which has its dead letters: `depot`, with so many of them.
async fn with_dead_letters(count: u32) -> Served {
    let served = Served::harbour().await;
    let bus: Embedded = (*served.bus).clone();
    let gateway = served.gateway.clone().with_queues(bus);
    let served = Served { router: bloodbank_gateway::router(gateway.clone()), gateway, ..served };
    let queue = catalog::queue("depot", &["lot.parcel"]);
    served.bus.declare(&Topology::new().with_parked_queue(queue)).await.unwrap();
    for n in 0..count {
        served.post("/events/lot.parcel", &[], &json!({ "n": n })).await;
    }
    let mut deliveries = served.bus.subscribe(Subscription::new("depot")).await.unwrap();
    for _ in 0..count {
        let delivery = timeout(PATIENCE, deliveries.recv()).await.unwrap().unwrap();
        let parked = Settlement::parked(&delivery, Reason::Exhausted, "no berth is free");
        served.bus.settle(&delivery, parked).await.unwrap();
    }
    deliveries.close().await;
    served
}

async fn waiting(served: &Served, queue: &str) -> Value {
    let said = served.get("/queues").await.json();
    let queues = said["queues"].as_array().unwrap();
    queues.iter().find(|it| it["name"] == queue).unwrap()["waiting"].clone()
}

#[tokio::test]
async fn dead_letters_are_listed_brought_back_and_let_go_when_that_is_confirmed() {
    let served = with_dead_letters(3).await;
    let listed = served.get("/dlq").await.json();
    assert_eq!(listed["queues"], json!([{ "queue": "depot.dlq", "messages": 3 }]));
    let letters = served.get("/dlq/depot?limit=2").await.json();
    assert_eq!((&letters["count"], &letters["reasons"]), (&json!(3), &json!({ "exhausted": 3 })));
    let shown = letters["letters"].as_array().unwrap();
    assert_eq!(shown.len(), 2);
    assert_eq!(
        (&shown[0]["error"], &shown[0]["parked_from"]),
        (&json!("no berth is free"), &json!("depot"))
    );
    let id = shown[0]["envelope"]["id"].as_str().unwrap();

    let dry = served.post(&format!("/dlq/depot.dlq/redrive?id={id}"), &[], &json!({})).await.json();
    assert_eq!((&dry["dry_run"], &dry["count"]), (&json!(true), &json!(1)));
    assert_eq!(waiting(&served, "depot.dlq").await, 3);
    let path = format!("/dlq/depot.dlq/redrive?id={id}&confirm=true");
    let done = served.post(&path, &[], &json!({})).await.json();
    assert_eq!(
        (&done["dry_run"], &done["count"], &done["stayed"]),
        (&json!(false), &json!(1), &json!([]))
    );
    assert_eq!(
        (waiting(&served, "depot").await, waiting(&served, "depot.dlq").await),
        (json!(1), json!(2))
    );

    let dry = served.post("/dlq/depot/purge?reason=exhausted", &[], &json!({})).await.json();
    assert_eq!((&dry["dry_run"], &dry["count"]), (&json!(true), &json!(2)));
    let done = served.post("/dlq/depot/purge?confirm=true", &[], &json!({})).await.json();
    assert_eq!((&done["dry_run"], &done["count"]), (&json!(false), &json!(2)));
    assert_eq!(waiting(&served, "depot.dlq").await, 0);

    served.get("/dlq/nothing").await.problem(404, "queue-undeclared");
    served.get("/dlq/depot?reason=boredom").await.problem(400, "parameter-refused");
    let audit = served.get("/audit").await.json();
    let lines: Vec<(&str, &str, &str)> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["action"].as_str().unwrap(),
                line["subject"].as_str().unwrap(),
                line["detail"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [("dlq.purge", "depot.dlq", "2 gone"), ("dlq.redrive", "depot.dlq", "1 went back")]
    );
}

#[tokio::test]
async fn a_replay_is_planned_begun_followed_and_stopped() {
    let served = Served::harbour().await;
    let queue = catalog::queue("again", &[]);
    served.bus.declare(&Topology::new().with_queue(queue)).await.unwrap();
    for n in 0..20 {
        served.post("/events/lot.parcel", &[], &json!({ "n": n })).await;
    }
    let request = json!({ "key": ["lot.#"], "target": "queue:again", "first": 6 });
    let plan = served.post("/replays", &[], &request).await;
    assert_eq!(plan.status, StatusCode::OK);
    let plan = plan.json();
    assert_eq!(
        (&plan["dry_run"], &plan["count"], &plan["keys"]),
        (&json!(true), &json!(15), &json!({ "lot.parcel": 15 }))
    );
    assert_eq!(served.get("/replays").await.json()["replays"], json!([]));

    let begun = served.post("/replays?confirm=true", &[], &request).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    let place = begun.header("location").to_owned();
    // The stream ends with the replay.
    let progress = timeout(PATIENCE, served.get(&format!("{place}/progress"))).await.unwrap();
    let text = String::from_utf8(progress.body).unwrap();
    let last: Value = serde_json::from_str(text.trim().rsplit("data: ").next().unwrap()).unwrap();
    assert_eq!((&last["state"], &last["sent"]), (&json!("done"), &json!(15)));
    assert_eq!(served.get(&place).await.json()["state"], "done");
    let delete = async |place: &str| -> Answered {
        let request = Request::builder().method(Method::DELETE).uri(place);
        served.ask(request.body(Body::empty()).unwrap()).await
    };
    delete(&place).await.problem(409, "replay-done");

    let slow = json!({ "target": "queue:again", "rate": 0.5 });
    let begun = served.post("/replays?confirm=true", &[], &slow).await;
    let place = begun.header("location").to_owned();
    assert_eq!(delete(&place).await.status, StatusCode::ACCEPTED);
    let ended = async {
        while served.get(&place).await.json()["state"] == "running" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(served.get(&place).await.json()["state"], "cancelled");

    served
        .post("/replays", &[], &json!({ "rate": 1, "speed": 2 }))
        .await
        .problem(422, "parameter-refused");
    served.post("/replays", &[], &json!({ "colour": 1 })).await.problem(422, "parameter-refused");
    let nobody = "/replays/0195c3b9-4e77-7a21-9d38-5c0b6f1e2a94";
    served.get(nobody).await.problem(404, "replay-missing");
    served.get("/replays/x").await.problem(400, "parameter-refused");
    let lines = served.store.audited(&AuditFilter::new(), 10).await.unwrap();
    let actions: Vec<&str> = lines.iter().map(|line| line.entry.action.as_str()).collect();
    assert_eq!(actions, ["replay.cancel", "replay", "replay"]);
}

#[tokio::test]
async fn contracts_are_read_again_or_the_old_ones_stay() {
    let served = Served::harbour().await;
    served.post("/admin/reload", &[], &json!({})).await.problem(501, "unsupported");
    let contracts = served.contracts.clone();
    let swap = move || {
        let contracts = contracts.clone();
        async move {
            let old = contracts.current();
            match old.contract("lot.parcel") {
                Some(_) => drop(contracts.replace(clinic())),
                None => return Err("oven.json: no such folder".to_owned()),
            }
            Ok(Reloaded::between(&old, &clinic()))
        }
    };
    let gateway: Gateway = served.gateway.clone().with_reload(swap);
    let served = Served { router: bloodbank_gateway::router(gateway), ..served };
    let said = served.post("/admin/reload", &[], &json!({})).await;
    let said = said.json();
    assert_eq!((&said["contracts"], &said["services"]), (&json!(1), &json!(0)));
    assert_eq!(said["added"], json!(["clinic.patient.admitted"]));
    served.post("/events/lot.parcel", &[], &json!({})).await.problem(404, "unknown-key");
    let problem =
        served.post("/admin/reload", &[], &json!({})).await.problem(409, "reload-refused");
    assert_eq!(problem["detail"], "oven.json: no such folder");
    let patient =
        served.post("/events/clinic.patient.admitted", &[], &json!({ "ward": "B2" })).await;
    assert_eq!(patient.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_topology_shows_what_is_declared_beside_what_is_observed() {
    let served = with_dead_letters(1).await;
    let board = [("X-Source", "board")];
    served
        .post("/events/terminal.mooring.created", &board, &crate::served::mooring("Budget"))
        .await;
    let topology = served.get("/topology").await.json();
    let declared = topology["declared"].as_array().unwrap();
    let edge = json!({ "service": "board", "does": "produces", "key": "terminal.mooring.created" });
    assert!(declared.contains(&edge), "{declared:?}");
    let observed = topology["observed"].as_array().unwrap();
    let seen: Vec<_> = observed
        .iter()
        .map(|it| (&it["source"], &it["key"], &it["count"], &it["declared"]))
        .collect();
    let text = |text: &str| json!(text);
    assert_eq!(
        seen,
        [
            (&text("http"), &text("lot.parcel"), &json!(1), &json!(false)),
            (&text("board"), &text("terminal.mooring.created"), &json!(1), &json!(true)),
        ]
    );
    assert!(observed[0]["last"].is_string());
    let unobserved = &topology["unobserved"];
    let unsent = json!({ "service": "board", "does": "sends", "key": "terminal.mooring.create" });
    assert_eq!(unobserved["edges"], json!([unsent]));
    assert!(unobserved["missing_queues"].as_array().unwrap().contains(&json!("listener")));
}

#[tokio::test]
async fn who_may_not_is_refused_and_that_is_noted() {
    let served = Served::with(
        catalog::contracts(),
        |folder| Access::by(TokenFile::at(folder.path().join("tokens.json"))),
        |gateway| gateway,
    )
    .await;
    let file = TokenFile::at(served.folder.path().join("tokens.json"));
    let parcels = Keys::Patterns { publish: vec!["lot.#".parse().unwrap()], send: Vec::new() };
    let secret = file.create("porter", Rights::none().with_keys(parcels).with_read()).unwrap();
    let porter = [("Authorization", &*format!("Bearer {}", secret.as_str()))];
    for (method, path) in [
        ("POST", "/dlq/depot/redrive"),
        ("POST", "/dlq/depot/purge?confirm=true"),
        ("POST", "/replays"),
        ("DELETE", "/replays/0195c3b9-4e77-7a21-9d38-5c0b6f1e2a94"),
        ("POST", "/admin/reload"),
        ("GET", "/audit"),
    ] {
        let request = Request::builder().method(method).uri(path).header(porter[0].0, porter[0].1);
        let request = request.header("Content-Type", "application/json").body(Body::from("{}"));
        served.ask(request.unwrap()).await.problem(403, "right-missing");
    }
    let created = crate::served::mooring("Budget");
    served
        .post("/events/terminal.mooring.created", &porter, &created)
        .await
        .problem(403, "right-missing");
    let lines = served.store.audited(&AuditFilter::new(), 10).await.unwrap();
    assert_eq!(lines.len(), 1);
    let entry = &lines[0].entry;
    assert_eq!(
        (entry.who.as_str(), entry.action.as_str(), entry.subject.as_str(), entry.outcome.as_str()),
        ("porter", "publish", "terminal.mooring.created", "refused")
    );
}
