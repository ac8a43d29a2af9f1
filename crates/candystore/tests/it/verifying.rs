//! What `verify` finds.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bloodbank_core::{Kind, Meta};
use candystore::{EventStore, Incoming, StoreUrl, Verified};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, on_both, parcel};
use crate::raw::change;

on_both!(
    what_was_stored_verifies_clean,
    one_state_is_looked_at_while_others_write,
    texts_that_no_index_takes_are_stored_all_the_same,
    a_changed_body_is_found,
    changed_columns_are_found_and_named,
    lost_events_are_found_and_counted,
    a_wrong_head_is_found,
    time_that_goes_back_is_found,
    a_key_that_patterns_would_not_find_is_found,
    all_problems_are_counted_and_a_thousand_described,
);

pub(crate) async fn verify(store: &EventStore) -> Verified {
    store.verify(|_| {}).await.unwrap()
}

/// The problems, one a line.
pub(crate) fn problems(verified: &Verified) -> Vec<String> {
    let line = |problem: &candystore::Problem| match problem.position {
        Some(position) => format!("{position}: {}", problem.what),
        None => problem.what.clone(),
    };
    verified.problems.iter().map(line).collect()
}

/// A store of six events, changed behind its back.
async fn changed(database: &Database, sql: &str) -> Verified {
    let store = database.open().await;
    let meta = Meta::new().with_session_id("s").with_correlation_id(Uuid::now_v7());
    let mut events: Vec<Incoming> = (0..5).map(parcel).collect();
    events.push(event("lot.parcel", json!({"n": 5}), meta));
    store.append(events).await.unwrap();
    assert!(verify(&store).await.is_clean());
    change(database, sql).await;
    verify(&store).await
}

async fn what_was_stored_verifies_clean(database: Database) {
    let store = database.open().await;
    assert!(verify(&store).await.is_clean(), "an empty store is clean");
    let meta = Meta::new().with_session_id("s").with_causation_id(Uuid::now_v7());
    let garbage = Incoming::new(Kind::Event, "lot.parcel", *b"\xff{");
    let command = Incoming::new(Kind::Command, "no.such.thing", *b"{}");
    let headers = [("x-mine".to_owned(), "ä\"\n".into())].into();
    let events = vec![event("lot.parcel", json!({}), meta), garbage, command.with_headers(headers)];
    store.append(events).await.unwrap();
    for n in 0..3 {
        store.append((0..500).map(|m| parcel(500 * n + m)).collect()).await.unwrap();
    }
    let seen = Arc::new(AtomicU64::new(0));
    let last = seen.clone();
    let progress = move |progress: candystore::VerifyProgress| {
        assert_eq!(progress.of, 1_503);
        assert!(last.swap(progress.done, Ordering::Relaxed) < progress.done);
    };
    let verified = store.verify(progress).await.unwrap();
    assert_eq!(problems(&verified), [""; 0]);
    assert_eq!((verified.events, seen.load(Ordering::Relaxed)), (1_503, 1_503));
    assert_eq!((verified.damaged, verified.lost, verified.pruned), (0, 0, 0));
}

async fn one_state_is_looked_at_while_others_write(database: Database) {
    let store = database.open().await;
    let other = database.open().await;
    let writing = tokio::spawn(async move {
        for n in 0..300 {
            other.append(vec![parcel(n), parcel(n)]).await.unwrap();
        }
    });
    let mut last = 0;
    while !writing.is_finished() {
        let verified = verify(&store).await;
        assert_eq!(problems(&verified), [""; 0]);
        assert!(verified.events >= last && verified.events % 2 == 0, "{}", verified.events);
        last = verified.events;
    }
    writing.await.unwrap();
    assert_eq!(verify(&store).await.events, 600);
}

async fn texts_that_no_index_takes_are_stored_all_the_same(database: Database) {
    let store = database.open().await;
    // As long as a session may be.
    let meta = || Meta::new().with_session_id(format!("nul\0{}", "\u{10ffff}".repeat(251)));
    let appended = vec![
        event("lot.parcel", json!({"nul": "\0"}), meta()),
        Incoming::new(Kind::Event, "nul\0", *b"\0"),
        event("no.\0.key", json!({}), Meta::new()),
        // Random, so that nothing compresses it.
        event(
            &(0..400).map(|_| Uuid::now_v7().to_string()).collect::<String>(),
            json!({}),
            Meta::new(),
        ),
    ];
    store.append(appended.clone()).await.unwrap();
    let stored = store.at(1).await.unwrap().unwrap();
    assert_eq!(stored.body, appended[0].body);
    assert!(stored.session_id.unwrap().starts_with("nul\u{fffd}"));
    assert_eq!(problems(&verify(&store).await), [""; 0]);
    let again = store.append(appended).await.unwrap();
    assert!(again.iter().all(|a| matches!(a, candystore::Appended::Duplicate(_))), "{again:?}");
}

async fn a_changed_body_is_found(database: Database) {
    let sql = "UPDATE events SET body = CAST('{}' AS BYTEA) WHERE position = 3";
    let verified = changed(&database, sql).await;
    assert_eq!(problems(&verified), ["3: its bytes are not those of its checksum"]);
    assert_eq!((verified.events, verified.damaged, verified.found), (6, 1, 1));
}

async fn changed_columns_are_found_and_named(database: Database) {
    let sql = "UPDATE events SET key = 'lot.session.started' WHERE position = 1; \
         UPDATE events SET source = 'me' WHERE position = 2; \
         UPDATE events SET timestamp = timestamp + 1, id = (SELECT correlation_id FROM events \
         WHERE position = 6) WHERE position = 3; \
         UPDATE events SET checksum = checksum + 1 WHERE position = 4; \
         UPDATE events SET kind = 'rumour' WHERE position = 5; \
         UPDATE events SET session_id = NULL, correlation_id = NULL, causation_id = id \
         WHERE position = 6";
    let verified = changed(&database, sql).await;
    let does_not = "does not say what its bytes say";
    let expected = [
        "1: its bytes are not the envelope that they were".to_owned(),
        format!("2: column `source` {does_not}"),
        format!("3: column `id` {does_not}"),
        format!("3: column `timestamp` {does_not}"),
        "4: its bytes are not those of its checksum".to_owned(),
        "5: it cannot be read: column `kind`".to_owned(),
        format!("6: column `correlation_id` {does_not}"),
        format!("6: column `causation_id` {does_not}"),
        format!("6: column `session_id` {does_not}"),
        "the table of keys lacks `lot.session.started`".to_owned(),
    ];
    assert_eq!(problems(&verified), expected);
    assert_eq!((verified.damaged, verified.lost, verified.found), (6, 0, 10));
}

async fn lost_events_are_found_and_counted(database: Database) {
    let verified = changed(&database, "DELETE FROM events WHERE position IN (1, 3, 4, 6)").await;
    let expected = ["1: it is lost", "3: it and those up to 4 are lost, 2 in all", "6: it is lost"];
    assert_eq!(problems(&verified), expected);
    assert_eq!((verified.events, verified.damaged, verified.lost), (2, 0, 4));
}

async fn a_wrong_head_is_found(database: Database) {
    let verified = changed(&database, "UPDATE head SET position = 4, received = 0").await;
    let expected = [
        "5: it lies behind the head, which says 4",
        "6: it lies behind the head, which says 4",
        "the head says an earlier time than the last event",
    ];
    assert_eq!(problems(&verified), expected);
    change(&database, "UPDATE head SET position = 8, received = 9000000000000000").await;
    let verified = verify(&database.open().await).await;
    let expected = [
        "7: it and those up to 8 are lost, 2 in all",
        "the head says a time that is ahead of the clock",
    ];
    assert_eq!(problems(&verified), expected);
    change(&database, "DELETE FROM head").await;
    let verified = self::verify(&database.open().await).await;
    assert_eq!(problems(&verified), ["the head has 0 rows instead of one"]);
}

async fn time_that_goes_back_is_found(database: Database) {
    let sql = "UPDATE events SET received = received - 1000000 WHERE position = 4";
    let verified = changed(&database, sql).await;
    let found = problems(&verified);
    assert_eq!((found.len(), verified.damaged), (2, 1), "{found:?}");
    assert_eq!(found[1], "4: it was received before the event before it");
}

async fn a_key_that_patterns_would_not_find_is_found(database: Database) {
    let verified = changed(&database, "DELETE FROM keys").await;
    assert_eq!(problems(&verified), ["the table of keys lacks `lot.parcel`"]);
}

async fn all_problems_are_counted_and_a_thousand_described(database: Database) {
    let store = database.open().await;
    store.append((0..1_200).map(parcel).collect()).await.unwrap();
    change(&database, "UPDATE events SET checksum = checksum + 1").await;
    let verified = verify(&store).await;
    assert_eq!((verified.problems.len(), verified.found, verified.damaged), (1_000, 1_200, 1_200));
}

#[tokio::test]
async fn a_flipped_byte_in_the_file_is_found() {
    let database = Database::sqlite().await.unwrap();
    let store = database.open().await;
    let marked = event("lot.parcel", json!({"text": "a known text"}), Meta::new());
    store.append(vec![parcel(0), marked, parcel(1)]).await.unwrap();
    // Into the file itself, out of the log beside it.
    change(&database, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    drop(store);
    let StoreUrl::Sqlite(path) = &database.url else { unreachable!() };
    let mut bytes = fs::read(path).unwrap();
    let place = bytes.windows(12).position(|window| window == b"a known text").unwrap();
    bytes[place] ^= 1;
    fs::write(path, bytes).unwrap();
    let verified = verify(&database.open().await).await;
    assert_eq!(problems(&verified), ["2: its bytes are not those of its checksum"]);
}

#[tokio::test]
async fn what_lies_around_a_page_that_cannot_be_read_is_verified() {
    let database = Database::sqlite().await.unwrap();
    let store = database.open().await;
    let events = |n: u32| (0..400).map(|m| parcel(400 * n + m)).collect();
    store.append(events(0)).await.unwrap();
    store.append(events(1)).await.unwrap();
    change(&database, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    drop(store);
    let StoreUrl::Sqlite(path) = &database.url else { unreachable!() };
    let mut bytes = fs::read(path).unwrap();
    let text = br#""n":300"#;
    let place = bytes.windows(text.len()).position(|window| window == text).unwrap();
    // The page's head.
    bytes[place / 4096 * 4096..][..8].fill(0xff);
    fs::write(path, bytes).unwrap();
    let verified = verify(&database.open().await).await;
    assert_eq!((verified.events, verified.lost), (800, 0));
    assert!((1..40).contains(&verified.damaged), "{}", verified.damaged);
    assert!(problems(&verified).iter().any(|p| p.starts_with("301: it cannot be read: ")));
    assert!(problems(&verified).iter().any(|p| p.starts_with("SQLite: ")));
}
