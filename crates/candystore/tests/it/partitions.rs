//! The partitions of the table of events on PostgreSQL. A SQLite file has none, and does the same.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{InMemory, Transport};
use bloodbank_core::{Bundle, BundledRetention, Contracts, Meta};
use bloodbank_testkit::catalog;
use candystore::{
    Appended, By, EventStore, Field, Filter, Incoming, Order, Position, Prune, Replay,
    ReplayOptions, Start, StoreError, StoreOptions, StoreUrl,
};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_postgres::NoTls;

use crate::databases::{Database, event, make_older, on_both, parcel};
use crate::raw::change;
use crate::verifying::{problems, verify};

on_both!(
    what_lies_in_many_partitions_is_one_store,
    a_partition_of_which_nothing_stays_goes_as_a_whole,
    a_partition_of_which_something_stays_is_thinned_out,
    what_is_needed_stays_with_its_partition,
    an_index_on_a_field_is_one_of_all_partitions,
    a_store_of_one_table_is_given_partitions,
);

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A store whose partitions have ten events each.
async fn small(database: &Database) -> EventStore {
    let store = database.open().await;
    if is_server(database) {
        change(database, "DROP TABLE events_1_10000000; UPDATE head SET room = 0, width = 10")
            .await;
    }
    store
}

fn is_server(database: &Database) -> bool {
    !matches!(database.url, StoreUrl::Sqlite(_))
}

/// What another program finds of partitions; none in a file.
async fn partitions(database: &Database) -> Vec<String> {
    let StoreUrl::Postgres(url) = &database.url else { return Vec::new() };
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT inhrelid::regclass::text FROM pg_inherits \
         WHERE inhparent = 'events'::regclass ORDER BY length(inhrelid::regclass::text), 1";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Nothing on a file.
fn on_server(database: &Database, names: &[&str]) -> Vec<String> {
    let is_server = is_server(database);
    names.iter().filter(|_| is_server).map(ToString::to_string).collect()
}

/// So many events, each a day after the one before, of two keys in turn; the last one just now.
async fn days(store: &EventStore, events: u32) {
    let now = Utc::now();
    let of = |n: u32| {
        let key = ["lot.parcel", "lot.session.started"][n as usize % 2];
        let received = now - TimeDelta::days(i64::from(events - 1 - n));
        event(key, json!({ "n": n }), Meta::new()).with_received(received)
    };
    let all: Vec<Incoming> = (0..events).map(of).collect();
    for part in all.chunks(7) {
        store.append(part.to_vec()).await.unwrap();
    }
}

async fn left(store: &EventStore) -> Vec<Position> {
    let page = store.page(&Filter::new(), Order::Oldest, 1_000, None).await.unwrap();
    page.events.iter().map(|event| event.position).collect()
}

async fn ranges(store: &EventStore) -> Vec<(Position, Position)> {
    let ranges = store.pruned_between(0, 1_000).await.unwrap();
    ranges.iter().map(|range| (range.first, range.last)).collect()
}

fn of(patterns: &[&str]) -> Prune {
    Prune::new(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
}

async fn prune(store: &EventStore, prune: Prune) -> u64 {
    let plan = store.plan_prune(prune).await.unwrap();
    let done = store.prune(&plan, |_| {}).await.unwrap();
    assert_eq!(done.events, plan.events());
    assert_eq!(problems(&verify(store).await), [""; 0]);
    let counted = store.totals().await.unwrap().events;
    assert_eq!(counted, left(store).await.len() as u64, "the figures are those of what is left");
    done.events
}

async fn what_lies_in_many_partitions_is_one_store(database: Database) {
    let store = small(&database).await;
    let first = parcel(0);
    assert_eq!(store.append(vec![first.clone()]).await.unwrap(), [Appended::Stored(1)]);
    let all: Vec<Incoming> = (1..95).map(parcel).collect();
    for part in all.chunks(13) {
        store.append(part.to_vec()).await.unwrap();
    }
    if is_server(&database) {
        assert_eq!(partitions(&database).await.len(), 10);
    }
    let again = store.append(vec![first, all[40].clone(), parcel(95)]).await.unwrap();
    assert_eq!(again, [Appended::Duplicate(1), Appended::Duplicate(42), Appended::Stored(96)]);
    let verified = verify(&store).await;
    assert_eq!((verified.events, verified.found), (96, 0), "{verified:?}");
    assert_eq!(left(&store).await, (1..=96).collect::<Vec<_>>());
    let newest = store.page(&Filter::new(), Order::Newest, 25, None).await.unwrap();
    assert_eq!(newest.events.last().map(|event| event.position), Some(72));
    let event = store.at(42).await.unwrap().unwrap();
    assert_eq!(store.get(event.id).await.unwrap().as_ref(), Some(&event));
    assert!(store.totals().await.unwrap().size > 0);
    let mut follow = store.follow(Filter::new(), Start::Position(90)).await.unwrap();
    for _ in 90..=96 {
        follow.next().await.unwrap();
    }
    assert_eq!(follow.position(), 96);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    store.backup(&file).await.unwrap();
    let other = match is_server(&database) {
        true => Database::postgres().await.unwrap(),
        false => Database::sqlite().await.unwrap(),
    };
    drop(small(&other).await);
    let restored = timeout(Duration::from_secs(30), async {
        loop {
            match EventStore::restore(other.url.clone(), &file, true).await {
                Err(candystore::BackupError::Store(StoreError::Busy { .. })) => {}
                restored => return restored.unwrap(),
            }
        }
    });
    assert_eq!(restored.await.unwrap().events, 96);
    let copy = other.open().await;
    assert_eq!(left(&copy).await.len(), 96);
    let next: Vec<Incoming> = (0..20).map(parcel).collect();
    assert_eq!(copy.append(next).await.unwrap()[19], Appended::Stored(116));
    assert_eq!(problems(&verify(&copy).await), [""; 0]);
}

async fn a_partition_of_which_nothing_stays_goes_as_a_whole(database: Database) {
    let store = small(&database).await;
    days(&store, 35).await;
    let digest = verify(&store).await.head.unwrap();
    // Some of it went before, one by one.
    assert_eq!(prune(&store, of(&["lot.parcel"]).with_older_than(DAY * 31)).await, 2);
    assert_eq!(ranges(&store).await, [(1, 1), (3, 3)]);
    let plan = store.plan_prune(of(&["#"]).with_older_than(DAY * 11)).await.unwrap();
    let of_keys: Vec<_> =
        plan.keys.iter().map(|key| (key.events, key.first.0, key.last.0)).collect();
    assert_eq!(of_keys, [(10, 5, 23), (12, 2, 24)]);
    assert_eq!(prune(&store, of(&["#"]).with_older_than(DAY * 11)).await, 22);
    assert_eq!(left(&store).await, (25..=35).collect::<Vec<_>>());
    assert_eq!(ranges(&store).await, [(1, 24)]);
    let names = ["events_21_30", "events_31_40"];
    assert_eq!(partitions(&database).await, on_server(&database, &names));
    assert_eq!(verify(&store).await.head, Some(digest));
    let groups = store.stats(None, None, By::Key).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), 11);
    assert_eq!(store.append((0..8).map(parcel).collect()).await.unwrap()[7], Appended::Stored(43));
    // All that there is: what comes then finds room all the same.
    assert_eq!(prune(&store, of(&["#"]).with_keep(0)).await, 19);
    assert_eq!(partitions(&database).await, on_server(&database, &["events_41_50"]));
    assert_eq!(store.append((0..9).map(parcel).collect()).await.unwrap()[8], Appended::Stored(52));
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}

async fn a_partition_of_which_something_stays_is_thinned_out(database: Database) {
    let store = small(&database).await;
    days(&store, 35).await;
    assert_eq!(prune(&store, of(&["lot.parcel"]).with_older_than(DAY * 5)).await, 15);
    let names = ["events_1_10", "events_11_20", "events_21_30", "events_31_40"];
    assert_eq!(partitions(&database).await, on_server(&database, &names));
    assert_eq!(left(&store).await.len(), 20);
    assert_eq!(prune(&store, of(&["*.session.started"]).with_keep(7)).await, 10);
    assert_eq!(partitions(&database).await, on_server(&database, &names[2..]));
    assert_eq!(ranges(&store).await[0], (1, 21));
}

async fn what_is_needed_stays_with_its_partition(database: Database) {
    let store = small(&database).await;
    days(&store, 35).await;
    let plan = store.plan_replay(Filter::new().with_first(15)).await.unwrap();
    let all = store.plan_prune(of(&["#"]).with_keep(0)).await.unwrap();
    assert_eq!(all.events(), 35);
    let bus: Arc<dyn Transport> = Arc::new(InMemory::new());
    let _running = Replay::begin(store.clone(), bus, &plan, ReplayOptions::new("test"));
    let _running = _running.await.unwrap();
    change(&database, "UPDATE replays SET reached = 14").await;
    // It was planned before the replay began.
    let done = store.prune(&all, |_| {}).await.unwrap();
    assert_eq!((done.events, done.held_from), (14, Some(15)));
    let names = ["events_11_20", "events_21_30", "events_31_40"];
    assert_eq!(partitions(&database).await, on_server(&database, &names));
    let plan = store.plan_prune(of(&["#"]).with_keep(0)).await.unwrap();
    assert_eq!((plan.events(), plan.held, plan.needed), (0, 21, Some(15)));
    assert_eq!(prune(&store, of(&["#"]).with_keep(0).with_force(true)).await, 21);
    assert_eq!(partitions(&database).await, on_server(&database, &["events_31_40"]));
}

async fn an_index_on_a_field_is_one_of_all_partitions(database: Database) {
    let store = small(&database).await;
    store.append((0..25).map(parcel).collect()).await.unwrap();
    assert_eq!(store.add_payload_index("/n").await, Ok(true));
    store.append((0..25).map(parcel).collect()).await.unwrap();
    let field = Filter::new().with_field(Field::new("/n", 3.into()).unwrap());
    assert_eq!(store.count(&field).await.unwrap(), 2);
    if let StoreUrl::Postgres(url) = &database.url {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = "SELECT COUNT(*), BOOL_AND(indisvalid) FROM pg_index \
             WHERE indexrelid IN (SELECT relid FROM pg_partition_tree('payload_1_data'))";
        let row = client.query_one(sql, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (1 + 5, true));
    }
    assert_eq!(store.drop_payload_index("/n").await, Ok(true));
    assert_eq!(store.add_payload_index("/n").await, Ok(true));
    assert_eq!(store.count(&field).await.unwrap(), 2);
}

async fn a_store_of_one_table_is_given_partitions(database: Database) {
    let store = database.open().await;
    store.add_payload_index("/n").await.unwrap();
    store.append((0..25).map(parcel).collect()).await.unwrap();
    drop(store);
    make_older(&database, 5).await;
    if is_server(&database) {
        change(&database, "GRANT SELECT ON events TO PUBLIC").await;
    }
    let store = database.open().await;
    assert_eq!(partitions(&database).await, on_server(&database, &["events_1_10000000"]));
    store.append((0..25).map(parcel).collect()).await.unwrap();
    let verified = verify(&store).await;
    assert_eq!((verified.events, verified.unchained, verified.found), (50, 25, 0), "{verified:?}");
    if let StoreUrl::Postgres(url) = &database.url {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = "SELECT relacl::text FROM pg_class WHERE oid = 'events'::regclass";
        let rights: String = client.query_one(sql, &[]).await.unwrap().get(0);
        assert!(rights.contains("=r/"), "{rights}");
    }
}

/// Nothing is rewritten, and what is read for long is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_somebody_reads_is_waited_for() {
    let Some(database) = Database::postgres().await else { return };
    let StoreUrl::Postgres(url) = &database.url else { return };
    let store = small(&database).await;
    days(&store, 25).await;
    let plan = store.plan_prune(of(&["#"]).with_older_than(DAY * 10)).await.unwrap();
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT COUNT(*) FROM events").await.unwrap();
    let pruning = tokio::spawn({
        let store = store.clone();
        async move { store.prune(&plan, |_| {}).await }
    });
    // It has tried, and others go on.
    let other = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(other.1);
    let waits = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'";
    while other.0.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    store.append(vec![parcel(0)]).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(pruning.await.unwrap().unwrap().events, 15);
    assert_eq!(partitions(&database).await, ["events_11_20", "events_21_30"]);
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}

/// Hour by hour nothing would be left of a partition that could go as a whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_waits_for_the_rest_of_a_partition() {
    let Some(database) = Database::postgres().await else { return };
    drop(small(&database).await);
    let keep = |keep: &str| {
        let retention = vec![BundledRetention { keys: "#".into(), keep: keep.parse().unwrap() }];
        let contracts =
            Contracts::new(Bundle { retention, ..catalog::contracts().bundle().clone() });
        let options = StoreOptions::new(database.url.clone());
        async { EventStore::open(options, contracts).await.unwrap() }
    };
    let now = Utc::now();
    let old = |n: u32| parcel(n).with_received(now - TimeDelta::hours(i64::from(199 - n)));
    let store = keep("100d").await;
    store.append((0..200).map(old).collect()).await.unwrap();
    // Of 101 to 110 half is too old by an hour or more, and the rest within a twentieth of 4 d.
    let events = async |keep: &EventStore| {
        change(&database, "UPDATE retention SET due = 0").await;
        keep.retain().await.unwrap().unwrap().events
    };
    assert_eq!(events(&store).await, 0);
    assert_eq!(events(&keep("94h").await).await, 100);
    assert_eq!(partitions(&database).await[0], "events_101_110");
    // A twentieth of this is less than what is missing.
    assert_eq!(events(&keep("80h").await).await, 20);
    assert_eq!(events(&keep("78h").await).await, 2, "they are too old, and the others stay longer");
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}
