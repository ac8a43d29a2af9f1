//! Appending.

use bloodbank_core::{Kind, Meta};
use bloodbank_testkit::catalog::mooring;
use candystore::{Appended, EventStore, Incoming, Standing, StoreUrl};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, on_both, parcel};
use crate::raw::{change, hold};
use crate::verifying::{problems, verify};

on_both!(
    an_event_comes_back_as_it_came,
    positions_count_up_without_gaps,
    the_same_event_again_is_a_duplicate,
    the_same_id_with_other_contents_goes_to_quarantine,
    what_breaks_its_contract_is_stored_and_marked,
    writers_that_take_turns_leave_no_gap,
    what_comes_again_is_known_however_it_was_stored,
);

async fn an_event_comes_back_as_it_came(database: Database) {
    let store = database.open().await;
    let first = Uuid::now_v7();
    let meta = Meta::new().with_session_id("s1").with_correlation_id(first);
    let incoming = event("terminal.mooring.created", json!(mooring("Budget")), meta);
    let headers = [("x-mine".to_owned(), "ä\"\n".into())].into();
    let incoming = incoming.with_headers(headers);
    let appended = store.append(vec![incoming.clone()]).await.unwrap();
    assert_eq!(appended, [Appended::Stored(1)]);
    let stored = store.at(1).await.unwrap().unwrap();
    assert_eq!(store.get(stored.id).await.unwrap().as_ref(), Some(&stored));
    assert_eq!((&stored.body, &stored.headers), (&incoming.body, &incoming.headers));
    assert_eq!((&*stored.key, &*stored.source), ("terminal.mooring.created", "test"));
    assert_eq!((stored.correlation_id, stored.causation_id), (Some(first), None));
    assert_eq!((stored.session_id.as_deref(), stored.kind), (Some("s1"), Kind::Event));
    assert_eq!((stored.standing, stored.violation), (Standing::Valid, None));
    assert!(stored.schema.is_some() && stored.timestamp.unwrap() <= stored.received);
}

async fn positions_count_up_without_gaps(database: Database) {
    let store = database.open().await;
    assert_eq!(store.position().await.unwrap(), 0);
    let again = parcel(1);
    let batch = vec![parcel(0), again.clone(), again.clone(), parcel(2)];
    let appended = store.append(batch).await.unwrap();
    let expected =
        [Appended::Stored(1), Appended::Stored(2), Appended::Duplicate(2), Appended::Stored(3)];
    assert_eq!(appended, expected);
    let appended = store.append(vec![again, parcel(3)]).await.unwrap();
    assert_eq!(appended, [Appended::Duplicate(2), Appended::Stored(4)]);
    assert_eq!(store.position().await.unwrap(), 4);
    assert_eq!(store.append(vec![]).await.unwrap(), []);
    // Another process goes on where this one was.
    let other = database.open().await;
    assert_eq!(other.append(vec![parcel(4)]).await.unwrap(), [Appended::Stored(5)]);
    assert_eq!(store.append(vec![parcel(5)]).await.unwrap(), [Appended::Stored(6)]);
}

async fn the_same_event_again_is_a_duplicate(database: Database) {
    let store = database.open().await;
    let id = Uuid::now_v7();
    let said = |data| event("lot.parcel", data, Meta::new().with_id(id));
    // When it was said may differ, and how its JSON is written.
    let first = said(json!({"n": 1, "m": 2}));
    let second = said(json!({"m": 2.0, "n": 1}));
    assert_ne!(first.body, second.body);
    assert_eq!(store.append(vec![first.clone()]).await.unwrap(), [Appended::Stored(1)]);
    assert_eq!(store.append(vec![second]).await.unwrap(), [Appended::Duplicate(1)]);
    let stored = store.at(1).await.unwrap().unwrap();
    assert_eq!(stored.body, first.body, "never overwritten");
}

async fn the_same_id_with_other_contents_goes_to_quarantine(database: Database) {
    let store = database.open().await;
    let id = Uuid::now_v7();
    let said = |key: &str, n| event(key, json!({ "n": n }), Meta::new().with_id(id));
    let first = said("lot.parcel", 1);
    let batch = vec![first.clone(), said("lot.parcel", 2), said("lot.session.started", 1)];
    let appended = store.append(batch).await.unwrap();
    assert_eq!(appended, [Appended::Stored(1), Appended::Conflict(1), Appended::Conflict(1)]);
    assert_eq!(store.append(vec![said("lot.parcel", 3)]).await.unwrap(), [Appended::Conflict(1)]);
    assert_eq!(store.at(1).await.unwrap().unwrap().body, first.body);
    assert_eq!(store.position().await.unwrap(), 1);
}

async fn what_breaks_its_contract_is_stored_and_marked(database: Database) {
    let store = database.open().await;
    let garbage = || Incoming::new(Kind::Event, "lot.parcel", *b"\xff{");
    let mut bad = json!(mooring("x"));
    bad["max_rounds"] = json!(99);
    let mut other = event("a.b", json!({}), Meta::new());
    other.key = "lot.parcel".into();
    let batch = vec![
        garbage(),
        event("terminal.mooring.created", bad, Meta::new()),
        event("no.such.key", json!({}), Meta::new()),
        other,
        garbage(),
    ];
    let appended = store.append(batch).await.unwrap();
    assert_eq!(appended[4], Appended::Duplicate(1), "the same bytes are the same message");
    for (position, standing, violation) in [
        (1, Standing::Malformed, "not an envelope: "),
        (2, Standing::Invalid, "/max_rounds  expected at most 10, found 99"),
        (3, Standing::Unknown, "no contract has the key `no.such.key`"),
        (4, Standing::Malformed, "it travelled as `lot.parcel` and says that it is `a.b`"),
    ] {
        let stored = store.at(position).await.unwrap().unwrap();
        assert_eq!(stored.standing, standing);
        let said = stored.violation.unwrap();
        assert!(said.starts_with(violation), "{said}");
    }
    assert_eq!(store.at(1).await.unwrap().unwrap().body[..], *b"\xff{");
}

async fn writers_that_take_turns_leave_no_gap(database: Database) {
    let stores = [database.open().await, database.open().await];
    let mut expected = 0;
    // Now one after the other, now both at a time.
    for step in 0..60 {
        let store = &stores[if step < 20 { step / 7 % 2 } else { step % 2 }];
        expected += 1;
        assert_eq!(store.append(vec![parcel(1)]).await.unwrap(), [Appended::Stored(expected)]);
    }
    let append = async |store: &EventStore| {
        let mut positions = Vec::new();
        for n in 0..50 {
            let appended = store.append((0..1 + n % 3).map(parcel).collect()).await.unwrap();
            positions.extend(appended.into_iter().map(Appended::position));
        }
        positions
    };
    let (one, other) = tokio::join!(append(&stores[0]), append(&stores[1]));
    let mut all = [one, other].concat();
    all.sort_unstable();
    assert_eq!(all, (61..61 + all.len() as u64).collect::<Vec<_>>());
    assert_eq!(problems(&verify(&stores[0]).await), [""; 0]);
}

async fn what_comes_again_is_known_however_it_was_stored(database: Database) {
    let store = database.open().await;
    let all: Vec<Incoming> = (0..12).map(parcel).collect();
    for (incoming, expected) in all.iter().zip(1..) {
        let stored = Ok(vec![Appended::Stored(expected)]);
        assert_eq!(store.append(vec![incoming.clone()]).await, stored);
    }
    for (incoming, expected) in all.iter().zip(1..) {
        let again = Ok(vec![Appended::Duplicate(expected)]);
        assert_eq!(store.append(vec![incoming.clone()]).await, again);
    }
    // A key that is new, and one event twice.
    let new = event("no.such.key", json!({}), Meta::new());
    let appended = store.append(vec![new.clone(), new]).await.unwrap();
    assert_eq!(appended, [Appended::Stored(13), Appended::Duplicate(13)]);
    // What is changed behind its back is noticed.
    change(&database, "UPDATE head SET duplicates = 100, commits = commits + 1").await;
    for n in 14..18 {
        assert_eq!(store.append(vec![parcel(0)]).await.unwrap(), [Appended::Stored(n)]);
    }
    assert_eq!(store.totals().await.unwrap().duplicates, 100);
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}

/// The last statements of those who use the store, as another client sees them.
async fn last_statements(url: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT query FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'bloodbank'";
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_alone_appends_in_one_statement() {
    let Some(database) = Database::postgres().await else { return };
    let StoreUrl::Postgres(url) = &database.url else { unreachable!() };
    let store = database.open().await;
    let is_one = async || last_statements(url).await.iter().any(|sql| sql.contains("WITH turn"));
    let mut before = None;
    for n in 1..10 {
        assert_eq!(store.append(vec![parcel(0)]).await.unwrap(), [Appended::Stored(n)]);
        assert_eq!(is_one().await, n >= 3, "{n}");
        let received = store.at(n).await.unwrap().unwrap().received;
        assert!(before.is_none_or(|before| before < received));
        before = Some(received);
    }
    let other = database.open().await;
    other.append(vec![parcel(0)]).await.unwrap();
    // The first attempt finds out, and the next ones are careful.
    assert_eq!(store.append(vec![parcel(0)]).await.unwrap(), [Appended::Stored(11)]);
    assert!(!is_one().await);
    for n in 12..15 {
        store.append((0..n).map(parcel).collect()).await.unwrap();
    }
    assert!(is_one().await);
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_alone_waits_for_a_lock_that_another_holds() {
    let Some(database) = Database::postgres().await else { return };
    let store = database.open().await;
    for n in 1..5 {
        assert_eq!(store.append(vec![parcel(0)]).await.unwrap(), [Appended::Stored(n)]);
    }
    let held = hold(&database).await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.append(vec![parcel(0)]).await }
    });
    let StoreUrl::Postgres(url) = &database.url else { unreachable!() };
    while !last_statements(url).await.iter().any(|sql| sql.contains("pg_advisory_xact_lock")) {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    drop(held);
    assert_eq!(waiting.await.unwrap().unwrap(), [Appended::Stored(5)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_alone_writes_whatever_the_default_of_the_database_is() {
    let Some(database) = Database::postgres().await else { return };
    let set = "DO $$ BEGIN EXECUTE format( \
         'ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
    change(&database, set).await;
    let store = database.open().await;
    for n in 1..8 {
        assert_eq!(store.append(vec![parcel(0)]).await.unwrap(), [Appended::Stored(n)]);
    }
    assert_eq!(problems(&verify(&store).await), [""; 0]);
}
