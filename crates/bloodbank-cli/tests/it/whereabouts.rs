//! `where`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bloodbank::uuid::Uuid;
use bloodbank::{
    Bus, Contracts, Delivery, Headers, Received, RetryPolicy, Service, Settlement, Subscription,
    Verdict, headers,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::machine::{BOARD, BOOKS, EVENT, Machine, PAID, on_both};

/// How long to wait for what must come.
const LIMIT: Duration = Duration::from_secs(30);

/// What `where --json` says of an id.
fn told(machine: &Machine, id: &str) -> Value {
    machine.json(&["where", id, "--json"]).remove(0)
}

/// What people read of a queue: its rows, without their times and who had it.
#[track_caller]
fn rows(machine: &Machine, id: &str, queue: &str) -> String {
    let text = machine.says(&["where", id]).well();
    let mut rows = text.lines().skip_while(|line| !line.starts_with(queue));
    let first = rows.next().unwrap_or_else(|| panic!("no {queue} in\n{text}"));
    let rest = rows.take_while(|line| line.starts_with("  "));
    let rows: Vec<&str> = std::iter::once(first).chain(rest).collect();
    rows.join("\n")
}

fn fates(said: &Value, queue: &str) -> Vec<String> {
    let reports = said["reports"].as_array().unwrap().iter();
    let of_queue = reports.filter(|report| report["queue"] == queue);
    of_queue
        .map(|report| match &report["fate"] {
            Value::String(fate) => format!("{fate} {}", report["attempt"]),
            fate => format!(
                "{} {}",
                fate.as_object().unwrap().keys().next().unwrap(),
                report["attempt"]
            ),
        })
        .collect()
}

fn held<'v>(said: &'v Value, queue: &str) -> &'v [Value] {
    let queues = said["queues"].as_array().unwrap();
    let found = queues.iter().find(|it| it["queue"] == queue);
    found.map_or(&[], |it| it["held"].as_array().unwrap())
}

mod embedded {
    use super::*;

    on_both!(
        the_way_of_a_message_through_its_queues_is_told,
        an_event_that_nobody_wants_says_so,
        an_id_that_nobody_knows_says_what_was_searched,
        what_is_not_due_and_what_is_in_quarantine_are_found,
    );

    async fn next(bus: &Bus, queue: &str) -> (Delivery, bloodbank::Deliveries) {
        let subscription = Subscription::new(queue).with_prefetch(1);
        let mut deliveries = bus.transport().subscribe(subscription).await.unwrap();
        let delivery = timeout(LIMIT, deliveries.recv()).await.unwrap().unwrap();
        (delivery, deliveries)
    }

    async fn settle(bus: &Bus, queue: &str, settlement: Settlement) {
        let (delivery, deliveries) = next(bus, queue).await;
        bus.transport().settle(&delivery, settlement).await.unwrap();
        deliveries.close().await;
    }

    fn failed(error: &str, after: Duration) -> Settlement {
        let noted = [(headers::ATTEMPTS, "1"), (headers::ERROR, error)];
        let noted = noted.map(|(name, value)| (name.to_owned(), value.into()));
        Settlement::Retry { after, headers: Headers::from(noted) }
    }

    async fn the_way_of_a_message_through_its_queues_is_told(machine: Machine) {
        machine.says(&["topology", "--apply"]).well();
        let id = machine.says(&["publish", PAID, "--example"]).id();
        let before = told(&machine, &id);
        assert_eq!(before["event"]["standing"], "valid");
        assert_eq!(held(&before, BOOKS)[0]["state"], "unread");
        assert!(rows(&machine, &id, BOOKS).contains("waiting"), "{}", rows(&machine, &id, BOOKS));

        let bus = machine.bus().await;
        settle(&bus, BOOKS, failed("the till is shut", Duration::ZERO)).await;
        let (delivery, deliveries) = next(&bus, BOOKS).await;
        let flying = told(&machine, &id);
        let it = &held(&flying, BOOKS)[0];
        assert_eq!((&it["state"], &it["failed"]), (&json!("in_flight"), &json!(1)), "{flying}");
        assert!(it["since"].is_string() && it["by"].as_str().unwrap().contains(" pid "), "{it}");
        let hour = failed("still shut", Duration::from_secs(3_600));
        bus.transport().settle(&delivery, hour).await.unwrap();
        deliveries.close().await;
        let waits = rows(&machine, &id, BOOKS);
        assert!(waits.contains("waits to be tried") && waits.contains("still shut"), "{waits}");
        assert!(waits.contains("(in 59m)") || waits.contains("(in 60m)"), "{waits}");
        assert_eq!(fates(&told(&machine, &id), BOOKS), ["failed 1", "failed 2"]);

        let parked = machine.says(&["publish", PAID, "--example"]).id();
        machine.park(BOOKS, 1, "no budget").await;
        let dead = told(&machine, &parked);
        assert_eq!(fates(&dead, BOOKS), ["parked 1"]);
        let letter = &held(&dead, "bookkeeper_queue.dlq")[0];
        assert_eq!((&letter["reason"], &letter["error"]), (&json!("parked"), &json!("no budget")));
        let shown = rows(&machine, &parked, "bookkeeper_queue.dlq");
        assert!(shown.contains("dead letter") && shown.contains("parked: no budget"), "{shown}");

        machine.says(&["dlq", "redrive", BOOKS, "--yes"]).well();
        let back = told(&machine, &parked);
        assert_eq!(held(&back, BOOKS)[0]["redrives"], 1, "{back}");
        settle(&bus, BOOKS, Settlement::Ack).await;
        let done = told(&machine, &parked);
        assert_eq!(fates(&done, BOOKS), ["parked 1", "handled 1"]);
        assert!(held(&done, BOOKS).is_empty() && done["reports_since"].is_string(), "{done}");

        let dropped = machine.says(&["publish", PAID, "--example"]).id();
        settle(&bus, BOOKS, Settlement::Drop { reason: "not ours".to_owned() }).await;
        let shown = rows(&machine, &dropped, BOOKS);
        assert!(shown.contains("dropped") && shown.contains("not ours"), "{shown}");

        machine.says(&["replay", "--from", "1", "--queue", BOARD, "--yes"]).well();
        let replayed = machine.says(&["where", &dropped]).well();
        assert!(replayed.contains("\nreplayed "), "{replayed}");
        assert!(rows(&machine, &dropped, BOARD).contains("replay "), "{replayed}");
        bus.close().await;
    }

    async fn an_event_that_nobody_wants_says_so(machine: Machine) {
        let id = machine.says(&["publish", PAID, "--example"]).id();
        let said = machine.says(&["where", &id]).well();
        assert!(said.contains("no queue is bound to `till.paid`"), "{said}");
        let said = told(&machine, &id);
        assert_eq!((&said["known"], &said["queues"]), (&json!(true), &json!([])));
    }

    async fn an_id_that_nobody_knows_says_what_was_searched(machine: Machine) {
        machine.store().await;
        let id = Uuid::now_v7().to_string();
        let said = machine.says(&["where", &id]);
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        for words in [
            &*format!("nothing is known of the id {id}\nsearched:"),
            "quarantine",
            "it was refused",
        ] {
            assert!(said.err.contains(words), "{}", said.err);
        }
        assert!(!said.err.contains("pruned"), "{}", said.err);
        for _ in 0..2 {
            machine.says(&["publish", PAID, "--example"]).id();
        }
        machine.says(&["store", "prune", "--key", "#", "--keep", "1", "--yes"]).well();
        let said = machine.says(&["where", &id]);
        assert!(
            said.err.contains("it was pruned: retention has removed 1 position"),
            "{}",
            said.err
        );
        assert_eq!(told(&machine, &id)["known"], false);
    }

    async fn what_is_not_due_and_what_is_in_quarantine_are_found(machine: Machine) {
        let out = machine.says(&["publish", PAID, "--example", "--not-before", "2h"]).well();
        let id = out.split_whitespace().find(|word| word.parse::<Uuid>().is_ok()).unwrap();
        let said = machine.says(&["where", id]).well();
        assert!(said.contains("\ndue ") && said.contains("not sent yet"), "{said}");
        machine.says(&["scheduled", "cancel", id]).well();
        let said = machine.says(&["where", id]).well();
        assert!(said.contains("\ncancelled "), "{said}");

        let store = machine.store().await;
        let message = |n: u32| {
            let meta = bloodbank::Meta::new().with_id(Uuid::from_u128(7));
            let envelope = bloodbank::Envelope::new("a.b", "test", json!({"n": n}), meta);
            bloodbank::candystore::Incoming::new(
                bloodbank::Kind::Event,
                "a.b",
                envelope.to_bytes().unwrap(),
            )
        };
        store.append(vec![message(1), message(2)]).await.unwrap();
        let said = machine.says(&["where", &Uuid::from_u128(7).to_string()]).well();
        assert!(said.contains("\nquarantine ") && said.contains("another message"), "{said}");
    }
}

/// The bookkeeper of the bakery.
struct Bookkeeper;

impl Service for Bookkeeper {
    const NAME: &'static str = "bookkeeper";
    const UNRESTRICTED: bool = true;

    fn contracts() -> Contracts {
        Contracts::new(bloodbank::Bundle::default())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_rabbitmq_subscribers_report_what_became_of_messages() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    machine.says(&["topology", "--apply"]).well();
    let recorder = machine.spawn(&["store", "record"]);
    recorder.told("recording `archive_queue`");
    let amqp = machine.amqp().await;
    let began = Instant::now();
    while amqp.depth("bloodbank.reports").await.is_err() {
        assert!(began.elapsed() < LIMIT, "nobody keeps reports");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ids: Vec<String> =
        (0..3).map(|_| machine.says(&["publish", PAID, "--example"]).id()).collect();
    let unheard = machine.says(&["publish", EVENT, "--example"]).id();

    let bus = Bus::new(Arc::new(amqp.clone()), machine.contracts());
    let said: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new(ids.clone()));
    let hour = RetryPolicy::ladder([Duration::from_secs(3_600)]);
    let subscriber =
        bus.subscriber::<Bookkeeper>().retry(hour).on_any(move |received: Received<Value>| {
            let id = received.envelope.id.to_string();
            let number = said.lock().unwrap().iter().position(|it| *it == id);
            async move {
                match number {
                    Some(0) => Verdict::Done,
                    Some(1) => Verdict::Retry("the till is shut".to_owned()),
                    _ => Verdict::Park("no budget".to_owned()),
                }
            }
        });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(subscriber.run_until(async { _ = stopped.await }));
    let until = |id: &str, fate: &str| {
        let began = Instant::now();
        loop {
            let said = machine.json(&["where", id, "--json"]).pop().unwrap_or_default();
            let is_stored = said["event"].is_object();
            if is_stored && fates(&said, BOOKS) == [fate] {
                return;
            }
            assert!(began.elapsed() < LIMIT, "{said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    for (id, fate) in ids.iter().zip(["handled 1", "failed 1", "parked 1"]) {
        tokio::task::block_in_place(|| until(id, fate));
    }
    let shown = rows(&machine, &ids[0], BOOKS);
    assert!(shown.contains("handled") && shown.contains("bookkeeper ("), "{shown}");
    assert!(rows(&machine, &ids[1], BOOKS).contains("the till is shut"));
    let dead = rows(&machine, &ids[2], "bookkeeper_queue.dlq");
    assert!(dead.contains("dead letter") && dead.contains("parked: no budget"), "{dead}");
    let unknown = rows(&machine, &unheard, BOARD);
    assert!(unknown.contains("no subscriber of `order_board_queue` has reported"), "{unknown}");
    assert!(unknown.contains("1 message waiting in it"), "{unknown}");
    assert!(rows(&machine, &unheard, "archive_queue").contains("recorded"));
    let nobody = machine.says(&["where", &Uuid::now_v7().to_string()]);
    assert!(nobody.code == 1 && nobody.err.contains("bookkeeper_queue.dlq"), "{}", nobody.err);
    drop(stop);
    running.await.unwrap().unwrap();
    drop(recorder);
}
