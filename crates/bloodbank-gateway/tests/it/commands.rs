//! Commands: sent, and waited for.

use axum::http::StatusCode;
use bloodbank_bus::{Received, RetryPolicy, Subscriber};
use bloodbank_testkit::catalog::{self, Any, CountShips, CountShipsReply, CreateMooring};
use serde_json::json;
use tokio::sync::oneshot;

use crate::served::Served;

#[tokio::test]
async fn a_command_is_taken_once_it_has_a_worker_queue() {
    let served = Served::harbour().await;
    let topic = json!({ "topic": "Budget" });
    let path = "/commands/terminal.mooring.create";
    let said = served.post(path, &[], &topic).await;
    said.problem(503, "unroutable");
    assert_eq!(said.header("retry-after"), "2");
    let said = served.post("/commands/lot.parcel", &[], &json!({})).await;
    assert!(
        said.problem(404, "wrong-kind")["detail"].as_str().unwrap().contains("/events/lot.parcel")
    );

    let subscriber = Subscriber::<Any>::new(served.bus.clone(), catalog::contracts());
    let (end, ended) = oneshot::channel::<()>();
    let subscriber =
        subscriber.handle(async |command: Received<CreateMooring>| -> Result<_, std::io::Error> {
            match command.payload.topic.as_str() {
                "Budget" => Ok(json!({ "made": command.payload.topic })),
                _ => Err(std::io::Error::other("no berth is free")),
            }
        });
    let ready = subscriber.ready();
    let running = tokio::spawn(subscriber.run_until(async { drop(ended.await) }));
    assert!(ready.await);

    let said = served.post(path, &[("X-Source", "board")], &topic).await;
    assert_eq!((said.status, &said.json()["source"]), (StatusCode::ACCEPTED, &json!("board")));
    let said = served.post(&format!("{path}?wait=10s"), &[], &topic).await;
    assert_eq!(said.status, StatusCode::OK);
    let reply = said.json();
    assert_eq!(reply["reply"], json!({ "made": "Budget" }));
    let id = reply["id"].as_str().unwrap();
    let found = served.get(&format!("/events/{id}")).await.json();
    assert_eq!(found["kind"], "command");

    for wait in ["1", "-1s", "301s", "soon"] {
        let said = served.post(&format!("{path}?wait={wait}"), &[], &topic).await;
        said.problem(400, "parameter-refused");
    }
    drop(end);
    running.await.unwrap().unwrap();
    // Nobody answers any more, and the command lies in its queue.
    let said = served.post(&format!("{path}?wait=300ms"), &[], &topic).await;
    assert!(said.problem(504, "no-answer")["id"].is_string());
}

#[tokio::test]
async fn an_answer_is_checked_and_a_failure_of_the_handler_is_told() {
    let served = Served::harbour().await;
    let subscriber = Subscriber::<Any>::new(served.bus.clone(), catalog::contracts());
    let (end, ended) = oneshot::channel::<()>();
    let subscriber = subscriber.retry(RetryPolicy::never()).handle(
        async |command: Received<CountShips>| -> Result<_, std::io::Error> {
            match command.payload.quay.as_str() {
                "north" => Ok(CountShipsReply { ships: 3, harbour_master: Some("Ada".to_owned()) }),
                _ => Err(std::io::Error::other("there is no such quay")),
            }
        },
    );
    let ready = subscriber.ready();
    let running = tokio::spawn(subscriber.run_until(async { drop(ended.await) }));
    assert!(ready.await);
    let path = "/commands/terminal.mooring.count?wait=10s";
    let said = served.post(path, &[], &json!({ "quay": "north" })).await;
    assert_eq!(said.json()["reply"], json!({ "ships": 3, "harbour_master": "Ada" }));
    let problem =
        served.post(path, &[], &json!({ "quay": "south" })).await.problem(502, "handler-failed");
    assert!(problem["detail"].as_str().unwrap().contains("no such quay"), "{problem:#}");
    drop(end);
    running.await.unwrap().unwrap();
}
