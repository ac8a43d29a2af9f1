//! How far queues are behind.

use std::time::Duration;

use bloodbank_bus::{Headers, Settlement, Transport};
use bloodbank_core::Kind;
use bloodbank_testkit::catalog::queue;
use candystore::{Embedded, Incoming, QueueStatus};
use chrono::{TimeDelta, Utc};

use super::{PARCEL, bus, consume, declare, parcels, recv};
use crate::databases::{Database, on_both, parcel};
use crate::raw;

on_both!(a_lag_counts_the_messages_that_a_queue_wants_and_the_age_of_the_oldest,);

async fn status(bus: &Embedded, name: &str) -> QueueStatus {
    let queues = bus.queues().await.unwrap();
    queues.into_iter().find(|status| status.queue.name == name).unwrap()
}

async fn a_lag_counts_the_messages_that_a_queue_wants_and_the_age_of_the_oldest(
    database: Database,
) {
    let bus = bus(&database).await;
    declare(&bus, queue("all", &["#"])).await;
    declare(&bus, queue("none", &["no.such.key"])).await;
    parcels(&bus, 0..30).await;
    // A binding wants what comes after it; a queue is no further behind for others' events.
    declare(&bus, queue("late", &[PARCEL, "lot.#"])).await;
    parcels(&bus, 30..50).await;
    let history = |n| parcel(n).with_received(Utc::now() - TimeDelta::days(1));
    bus.store().append(vec![history(50)]).await.unwrap();
    let command = Incoming::new(Kind::Command, "lot.sweep", *b"{}").with_headers(Headers::new());
    bus.store().append(vec![command]).await.unwrap();
    for (name, lag) in [("all", 50), ("late", 20), ("none", 0), ("all.dlq", 0)] {
        let status = status(&bus, name).await;
        assert_eq!((status.lag, status.unread), (lag, lag), "{name}");
        assert_eq!(status.age.is_some(), lag > 0, "{name}");
    }
    let old = "UPDATE events SET received = received - 600000000 WHERE position <= 31";
    raw::change(&database, old).await;
    let mut deliveries = consume(&bus, "all", 10).await;
    for _ in 0..5 {
        let delivery = recv(&mut deliveries).await;
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    let all = status(&bus, "all").await;
    assert_eq!((all.lag, all.unread + all.unsettled), (45, 45));
    let age = all.age.unwrap();
    assert!(age >= Duration::from_secs(600) && age < Duration::from_secs(1_200), "{age:?}");
}
