//! Messages that are not due yet, in the store of an embedded bus.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{Publisher, Receipt, Settlement, Subscription, Topology, Transport};
use bloodbank_core::{Bundle, Contracts};
use bloodbank_testkit::catalog::{Any, Parcel, contracts, queue};
use candystore::{Embedded, EventStore, StoreOptions};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::databases::{Database, on_both};

on_both!(
    a_scheduled_event_comes_when_it_is_due_and_not_before,
    what_is_scheduled_survives_a_restart_and_is_sent_once_by_several_processes,
    what_is_cancelled_is_not_sent_and_what_is_sent_cannot_be_cancelled,
    one_id_is_scheduled_once,
    what_no_process_knows_the_contract_of_waits_for_one_that_does,
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

async fn what_no_process_knows_the_contract_of_waits_for_one_that_does(database: Database) {
    let before = with_queue(&database).await;
    let receipt = schedule(&before, 1, soon(300)).await;
    before.close().await;
    drop(before);
    let options = StoreOptions::new(database.url.clone());
    let ignorant = Contracts::new(Bundle::default());
    let ignorant = Embedded::new(EventStore::open(options, ignorant).await.unwrap());
    let _deliveries = ignorant.subscribe(Subscription::new("q")).await.unwrap();
    sleep(Duration::from_millis(1_500)).await;
    let waiting = ignorant.store().scheduled(10).await.unwrap();
    assert_eq!((waiting[0].id, waiting[0].attempts), (receipt.id, 0));
    ignorant.close().await;
    assert_eq!(take(&*bus(&database).await, 1).await, [receipt.id]);
}
