//! What is unusual, and must not stop the rest.

use bloodbank_core::{Kind, Meta};
use candystore::{Appended, Incoming, Standing};
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::databases::{Database, event, on_both, parcel};

on_both!(
    any_headers_come_back,
    any_time_comes_back,
    large_bodies_are_stored_together,
    any_bytes_are_stored,
    writers_of_one_process_race_with_the_same_events,
);

async fn any_headers_come_back(database: Database) {
    let store = database.open().await;
    let text = "\0\u{1}\u{7f}\u{fffd}\u{10ffff}\"\\'{}[]";
    let long = "ä".repeat(100_000);
    let names = ["", "\0", "\"", "x-bloodbank-schema", &long];
    let headers = names.map(|name| (name.to_owned(), format!("{text}{name}").into())).into();
    let incoming = parcel(0).with_headers(headers);
    store.append(vec![incoming.clone()]).await.unwrap();
    assert_eq!(store.at(1).await.unwrap().unwrap().headers, incoming.headers);
}

async fn any_time_comes_back(database: Database) {
    let store = database.open().await;
    // Those that RFC 3339 can write.
    let ends = ["0000-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"];
    let times = ends.map(|time| time.parse::<DateTime<Utc>>().unwrap());
    let said = |time| event("lot.parcel", json!({}), Meta::new().with_timestamp(time));
    // Where a store got it, as its record says; the future is not yet.
    let events = times.map(|time| said(time).with_received(time)).to_vec();
    let before = Utc::now();
    assert_eq!(store.append(events).await.unwrap().len(), times.len());
    for (position, time) in (1..).zip(times) {
        let stored = store.at(position).await.unwrap().unwrap();
        let micros = stored.timestamp.map(|time| time.timestamp_micros());
        assert_eq!((stored.standing, micros), (Standing::Valid, Some(time.timestamp_micros())));
        assert!(stored.received <= Utc::now(), "{}", stored.received);
    }
    let last = store.append(vec![parcel(0)]).await.unwrap()[0].position();
    let stored = store.at(last).await.unwrap().unwrap();
    assert!(stored.received.timestamp_micros() >= before.timestamp_micros());
}

async fn large_bodies_are_stored_together(database: Database) {
    let store = database.open().await;
    let large =
        |n: u8| event("lot.parcel", json!({ "x": "y".repeat(9 << 20), "n": n }), Meta::new());
    let events: Vec<Incoming> = vec![large(0), parcel(1), large(2), parcel(3)];
    let appended = store.append(events.clone()).await.unwrap();
    assert_eq!(appended, (1..=4).map(Appended::Stored).collect::<Vec<_>>());
    for (position, event) in (1..).zip(events) {
        let stored = store.at(position).await.unwrap().unwrap();
        assert!(stored.body == event.body, "the body at {position} is another");
        assert_eq!(stored.standing, Standing::Valid);
    }
}

async fn any_bytes_are_stored(database: Database) {
    let store = database.open().await;
    let bodies: [&[u8]; 6] = [b"", b"\0", b"\xff\xfe", b"null", b"[[[[[[", &[b'['; 1_000_000]];
    let garbage = |body: &&[u8]| Incoming::new(Kind::Event, "", *body);
    let appended = store.append(bodies.iter().map(garbage).collect()).await.unwrap();
    assert_eq!(appended, (1..=6).map(Appended::Stored).collect::<Vec<_>>());
    for (position, body) in (1..).zip(bodies) {
        let stored = store.at(position).await.unwrap().unwrap();
        assert_eq!((&*stored.body, stored.standing), (body, Standing::Malformed));
        assert_eq!(stored.checksum, crc32fast::hash(body));
    }
}

async fn writers_of_one_process_race_with_the_same_events(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let events: Vec<Incoming> = (0..200).map(parcel).collect();
    let mut appending = Vec::new();
    for (n, event) in events.iter().enumerate() {
        for store in [&one, &other] {
            // Some alone, some in one transaction with others.
            let batch = events[n / 10 * 10..n].iter().chain([event]).cloned().collect();
            let store = store.clone();
            appending.push(tokio::spawn(async move { store.append(batch).await.unwrap() }));
        }
    }
    let mut stored = Vec::new();
    for appended in appending {
        for appended in appended.await.unwrap() {
            match appended {
                Appended::Stored(position) => stored.push(position),
                Appended::Duplicate(_) => {}
                Appended::Conflict(at) => panic!("a conflict at {at}"),
            }
        }
    }
    stored.sort_unstable();
    assert_eq!(stored, (1..=200).collect::<Vec<_>>(), "each is told once that it is stored");
    assert_eq!(one.position().await.unwrap(), 200);
}
