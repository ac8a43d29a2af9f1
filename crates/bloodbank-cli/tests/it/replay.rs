//! Replaying from the command line: a dry run, and onto a real broker.

use std::time::Duration;

use bloodbank::amqp::Amqp;
use bloodbank::candystore::{Incoming, ReplayState};
use bloodbank::chrono::{DateTime, TimeDelta};
use bloodbank::{
    Envelope, Exchange, Kind, Meta, Queue, Settlement, Subscription, Topology, Transport, headers,
};
use expect_test::expect;
use serde_json::{Value, json};

use crate::machine::{COLLECTED as EVENT, Machine, Said};

/// Where nobody is.
const NOWHERE: &str = "amqp://127.0.0.1:1";

fn nowhere() -> Machine {
    Machine::sqlite().on(NOWHERE)
}

/// With these events in the store.
async fn with(machine: Machine, batch: Vec<Incoming>) -> Machine {
    machine.store().await.append(batch).await.unwrap();
    machine
}

fn replay(machine: &Machine, arguments: &[&str]) -> Said {
    machine.says(&[&["replay"], arguments].concat())
}

/// A broker with a queue `q` that hears replays, and `deaf`, which does not; `None` where RabbitMQ is
/// missing.
async fn broker() -> Option<(Machine, Amqp)> {
    let machine = Machine::rabbitmq().await?;
    let amqp = machine.amqp().await;
    let queue = |name| Queue::new(name).bind(Exchange::Events, EVENT.parse().unwrap());
    let topology = Topology::new().with_queue(queue("q").hear_replays());
    amqp.declare(&topology.with_queue(queue("deaf"))).await.unwrap();
    Some((machine, amqp))
}

/// Positions of what lies in a queue, which is taken out.
async fn take(amqp: &Amqp, queue: &str) -> Vec<u64> {
    let mut deliveries = amqp.subscribe(Subscription::browse(queue)).await.unwrap();
    let mut positions = Vec::new();
    while let Some(delivery) = deliveries.recv().await {
        amqp.settle(&delivery, Settlement::Ack).await.unwrap();
        positions.push(headers::count(&delivery.headers, headers::POSITION).unwrap().into());
    }
    deliveries.close().await;
    positions
}

/// Events a second apart, from noon on.
fn event(key: &str, seconds: i64, data: Value) -> Incoming {
    let noon = DateTime::parse_from_rfc3339("2026-01-31T12:00:00Z").unwrap().to_utc();
    let time = noon + TimeDelta::seconds(seconds);
    let envelope = Envelope::new(key, "test", data, Meta::new().with_timestamp(time));
    let incoming = Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap());
    incoming.with_received(time)
}

/// Events that keep their contract, which is not one of those built in.
fn valid(count: i64) -> Vec<Incoming> {
    let contracts = Machine::sqlite().contracts();
    let example = contracts.bundle().examples(contracts.contract(EVENT).unwrap())[0].clone();
    (0..count).map(|n| event(EVENT, n, example.clone())).collect()
}

fn mixed() -> Vec<Incoming> {
    let mut batch = valid(3);
    batch.insert(1, event("oven.batch.finished", 0, json!({"batch": "7"})));
    batch.push(event("no.such.key", 4, json!({})));
    batch
}

#[test]
fn a_replay_of_a_store_that_is_not_there_makes_none() {
    let machine = nowhere();
    for arguments in [&[][..], &["--list"], &["--yes", "--live"]] {
        let said = replay(&machine, arguments);
        assert_eq!((said.code, &*said.out), (1, ""), "{}", said.err);
        assert!(said.told().starts_with("error: there is no store at "), "{}", said.err);
    }
    assert!(!machine.store_file().exists());
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_sent_and_asks_no_broker() {
    let machine = with(nowhere(), mixed()).await;
    let said =
        replay(&machine, &["--key", "bakery.#", "--key", "oven.#", "--key", "no.#", "--from", "1"]);
    assert_eq!(said.code, 0, "{}", said.err);
    expect![[r#"
        KEY                     EVENTS
        bakery.order.collected  3
        no.such.key             1
        oven.batch.finished     1
        first   position 1, 2026-01-31 12:00:00.000Z, bakery.order.collected
        last    position 5, 2026-01-31 12:00:04.000Z, no.such.key
        events  5
        target  bloodbank.replay.v1, for the queues that hear replays
        2 events break the contracts of today, and are in the way:
        POSITION  KEY                  VIOLATION
        2         oven.batch.finished  /event_type  expected property `event_type` to be present, found nothing
        5         no.such.key          no contract has the key `no.such.key`
        note: contracts: 6 contracts of schemas; services of services/registry.yaml
        a dry run; `--yes` does it
    "#]]
    .assert_eq(&format!("{}{}", said.out, said.err));
    let into = replay(&machine, &["--key", EVENT, "--from", "2", "--to", "3", "--queue", "q"]);
    expect![[r#"
        KEY                     EVENTS
        bakery.order.collected  1
        first   position 3, 2026-01-31 12:00:01.000Z, bakery.order.collected
        last    position 3, 2026-01-31 12:00:01.000Z, bakery.order.collected
        events  1
        target  queue `q`
        note: contracts: 6 contracts of schemas; services of services/registry.yaml
        a dry run; `--yes` does it
    "#]]
    .assert_eq(&format!("{}{}", into.out, into.err));
    let live = replay(&machine, &["--live", "--skip-invalid", "--to", "2026-01-31T12:00:00.5Z"]);
    expect![[r#"
        KEY                     EVENTS
        bakery.order.collected  1
        oven.batch.finished     1
        first   position 1, 2026-01-31 12:00:00.000Z, bakery.order.collected
        last    position 2, 2026-01-31 12:00:00.000Z, oven.batch.finished
        events  2
        target  bakery.events, LIVE: everybody gets them, as if they happened now
        1 event breaks the contracts of today, and will be skipped:
        POSITION  KEY                  VIOLATION
        2         oven.batch.finished  /event_type  expected property `event_type` to be present, found nothing
        note: contracts: 6 contracts of schemas; services of services/registry.yaml
        a dry run; `--yes` does it
    "#]].assert_eq(&format!("{}{}", live.out, live.err));
    let none = replay(&machine, &["--source", "nobody", "--yes"]);
    assert_eq!((none.code, &*none.out), (0, ""));
    assert_eq!(none.told(), "no events; there is nothing to send\n");
    assert_eq!(machine.store().await.replays(9).await.unwrap(), []);
    assert_eq!(replay(&machine, &["--list"]).err, "no replays\n");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let machine = with(nowhere(), valid(1)).await;
    for (arguments, expected) in [
        (&["--live", "--queue", "q"][..], "cannot be used with"),
        (&["--rate", "0"], "`0` is no number above 0"),
        (&["--speed", "-1"], "unexpected argument"),
        (&["--rate", "1", "--speed", "1"], "cannot be used with"),
        (&["--from", "yesterday"], "or a position, as in `1`"),
        (&["--list", "--yes"], "cannot be used with"),
        (&["--list", "--key", "#"], "cannot be used with"),
        (&["--json"], "--list"),
        (
            &["--resume", "0199d8a0-0000-7000-8000-000000000000", "--key", "#"],
            "cannot be used with",
        ),
        (&["--resume", "0199d8a0-0000-7000-8000-000000000000"], "there is no replay 0199d8a0"),
    ] {
        let said = replay(&machine, arguments);
        assert_ne!(said.code, 0, "{arguments:?}");
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_yes_all_is_sent_and_put_on_record() {
    let Some((machine, amqp)) = broker().await else { return };
    let machine = with(machine, mixed()).await;
    let refused = replay(&machine, &["--yes"]);
    assert_eq!(refused.code, 100, "{}", refused.err);
    assert!(refused.out.contains("2 events break the contracts of today, and are in the way:"));
    assert_eq!(refused.told(), "nothing was sent; `--skip-invalid` sends the others\n");
    assert!(take(&amqp, "q").await.is_empty());
    let said = replay(&machine, &["--yes", "--skip-invalid"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(take(&amqp, "q").await, [1, 3, 4]);
    assert!(take(&amqp, "deaf").await.is_empty());
    let run = machine.store().await.replays(9).await.unwrap().remove(0);
    let summary =
        format!("replay {} is done: 3 of 5 sent, 2 skipped, 0 retries, up to position 5\n", run.id);
    assert!(said.out.ends_with(&summary), "{}", said.out);
    let bar = "[##############################] 100%  5 of 5  ";
    assert!(said.err.contains(bar), "{}", said.err);
    assert!(run.options.author.starts_with("ada@"), "{}", run.options.author);
    let live = replay(&machine, &["--key", EVENT, "--live", "--to", "1", "--yes"]);
    assert_eq!(live.code, 0, "{}", live.err);
    assert_eq!((take(&amqp, "q").await, take(&amqp, "deaf").await), (vec![1], vec![1]));
    let into = replay(&machine, &["--key", EVENT, "--queue", "deaf", "--from", "4", "--yes"]);
    assert_eq!(into.code, 0, "{}", into.err);
    assert_eq!((take(&amqp, "q").await, take(&amqp, "deaf").await), (vec![], vec![4]));
    let listed = replay(&machine, &["--list"]).out;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("STARTED"), "{listed}");
    assert!(lines[1].contains("queue:deaf  1 of 1"), "{listed}");
    assert!(lines[3].contains(&run.id.to_string()) && lines[3].contains("done"), "{listed}");
    assert!(lines[1].contains(&format!("--key {EVENT} --from 4 --to 5")), "{listed}");
    let json = replay(&machine, &["--list", "--json"]).out;
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    let filter = json!({"kind": "event", "keys": [EVENT], "first": 4, "last": 5});
    assert_eq!((&first["filter"], &first["sent"]), (&filter, &json!(1)));
    assert_eq!(json.lines().count(), 3);
    assert_eq!(machine.store().await.position().await.unwrap(), 5, "nothing is appended");
    amqp.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_hears_says_so_and_is_resumed_when_somebody_does() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    let machine = with(machine, valid(2)).await;
    let said = replay(&machine, &["--yes"]);
    assert_eq!(said.code, 1);
    let expected = format!("error: nobody hears replays of `{EVENT}` on bloodbank.replay.v1");
    assert!(said.err.contains(&expected), "{}", said.err);
    let run = machine.store().await.replays(1).await.unwrap().remove(0);
    assert_eq!(run.state, ReplayState::Failed);
    assert_eq!(run.retries, 0, "it ended at once");
    assert!(!said.err.contains("retries"), "{}", said.err);
    let id = run.id.to_string();
    assert!(said.err.contains(&format!("`bloodbank replay --resume {id} --yes` goes on")));
    let amqp = machine.amqp().await;
    let queue = Queue::new("q").bind(Exchange::Events, "#".parse().unwrap()).hear_replays();
    amqp.declare(&Topology::new().with_queue(queue)).await.unwrap();
    let dry = replay(&machine, &["--resume", &id]);
    assert!(dry.out.contains("events  2") && dry.err.contains("a dry run"), "{}", dry.err);
    let said = replay(&machine, &["--resume", &id, "--yes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(take(&amqp, "q").await, [1, 2]);
    let over = replay(&machine, &["--resume", &id, "--yes"]);
    assert!(over.code == 1 && over.err.contains("is done"), "{}", over.err);
    amqp.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_is_interrupted_says_how_to_go_on_and_does() {
    let Some((machine, amqp)) = broker().await else { return };
    let machine = with(machine, valid(40)).await;
    let running = machine.spawn(&["replay", "--rate", "20", "--yes"]);
    let begun = running.told("replay ");
    let id = begun.strip_prefix("replay ").unwrap().split(';').next().unwrap();
    while amqp.depth("q").await.unwrap() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.interrupt();
    let said = running.end();
    assert_eq!(said.code, 130);
    let help = format!("`bloodbank replay --resume {id} --yes` goes on");
    assert!(said.err.contains(&help), "{}", said.err);
    let first = take(&amqp, "q").await;
    assert!((3..40).contains(&first.len()), "{first:?}");
    let again = replay(&machine, &["--resume", id, "--rate", "1000", "--yes"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.out.contains("is done: 40 of 40 sent"), "{}", again.out);
    let all = [first, take(&amqp, "q").await].concat();
    assert_eq!(all, (1..=40).collect::<Vec<_>>());
    amqp.close().await;
}
