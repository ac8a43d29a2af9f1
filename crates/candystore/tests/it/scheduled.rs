//! Messages that are not due yet, in the store of an embedded bus.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Destination, Exchange, Headers, InMemory, Publisher, Queue, Receipt, Settlement, Subscription,
    Topology, Transport, Verbatim, headers,
};
use bloodbank_core::{Bundle, Contracts, Envelope, Meta};
use bloodbank_testkit::catalog::{Any, Parcel, contracts, queue};
use candystore::{Embedded, EventStore, Scheduler, StoreOptions};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::databases::{Database, on_both};

on_both!(
    a_scheduled_event_comes_when_it_is_due_and_not_before,
    what_is_scheduled_survives_a_restart_and_is_sent_once_by_several_processes,
    what_is_cancelled_is_not_sent_and_what_is_sent_cannot_be_cancelled,
    one_id_is_scheduled_once,
    what_was_cancelled_stays_cancelled_when_a_copy_comes,
    what_no_process_knows_the_contract_of_waits_for_one_that_does,
    what_nobody_knows_does_not_hold_up_the_rest,
    a_command_that_is_kept_before_its_contract_is_known_is_sent_as_one,
);

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

async fn bus(database: &Database) -> Arc<Embedded> {
    Arc::new(Embedded::new(database.open().await))
}

async fn with_queue(database: &Database) -> Arc<Embedded> {
    let bus = bus(database).await;
    bus.declare(&Topology::new().with_queue(queue("q", &["lot.parcel"]))).await.unwrap();
    bus
}

fn soon(milliseconds: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::milliseconds(milliseconds)
}

async fn schedule(bus: &Arc<Embedded>, n: u32, due: DateTime<Utc>) -> Receipt {
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    publisher.publish(&Parcel { n }).not_before(due).await.unwrap()
}

/// Takes so many messages out of the queue.
async fn take(bus: &Embedded, count: usize) -> Vec<Uuid> {
    let mut deliveries = bus.subscribe(Subscription::new("q")).await.unwrap();
    let mut ids = Vec::new();
    while ids.len() < count {
        let delivery = timeout(PATIENCE, deliveries.recv()).await.unwrap().unwrap();
        ids.push(delivery.id().unwrap());
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    deliveries.close().await;
    ids
}

/// Waits until nothing is scheduled any more.
async fn until_sent(store: &EventStore) {
    let began = Instant::now();
    while !store.scheduled(10).await.unwrap().is_empty() {
        assert!(began.elapsed() < PATIENCE, "still scheduled");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn a_scheduled_event_comes_when_it_is_due_and_not_before(database: Database) {
    let bus = with_queue(&database).await;
    let due = soon(400);
    let receipt = schedule(&bus, 1, due).await;
    let listed = bus.store().scheduled(10).await.unwrap();
    assert_eq!((listed[0].id, &*listed[0].key, listed.len()), (receipt.id, "lot.parcel", 1));
    assert_eq!(listed[0].due.timestamp_micros(), due.timestamp_micros());
    assert_eq!(bus.store().position().await.unwrap(), 0, "it is not an event yet");
    assert_eq!(take(&bus, 1).await, [receipt.id]);
    assert!(Utc::now() >= due, "it came before it was due");
    until_sent(bus.store()).await;
    let stored = bus.store().get(receipt.id).await.unwrap().unwrap();
    assert_eq!(stored.position, 1);
}

async fn what_is_scheduled_survives_a_restart_and_is_sent_once_by_several_processes(
    database: Database,
) {
    let before = with_queue(&database).await;
    let mut ids = Vec::new();
    let due = soon(500);
    for n in 0..20 {
        ids.push(schedule(&before, n, due).await.id);
    }
    before.close().await;
    drop(before);
    let others = [bus(&database).await, bus(&database).await, bus(&database).await];
    // They consume, so each of them sends what is due.
    let mut idle = Vec::new();
    for bus in &others {
        bus.declare(&Topology::new().with_queue(queue("idle", &["no.such"]))).await.unwrap();
        idle.push(bus.subscribe(Subscription::new("idle")).await.unwrap());
    }
    let mut taken = take(&others[0], 20).await;
    taken.sort();
    ids.sort();
    assert_eq!(taken, ids);
    until_sent(others[0].store()).await;
    assert_eq!(others[0].store().position().await.unwrap(), 20);
}

async fn what_is_cancelled_is_not_sent_and_what_is_sent_cannot_be_cancelled(database: Database) {
    let bus = with_queue(&database).await;
    let cancelled = schedule(&bus, 1, soon(1_500)).await;
    let kept = schedule(&bus, 2, soon(1_600)).await;
    assert!(bus.store().cancel_scheduled(cancelled.id).await.unwrap());
    assert!(!bus.store().cancel_scheduled(cancelled.id).await.unwrap());
    assert_eq!(take(&bus, 1).await, [kept.id]);
    until_sent(bus.store()).await;
    assert!(!bus.store().cancel_scheduled(kept.id).await.unwrap());
    assert_eq!(bus.store().position().await.unwrap(), 1);
}

async fn one_id_is_scheduled_once(database: Database) {
    let bus = with_queue(&database).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let draft = || publisher.publish(&Parcel { n: 1 }).idempotency_key("monday");
    draft().not_before(soon(600_000)).await.unwrap();
    draft().not_before(soon(900_000)).await.unwrap();
    assert_eq!(bus.store().scheduled(10).await.unwrap().len(), 1);
}

async fn what_was_cancelled_stays_cancelled_when_a_copy_comes(database: Database) {
    let bus = with_queue(&database).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let draft = || publisher.publish(&Parcel { n: 1 }).idempotency_key("monday");
    let receipt = draft().not_before(soon(600)).await.unwrap();
    assert!(bus.store().cancel_scheduled(receipt.id).await.unwrap());
    // As a broker that delivers it twice, or a publisher that does not know the outcome.
    draft().not_before(soon(600)).await.unwrap();
    let kept = schedule(&bus, 2, soon(1_200)).await;
    assert_eq!(bus.store().scheduled(10).await.unwrap().len(), 1);
    assert_eq!(take(&bus, 1).await, [kept.id]);
    assert_eq!(bus.store().position().await.unwrap(), 1);
}

/// A store that has no contracts.
async fn ignorant(database: &Database) -> EventStore {
    let options = StoreOptions::new(database.url.clone());
    EventStore::open(options, Contracts::new(Bundle::default())).await.unwrap()
}

/// Puts a message where a scheduler finds it, as a publisher on a broker does.
async fn hand_over(broker: &InMemory, key: &str, data: serde_json::Value, due: DateTime<Utc>) {
    let body = Envelope::new(key, "s", data, Meta::new()).to_bytes().unwrap();
    let message = Verbatim::stored(key, body, Headers::new());
    let message = message.with_header(headers::NOT_BEFORE, headers::of_time(due));
    broker.forward(message, Destination::Exchange(Exchange::Scheduled)).await.unwrap();
}

async fn what_nobody_knows_does_not_hold_up_the_rest(database: Database) {
    let broker = Arc::new(InMemory::new());
    broker.declare(&Topology::new().with_parked_queue(Queue::of_scheduler())).await.unwrap();
    let scheduler = Scheduler::new(ignorant(&database).await, broker.clone());
    for _ in 0..300 {
        hand_over(&broker, "no.such", json!({}), soon(-1_000)).await;
    }
    hand_over(&broker, "lot.parcel", json!({"n": 1}), soon(-500)).await;
    let looking = database.open().await;
    let all_kept = async {
        while looking.scheduled(1_000).await.unwrap().len() < 301 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, scheduler.run_until(all_kept)).await.unwrap().unwrap();
    broker.declare(&Topology::new().with_queue(queue("q", &["lot.parcel"]))).await.unwrap();
    let scheduler = Scheduler::new(database.open().await, broker.clone());
    let sent = async {
        while broker.depth("q") == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, scheduler.run_until(sent)).await.unwrap().unwrap();
}

async fn a_command_that_is_kept_before_its_contract_is_known_is_sent_as_one(database: Database) {
    let broker = Arc::new(InMemory::new());
    let worker = Queue::of_command("terminal.mooring.create").unwrap();
    let queues =
        Topology::new().with_parked_queue(Queue::of_scheduler()).with_queue(worker.clone());
    broker.declare(&queues).await.unwrap();
    let data = json!({"topic": "x"});
    hand_over(&broker, "terminal.mooring.create", data, soon(-1_000)).await;
    let looking = database.open().await;
    let kept = async {
        while looking.scheduled(10).await.unwrap().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let early = Scheduler::new(ignorant(&database).await, broker.clone());
    timeout(PATIENCE, early.run_until(kept)).await.unwrap().unwrap();
    let sent = async {
        while broker.depth(&worker.name) == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let scheduler = Scheduler::new(database.open().await, broker.clone());
    timeout(PATIENCE, scheduler.run_until(sent)).await.unwrap().unwrap();
}

async fn what_no_process_knows_the_contract_of_waits_for_one_that_does(database: Database) {
    let before = with_queue(&database).await;
    let receipt = schedule(&before, 1, soon(300)).await;
    before.close().await;
    drop(before);
    let ignorant = Embedded::new(ignorant(&database).await);
    let _deliveries = ignorant.subscribe(Subscription::new("q")).await.unwrap();
    sleep(Duration::from_millis(1_500)).await;
    let waiting = ignorant.store().scheduled(10).await.unwrap();
    assert_eq!((waiting[0].id, waiting[0].attempts), (receipt.id, 0));
    ignorant.close().await;
    assert_eq!(take(&*bus(&database).await, 1).await, [receipt.id]);
}
