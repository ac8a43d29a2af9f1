//! Messages that are handled together. Time is that of tokio, which passes when nothing else happens.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    InMemory, Publisher, Received, RetryPolicy, SetupFault, SubscribeError, Subscriber, Verdict,
};
use bloodbank_testkit::catalog::{Any, Parcel, contracts};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::support::{Bus, on_q, parcel};

const SECOND: Duration = Duration::from_secs(1);

type Batches = mpsc::UnboundedReceiver<Vec<u32>>;

/// A subscriber that tells which numbers it handles together, with three in a batch.
fn in_threes(bus: &Bus, wait: Duration) -> (Subscriber<Any>, Batches) {
    let (sender, batches) = mpsc::unbounded_channel();
    let subscriber = on_q(bus).on_batch(3, wait, move |batch: Vec<Received<Parcel>>| {
        sender.send(batch.iter().map(|received| received.payload.n).collect()).unwrap();
        async {}
    });
    (subscriber, batches)
}

/// Lets everything happen that needs no time.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_handled_when_it_is_full_or_its_first_has_waited() {
    let bus: Bus = Arc::new(InMemory::new());
    let (subscriber, mut batches) = in_threes(&bus, SECOND * 10);
    let doing = async {
        let began = Instant::now();
        for n in 0..5 {
            parcel(&bus, n).await;
        }
        assert_eq!(batches.recv().await.unwrap(), [0, 1, 2]);
        assert!(began.elapsed() < SECOND);
        sleep(SECOND * 8).await;
        assert!(batches.try_recv().is_err());
        parcel(&bus, 5).await;
        assert_eq!(batches.recv().await.unwrap(), [3, 4, 5]);
        let began = Instant::now();
        parcel(&bus, 6).await;
        sleep(SECOND * 6).await;
        parcel(&bus, 7).await;
        assert_eq!(batches.recv().await.unwrap(), [6, 7]);
        assert!((SECOND * 10..SECOND * 11).contains(&began.elapsed()), "{:?}", began.elapsed());
    };
    // As many as a batch has, however few handlers run and however little is fetched.
    subscriber.concurrency(1).prefetch(1).run_until(doing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_the_shutdown_a_batch_is_handled_as_it_is() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let (subscriber, mut batches) = in_threes(&shared, SECOND * 3_600);
    let doing = async {
        parcel(&shared, 0).await;
        parcel(&shared, 1).await;
        settle().await;
        assert!(batches.try_recv().is_err());
    };
    subscriber.run_until(doing).await.unwrap();
    assert_eq!(batches.recv().await.unwrap(), [0, 1]);
    assert_eq!((bus.depth("q"), bus.unsettled("q")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_is_in_no_batch() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let (subscriber, mut batches) = in_threes(&shared, SECOND);
    let publisher = Publisher::<Any>::new(shared.clone(), contracts());
    let doing = async {
        let id = Uuid::now_v7();
        for _ in 0..3 {
            publisher.publish(&Parcel { n: 0 }).id(id).await.unwrap();
        }
        parcel(&shared, 1).await;
        assert_eq!(batches.recv().await.unwrap(), [0, 1]);
        sleep(SECOND * 5).await;
        assert!(batches.try_recv().is_err());
    };
    subscriber.run_until(doing).await.unwrap();
    assert_eq!((bus.depth("q"), bus.unsettled("q")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_hangs_panics_or_miscounts_comes_again() {
    let bus: Bus = Arc::new(InMemory::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let handler = move |batch: Vec<Received<Parcel>>| {
        let sender = sender.clone();
        async move {
            let count = batch.len();
            match batch[0].attempt() {
                1 => std::future::pending::<()>().await,
                2 => panic!("on purpose"),
                3 => return vec![Verdict::Done; count + 1],
                attempt => sender.send((attempt, count)).unwrap(),
            }
            vec![Verdict::Done; count]
        }
    };
    let subscriber = on_q(&bus).retry(RetryPolicy::ladder([SECOND; 4])).timeout(SECOND * 60);
    let subscriber = subscriber.on_batch(3, SECOND, handler);
    let doing = async {
        for n in 0..3 {
            parcel(&bus, n).await;
        }
        assert_eq!(seen.recv().await.unwrap(), (4, 3));
    };
    subscriber.run_until(doing).await.unwrap();
}

#[tokio::test]
async fn there_are_no_batches_in_strict_order() {
    let bus: Bus = Arc::new(InMemory::new());
    let (subscriber, _) = in_threes(&bus, SECOND);
    let error = subscriber.strict_order().run_until(std::future::ready(())).await.unwrap_err();
    let SubscribeError::Setup { faults, .. } = error else { panic!("{error}") };
    assert_eq!(faults, [SetupFault::BatchInOrder]);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_counts_the_call_of_a_batch_and_no_wait_for_it() {
    let bus = InMemory::new();
    let shared: Bus = Arc::new(bus.clone());
    let (sender, mut batches) = mpsc::unbounded_channel();
    let subscriber = on_q(&shared).timeout(SECOND * 60);
    let watch = subscriber.watch();
    let subscriber = subscriber.on_batch(2, SECOND, move |batch: Vec<Received<Parcel>>| {
        let sender = sender.clone();
        async move {
            sleep(SECOND * 50).await;
            sender.send(batch.iter().map(|it| it.payload.n).collect::<Vec<_>>()).unwrap();
        }
    });
    let doing = async {
        for n in 0..8 {
            parcel(&shared, n).await;
        }
        for first in [0, 2, 4, 6] {
            assert_eq!(batches.recv().await.unwrap(), [first, first + 1]);
            let oldest = watch.status().queues[0].oldest_handler;
            assert!(oldest.is_none_or(|oldest| oldest <= SECOND * 50), "{oldest:?}");
        }
        settle().await;
        assert_eq!((bus.depth("q"), bus.unsettled("q")), (0, 0));
    };
    subscriber.run_until(doing).await.unwrap();
    assert!(batches.try_recv().is_err(), "handled once");
}
