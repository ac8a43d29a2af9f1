//! `dlq`.

use crate::machine::{BOOKS, Machine, PAID, on_both};

on_both!(
    dead_letters_are_shown_brought_back_and_purged,
    a_store_has_no_queue_of_unrouted_events_and_says_where_they_are,
);

async fn dead_letters_are_shown_brought_back_and_purged(machine: Machine) {
    machine.says(&["topology", "--apply"]).well();
    for command in [&["ls"][..], &["show"], &["redrive", "--yes"], &["purge", "--yes"]] {
        let said = machine.says(&[&["dlq"], command].concat());
        assert_eq!((said.told(), said.out.as_str()), ("no dead letters\n", ""));
    }
    let publish = || machine.says(&["publish", PAID, "--example"]).id();
    let ids = [publish(), publish(), publish()];
    machine.park(BOOKS, 3, "no budget").await;
    are_shown(&machine, &ids);
    are_brought_back(&machine, &ids).await;
    are_purged(&machine);
    assert_eq!(machine.stored().await, 3, "the record keeps them all");
}

fn are_shown(machine: &Machine, ids: &[String; 3]) {
    let listed = machine.says(&["dlq", "ls"]).well();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("bookkeeper_queue.dlq  3 "), "{listed}");
    assert!(listed.contains("3 parked"), "{listed}");
    let shown = machine.says(&["dlq", "show", BOOKS]).well();
    assert_eq!(shown.lines().count(), 1 + ids.len(), "{shown}");
    for (line, id) in shown.lines().skip(1).zip(ids) {
        assert!(line.contains(id), "{shown}");
        assert!(line.contains("  parked  bookkeeper_queue  1 attempt  no budget"));
    }
    let one = machine.says(&["dlq", "show", BOOKS, "--json", "--id", &ids[1]]).well();
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!((&one["id"], &one["reason"]), (&(*ids[1]).into(), &"parked".into()));
    let body: serde_json::Value = serde_json::from_str(one["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["id"], *ids[1]);
}

async fn are_brought_back(machine: &Machine, ids: &[String; 3]) {
    let dry = machine.says(&["dlq", "redrive", BOOKS]);
    assert_eq!(dry.told(), "a dry run; `--yes` does it\n");
    assert!(dry.out.contains("3 would go back"), "{}", dry.out);
    let one = machine.says(&["dlq", "redrive", BOOKS, "--yes", "--id", &ids[0]]).well();
    assert_eq!(one, format!("{BOOKS}.dlq: 1 went back\n"));
    let rest = machine.says(&["dlq", "redrive", "--yes"]).well();
    assert_eq!(rest, format!("{BOOKS}.dlq: 2 went back\n"));
    machine.park(BOOKS, 3, "no budget").await;
    let again = machine.says(&["dlq", "show", BOOKS]).well();
    assert_eq!(again.matches("1 redrive").count(), 3, "{again}");
}

fn are_purged(machine: &Machine) {
    let dry = machine.says(&["dlq", "purge", BOOKS]).well();
    assert!(dry.contains("3 would be gone for good (3 parked)"), "{dry}");
    let none = machine.says(&["dlq", "purge", BOOKS, "--yes", "--key", "bakery.#"]);
    assert_eq!((none.told(), none.out.as_str()), ("no dead letters\n", ""));
    let gone = machine.says(&["dlq", "purge", BOOKS, "--yes"]).well();
    assert_eq!(gone, format!("{BOOKS}.dlq: 3 gone\n"));
    assert_eq!(machine.says(&["dlq", "show", BOOKS]).well(), "");
    let missing = machine.says(&["dlq", "show", "nobody"]);
    assert!(missing.code == 1 && missing.err.contains("`nobody.dlq`"), "{}", missing.err);
    assert!(missing.err.contains("\n  bookkeeper_queue.dlq\n"), "{}", missing.err);
}

async fn a_store_has_no_queue_of_unrouted_events_and_says_where_they_are(machine: Machine) {
    let said = machine.says(&["dlq", "show", "bakery.events.unrouted"]);
    assert_eq!(said.code, 1);
    let help = "help: this bus does not put unrouted events aside; all events are in the store";
    assert!(said.err.contains(help), "{}", said.err);
}
