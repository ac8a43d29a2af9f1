//! What the schema of a command says of its answer.

use bloodbank_bus::{CallError, DynamicPublisher, Publisher, Queue, Received, Subscriber};
use bloodbank_core::Sealer;
use serde_json::{Value, json};

use super::tools::{Bus, consume, declare, holds, log, ms, recv, run};
use crate::catalog::{Any, CountShips, CountShipsReply, contracts};

const COUNT: &str = "terminal.mooring.count";
const WORKERS: &str = "commands.terminal.mooring.count";

fn count() -> CountShips {
    CountShips { quay: "north".to_owned() }
}

async fn declare_workers(bus: &Bus) {
    declare(bus, [Queue::of_command(COUNT).unwrap()]).await;
}

/// Answers the next command with these bytes, as somebody who does not know the contract.
async fn answer(bus: &Bus, body: &str) {
    let mut deliveries = consume(bus, WORKERS, 1).await;
    let command = recv(&mut deliveries).await;
    bus.answer(&command, body.into()).await.unwrap();
    bus.settle(&command, bloodbank_bus::Settlement::Ack).await.unwrap();
    deliveries.close().await;
}

/// The places of the answer that are refused.
fn refused<T: std::fmt::Debug>(called: Result<T, CallError>) -> Vec<String> {
    match called.unwrap_err() {
        CallError::Refused { refusal, .. } => {
            refusal.violations.into_iter().map(|violation| violation.pointer).collect()
        }
        other => panic!("{other}"),
    }
}

pub async fn an_answer_has_the_type_that_the_schema_of_the_command_names(bus: Bus) {
    declare_workers(&bus).await;
    let handler = |_: Received<CountShips>| async {
        Ok::<_, String>(CountShipsReply { ships: 3, harbour_master: None })
    };
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(handler));
    let counted = Publisher::<Any>::new(bus.clone(), contracts()).call(&count()).await.unwrap();
    assert_eq!(counted.ships, 3);
    running.stop().await.unwrap();
    // Whole numbers are whole however they are written.
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let command = count();
    let (counted, ()) = tokio::join!(
        publisher.call(&command).into_future(),
        answer(&bus, r#"{"ok":{"ships":4.0}}"#)
    );
    assert_eq!(counted.unwrap().ships, 4);
}

pub async fn a_handler_whose_answer_breaks_its_contract_fails_and_has_carried_it_out(bus: Bus) {
    let (sender, mut calls) = log();
    declare_workers(&bus).await;
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(
        move |received: Received<CountShips>| {
            sender.send(received.attempt()).unwrap();
            async { Ok::<_, String>(CountShipsReply { ships: 10, harbour_master: None }) }
        },
    ));
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let error = publisher.call(&count()).await.unwrap_err();
    let CallError::Handler { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains("/ships  expected at most 9, found 10"), "{reason}");
    assert_eq!(calls.next().await, 1);
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, WORKERS, 0).await;
    holds(&bus, &bloodbank_bus::dead_letters_of(WORKERS), 0).await;
}

pub async fn a_caller_refuses_an_answer_that_breaks_its_contract(bus: Bus) {
    declare_workers(&bus).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let command = count();
    let call = publisher.call(&command).within(ms(10_000));
    let bad = json!({"ok": {"ships": -1, "harbour_master": "a name of many letters"}}).to_string();
    let (called, ()) = tokio::join!(call.into_future(), answer(&bus, &bad));
    let shown = called.as_ref().unwrap_err().to_string();
    assert!(!shown.contains("many letters"), "it is sensitive: {shown}");
    assert_eq!(refused(called), ["/ships", "/harbour_master"]);
}

pub async fn a_caller_without_types_refuses_it_too(bus: Bus) {
    declare_workers(&bus).await;
    let sealer = Sealer::unrestricted(contracts().into(), "tool");
    let publisher = DynamicPublisher::new(bus.clone(), sealer);
    let call = || publisher.call::<Value>(COUNT, json!({"quay": "north"})).into_future();
    let (called, ()) = tokio::join!(call(), answer(&bus, r#"{"ok": {"ships": 5}}"#));
    assert_eq!(called.unwrap(), json!({"ships": 5}));
    let (called, ()) = tokio::join!(call(), answer(&bus, r#"{"ok": "five"}"#));
    assert_eq!(refused(called), [""]);
}
