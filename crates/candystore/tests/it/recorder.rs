//! Recording what passes on a real broker.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_amqp::{Amqp, AmqpConfig};
use bloodbank_bus::{
    Destination, Encoded, Exchange, Headers, Queue, Topology, Transport, TransportError, Verbatim,
    headers,
};
use bloodbank_core::{Kind, Validated};
use bloodbank_testkit::catalog::{envelope, queue};
use bloodbank_testkit::{Broker, Postgres};
use candystore::{EventStore, RecordError, Recorded, Recorder, Standing, StoreError, StoreOptions};
use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::databases::{Database, on_both};

on_both!(
    everything_that_passes_is_stored_once_and_commands_are_marked,
    what_comes_while_nobody_records_is_recorded_later,
    a_broker_that_is_killed_costs_no_event_and_doubles_none,
);

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(60);

const QUEUE: &str = "recorder";

type Envelope = Validated<bloodbank_core::Envelope>;

/// A recorder at work.
struct Running {
    progress: watch::Receiver<Recorded>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Recorded, RecordError>>,
}

impl Running {
    /// Starts it, and waits until it has declared its queues.
    async fn start(store: &EventStore, bus: &Amqp) -> Self {
        let recorder = Recorder::new(store.clone(), Arc::new(bus.clone()), queue(QUEUE, &["#"]));
        let (stop, stopped) = oneshot::channel();
        let progress = recorder.progress();
        let task = tokio::spawn(recorder.run_until(async {
            // An error means that the test is over.
            let _ = stopped.await;
        }));
        while bus.depth("recorder.commands").await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        Running { progress, stop, task }
    }

    /// Waits until the account is as it should be.
    async fn until(&mut self, what: &str, is: impl FnMut(&Recorded) -> bool) -> Recorded {
        let seen = timeout(PATIENCE, self.progress.wait_for(is)).await;
        let seen = seen.map(|seen| seen.expect("the recorder has ended").clone());
        seen.unwrap_or_else(|_| panic!("waited for {what}: {:?}", self.progress.borrow()))
    }

    async fn stop(self) -> Recorded {
        self.stop.send(()).expect("the recorder has ended");
        timeout(PATIENCE, self.task).await.expect("an end").unwrap().unwrap()
    }
}

async fn connect(url: &str) -> Amqp {
    Amqp::connect(AmqpConfig::from_urls(url).unwrap()).await.unwrap()
}

/// A bus in a vhost of its own.
async fn bus() -> Option<Amqp> {
    if !bloodbank_testkit::rabbitmq() {
        return None;
    }
    Some(connect(&Broker::shared().await.fresh_url()).await)
}

fn parcels(count: u32) -> Vec<Envelope> {
    (0..count).map(|n| envelope("lot.parcel", json!({ "n": n }))).collect()
}

/// Publishes all of them, many at a time.
async fn publish(bus: &Amqp, envelopes: &[Envelope]) {
    let mut confirms = Vec::new();
    for envelope in envelopes {
        let mut confirm = bus.publish(Encoded::new(envelope.clone(), Headers::new()).unwrap());
        confirm.accepted().await;
        confirms.push(confirm);
    }
    for confirm in confirms {
        confirm.await.unwrap();
    }
}

async fn pass_on(bus: &Amqp, key: &str, body: impl Into<Arc<[u8]>>, headers: Headers) {
    let message = Verbatim::stored(key, body, headers);
    bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
}

/// Each is stored, and nothing else is.
async fn holds_just(store: &EventStore, envelopes: &[Envelope]) {
    assert_eq!(store.position().await.unwrap(), envelopes.len() as u64);
    for envelope in envelopes {
        let stored = store.get(envelope.id).await.unwrap();
        let stored = stored.unwrap_or_else(|| panic!("{} is not stored", envelope.id));
        assert_eq!(stored.body[..], envelope.to_bytes().unwrap());
    }
}

async fn depth(bus: &Amqp) -> u32 {
    bus.depth(QUEUE).await.unwrap() + bus.depth(&format!("{QUEUE}.commands")).await.unwrap()
}

async fn everything_that_passes_is_stored_once_and_commands_are_marked(database: Database) {
    let Some(bus) = bus().await else { return };
    let (store, create) = (database.open().await, "terminal.mooring.create");
    let mut recorder = Running::start(&store, &bus).await;
    let workers = Queue::of_command(create).unwrap();
    bus.declare(&Topology::new().with_parked_queue(workers)).await.unwrap();
    let event = envelope("lot.parcel", json!({"n": 1}));
    let command = envelope(create, json!({"topic": "Budget"}));
    publish(&bus, &[event.clone(), command.clone()]).await;
    // Again, as a replay on the live exchange; with other contents; and no envelope at all.
    let again = event.to_bytes().unwrap();
    pass_on(&bus, "lot.parcel", again, [(headers::REPLAY.into(), "r".into())].into()).await;
    let mut other = event.get().clone();
    other.data = json!({"n": 2});
    pass_on(&bus, "lot.parcel", other.to_bytes().unwrap(), Headers::new()).await;
    pass_on(&bus, "no.envelope", *b"\xff{", [("x-mine".into(), "1".into())].into()).await;
    recorder.until("three and two", |r| r.stored + r.duplicates + r.conflicts == 5).await;
    let Recorded { stored, duplicates, conflicts, position, .. } = recorder.stop().await;
    assert_eq!((stored, duplicates, conflicts, position), (3, 1, 1, 3));
    let kind = async |id| store.get(id).await.unwrap().unwrap().kind;
    assert_eq!(kind(event.id).await, Kind::Event);
    assert_eq!(kind(command.id).await, Kind::Command);
    let mut garbage = Vec::new();
    for position in 1..=3 {
        let stored = store.at(position).await.unwrap().unwrap();
        garbage.extend((stored.standing == Standing::Malformed).then_some(stored));
    }
    assert_eq!(garbage.len(), 1);
    assert_eq!((&*garbage[0].key, &garbage[0].body[..]), ("no.envelope", &b"\xff{"[..]));
    assert_eq!(garbage[0].headers["x-mine"], "1");
    assert_eq!(depth(&bus).await, 0, "what is stored has left its queue");
    bus.close().await;
}

async fn what_comes_while_nobody_records_is_recorded_later(database: Database) {
    let Some(bus) = bus().await else { return };
    let store = database.open().await;
    let envelopes = parcels(20_000);
    let (before, while_away) = envelopes.split_at(5);
    // Declares the queues, and stores what comes at once.
    let mut recorder = Running::start(&store, &bus).await;
    publish(&bus, before).await;
    recorder.until("the first ones", |recorded| recorded.stored == 5).await;
    assert_eq!(recorder.stop().await.stored, 5);
    publish(&bus, while_away).await;
    assert_eq!(store.position().await.unwrap(), 5);
    let mut recorder = Running::start(&store, &bus).await;
    recorder.until("the others", |recorded| recorded.position == 20_000).await;
    let recorded = recorder.stop().await;
    assert_eq!((recorded.stored, recorded.conflicts), (while_away.len() as u64, 0));
    holds_just(&store, &envelopes).await;
    assert_eq!(depth(&bus).await, 0);
    bus.close().await;
}

/// Publishes one event until its outcome is known, each time with the same id.
async fn publish_at_last(bus: Amqp, envelope: Envelope) {
    loop {
        match bus.publish(Encoded::new(envelope.clone(), Headers::new()).unwrap()).await {
            Ok(()) => return,
            Err(error) if error.is_retryable() => sleep(Duration::from_millis(200)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn a_broker_that_is_killed_costs_no_event_and_doubles_none(database: Database) {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let broker = Broker::start().await;
    let bus = connect(&broker.fresh_url()).await;
    let store = database.open().await;
    let mut recorder = Running::start(&store, &bus).await;
    let envelopes = parcels(6_000);
    let publishing = tokio::spawn({
        let (bus, envelopes) = (bus.clone(), envelopes.clone());
        async move {
            let mut calls = tokio::task::JoinSet::new();
            for group in envelopes.chunks(20) {
                for envelope in group {
                    calls.spawn(publish_at_last(bus.clone(), envelope.clone()));
                }
                sleep(Duration::from_millis(10)).await;
            }
            while let Some(call) = calls.join_next().await {
                call.unwrap();
            }
        }
    });
    recorder.until("some events", |recorded| recorded.stored > 500).await;
    tokio::task::block_in_place(|| broker.kill());
    broker.restart().await;
    timeout(PATIENCE, publishing).await.expect("all are published").unwrap();
    recorder.until("all events", |recorded| recorded.stored == 6_000).await;
    let recorded = recorder.stop().await;
    assert_eq!((recorded.stored, recorded.conflicts), (6_000, 0), "{recorded:?}");
    holds_just(&store, &envelopes).await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_costs_no_event_and_doubles_none() {
    let Some(bus) = bus().await else { return };
    if !bloodbank_testkit::postgres() {
        return;
    }
    let server = Postgres::start().await;
    let store = Database::at(server.fresh_url().await.parse().unwrap()).open().await;
    let mut recorder = Running::start(&store, &bus).await;
    let envelopes = parcels(4_000);
    let (first, second) = envelopes.split_at(2_000);
    publish(&bus, first).await;
    recorder.until("some events", |recorded| recorded.stored > 0).await;
    tokio::task::block_in_place(|| server.kill());
    publish(&bus, second).await;
    recorder.until("the loss", |recorded| recorded.trouble.is_some()).await;
    assert!(!recorder.task.is_finished());
    server.restart().await;
    recorder.until("all events", |recorded| recorded.position == 4_000).await;
    let recorded = recorder.stop().await;
    assert_eq!((recorded.trouble, recorded.conflicts), (None, 0));
    holds_just(&store, &envelopes).await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_store_cannot_take_stays_in_the_queue() {
    let Some(bus) = bus().await else { return };
    let database = Database::sqlite().await.unwrap();
    let options = StoreOptions::new(database.url.clone()).with_max_pages(200);
    let small = EventStore::open(options, bloodbank_testkit::catalog::contracts()).await.unwrap();
    let mut recorder = Running::start(&small, &bus).await;
    let envelopes = parcels(3_000);
    publish(&bus, &envelopes).await;
    recorder.until("a full store", |r| r.trouble == Some(StoreError::Full)).await;
    let recorded = recorder.stop().await;
    assert!(recorded.stored < 3_000, "{recorded:?}");
    drop(small);
    let store = database.open().await;
    assert_eq!(store.position().await.unwrap(), recorded.stored);
    let mut recorder = Running::start(&store, &bus).await;
    recorder.until("the others", |recorded| recorded.position == 3_000).await;
    recorder.stop().await;
    holds_just(&store, &envelopes).await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_broken_ends_the_recorder_and_nothing_is_acknowledged() {
    let Some(bus) = bus().await else { return };
    let database = Database::sqlite().await.unwrap();
    let store = database.open().await;
    let candystore::StoreUrl::Sqlite(file) = &database.url else { panic!("a file") };
    rusqlite::Connection::open(file).unwrap().execute_batch("DROP TABLE events").unwrap();
    let recorder = Running::start(&store, &bus).await;
    publish(&bus, &parcels(3)).await;
    let ended = timeout(PATIENCE, recorder.task).await.expect("an end").unwrap();
    assert!(matches!(ended, Err(RecordError::Store(StoreError::Database { .. }))), "{ended:?}");
    while depth(&bus).await < 3 {
        sleep(Duration::from_millis(20)).await;
    }
    bus.close().await;
}

#[tokio::test]
async fn a_bus_that_is_closed_is_told() {
    let Some(bus) = bus().await else { return };
    let store = Database::sqlite().await.unwrap().open().await;
    bus.close().await;
    let recorder = Recorder::new(store, Arc::new(bus), queue(QUEUE, &["#"]));
    let ended = recorder.run_until(std::future::pending()).await;
    assert_eq!(ended, Err(RecordError::Transport(TransportError::Closed)));
}
