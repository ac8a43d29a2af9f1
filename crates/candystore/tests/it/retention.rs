//! Retention that is carried out by itself.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{InMemory, Subscription, Topology, Transport};
use bloodbank_core::{Bundle, BundledRetention, Contracts, Meta};
use bloodbank_testkit::catalog::{self, queue};
use candystore::{Embedded, EventStore, Recorder, Replay, StoreOptions};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::databases::{Database, event, on_both};
use crate::raw::change;
use crate::verifying::{problems, verify};

on_both!(
    the_first_rule_that_matches_a_key_counts,
    one_process_at_a_time_carries_it_out_once_an_hour,
    what_a_queue_or_a_replay_needs_stays,
    a_bus_that_somebody_consumes_from_carries_it_out,
    another_process_goes_on_when_one_has_died,
);

const PATIENCE: Duration = Duration::from_secs(30);

/// The contracts of the catalog with rules.
fn contracts(rules: &[(&str, &str)]) -> Contracts {
    let rule = |(keys, keep): &(&str, &str)| BundledRetention {
        keys: (*keys).to_owned(),
        keep: keep.parse().unwrap(),
    };
    let retention = rules.iter().map(rule).collect();
    Contracts::new(Bundle { retention, ..catalog::contracts().bundle().clone() })
}

/// Two keys with six events each, one a day old, one two days, and so on.
async fn seeded(database: &Database, rules: &[(&str, &str)]) -> EventStore {
    let store = open(database, rules).await;
    let now = Utc::now() + TimeDelta::minutes(1);
    let of = |n: i64| {
        let key = ["lot.parcel", "lot.session.started"][n as usize % 2];
        let received = now - TimeDelta::days(6 - n / 2);
        event(key, json!({ "n": n }), Meta::new()).with_received(received)
    };
    store.append((0..12).map(of).collect()).await.unwrap();
    store
}

async fn open(database: &Database, rules: &[(&str, &str)]) -> EventStore {
    EventStore::open(StoreOptions::new(database.url.clone()), contracts(rules)).await.unwrap()
}

async fn count(store: &EventStore, pattern: &str) -> u64 {
    store.count(&candystore::Filter::new().with_key(pattern.parse().unwrap())).await.unwrap()
}

async fn the_first_rule_that_matches_a_key_counts(database: Database) {
    let rules = [("lot.parcel", "2d"), ("no.such.key", "1h"), ("lot.#", "96h"), ("#", "forever")];
    let store = seeded(&database, &rules).await;
    let plans = store.plan_retention().await.unwrap();
    let planned: Vec<_> =
        plans.iter().map(|plan| (plan.rule.keys.as_str(), plan.plan.events())).collect();
    assert_eq!(planned, [("lot.parcel", 4), ("no.such.key", 0), ("lot.#", 2)]);
    assert_eq!(store.retention_run().await.unwrap().began, None);
    let run = store.retain().await.unwrap().unwrap();
    assert_eq!((run.events, run.held, run.error.as_deref()), (6, 0, None));
    assert_eq!(count(&store, "lot.parcel").await, 2);
    assert_eq!(count(&store, "lot.session.started").await, 4);
    assert_eq!(problems(&verify(&store).await), [""; 0]);
    assert_eq!(store.pruned_between(0, 13).await.unwrap()[0].first, 1, "it is told in the record");
}

async fn one_process_at_a_time_carries_it_out_once_an_hour(database: Database) {
    let store = seeded(&database, &[("lot.#", "2d")]).await;
    let other = open(&database, &[("lot.#", "2d")]).await;
    let (one, two) = tokio::join!(store.retain(), other.retain());
    let runs: Vec<_> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let until_due = runs[0].due - Utc::now();
    assert!(
        until_due > TimeDelta::minutes(50) && until_due < TimeDelta::minutes(70),
        "{until_due}"
    );
    assert_eq!(other.retain().await.unwrap(), None);
    change(&database, "UPDATE retention SET due = 0").await;
    assert_eq!(other.retain().await.unwrap().unwrap().events, 0);
}

async fn what_a_queue_or_a_replay_needs_stays(database: Database) {
    let store = seeded(&database, &[("lot.#", "1h")]).await;
    let plan = store.plan_replay(candystore::Filter::new().with_last(9)).await.unwrap();
    let options = candystore::ReplayOptions::new("test");
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let _running = Replay::begin(store.clone(), bus, &plan, options).await.unwrap();
    let run = store.retain().await.unwrap().unwrap();
    assert_eq!((run.events, run.held > 0), (0, true), "{run:?}");
    let over = "UPDATE retention SET due = 0; UPDATE replays SET state = 'cancelled'";
    let past = "INSERT INTO catch_ups (queue, begun, reached) VALUES ('past', 1, 2)";
    change(&database, &format!("{over}; {past}")).await;
    let run = store.retain().await.unwrap().unwrap();
    assert_eq!((run.events, run.held), (2, 10), "a queue that begins with the past has had two");
    let past = "UPDATE catch_ups SET reached = 12, done = 12";
    change(&database, &format!("UPDATE retention SET due = 0; {past}")).await;
    let queues = Embedded::new(store.clone());
    queues.declare(&Topology::new().with_queue(queue("q", &["lot.parcel"]))).await.unwrap();
    let new = event("lot.parcel", json!({}), Meta::new());
    store.append(vec![new]).await.unwrap();
    change(&database, "UPDATE retention SET due = 0").await;
    let run = store.retain().await.unwrap().unwrap();
    assert_eq!((run.events, run.held), (10, 0));
    assert_eq!(count(&store, "#").await, 1, "the queue gets it");
    queues.close().await;
}

async fn a_bus_that_somebody_consumes_from_carries_it_out(database: Database) {
    let store = seeded(&database, &[("lot.#", "2d")]).await;
    let bus = Embedded::new(store.clone());
    bus.declare(&Topology::new().with_queue(queue("q", &["no.such.key"]))).await.unwrap();
    let deliveries = bus.subscribe(Subscription::new("q")).await.unwrap();
    let done = timeout(PATIENCE, async {
        while count(&store, "#").await > 4 {
            sleep(Duration::from_millis(20)).await;
        }
    });
    done.await.expect("it is carried out");
    deliveries.close().await;
    bus.close().await;
}

async fn another_process_goes_on_when_one_has_died(database: Database) {
    let store = seeded(&database, &[("lot.#", "2d")]).await;
    let owner = "UPDATE retention SET owner = (SELECT id FROM events LIMIT 1), began = 1";
    change(&database, &format!("{owner}, expires = 9000000000000000")).await;
    assert_eq!(store.retain().await.unwrap(), None, "it lives");
    change(&database, &format!("{owner}, expires = 1")).await;
    assert_eq!(store.retain().await.unwrap().unwrap().events, 8);
}

#[tokio::test]
async fn a_recorder_carries_it_out() {
    let database = Database::sqlite().await.unwrap();
    let store = seeded(&database, &[("lot.#", "2d")]).await;
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let recorder = Recorder::new(store.clone(), bus, queue("record", &["#"]));
    let done = timeout(PATIENCE, async {
        while count(&store, "#").await > 4 {
            sleep(Duration::from_millis(20)).await;
        }
    });
    recorder.run_until(async { done.await.expect("it is carried out") }).await.unwrap();
}
