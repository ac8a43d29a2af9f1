//! The embedded bus across processes and restarts. Another process is another store on the same
//! database; one that dies is a runtime that ends.

mod damage;
mod lag;
mod many;
mod moving;
mod processes;
mod queues;
mod replaying;
mod suspects;

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{Deliveries, Delivery, Publisher, Queue, Subscription, Topology, Transport};
use bloodbank_core::Envelope;
use bloodbank_testkit::catalog::{Any, Parcel, contracts};
use candystore::Embedded;
use tokio::time::timeout;

use crate::databases::Database;

const PARCEL: &str = "lot.parcel";

async fn bus(database: &Database) -> Arc<Embedded> {
    Arc::new(Embedded::new(database.open().await))
}

async fn declare(bus: &Embedded, queue: Queue) {
    bus.declare(&Topology::new().with_parked_queue(queue)).await.unwrap();
}

async fn parcels(bus: &Arc<Embedded>, numbers: std::ops::Range<u32>) {
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let mut under_way = Vec::new();
    for n in numbers {
        under_way.push(publisher.publish(&Parcel { n }).enqueue().await.unwrap());
    }
    for publishing in under_way {
        publishing.await.unwrap();
    }
}

async fn consume(bus: &Embedded, queue: &str, prefetch: u16) -> Deliveries {
    bus.subscribe(Subscription::new(queue).with_prefetch(prefetch)).await.unwrap()
}

async fn recv(deliveries: &mut Deliveries) -> Delivery {
    let delivery = timeout(Duration::from_secs(30), deliveries.recv()).await;
    delivery.expect("a delivery in 30 s").expect("the consumer goes on")
}

async fn nothing(deliveries: &mut Deliveries) {
    let more = timeout(Duration::from_millis(300), deliveries.recv()).await;
    assert!(more.is_err(), "{more:?}");
}

async fn browse(bus: &Embedded, queue: &str) -> Vec<Delivery> {
    let mut deliveries = bus.subscribe(Subscription::browse(queue)).await.unwrap();
    let mut all = Vec::new();
    while let Some(delivery) = deliveries.recv().await {
        all.push(delivery);
    }
    deliveries.close().await;
    all
}

fn number(delivery: &Delivery) -> u32 {
    let envelope = Envelope::from_bytes(&delivery.body).unwrap();
    serde_json::from_value::<Parcel>(envelope.data).unwrap().n
}

fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}
