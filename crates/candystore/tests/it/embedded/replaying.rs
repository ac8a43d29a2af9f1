//! Events of the past, sent again on the bus in the store that they lie in.

use std::future::pending;
use std::sync::Arc;

use bloodbank_bus::{Topology, Transport, headers};
use bloodbank_testkit::catalog::queue;
use candystore::{Embedded, EventStore, Pace, Replay, ReplayError, ReplayState, ReplayTarget};
use tokio::time::timeout;

use super::PARCEL;
use crate::databases::{Database, on_both};
use crate::replay::{Listener, PATIENCE, begin, options, parcels, positions, replay, take};

on_both!(
    a_replay_into_one_queue_is_in_no_other,
    only_queues_that_hear_replays_get_one,
    a_live_replay_is_for_everybody,
    a_replay_that_nobody_hears_is_an_error,
    each_replay_is_handled_once,
    a_cancelled_replay_goes_on_in_another_process,
);

/// How many events are stored before a queue is there, so that it has none of them.
const STORED: u32 = 60;

/// A bus on a store that has events, with the queues `hears`, which hears replays, and `deaf`.
async fn bus(database: &Database) -> (EventStore, Arc<dyn Transport>) {
    let store = database.open().await;
    store.append(parcels(STORED)).await.unwrap();
    let bus: Arc<dyn Transport> = Arc::new(Embedded::new(store.clone()));
    let topology = Topology::new().with_parked_queue(queue("hears", &[PARCEL]).hear_replays());
    bus.declare(&topology.with_parked_queue(queue("deaf", &[PARCEL]))).await.unwrap();
    (store, bus)
}

/// The positions in a queue, all of one replay; they are taken out.
async fn replayed(bus: &Arc<dyn Transport>, queue: &str, id: uuid::Uuid) -> Vec<u64> {
    let heard = take(&**bus, queue).await;
    assert!(heard.iter().all(|delivery| delivery.headers[headers::REPLAY] == id.to_string()));
    positions(&heard)
}

fn all() -> Vec<u64> {
    (1..=STORED.into()).collect()
}

async fn nothing_was_appended(store: &EventStore) {
    assert_eq!(store.position().await.unwrap(), u64::from(STORED));
}

async fn a_replay_into_one_queue_is_in_no_other(database: Database) {
    let (store, bus) = bus(&database).await;
    let into = options().with_target(ReplayTarget::Queue("deaf".to_owned()));
    let run = replay(&store, &bus, into).await.unwrap();
    assert_eq!((run.state, run.sent), (ReplayState::Done, 60));
    assert_eq!(replayed(&bus, "deaf", run.id).await, all());
    assert!(take(&*bus, "hears").await.is_empty());
    nothing_was_appended(&store).await;
}

async fn only_queues_that_hear_replays_get_one(database: Database) {
    let (store, bus) = bus(&database).await;
    let run = replay(&store, &bus, options()).await.unwrap();
    assert_eq!(replayed(&bus, "hears", run.id).await, all());
    assert!(take(&*bus, "deaf").await.is_empty());
    let stored = store.at(7).await.unwrap().unwrap();
    let run = replay(&store, &bus, options()).await.unwrap();
    let again = take(&*bus, "hears").await;
    assert_eq!((&*again[6].key, &again[6].body), (&*stored.key, &stored.body));
    assert_eq!(again[6].headers[headers::REPLAY], run.id.to_string());
    nothing_was_appended(&store).await;
}

async fn a_live_replay_is_for_everybody(database: Database) {
    let (store, bus) = bus(&database).await;
    let run = replay(&store, &bus, options().with_target(ReplayTarget::Live)).await.unwrap();
    assert_eq!(replayed(&bus, "hears", run.id).await, all());
    assert_eq!(replayed(&bus, "deaf", run.id).await, all());
    nothing_was_appended(&store).await;
}

async fn a_replay_that_nobody_hears_is_an_error(database: Database) {
    let store = database.open().await;
    store.append(parcels(3)).await.unwrap();
    let bus: Arc<dyn Transport> = Arc::new(Embedded::new(store.clone()));
    bus.declare(&Topology::new().with_queue(queue("deaf", &[PARCEL]))).await.unwrap();
    let error = replay(&store, &bus, options()).await.unwrap_err();
    assert_eq!(error, ReplayError::Nobody { key: PARCEL.to_owned() });
    let nowhere = options().with_target(ReplayTarget::Queue("nowhere".to_owned()));
    let error = replay(&store, &bus, nowhere).await.unwrap_err().to_string();
    assert!(error.contains("there is no queue `nowhere`"), "{error}");
    assert!(take(&*bus, "deaf").await.is_empty());
}

async fn each_replay_is_handled_once(database: Database) {
    let (store, bus) = bus(&database).await;
    let mut listener = Listener::start(&bus).await;
    for _ in 0..2 {
        let run = replay(&store, &bus, options()).await.unwrap();
        assert_eq!(listener.take(60, run.id).await, (0..STORED).collect::<Vec<_>>(), "in order");
        // The last events of the same replay once more.
        let mut again = run;
        (again.state, again.reached) = (ReplayState::Cancelled, 50);
        let again = Replay::resume(store.clone(), bus.clone(), again).await.unwrap();
        assert_eq!(again.run_until(pending()).await.unwrap().sent, 70);
        listener.hears_nothing_more().await;
    }
    nothing_was_appended(&store).await;
}

async fn a_cancelled_replay_goes_on_in_another_process(database: Database) {
    let (store, bus) = bus(&database).await;
    let slow = begin(&store, &bus, options().with_pace(Pace::Rate(50.0))).await.unwrap();
    let mut progress = slow.progress();
    let some = async move {
        progress.wait_for(|run| run.sent >= 5).await.unwrap();
    };
    let run = timeout(PATIENCE, slow.run_until(some)).await.expect("an end").unwrap();
    assert_eq!(run.state, ReplayState::Cancelled);
    assert_eq!(replayed(&bus, "hears", run.id).await, (1..=run.reached).collect::<Vec<_>>());
    bus.close().await;
    let store = database.open().await;
    let bus: Arc<dyn Transport> = Arc::new(Embedded::new(store.clone()));
    let mut saved = store.replay(run.id).await.unwrap().unwrap();
    saved.options.pace = Pace::Full;
    let rest = Replay::resume(store.clone(), bus.clone(), saved).await.unwrap();
    let done = timeout(PATIENCE, rest.run_until(pending())).await.expect("an end").unwrap();
    assert_eq!((done.state, done.sent), (ReplayState::Done, 60));
    let rest = replayed(&bus, "hears", run.id).await;
    assert_eq!(rest, (run.reached + 1..=60).collect::<Vec<_>>());
    nothing_was_appended(&store).await;
}
