//! What is passed on to partitions at a time: one message of a key, and the keys side by side.
#![allow(clippy::unwrap_used)]

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, InMemory, Outage, Outcome,
    Publisher, Received, Request, Settlement, Subscriber, Subscription, Topology, Transport,
    TransportError, Verbatim,
};
use bloodbank_testkit::catalog::{Any, MooringCreated, bus, contracts, mooring};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Holds back what becomes of each message that is passed on.
struct Holding {
    bus: InMemory,
    held: Mutex<Vec<Held>>,
    /// Longer runs are refused.
    longest: usize,
    /// How many messages each refused run had.
    refused: Mutex<Vec<usize>>,
}

/// A message that was passed on: its topic and its round.
type Held = ((String, u64), oneshot::Sender<Outcome>);

impl Holding {
    async fn new(longest: usize) -> Arc<Self> {
        let (bus, _) = bus([]).await;
        Arc::new(Holding { bus, held: Mutex::default(), longest, refused: Mutex::default() })
    }

    /// Begins to pass messages on.
    async fn relay(self: &Arc<Self>) {
        let subscriber = Subscriber::<Any>::new(self.clone(), contracts())
            .queue("k")
            .bind("terminal.mooring.created")
            .ordered_by("/topic")
            .partitions(2)
            .on(async |_: Received<MooringCreated>| {});
        tokio::spawn(subscriber.run_until(pending()));
        sleep(Duration::from_secs(1)).await;
    }

    async fn publish(self: &Arc<Self>, topic: &str, max_rounds: u32) {
        let publisher = Publisher::<Any>::new(self.clone(), contracts());
        let mooring = MooringCreated { max_rounds, ..mooring(topic) };
        publisher.publish(&mooring).await.unwrap();
    }

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
    fn forward_run(&self, run: Vec<Verbatim>, queue: &str) -> BoxFuture<'_, Outcome> {
        let queue = queue.to_owned();
        Box::pin(async move {
            if run.len() > self.longest {
                self.refused.lock().unwrap().push(run.len());
                return Err(TransportError::Disconnected { outage: Outage::Lost });
            }
            for message in run {
                self.forward(message, Destination::queue(&queue)).await?;
            }
            Ok(())
        })
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
    let holding = Holding::new(usize::MAX).await;
    holding.relay().await;
    for round in 1..=3 {
        for topic in ["a", "b", "c"] {
            holding.publish(topic, round).await;
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

#[tokio::test(start_paused = true)]
async fn a_run_that_failed_is_passed_on_message_by_message() {
    let holding = Holding::new(1).await;
    holding.relay().await;
    let mut passed_on = Vec::new();
    for round in 1..=4 {
        holding.publish("a", round).await;
    }
    while passed_on.len() < 4 {
        sleep(Duration::from_secs(10)).await;
        let confirmed = holding.confirm();
        assert_eq!(confirmed.len(), 1, "{passed_on:?}");
        passed_on.extend(confirmed.into_iter().map(|(_, round)| round));
    }
    assert_eq!(passed_on, [1, 2, 3, 4]);
    assert_eq!(holding.refused.lock().unwrap().len(), 1, "one run was refused, and none after it");
}
