//! Messages that were lost with their consumers more than once.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, InMemory, Received, Request,
    Settlement, Subscription, Topology, Transport, TransportError, Verbatim,
};
use bloodbank_testkit::catalog::Parcel;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::support::{Bus, on_q, parcel};

/// Says of every message that it was lost twice, and so gives one after the other.
struct Losing(InMemory);

impl Transport for Losing {
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        self.0.declare(topology)
    }

    fn publish(&self, message: Encoded) -> Confirm {
        self.0.publish(message)
    }

    fn request(&self, message: Encoded) -> Request {
        self.0.request(message)
    }

    fn answer(&self, command: &Delivery, body: Vec<u8>) -> Confirm {
        self.0.answer(command, body)
    }

    fn forward(&self, message: Verbatim, to: Destination) -> Confirm {
        self.0.forward(message, to)
    }

    fn subscribe(&self, it: Subscription) -> BoxFuture<'_, Result<Deliveries, TransportError>> {
        Box::pin(async {
            let mut deliveries = self.0.subscribe(it.with_prefetch(1)).await?;
            let (sender, receiver) = mpsc::channel(1);
            let passing_on = tokio::spawn(async move {
                while let Some(delivery) = deliveries.recv().await {
                    if sender.send(delivery.with_lost(Delivery::SUSPECT)).await.is_err() {
                        break;
                    }
                }
            });
            Ok(Deliveries::new(receiver, move || passing_on.abort()))
        })
    }

    fn is_current(&self, delivery: &Delivery) -> bool {
        self.0.is_current(delivery)
    }

    fn settle<'a>(
        &'a self,
        delivery: &'a Delivery,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        self.0.settle(delivery, settlement)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.close()
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspect_waits_for_no_others_of_its_batch() {
    let bus: Bus = Arc::new(Losing(InMemory::new()));
    let (sender, mut batches) = mpsc::unbounded_channel();
    let minute = Duration::from_secs(60);
    let subscriber = on_q(&bus).on_batch(10, minute, move |batch: Vec<Received<Parcel>>| {
        sender.send(batch.len()).unwrap();
        async {}
    });
    let doing = async {
        let began = Instant::now();
        for n in 0..5 {
            parcel(&bus, n).await;
        }
        for _ in 0..5 {
            assert_eq!(batches.recv().await, Some(1));
        }
        assert!(began.elapsed() < minute, "{:?}", began.elapsed());
    };
    subscriber.run_until(doing).await.unwrap();
}
