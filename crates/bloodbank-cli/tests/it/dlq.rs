//! `dlq` on a real broker; on a bus in the store it is among `embedded`.

use bloodbank::serde_json::{self, Value};
use bloodbank::{Destination, Exchange, Headers, Queue, Topology, Transport, Verbatim};

use crate::machine::{BOOKS, EVENT, Machine, PAID};

/// Where events lie that nobody listens to.
const UNROUTED: &str = "bakery.events.unrouted";

#[tokio::test]
async fn dead_letters_are_shown_brought_back_and_purged() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    machine.says(&["topology", "--apply"]).well();
    let commands = [&["ls"][..], &["show"], &["show", "--json"], &["redrive", "--yes"]];
    for command in commands.into_iter().chain([&["purge", "--yes"][..]]) {
        let said = machine.says(&[&["dlq"], command].concat());
        assert_eq!((said.out.as_str(), said.told()), ("", "no dead letters\n"));
    }
    for _ in 0..3 {
        machine.says(&["publish", PAID, "--example"]).well();
    }
    let why = format!("no budget{}", " at all".repeat(50));
    machine.park(BOOKS, 3, &why).await;

    let listed = machine.says(&["dlq", "ls"]).well();
    assert!(listed.contains("bookkeeper_queue.dlq  3 "), "{listed}");
    assert!(listed.contains("3 parked"), "{listed}");
    let shown = machine.says(&["dlq", "show", BOOKS]).well();
    assert_eq!(shown.lines().count(), 1 + 3, "{shown}");
    assert!(shown.starts_with("PARKED  "), "{shown}");
    assert!(shown.contains("  parked  bookkeeper_queue  1 attempt  no budget"), "{shown}");
    let long = shown.lines().nth(1).unwrap().rsplit("  ").next().unwrap();
    assert!(long.ends_with('…') && long.chars().count() <= 121, "{long}");
    let json = machine.json(&["dlq", "show", BOOKS, "--json"]).remove(0);
    assert!(json["body"].is_string() && json.get("body_hex").is_none(), "{json}");
    let none = machine.says(&["dlq", "show", BOOKS, "--reason", "exhausted"]).out;
    assert_eq!(none, "");

    let dry = machine.says(&["dlq", "redrive", BOOKS]);
    assert!(dry.out.contains("3 would go back") && dry.err.contains("--yes"), "{}", dry.out);
    let done = machine.says(&["dlq", "redrive", BOOKS, "--yes"]).well();
    assert_eq!(done, "bookkeeper_queue.dlq: 3 went back\n");

    machine.park(BOOKS, 3, &why).await;
    let again = machine.says(&["dlq", "show", BOOKS]).well();
    assert!(again.contains("1 redrive"), "{again}");
    let gone = machine.says(&["dlq", "purge", BOOKS, "--yes", "--key", "till.*"]).well();
    assert_eq!(gone, "bookkeeper_queue.dlq: 3 gone\n");
    let missing = machine.says(&["dlq", "show", "nobody"]);
    assert!(missing.code == 1 && missing.err.contains("`nobody.dlq`"), "{}", missing.err);
    assert!(missing.err.contains("\n  bookkeeper_queue.dlq\n"), "{}", missing.err);
    garbage_is_shown_as_hex(&machine).await;
}

/// What is not text at all, in a dead-letter queue.
async fn garbage_is_shown_as_hex(machine: &Machine) {
    let amqp = machine.amqp().await;
    let message = Verbatim::stored("some.key", *b"\xff\x00", Headers::new());
    amqp.forward(message, Destination::queue(format!("{BOOKS}.dlq"))).await.unwrap();
    amqp.close().await;
    let json = machine.says(&["dlq", "show", BOOKS, "--json"]).well();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["body_hex"], "ff00", "{json}");
    assert!(json.get("body").is_none(), "{json}");
}

#[tokio::test]
async fn unrouted_events_are_shown_and_told_to_those_who_listen_by_now() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    let amqp = machine.amqp().await;
    let queue = |name: &str, pattern: &str| {
        Queue::new(name).bind(Exchange::Events, pattern.parse().unwrap())
    };
    let declare = async |queue| amqp.declare(&Topology::new().with_queue(queue)).await.unwrap();
    declare(queue("record", "#").recorder()).await;
    let ids = [PAID, PAID, EVENT].map(|key| machine.says(&["publish", key, "--example"]).id());

    let listed = machine.says(&["dlq", "ls"]).well();
    assert!(listed.contains(&format!("{UNROUTED}  3 ")), "{listed}");
    assert!(listed.contains("3 unrouted"), "{listed}");
    let shown = machine.says(&["dlq", "show", UNROUTED, "--reason", "unrouted"]).well();
    assert_eq!(shown.lines().count(), 1 + 3, "{shown}");
    assert!(shown.contains("  unrouted  no queue  0 attempts  none noted"), "{shown}");
    let before = machine.json(&["dlq", "show", UNROUTED, "--json"]);
    assert_eq!(before.iter().map(|letter| letter["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);

    declare(queue("till_listener", "till.#")).await;
    let dry = machine.says(&["dlq", "redrive", UNROUTED]);
    assert!(dry.out.contains("3 would go back") && dry.err.contains("--yes"), "{}", dry.out);
    let done = machine.says(&["dlq", "redrive", "--yes"]).well();
    let expected =
        format!("{UNROUTED}: 3 went back; nobody listens to 1 of them, which lie here again\n");
    assert_eq!(done, expected);
    assert_eq!((amqp.depth("till_listener").await, amqp.depth("record").await), (Ok(2), Ok(3)));
    let heard = machine.json(&["dlq", "show", UNROUTED, "--json"]);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!((&heard[0]["id"], &heard[0]["redrives"]), (&(*ids[2]).into(), &1.into()));
    assert_eq!(heard[0]["body"], before[2]["body"]);

    // It is not let go by accident.
    assert_eq!(machine.says(&["dlq", "purge", "--yes"]).told(), "no dead letters\n");
    let gone = machine.says(&["dlq", "purge", UNROUTED, "--yes"]).well();
    assert_eq!(gone, format!("{UNROUTED}: 1 gone\n"));
    amqp.close().await;
}
