//! What is passed on to partitions at a time: one message of a key, and the keys side by side.
#![allow(clippy::unwrap_used)]

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, InMemory, Outcome, Publisher,
    Received, Request, Settlement, Subscriber, Subscription, Topology, Transport, TransportError,
    Verbatim,
};
use bloodbank_testkit::catalog::{Any, MooringCreated, bus, contracts, mooring};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Holds back what becomes of each message that is passed on.
struct Holding {
    bus: InMemory,
    held: Mutex<Vec<Held>>,
}

/// A message that was passed on: its topic and its round.
type Held = ((String, u64), oneshot::Sender<Outcome>);

impl Holding {
    /// What was passed on since, in order, which is confirmed from now on.
    fn confirm(&self) -> Vec<(String, u64)> {
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        let confirmed = held.into_iter().map(|(message, outcome)| {
            outcome.send(Ok(())).unwrap();
            message
        });
        confirmed.collect()
    }
}

impl Transport for Holding {
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
    fn forward(&self, message: Verbatim, _: Destination) -> Confirm {
        let data = &message.envelope().unwrap().data;
        let topic = data["topic"].as_str().unwrap().to_owned();
        let round = data["max_rounds"].as_u64().unwrap();
        let (sender, receiver) = oneshot::channel();
        self.held.lock().unwrap().push(((topic, round), sender));
        Confirm::pending(receiver)
    }
    fn subscribe(
        &self,
        subscription: Subscription,
    ) -> BoxFuture<'_, Result<Deliveries, TransportError>> {
        self.bus.subscribe(subscription)
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
    fn close(&self) -> BoxFuture<'_, ()> {
        self.bus.close()
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_passed_on_side_by_side_and_each_in_order() {
    let (memory, _) = bus([]).await;
    let holding = Arc::new(Holding { bus: memory, held: Mutex::default() });
    let subscriber = Subscriber::<Any>::new(holding.clone(), contracts())
        .queue("k")
        .bind("terminal.mooring.created")
        .ordered_by("/topic")
        .partitions(2)
        .on(async |_: Received<MooringCreated>| {});
    tokio::spawn(subscriber.run_until(pending()));
    sleep(Duration::from_secs(1)).await;
    let publisher = Publisher::<Any>::new(holding.clone(), contracts());
    for max_rounds in 1..=3 {
        for topic in ["a", "b", "c"] {
            let mooring = MooringCreated { max_rounds, ..mooring(topic) };
            publisher.publish(&mooring).await.unwrap();
        }
    }
    for round in 1..=3 {
        // Nothing more is passed on before these are confirmed.
        sleep(Duration::from_secs(10)).await;
        let mut confirmed = holding.confirm();
        confirmed.sort_unstable();
        assert_eq!(confirmed, ["a", "b", "c"].map(|topic| (topic.to_owned(), round)));
    }
}
