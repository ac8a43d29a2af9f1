//! `dlq` on a real broker; on a bus in the store it is among `embedded`.

use bloodbank::serde_json::{self, Value};
use bloodbank::{Destination, Headers, Transport, Verbatim};

use crate::machine::{BOOKS, Machine, PAID};

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
