//! Messages that are not due yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{InMemory, Publisher, Queue, Subscription, Topology, Transport};
use bloodbank_testkit::catalog::{Any, Parcel, contracts, queue};
use chrono::{TimeDelta, Utc};
use tokio::time::timeout;

/// A bus with a queue of parcels.
async fn with_queue(queue: Queue) -> Arc<InMemory> {
    let bus = Arc::new(InMemory::new());
    bus.declare(&Topology::new().with_queue(queue)).await.unwrap();
    bus
}

#[tokio::test]
async fn a_scheduled_event_comes_when_it_is_due_and_not_before() {
    let bus = with_queue(queue("q", &["lot.parcel"])).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let due = Utc::now() + TimeDelta::milliseconds(300);
    let receipt = publisher.publish(&Parcel { n: 1 }).not_before(due).await.unwrap();
    let mut deliveries = bus.subscribe(Subscription::new("q")).await.unwrap();
    let delivery = timeout(Duration::from_secs(10), deliveries.recv()).await.unwrap().unwrap();
    assert!(Utc::now() >= due, "it came before it was due");
    assert_eq!(delivery.id(), Some(receipt.id));
}

#[tokio::test]
async fn a_time_that_has_passed_means_now() {
    let bus = with_queue(queue("q", &["lot.parcel"])).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let past = Utc::now() - TimeDelta::seconds(1);
    publisher.publish(&Parcel { n: 1 }).not_before(past).await.unwrap();
    assert_eq!(bus.depth("q"), 1);
}

#[tokio::test]
async fn what_breaks_its_contract_is_refused_when_it_is_scheduled() {
    let bus = with_queue(queue("q", &["#"])).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let bad = bloodbank_testkit::catalog::MooringCreated {
        max_rounds: 99,
        ..bloodbank_testkit::catalog::mooring("x")
    };
    let due = Utc::now() + TimeDelta::hours(1);
    let refused = publisher.publish(&bad).not_before(due).await.unwrap_err();
    assert!(refused.refusal().is_some(), "{refused}");
}
