//! `topology` and `store queues`.

use bloodbank::{Exchange, Queue, Topology};

use crate::machine::{BOARD, BOOKS, EVENT, Machine, PAID, on_both};

on_both!(
    the_topology_is_compared_and_declared,
    queues_are_shown_as_they_stand,
    a_queue_is_removed_with_what_it_holds,
    a_queue_is_moved_back_after_a_dry_run,
);

async fn the_topology_is_compared_and_declared(machine: Machine) {
    // A queue that somebody has bound to less than registry.yaml says.
    let bus = machine.bus().await;
    let queue = Queue::new(BOOKS).bind(Exchange::Events, PAID.parse().unwrap());
    bus.transport().declare(&Topology::new().with_parked_queue(queue)).await.unwrap();
    bus.close().await;
    let before = machine.says(&["topology", "--check"]);
    assert_eq!(before.code, 4, "{}", before.err);
    for line in [
        "queue `order_board_queue` is missing\n",
        "queue `order_board_queue.dlq` is missing\n",
        "queue `bookkeeper_queue` is not bound to `bakery.order.collected`\n",
    ] {
        assert!(before.out.contains(line), "{}", before.out);
    }
    assert!(!before.out.contains("`bookkeeper_queue.dlq`"), "{}", before.out);
    let differences = format!("{} differences; ", before.out.lines().count());
    assert!(before.told().starts_with(&differences), "{}", before.err);
    assert!(before.told().contains("--apply"), "{}", before.err);

    let applied = machine.says(&["topology", "--apply", "--history"]).well();
    assert!(applied.starts_with("declared: "), "{applied}");
    assert!(applied.ends_with("; the store keeps every event anyway\n"), "{applied}");
    let after = machine.says(&["topology", "--check"]);
    assert_eq!(after.told(), "");
    let after = after.well();
    assert!(after.starts_with("the store has all ") && after.lines().count() == 1, "{after}");
}

/// The numbers of a queue in the table of `store queues`: its lag, and how many messages are ready,
/// delayed, unsettled and damaged.
fn numbers(table: &str, queue: &str) -> Vec<u64> {
    let heading = table.lines().next().unwrap();
    let row = table.lines().find(|line| line.split(' ').next() == Some(queue));
    let row = row.unwrap_or_else(|| panic!("no {queue}: {table}"));
    let number = |column: &str| {
        let at = heading.find(column).unwrap_or_else(|| panic!("no {column}: {table}"));
        row[at..].split(' ').next().unwrap().parse().unwrap()
    };
    ["LAG", "READY", "DELAYED", "UNSETTLED", "DAMAGED"].map(number).to_vec()
}

async fn queues_are_shown_as_they_stand(machine: Machine) {
    machine.store().await;
    let none = machine.says(&["store", "queues"]);
    assert_eq!(none.err, "no queues; services declare theirs when they listen\n");
    assert_eq!(none.well(), "");
    machine.says(&["topology", "--apply"]).well();
    machine.says(&["publish", EVENT, "--example"]).well();
    for _ in 0..2 {
        machine.says(&["publish", PAID, "--example"]).well();
    }
    let queue = BOOKS;
    let table = machine.says(&["store", "queues"]).well();
    assert_eq!(numbers(&table, queue), [2, 0, 0, 0, 0]);
    let row = table.lines().find(|line| line.starts_with(BOARD)).unwrap();
    assert!(row.contains("bakery.#"), "{row}");
    machine.park(BOOKS, 2, "no budget").await;
    let table = machine.says(&["store", "queues"]).well();
    assert_eq!(numbers(&table, queue), [0; 5]);
    assert_eq!(numbers(&table, &format!("{queue}.dlq"))[1], 2);

    let lines = machine.says(&["store", "queues", "--json"]).well();
    let mut queues = lines.lines().map(|line| line.parse::<serde_json::Value>().unwrap());
    let dead = queues.find(|it| it["queue"]["name"] == format!("{queue}.dlq")).unwrap();
    assert_eq!((&dead["ready"], &dead["consumers"]), (&2.into(), &0.into()));
}

async fn a_queue_is_removed_with_what_it_holds(machine: Machine) {
    machine.says(&["topology", "--apply"]).well();
    for _ in 0..2 {
        machine.says(&["publish", PAID, "--example"]).well();
    }
    machine.park(BOOKS, 2, "no budget").await;
    let (queue, dead) = (BOOKS, "bookkeeper_queue.dlq");
    let remove = |queue| machine.says(&["store", "queues", "--remove", queue, "--yes"]);

    let dry = machine.says(&["store", "queues", "--remove", dead]);
    assert_eq!(dry.err, "a dry run; `--yes` does it\n");
    assert!(dry.well().starts_with(&format!("would remove {dead} with 2 messages")));
    let needed = remove(dead);
    assert_eq!((needed.code, needed.out.as_str()), (1, ""));
    assert!(needed.err.contains(&format!("the dead letters of `{queue}`")), "{}", needed.err);
    let wrong = remove("nobody");
    assert!(wrong.code == 1 && wrong.err.contains("no queue `nobody`"), "{}", wrong.err);

    assert!(remove(queue).well().starts_with(&format!("removed {queue} with 0 messages")));
    assert!(remove(dead).well().starts_with(&format!("removed {dead} with 2 messages")));
    let left = machine.says(&["store", "queues"]).well();
    assert!(!left.contains(queue), "{left}");
    assert_eq!(machine.stored().await, 2, "what is in the log stays there");
}

async fn a_queue_is_moved_back_after_a_dry_run(machine: Machine) {
    machine.says(&["topology", "--apply"]).well();
    for _ in 0..2 {
        machine.says(&["publish", PAID, "--example"]).well();
    }
    machine.park(BOOKS, 2, "no budget").await;
    let reset = |more: &[&str]| {
        machine.says(&[&["store", "queues", "--reset", BOOKS, "--to"], more].concat())
    };
    let dry = reset(&["beginning"]);
    assert_eq!(dry.err, "a dry run; `--yes` does it\n");
    let would =
        format!("would move {BOOKS} back from position 3 to 1: 2 messages handed out again\n");
    assert_eq!(dry.well(), would);
    let waits = |count: u64| {
        let table = machine.says(&["store", "queues"]).well();
        assert_eq!(numbers(&table, BOOKS)[0], count, "{table}");
    };
    waits(0);
    let moved = reset(&["2h", "--yes"]).well();
    assert!(
        moved.starts_with("moved ") && moved.ends_with("2 messages handed out again\n"),
        "{moved}"
    );
    waits(2);
    let on = reset(&["now", "--yes"]).well();
    assert_eq!(on, format!("moved {BOOKS} on from position 1 to 3: 2 messages skipped\n"));
    waits(0);
    let id = machine.json(&["store", "list", "--json"])[0]["id"].as_str().unwrap().to_owned();
    let told = machine.says(&["where", &id]).well();
    assert_eq!(told.matches("\nmoved ").count(), 2, "{told}");
    assert!(told.contains("by ada@"), "{told}");

    let bus = machine.bus().await;
    let held = bus.transport().subscribe(bloodbank::Subscription::new(BOOKS)).await.unwrap();
    let refused = reset(&["beginning", "--yes"]);
    assert!(refused.code == 1 && refused.err.contains("stop the service"), "{}", refused.err);
    held.close().await;
    bus.close().await;
    let wrong = reset(&["soon"]);
    assert!(wrong.code == 2 && wrong.err.contains("`beginning`, or `now`"), "{}", wrong.err);
}
