//! Retention.

use std::time::Duration;

use bloodbank_bus::{Headers, Settlement, Subscription, Topology, Transport};
use bloodbank_core::{Envelope, Meta, TopicPattern};
use bloodbank_testkit::catalog::queue;
use candystore::{Embedded, EventStore, Filter, Incoming, Position, Prune};
use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::databases::{Database, event, on_both, parcel};
use crate::raw::change;
use crate::verifying::{problems, verify};

on_both!(
    a_plan_changes_nothing,
    without_a_limit_nothing_goes,
    what_is_too_old_goes,
    all_but_the_newest_of_each_key_go,
    the_oldest_go_until_the_bytes_fit,
    an_event_goes_if_any_limit_reaches_it,
    what_was_pruned_is_recorded_in_as_few_ranges_as_can_be,
    a_reader_is_told_what_it_misses,
    what_a_queue_needs_stays_unless_forced,
    what_a_queue_comes_to_need_after_the_plan_stays,
    what_no_queue_wants_goes_though_none_has_read_it,
    others_write_while_much_is_pruned,
    what_was_pruned_is_not_lost_and_what_came_back_is_told,
);

const KEYS: [&str; 3] = ["lot.parcel", "lot.session.started", "terminal.mooring.ended"];

/// Twelve events: the three keys in turn, each an hour after the one before, the last just now.
async fn seeded(database: &Database) -> EventStore {
    let store = database.open().await;
    let now = Utc::now();
    let seed = |n: i64| {
        let received = now - TimeDelta::hours(11 - n);
        event(KEYS[n as usize % 3], json!({ "n": n }), Meta::new()).with_received(received)
    };
    store.append((0..12).map(seed).collect()).await.unwrap();
    store
}

fn of(patterns: &[&str]) -> Prune {
    Prune::new(patterns.iter().map(|pattern| pattern.parse::<TopicPattern>().unwrap()).collect())
}

/// Prunes; gives the positions that are left. What was planned is what is done, and verifies.
async fn prune(store: &EventStore, prune: Prune) -> Vec<Position> {
    let before = left(store).await.len() as u64;
    let plan = store.plan_prune(prune).await.unwrap();
    let mut last = None;
    let done = store.prune(&plan, |progress| last = Some(progress)).await.unwrap();
    assert_eq!(done, last.unwrap_or_default());
    let left = left(store).await;
    assert_eq!((plan.events(), before - left.len() as u64), (done.events, done.events));
    assert_eq!(problems(&verify(store).await), [""; 0]);
    left
}

async fn left(store: &EventStore) -> Vec<Position> {
    let mut pages = store.pages(Filter::new()).await.unwrap();
    let mut left = Vec::new();
    loop {
        let page = pages.next().await.unwrap();
        if page.is_empty() {
            return left;
        }
        left.extend(page.iter().map(|event| event.position));
    }
}

async fn ranges(store: &EventStore, after: Position, before: Position) -> Vec<(u64, u64)> {
    let ranges = store.pruned_between(after, before).await.unwrap();
    ranges.iter().map(|range| (range.first, range.last)).collect()
}

const HOUR: Duration = Duration::from_secs(3_600);

async fn a_plan_changes_nothing(database: Database) {
    let store = seeded(&database).await;
    let plan = store.plan_prune(of(&["lot.#"]).with_keep(1)).await.unwrap();
    let shown: Vec<_> = plan
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.events, key.first.0, key.last.0))
        .collect();
    assert_eq!(shown, [("lot.parcel", 3, 1, 7), ("lot.session.started", 3, 2, 8)]);
    let mut bytes = 0;
    for position in [1, 2, 4, 5, 7, 8] {
        bytes += store.at(position).await.unwrap().unwrap().body.len() as u64;
    }
    assert_eq!((plan.events(), plan.bytes(), plan.held, plan.needed), (6, bytes, 0, None));
    let (first, last) = (store.at(1).await.unwrap().unwrap(), store.at(7).await.unwrap().unwrap());
    assert_eq!((plan.keys[0].first.1, plan.keys[0].last.1), (first.received, last.received));
    assert_eq!(left(&store).await.len(), 12);
    assert_eq!(ranges(&store, 0, 100).await, []);
}

async fn without_a_limit_nothing_goes(database: Database) {
    let store = seeded(&database).await;
    assert_eq!(prune(&store, of(&["#"])).await.len(), 12);
    assert_eq!(prune(&store, of(&["no.such.key"]).with_keep(0)).await.len(), 12);
    assert_eq!(prune(&store, of(&["#"]).with_max_bytes(u64::MAX)).await.len(), 12);
    assert_eq!(prune(&store, of(&["#"]).with_keep(u64::MAX)).await.len(), 12);
    assert_eq!(prune(&store, of(&["#"]).with_older_than(Duration::MAX)).await.len(), 12);
}

async fn what_is_too_old_goes(database: Database) {
    let store = seeded(&database).await;
    let age = HOUR * 6 - HOUR / 2;
    assert_eq!(prune(&store, of(&["#"]).with_older_than(age)).await, [7, 8, 9, 10, 11, 12]);
    let left = prune(&store, of(&["*.parcel"]).with_older_than(HOUR / 2)).await;
    assert_eq!(left, [8, 9, 11, 12]);
}

async fn all_but_the_newest_of_each_key_go(database: Database) {
    let store = seeded(&database).await;
    assert_eq!(
        prune(&store, of(&["lot.parcel"]).with_keep(1)).await,
        [2, 3, 5, 6, 8, 9, 10, 11, 12]
    );
    assert_eq!(prune(&store, of(&[]).with_keep(2)).await, [8, 9, 10, 11, 12]);
    assert_eq!(prune(&store, of(&[]).with_keep(0)).await, [0_u64; 0]);
    assert_eq!(store.append(vec![parcel(0)]).await.unwrap()[0].position(), 13);
}

async fn the_oldest_go_until_the_bytes_fit(database: Database) {
    let store = seeded(&database).await;
    let mut bytes = 0;
    for position in [10, 11, 8, 7] {
        bytes += store.at(position).await.unwrap().unwrap().body.len() as u64;
    }
    let limit = of(&["lot.parcel", "lot.session.*"]);
    let left = prune(&store, limit.clone().with_max_bytes(bytes)).await;
    assert_eq!(left, [3, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(prune(&store, limit.with_max_bytes(bytes - 1)).await, [3, 6, 8, 9, 10, 11, 12]);
}

async fn an_event_goes_if_any_limit_reaches_it(database: Database) {
    let store = seeded(&database).await;
    let limits = of(&["#"]).with_keep(3).with_older_than(HOUR * 7 - HOUR / 2);
    assert_eq!(prune(&store, limits).await, [6, 7, 8, 9, 10, 11, 12]);
}

async fn what_was_pruned_is_recorded_in_as_few_ranges_as_can_be(database: Database) {
    let store = seeded(&database).await;
    prune(&store, of(&["lot.parcel"]).with_keep(0)).await;
    assert_eq!(ranges(&store, 0, 100).await, [(1, 1), (4, 4), (7, 7), (10, 10)]);
    prune(&store, of(&["terminal.#"]).with_keep(1)).await;
    assert_eq!(ranges(&store, 0, 100).await, [(1, 1), (3, 4), (6, 7), (9, 10)]);
    prune(&store, of(&["lot.session.started"]).with_keep(1)).await;
    assert_eq!(ranges(&store, 0, 100).await, [(1, 10)]);
    prune(&store, of(&["#"]).with_keep(0)).await;
    assert_eq!(ranges(&store, 0, 100).await, [(1, 12)]);
    assert_eq!(verify(&store).await.pruned, 12);
}

async fn a_reader_is_told_what_it_misses(database: Database) {
    let store = seeded(&database).await;
    let age = HOUR * 7 - HOUR / 2;
    prune(&store, of(&["#"]).with_older_than(age)).await;
    prune(&store, of(&["lot.parcel"]).with_keep(0)).await;
    for (after, before, expected) in [
        (0, 6, &[(1, 5)][..]),
        (3, 6, &[(4, 5)]),
        (3, 5, &[(4, 4)]),
        (5, 6, &[]),
        (5, 12, &[(7, 7), (10, 10)]),
        (6, 7, &[]),
        (6, 8, &[(7, 7)]),
        (7, 10, &[]),
        (2, 11, &[(3, 5), (7, 7), (10, 10)]),
        (10, u64::MAX, &[]),
        (8, 3, &[]),
    ] {
        assert_eq!(ranges(&store, after, before).await, expected, "{after} {before}");
    }
}

/// A bus with these queues, which hear everything that comes from now on.
async fn bus(store: &EventStore, queues: &[&str]) -> Embedded {
    let bus = Embedded::new(store.clone());
    let topology = queues
        .iter()
        .fold(Topology::new(), |topology, name| topology.with_parked_queue(queue(name, &["#"])));
    bus.declare(&topology).await.unwrap();
    bus
}

/// Takes so many messages of a queue, and settles the first ones of them like that.
async fn settle(bus: &Embedded, queue: &str, count: usize, settlements: &[Settlement]) {
    let mut deliveries = bus.subscribe(Subscription::new(queue)).await.unwrap();
    let mut settlements = settlements.iter();
    for _ in 0..count {
        let delivery = deliveries.recv().await.unwrap();
        if let Some(settlement) = settlements.next() {
            bus.settle(&delivery, settlement.clone()).await.unwrap();
        }
    }
    deliveries.close().await;
}

async fn what_a_queue_needs_stays_unless_forced(database: Database) {
    let store = database.open().await;
    store.append((0..4).map(parcel).collect()).await.unwrap();
    let bus = bus(&store, &["fast", "slow"]).await;
    store.append((4..12).map(parcel).collect()).await.unwrap();
    settle(&bus, "fast", 8, &[const { Settlement::Ack }; 8]).await;
    let plan = store.plan_prune(of(&["#"]).with_keep(0)).await.unwrap();
    assert_eq!((plan.events(), plan.held, plan.needed), (4, 8, Some(5)));
    // What waits to be tried again is needed; what is dead has its bytes with it.
    let headers = Headers::new;
    let retry = Settlement::Retry { after: Duration::from_secs(600), headers: headers() };
    let park = Settlement::Park { headers: headers() };
    settle(&bus, "slow", 3, &[park, Settlement::Ack, retry]).await;
    let plan = store.plan_prune(of(&["#"]).with_keep(0)).await.unwrap();
    assert_eq!((plan.events(), plan.held, plan.needed), (6, 6, Some(7)));
    assert_eq!(prune(&store, of(&["#"]).with_keep(0)).await, [7, 8, 9, 10, 11, 12]);
    assert_eq!(prune(&store, of(&["#"]).with_keep(1).with_force(true)).await, [12]);
    let mut dead = bus.subscribe(Subscription::browse("slow.dlq")).await.unwrap();
    let delivery = dead.recv().await.unwrap();
    assert_eq!(&*delivery.key, "lot.parcel");
    assert!(Envelope::from_bytes(&delivery.body).is_ok());
    // What was pruned under a queue is passed over.
    settle(&bus, "slow", 1, &[Settlement::Ack]).await;
    assert_eq!(bus.queues().await.unwrap()[2].unread, 0);
    // And a queue that is removed needs nothing.
    bus.remove_queue("slow").await.unwrap();
    bus.close().await;
}

async fn what_a_queue_comes_to_need_after_the_plan_stays(database: Database) {
    let store = database.open().await;
    let bus = bus(&store, &["q"]).await;
    store.append((0..6).map(parcel).collect()).await.unwrap();
    settle(&bus, "q", 6, &[const { Settlement::Ack }; 6]).await;
    let plan = store.plan_prune(of(&["#"]).with_keep(0)).await.unwrap();
    assert_eq!((plan.events(), plan.needed), (6, None));
    // A late comer names a position that was free before.
    change(&database, "UPDATE queues SET cursor = 3 WHERE name = 'q'").await;
    let done = store.prune(&plan, |_| {}).await.unwrap();
    assert_eq!((done.events, done.held_from), (3, Some(4)));
    assert_eq!(left(&store).await, [4, 5, 6]);
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}

async fn what_no_queue_wants_goes_though_none_has_read_it(database: Database) {
    let store = database.open().await;
    let bus = Embedded::new(store.clone());
    let rare = queue("rare", &["lot.session.started"]);
    bus.declare(&Topology::new().with_parked_queue(rare)).await.unwrap();
    store.append((0..6).map(parcel).collect()).await.unwrap();
    let plan = store.plan_prune(of(&["#"]).with_keep(2)).await.unwrap();
    assert_eq!((plan.events(), plan.held, plan.needed), (4, 0, None));
    store.append(vec![event("lot.session.started", json!({}), Meta::new())]).await.unwrap();
    store.append((6..9).map(parcel).collect()).await.unwrap();
    let plan = store.plan_prune(of(&["#"]).with_keep(0)).await.unwrap();
    assert_eq!((plan.events(), plan.held, plan.needed), (6, 4, Some(7)));
    assert_eq!(prune(&store, of(&["#"]).with_keep(0)).await, [7, 8, 9, 10]);
    settle(&bus, "rare", 1, &[Settlement::Ack]).await;
    assert_eq!(prune(&store, of(&["#"]).with_keep(0)).await, [0; 0]);
}

async fn others_write_while_much_is_pruned(database: Database) {
    let store = database.open().await;
    let mixed = |n: u32| match n % 7 {
        0 => event("terminal.mooring.ended", json!({ "n": n }), Meta::new()),
        _ => parcel(n),
    };
    store.append((0..6_000).map(mixed).collect::<Vec<Incoming>>()).await.unwrap();
    let plan = store.plan_prune(of(&["lot.#"]).with_keep(0)).await.unwrap();
    let other = database.open().await;
    let writing = tokio::spawn(async move {
        for n in 0..200 {
            other.append(vec![parcel(n)]).await.unwrap();
        }
    });
    let mut batches = 0;
    let done = store.prune(&plan, |_| batches += 1).await.unwrap();
    writing.await.unwrap();
    assert_eq!((done.events, plan.events()), (5_142, 5_142));
    assert!(batches > 5, "{batches}");
    let verified = verify(&store).await;
    assert_eq!(problems(&verified), [""; 0]);
    assert_eq!((verified.events, verified.pruned), (858 + 200, 5_142));
    assert_eq!(left(&store).await[857], 6_000, "what came after the plan is behind");
}

async fn what_was_pruned_is_not_lost_and_what_came_back_is_told(database: Database) {
    let store = seeded(&database).await;
    prune(&store, of(&["lot.parcel"]).with_keep(0)).await;
    change(&database, "DELETE FROM events WHERE position IN (3, 8, 9)").await;
    let verified = verify(&store).await;
    let expected = ["3: it is lost", "8: it and those up to 9 are lost, 2 in all"];
    assert_eq!(problems(&verified), expected);
    assert_eq!((verified.lost, verified.pruned), (3, 4));
    change(&database, "INSERT INTO pruned (first, last) VALUES (2, 3), (30, 31)").await;
    let expected = [
        "8: it and those up to 9 are lost, 2 in all",
        "2: it is recorded as pruned, and is there",
        "30: the record says that 30 to 31 are pruned, which cannot be",
    ];
    assert_eq!(problems(&verify(&store).await), expected);
}

#[tokio::test]
async fn a_file_gets_smaller_once_it_is_vacuumed() {
    let database = Database::sqlite().await.unwrap();
    let store = database.open().await;
    let text = "x".repeat(5_000);
    let big = |_| event("lot.parcel", json!({ "text": text }), Meta::new());
    store.append((0..200).map(big).collect()).await.unwrap();
    prune(&store, of(&[]).with_keep(1)).await;
    let vacuumed = store.vacuum().await.unwrap().unwrap();
    assert!(vacuumed.before > 1_000_000 && vacuumed.after < 300_000, "{vacuumed:?}");
    assert_eq!(problems(&verify(&store).await), [""; 0]);
    store.append(vec![parcel(0)]).await.unwrap();
}

#[tokio::test]
async fn a_server_looks_after_its_space_itself() {
    let Some(database) = Database::postgres().await else { return };
    assert_eq!(database.open().await.vacuum().await.unwrap(), None);
}
