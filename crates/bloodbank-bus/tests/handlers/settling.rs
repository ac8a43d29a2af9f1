//! What happens while a message is settled, and where it cannot be.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, InMemory, Received, Report,
    Request, Settlement, Subscription, Topology, Transport, TransportError, Verbatim,
};
use bloodbank_testkit::catalog::Parcel;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::support::{Bus, on_q, parcel};

/// Settles as often as it is allowed to, and wants to know what became of messages.
struct Slow {
    bus: InMemory,
    allowed: Semaphore,
    /// The first is settled too late.
    is_late: Mutex<bool>,
    reports: Mutex<Vec<Report>>,
}

impl Slow {
    fn new(allowed: usize) -> Arc<Self> {
        let (bus, allowed) = (InMemory::new(), Semaphore::new(allowed));
        Arc::new(Slow { bus, allowed, is_late: false.into(), reports: Mutex::default() })
    }
}

impl Transport for Slow {
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
        Box::pin(async move {
            self.allowed.acquire().await.unwrap().forget();
            if std::mem::take(&mut *self.is_late.lock().unwrap()) {
                return Err(TransportError::Stale);
            }
            self.bus.settle(delivery, settlement).await
        })
    }

    fn wants_reports(&self) -> bool {
        true
    }

    fn report(&self, reports: &[Report]) -> Confirm {
        self.reports.lock().unwrap().extend_from_slice(reports);
        Confirm::settled(Ok(()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.bus.close()
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_message_is_handled_while_one_is_settled() {
    let slow = Slow::new(0);
    let bus: Bus = slow.clone();
    let (sender, mut seen) = mpsc::unbounded_channel();
    let subscriber = on_q(&bus).concurrency(1).on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    });
    let doing = async {
        for n in 0..5 {
            parcel(&bus, n).await;
            assert_eq!(timeout(Duration::from_secs(1), seen.recv()).await, Ok(Some(n)));
        }
        slow.allowed.add_permits(5);
    };
    subscriber.run_until(doing).await.unwrap();
    assert_eq!(slow.reports.lock().unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn in_order_the_next_message_waits_until_one_is_settled() {
    let slow = Slow::new(0);
    let bus: Bus = slow.clone();
    let (sender, mut seen) = mpsc::unbounded_channel();
    let subscriber = on_q(&bus).strict_order().on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    });
    let doing = async {
        for n in 0..2 {
            parcel(&bus, n).await;
        }
        assert_eq!(seen.recv().await, Some(0));
        assert!(timeout(Duration::from_secs(60), seen.recv()).await.is_err());
        slow.allowed.add_permits(2);
        assert_eq!(seen.recv().await, Some(1));
    };
    subscriber.run_until(doing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_settled_too_late_is_not_reported() {
    let slow = Slow::new(100);
    *slow.is_late.lock().unwrap() = true;
    let bus: Bus = slow.clone();
    let (sender, mut seen) = mpsc::unbounded_channel();
    let subscriber = on_q(&bus).on(move |received: Received<Parcel>| {
        sender.send(received.envelope.id).unwrap();
        async {}
    });
    let mut ids = Vec::new();
    let doing = async {
        for n in 0..3 {
            parcel(&bus, n).await;
            ids.push(seen.recv().await.unwrap());
        }
    };
    subscriber.run_until(doing).await.unwrap();
    let reports = slow.reports.lock().unwrap();
    assert_eq!(reports.iter().map(|report| report.id).collect::<Vec<_>>(), ids[1..]);
}
