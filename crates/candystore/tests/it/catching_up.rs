//! Queues on a real broker that begin with what a store has recorded of it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bloodbank_amqp::{Amqp, AmqpConfig};
use bloodbank_bus::{
    Publisher, Received, Start, SubscribeError, Subscriber, Transport, TransportError,
};
use bloodbank_testkit::catalog::{Any, Parcel, contracts, queue};
use bloodbank_testkit::{Broker, suite};
use candystore::{CatchUp, Recorder};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::databases::{Database, on_both};

on_both!(
    the_past_comes_before_what_is_new,
    another_process_goes_on_in_the_middle,
    what_comes_later_needs_no_record,
);

const PARCEL: &str = "lot.parcel";
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker, recorded into a database.
struct Recorded {
    amqp: Amqp,
    recorder: JoinHandle<()>,
}

impl Recorded {
    async fn new(database: &Database) -> Option<Self> {
        if !bloodbank_testkit::rabbitmq() {
            return None;
        }
        let config = AmqpConfig::from_urls(&Broker::shared().await.fresh_url()).unwrap();
        let amqp = Amqp::connect(config).await.unwrap();
        let recorder =
            Recorder::new(database.open().await, Arc::new(amqp.clone()), queue("record", &["#"]));
        let recorder = tokio::spawn(async move {
            recorder.run_until(pending()).await.unwrap();
        });
        while amqp.depth("record.commands").await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        Some(Recorded { amqp, recorder })
    }

    /// The bus, as a process of its own sees it.
    async fn bus(&self, database: &Database) -> Arc<CatchUp> {
        Arc::new(CatchUp::new(Arc::new(self.amqp.clone()), database.open().await))
    }

    async fn publish(&self, n: u32) {
        let publisher = Publisher::<Any>::new(Arc::new(self.amqp.clone()), contracts());
        publisher.publish(&Parcel { n }).await.unwrap();
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.recorder.abort();
    }
}

async fn the_past_comes_before_what_is_new(database: Database) {
    let Some(recorded) = Recorded::new(&database).await else { return };
    let bus = recorded.bus(&database).await;
    let same = suite::catching_up::a_new_queue_begins_with_the_past_and_goes_on_with_what_comes;
    same(bus).await;
}

async fn another_process_goes_on_in_the_middle(database: Database) {
    let Some(recorded) = Recorded::new(&database).await else { return };
    let bus = recorded.bus(&database).await;
    suite::catching_up::what_comes_while_the_past_is_handled_comes_after_it(bus).await;
}

/// A subscriber at work.
struct Running {
    handled: mpsc::UnboundedReceiver<(u32, u32)>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), SubscribeError>>,
}

/// Parcel 3 fails once, parcel 4 is of no use.
fn run(bus: &Arc<CatchUp>) -> Running {
    let (sender, handled) = mpsc::unbounded_channel();
    let transport: Arc<dyn Transport> = bus.clone();
    let subscriber = Subscriber::<Any>::new(transport, contracts()).queue("q").bind(PARCEL);
    let retry = bloodbank_bus::RetryPolicy::ladder([Duration::from_millis(100)]);
    let subscriber =
        subscriber.retry(retry).from(Start::Beginning).on(move |received: Received<Parcel>| {
            let (n, attempt) = (received.payload.n, received.attempt());
            sender.send((n, attempt)).unwrap();
            async move {
                match (n, attempt) {
                    (3, 1) => bloodbank_bus::Verdict::Retry("not yet".to_owned()),
                    (4, _) => bloodbank_bus::Verdict::Park("never".to_owned()),
                    _ => bloodbank_bus::Verdict::Done,
                }
            }
        });
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(subscriber.run_until(async {
        // An error means that the test is over.
        let _ = stopped.await;
    }));
    Running { handled, stop, task }
}

impl Running {
    async fn next(&mut self) -> (u32, u32) {
        timeout(PATIENCE, self.handled.recv()).await.expect("a message in time").unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

async fn what_comes_later_needs_no_record(database: Database) {
    let Some(recorded) = Recorded::new(&database).await else { return };
    for n in 0..6 {
        recorded.publish(n).await;
    }
    let bus = recorded.bus(&database).await;
    let mut running = run(&bus);
    let mut first = Vec::new();
    for _ in 0..7 {
        first.push(running.next().await);
    }
    first.sort_unstable();
    assert_eq!(first, [(0, 1), (1, 1), (2, 1), (3, 1), (3, 2), (4, 1), (5, 1)]);
    let dead = bloodbank_bus::dead_letters::Filter::all();
    let dead = bloodbank_bus::dead_letters::list(&recorded.amqp, "q.dlq", &dead).await.unwrap();
    assert_eq!((dead.len(), dead[0].error.as_deref()), (1, Some("never")));

    // Until the queue itself takes over, and then without the record.
    let (began, mut n) = (Instant::now(), 6);
    while bus.caught_up("q").await.unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "the queue never takes over");
        recorded.publish(n).await;
        assert_eq!(running.next().await, (n, 1));
        n += 1;
        sleep(Duration::from_millis(100)).await;
    }
    recorded.recorder.abort();
    for n in n..n + 3 {
        recorded.publish(n).await;
        assert_eq!(running.next().await, (n, 1));
    }
    running.stop().await;

    // Another process goes on, and without the store the queue is one like others.
    let again = recorded.bus(&database).await;
    let mut running = run(&again);
    recorded.publish(n + 3).await;
    assert_eq!(running.next().await, (n + 3, 1), "nothing comes twice");
    running.stop().await;
    let plain: Arc<dyn Transport> = Arc::new(recorded.amqp.clone());
    let new = Subscriber::<Any>::new(plain, contracts()).queue("new").bind(PARCEL);
    let ended = new.from(Start::Beginning).on(async |_: Received<Parcel>| {}).run_until(pending());
    let ended = timeout(PATIENCE, ended).await.unwrap().unwrap_err();
    let is_said = matches!(&ended, SubscribeError::Transport(TransportError::Unsupported { .. }));
    assert!(is_said && ended.to_string().contains("keeps no record"), "{ended}");
}
