//! What commands make of a registry.yaml.

use bloodbank::Transport;
use expect_test::expect;

use crate::machine::{Machine, Said};

/// A machine with this registry and one contract.
fn with_registry(registry: &str) -> Machine {
    let machine = Machine::empty();
    machine.file("schemas/shop/order.paid.v1.json", PAID);
    machine.file("services/registry.yaml", registry);
    machine
}

/// What a command says there, and how it exits.
fn says(machine: &Machine, arguments: &[&str]) -> (i32, String) {
    let Said { code, out, err } = machine.says(arguments);
    (code, out + &err)
}

const PAID: &str = r#"{
  "$id": "https://example.org/shop/order.paid.v1.json",
  "title": "An order was paid",
  "description": "The money has arrived.",
  "type": "object",
  "properties": { "event_type": { "const": "shop.order.paid" } },
  "required": ["event_type"],
  "examples": [{ "event_type": "shop.order.paid" }]
}
"#;

const REGISTRY: &str = r#"version: "1.0"
exchange: { name: shop.events }
services:
  shop-front:
    description: Takes orders
    type: event-producer
    status: planned
    owner: Ada
    tags: [orders]
    routing_keys: [shop.order.paid]
    produces: [shop.order.paid]
    retries: [5s, 2m]
    max_length: 500
    endpoints: { health: "http://localhost:8000/health" }
    runtime: { type: pm2 }
topology:
  makers: [shop-front]
"#;

#[test]
fn a_broken_registry_is_an_error_at_its_line_for_every_command_that_reads_it() {
    let broken = format!("{REGISTRY}\tbad: [\n");
    let line = broken.lines().count();
    for command in [
        &["doctor"][..],
        &["topology"],
        &["topology", "--apply"],
        &["lint"],
        &["publish", "shop.order.paid", "--example"],
        &["codegen", "--out", "out"],
        &["list-events"],
        &["store", "import"],
        &["replay"],
        &["tail"],
        &["dlq", "ls"],
        &["dlq", "purge", "shop-front"],
    ] {
        let (code, said) = says(&with_registry(&broken), command);
        assert_ne!(code, 0, "{command:?}: {said}");
        assert!(said.contains(&format!("registry.yaml:{line}:1")), "{command:?}: {said}");
        assert!(!said.contains("all is well"), "{command:?}: {said}");
    }
    let misspelt = REGISTRY.replace("retries", "retrys");
    let (code, said) = says(&with_registry(&misspelt), &["topology"]);
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("did you mean `retries`?"), "{said}");
}

#[test]
fn the_topology_shows_what_the_registry_says_of_services_and_queues() {
    let (code, said) = says(&with_registry(REGISTRY), &["topology"]);
    assert_eq!(code, 0, "{said}");
    for words in ["makers", "event-producer", "planned", "Ada", "orders", "Takes orders"] {
        let line = said.lines().find(|line| line.starts_with("shop-front  makers")).unwrap();
        assert!(line.contains(words), "{words}: {said}");
    }
    let queue = said.lines().find(|line| line.ends_with("  5 s, 2 min")).unwrap();
    let cells: Vec<&str> = queue.split_whitespace().take(4).collect();
    assert_eq!(cells, ["shop-front", "quorum", "500", "shop.order.paid"]);
    assert!(said.contains("shop.events.listeners"), "{said}");
    let (code, said) = says(&with_registry(REGISTRY), &["topology", "--json"]);
    assert_eq!(code, 0, "{said}");
    let shown: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(shown["exchange"]["name"], "shop.events");
    assert_eq!(shown["exchanges"][0]["name"], "shop.events");
    assert_eq!(shown["topology"][0]["services"][0], "shop-front");
    assert_eq!(shown["services"][0]["owner"], "Ada");
    let queues = shown["queues"].as_array().unwrap();
    let queue = queues.iter().find(|queue| queue["name"] == "shop-front").unwrap();
    assert_eq!(queue["max_length"], 500);
    assert_eq!(queue["retries_ms"], serde_json::json!([5_000, 120_000]));
}

#[test]
fn a_service_is_shown_with_everything_that_the_registry_says_of_it() {
    let (code, said) = says(&with_registry(REGISTRY), &["show", "shop-front"]);
    assert_eq!(code, 0, "{said}");
    expect![[r#"
        service      shop-front
        description  Takes orders
        type         event-producer
        status       planned
        owner        Ada
        layers       makers
        tags         orders
        produces     shop.order.paid
        consumes     shop.order.paid
        queue        shop-front gets shop.order.paid; at most 500 messages; retries after 5s, 2m
        endpoint     health: http://localhost:8000/health
        runtime      type: "pm2"
    "#]]
    .assert_eq(&said);
}

#[test]
fn an_exchange_of_the_environment_that_is_not_that_of_the_registry_is_an_error_that_names_both() {
    let machine = with_registry(REGISTRY).on("amqp://127.0.0.1:1").with("EXCHANGE_NAME", "mine");
    for command in ["topology", "doctor"] {
        let (code, said) = says(&machine, &[command]);
        assert_ne!(code, 0, "{said}");
        let expected = "EXCHANGE_NAME says `mine`, and registry.yaml says `shop.events`";
        assert!(said.contains(expected), "{command}: {said}");
    }
}

#[tokio::test]
async fn events_go_to_the_exchange_that_the_registry_names() {
    let Some(other) = Machine::rabbitmq().await else { return };
    let on_it = |registry: &str| with_registry(registry).on(other.broker());
    let machine = on_it(REGISTRY);
    let run = |registry: &str, arguments: &[&str]| says(&on_it(registry), arguments);
    let (code, said) = run(REGISTRY, &["topology", "--apply"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = run(REGISTRY, &["topology", "--check"]);
    assert_eq!(code, 0, "{said}");
    let default = REGISTRY.replace("exchange: { name: shop.events }\n", "");
    let (code, said) = run(&default, &["topology", "--check"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("exchange `bloodbank.events.v1` is missing"), "{said}");
    let publish = ["publish", "shop.order.paid", "--example"];
    let (code, said) = run(REGISTRY, &publish);
    assert_eq!(code, 0, "{said}");
    let amqp = machine.amqp().await;
    // A queue counts a message a moment after it has confirmed it.
    let arrived = async {
        while amqp.depth("shop-front").await.unwrap() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), arrived).await.unwrap();
    assert_eq!(amqp.depth("shop-front").await.unwrap(), 1);
    amqp.close().await;
}
