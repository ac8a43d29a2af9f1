//! Waiting for what must come, and what most tests begin with.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bloodbank_bus::{
    Deliveries, Delivery, Headers, Inbox, Publisher, Queue, Received, RetryPolicy, SubscribeError,
    Subscriber, Subscription, Topology, Transport, Verbatim,
};
use bloodbank_core::codec::Payload;
use bloodbank_core::{Envelope, Meta, Service};
use futures_core::Stream;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::catalog::{Any, Parcel, contracts, queue};

pub(super) type Bus = Arc<dyn Transport>;

/// The routing key of [`Parcel`].
pub(super) const PARCEL: &str = "lot.parcel";

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait for what must not come: longer than the default ladder waits before the first
/// retry, and so long that a broker on a busy machine would have delivered a second copy.
const QUIET: Duration = Duration::from_millis(1_500);

pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn ladder<const N: usize>(milliseconds: [u64; N]) -> RetryPolicy {
    RetryPolicy::ladder(milliseconds.map(ms))
}

/// What must happen.
pub(super) async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// What must not happen.
pub(super) async fn never<T>(what: &str, future: impl IntoFuture<Output = T>) {
    assert!(timeout(QUIET, future).await.is_err(), "{what}");
}

/// Looks until there is something to see.
pub(super) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            match look().await {
                Some(seen) => return seen,
                None => sleep(ms(100)).await,
            }
        }
    };
    soon(what, looking).await
}

/// Declares queues, each with its dead-letter queue, as subscribers do.
pub(super) async fn declare(bus: &Bus, queues: impl IntoIterator<Item = Queue>) {
    let topology = queues.into_iter().fold(Topology::new(), Topology::with_parked_queue);
    bus.declare(&topology).await.unwrap();
}

/// Declares the queue `q`, bound to [`Parcel`].
pub(super) async fn declare_q(bus: &Bus) {
    declare(bus, [queue("q", &[PARCEL])]).await;
}

/// Publishes parcels with these numbers.
pub(super) async fn parcels(bus: &Bus, numbers: Range<u32>) {
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    for n in numbers {
        publisher.publish(&Parcel { n }).await.unwrap();
    }
}

/// A copy of a parcel that was published before, or elsewhere, with this id.
pub(super) fn copy(n: u32, id: Uuid) -> Verbatim {
    let envelope = Envelope::new(PARCEL, "elsewhere", json!(Parcel { n }), Meta::new().with_id(id));
    Verbatim::stored(PARCEL, envelope.to_bytes().unwrap(), Headers::new())
}

pub(super) async fn inbox<P: Payload>(bus: &Bus, name: &str) -> Inbox<P> {
    Inbox::open(bus.clone(), contracts(), Subscription::new(name)).await.unwrap()
}

pub(super) async fn next<P: Payload>(inbox: &mut Inbox<P>) -> Received<P> {
    soon("a message", inbox.next()).await.unwrap().expect("the inbox has ended")
}

pub(super) async fn consume(bus: &Bus, name: &str, prefetch: u16) -> Deliveries {
    bus.subscribe(Subscription::new(name).with_prefetch(prefetch)).await.unwrap()
}

pub(super) async fn recv(deliveries: &mut Deliveries) -> Delivery {
    soon("a delivery", deliveries.recv()).await.expect("the consumer has ended")
}

/// Waits for so many messages of a queue, which are the only ones; they stay there.
pub(super) async fn holds(bus: &Bus, name: &str, count: usize) -> Vec<Delivery> {
    let what = format!("{count} messages in `{name}`");
    let seen = eventually(&what, || async {
        let seen = browse(bus, name).await;
        (seen.len() >= count).then_some(seen)
    })
    .await;
    assert_eq!(seen.len(), count, "in `{name}`: {seen:?}");
    seen
}

/// What lies in a queue now.
pub(super) async fn browse(bus: &Bus, name: &str) -> Vec<Delivery> {
    let mut deliveries = bus.subscribe(Subscription::browse(name)).await.unwrap();
    let mut seen = Vec::new();
    while let Some(delivery) = soon("the end of the queue", deliveries.recv()).await {
        seen.push(delivery);
    }
    deliveries.close().await;
    seen
}

/// The number of a parcel.
pub(super) fn number(delivery: &Delivery) -> u32 {
    let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
    serde_json::from_value::<Parcel>(body["data"].clone()).unwrap().n
}

pub(super) fn keys(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| &*delivery.key).collect()
}

/// What handlers tell the test.
pub(super) struct Log<T>(mpsc::UnboundedReceiver<T>);

/// A way from handlers to the test.
pub(super) fn log<T>() -> (mpsc::UnboundedSender<T>, Log<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Log(receiver))
}

impl<T: std::fmt::Debug> Log<T> {
    pub(super) async fn next(&mut self) -> T {
        soon("a handler", self.0.recv()).await.expect("no handler is left")
    }

    pub(super) async fn take(&mut self, count: usize) -> Vec<T> {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(self.next().await);
        }
        all
    }

    /// Nothing more comes.
    pub(super) async fn ends(&mut self) {
        if let Ok(Some(more)) = timeout(QUIET, self.0.recv()).await {
            panic!("a handler was called once more: {more:?}");
        }
    }

    /// What came without waiting.
    pub(super) fn so_far(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// A subscriber at work.
pub(super) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), SubscribeError>>,
}

pub(super) fn run<S: Service>(subscriber: Subscriber<S>) -> Running {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(subscriber.run_until(async {
        // An error means that the test is over.
        let _ = stopped.await;
    }));
    Running { stop, task }
}

impl Running {
    /// Tells it to stop, and waits until it has.
    pub(super) async fn stop(self) -> Result<(), SubscribeError> {
        self.stop.send(()).expect("the subscriber has ended");
        soon("the subscriber's end", self.task).await.unwrap()
    }

    /// Waits until it ends by itself.
    pub(super) async fn end(self) -> Result<(), SubscribeError> {
        soon("the subscriber's end", self.task).await.unwrap()
    }
}

/// A stream of what is there already.
pub(super) struct Each<I>(pub(super) I);

impl<I: Iterator + Unpin> Stream for Each<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}
