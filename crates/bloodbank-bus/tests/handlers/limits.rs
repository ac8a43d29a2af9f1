//! How many handlers of one kind run at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bloodbank_bus::{
    BoxFuture, Claim, Dedup, DedupError, InMemory, LocalDedup, Publisher, Received, Subscriber,
};
use bloodbank_testkit::catalog::{Any, MooringCreated, Parcel, contracts, mooring};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::support::{Bus, parcel};

fn on_both(bus: &Bus) -> Subscriber<Any> {
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q");
    subscriber.bind("lot.parcel").bind("terminal.mooring.created")
}

#[tokio::test(start_paused = true)]
async fn a_handler_with_a_limit_runs_in_turn_and_leaves_the_others_their_places() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let now = Arc::new(AtomicUsize::new(0));
    let others = sender.clone();
    let subscriber = on_both(&bus).concurrency(3).concurrency_of::<Parcel>(1);
    let subscriber = subscriber
        .on(move |received: Received<Parcel>| {
            let (sender, now) = (sender.clone(), now.clone());
            async move {
                assert_eq!(now.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                sleep(Duration::from_secs(60)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                sender.send(format!("parcel {}", received.payload.n)).unwrap();
            }
        })
        .on(move |_: Received<MooringCreated>| {
            others.send("mooring".to_owned()).unwrap();
            async {}
        });
    let doing = async {
        // More than there are places.
        for n in 0..5 {
            parcel(&bus, n).await;
        }
        Publisher::<Any>::new(bus.clone(), contracts()).publish(&mooring("x")).await.unwrap();
        assert_eq!(seen.recv().await.unwrap(), "mooring");
        for n in 0..5 {
            assert_eq!(seen.recv().await.unwrap(), format!("parcel {n}"));
        }
    };
    subscriber.run_until(doing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_the_shutdown_those_that_wait_for_their_turn_stay_in_the_queue() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let subscriber = on_both(&shared).skip_others().concurrency_of::<Parcel>(1);
    let subscriber = subscriber.on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        sleep(Duration::from_secs(10))
    });
    let doing = async {
        for n in 0..3 {
            parcel(&shared, n).await;
        }
        assert_eq!(seen.recv().await, Some(0));
    };
    subscriber.run_until(doing).await.unwrap();
    assert!(seen.try_recv().is_err());
    assert_eq!((bus.depth("q"), bus.unsettled("q")), (2, 0));
}

/// The first name that it is asked for is taken by somebody else, once.
struct Taken {
    asked: AtomicUsize,
    rest: LocalDedup,
}

impl Dedup for Taken {
    fn begin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Claim, DedupError>> {
        match self.asked.fetch_add(1, Ordering::SeqCst) {
            0 => Box::pin(std::future::ready(Ok(Claim::Busy))),
            _ => self.rest.begin(name),
        }
    }

    fn finish<'a>(
        &'a self,
        name: &'a str,
        answer: Option<Arc<[u8]>>,
    ) -> BoxFuture<'a, Result<(), DedupError>> {
        self.rest.finish(name, answer)
    }

    fn release<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        self.rest.release(name)
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_somebody_else_handles_gives_up_its_turn() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let dedup = Taken { asked: AtomicUsize::new(0), rest: LocalDedup::default() };
    let subscriber = on_both(&bus).skip_others().concurrency_of::<Parcel>(1).dedup(dedup);
    let subscriber = subscriber.on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    });
    let doing = async {
        parcel(&bus, 0).await;
        parcel(&bus, 1).await;
        assert_eq!((seen.recv().await, seen.recv().await), (Some(1), Some(0)));
    };
    subscriber.run_until(doing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_somebody_else_handles_finds_a_place_again_though_nothing_else_comes() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let dedup = Taken { asked: AtomicUsize::new(0), rest: LocalDedup::default() };
    let subscriber = on_both(&bus).skip_others().concurrency(1).dedup(dedup);
    let subscriber = subscriber.on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    });
    let doing = async {
        parcel(&bus, 0).await;
        let found = timeout(Duration::from_secs(60), seen.recv()).await;
        assert_eq!(found, Ok(Some(0)));
    };
    subscriber.run_until(doing).await.unwrap();
}
