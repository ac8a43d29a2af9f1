//! `publish`, `send` and `tail`.

use std::time::Duration;

use crate::machine::{COMMAND, EVENT, Machine, PAID, on_both};

on_both!(
    what_one_process_publishes_another_shows_within_a_second,
    tail_begins_with_what_was_before_and_goes_on,
    what_breaks_its_contract_is_refused_with_every_reason_and_not_stored,
    a_command_goes_only_where_somebody_carries_it_out,
    processes_with_one_idempotency_key_publish_one_event,
);

async fn what_one_process_publishes_another_shows_within_a_second(machine: Machine) {
    let tail = machine.tail(&["bakery.#"]);
    for _ in 0..3 {
        machine.says(&["publish", PAID, "--example"]).well();
        let published = machine.says(&["publish", EVENT, "--example", "--source", "me"]);
        let line = tail.next_in(Duration::from_secs(1)).expect("a line within a second");
        let id = published.id();
        assert!([EVENT, "  me ", &id].iter().all(|part| line.contains(part)), "{line}");
    }
    assert_eq!(tail.next_in(Duration::from_millis(100)), None);
}

async fn tail_begins_with_what_was_before_and_goes_on(machine: Machine) {
    let publish = || machine.says(&["publish", EVENT, "--example"]).id();
    let before = [publish(), publish()];
    // Who does not ask for it does not get it.
    let now = machine.tail(&[]);
    let tail = machine.tail(&["--since", "10m", "--json"]);
    let after = publish();
    for id in before.iter().chain([&after]) {
        let line: serde_json::Value = serde_json::from_str(&tail.next()).unwrap();
        assert_eq!((&line["id"], &line["event_type"]), (&(**id).into(), &EVENT.into()));
    }
    assert!(now.next().contains(&after));
}

async fn what_breaks_its_contract_is_refused_with_every_reason_and_not_stored(machine: Machine) {
    let refused = machine.says(&["publish", EVENT, "--data", r#"{"customer": ""}"#]);
    assert_eq!((refused.code, refused.out.as_str()), (100, ""));
    for pointer in ["/customer", "/order_id", "/loaves"] {
        assert!(refused.err.contains(pointer), "{}", refused.err);
    }
    assert_eq!(machine.stored().await, 0);
}

async fn a_command_goes_only_where_somebody_carries_it_out(machine: Machine) {
    let send = ["send", COMMAND, "--example"];
    let early = machine.says(&send);
    assert_eq!((early.code, early.out.as_str()), (1, ""));
    let reason = "no service that wants it has declared a queue for it";
    assert!(early.told().contains(reason), "{}", early.err);
    assert_eq!(machine.stored().await, 0);
    machine.says(&["topology", "--apply"]).well();
    let tail = machine.tail(&["--commands"]);
    let sent = machine.says(&send).id();
    assert_eq!(machine.stored().await, 1);
    assert!(tail.next().contains(&sent));
    // Usually they are not shown.
    let tail = machine.tail(&["--since", "1h"]);
    let published = machine.says(&["publish", EVENT, "--example"]).id();
    assert!(tail.next().contains(&published));
}

async fn processes_with_one_idempotency_key_publish_one_event(machine: Machine) {
    let tail = machine.tail(&[]);
    let publish = ["publish", EVENT, "--example", "--idempotency-key", "counter-7"];
    let start = || machine.spawn(&publish);
    let processes = [start(), start(), start(), start()];
    let ids = processes.map(|process| process.end().id());
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(machine.stored().await, 1);
    assert!(tail.next().contains(&ids[0]));
    assert_eq!(tail.next_in(Duration::from_millis(200)), None);
    // Another payload under the same key is another event with a known id.
    let dry = machine.says(&[&publish[..], &["--dry-run"]].concat()).well();
    let mut envelope: serde_json::Value = serde_json::from_str(&dry).unwrap();
    envelope["data"]["customer"] = "Somebody else".into();
    let data = envelope["data"].to_string();
    let said = machine.says(&["publish", EVENT, "--data", &data, "--idempotency-key", "counter-7"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.told().contains("quarantine"), "{}", said.err);
    assert_eq!(machine.stored().await, 1);
}
