//! What subscribers report of messages, on a transport that wants it.
#![allow(clippy::unwrap_used)]

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, InMemory, Publisher, Received,
    Report, Request, Settlement, Subscriber, Subscription, Topology, Transport, TransportError,
    Verbatim,
};
use bloodbank_testkit::catalog::{Any, Parcel, bus, contracts};
use tokio::time::sleep;

/// Notes how many reports come at a time, and says whether anybody wants them.
struct Asking {
    bus: InMemory,
    has_recorder: AtomicBool,
    batches: Mutex<Vec<usize>>,
}

impl Transport for Asking {
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        self.bus.declare(topology)
    }
    fn publish(&self, message: Encoded) -> Confirm {
        self.bus.publish(message)
    }
    fn request(&self, message: Encoded) -> Request {
        self.bus.request(message)
    }
    fn answer(&self, command: &Delivery, body: Vec<u8>) -> Confirm {
        self.bus.answer(command, body)
    }
    fn forward(&self, message: Verbatim, to: Destination) -> Confirm {
        self.bus.forward(message, to)
    }
    fn subscribe(&self, it: Subscription) -> BoxFuture<'_, Result<Deliveries, TransportError>> {
        self.bus.subscribe(it)
    }
    fn is_current(&self, delivery: &Delivery) -> bool {
        self.bus.is_current(delivery)
    }
    fn settle<'a>(
        &'a self,
        delivery: &'a Delivery,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        self.bus.settle(delivery, settlement)
    }
    fn wants_reports(&self) -> bool {
        true
    }
    fn report(&self, reports: &[Report]) -> Confirm {
        self.batches.lock().unwrap().push(reports.len());
        Confirm::settled(match self.has_recorder.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(TransportError::Undeclared { queue: "bloodbank.reports".to_owned() }),
        })
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        self.bus.close()
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_wants_reports_none_are_made_for_a_while() {
    let (memory, _) = bus([]).await;
    let has_recorder = AtomicBool::new(false);
    let asking = Arc::new(Asking { bus: memory, has_recorder, batches: Mutex::default() });
    let subscriber = Subscriber::<Any>::new(asking.clone(), contracts())
        .queue("q")
        .bind("lot.parcel")
        .on(async |_: Received<Parcel>| {});
    tokio::spawn(subscriber.run_until(pending()));
    sleep(Duration::from_secs(1)).await;
    let publisher = Publisher::<Any>::new(asking.clone(), contracts());
    let publish = async |count: u32| {
        for n in 0..count {
            publisher.publish(&Parcel { n }).await.unwrap();
        }
        sleep(Duration::from_secs(5)).await;
        asking.batches.lock().unwrap().clone()
    };
    assert_eq!(publish(3).await, [3]);
    asking.has_recorder.store(true, Ordering::Relaxed);
    assert_eq!(publish(3).await, [3], "nobody is asked so soon");
    sleep(Duration::from_secs(30)).await;
    assert_eq!(publish(2).await, [3, 2]);
    assert_eq!(publish(1).await, [3, 2, 1]);
}
