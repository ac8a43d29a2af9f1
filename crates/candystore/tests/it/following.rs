//! History, then what comes.

use std::time::Duration;

use candystore::{EventStore, Field, Filter, Follow, Followed, Incoming, Position, Start};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::databases::{Database, event, large, on_both, parcel};

on_both!(
    history_comes_first_and_then_what_is_written,
    nothing_is_missed_and_nothing_comes_twice_beside_two_writers,
    a_follower_begins_where_it_is_told,
    a_dropped_wait_loses_nothing,
    few_large_events_are_read_ahead,
);

/// Events that each of the two writers appends.
const EACH: u32 = 10_000;

async fn next(follow: &mut Follow) -> Position {
    let followed = timeout(Duration::from_secs(60), follow.next()).await.unwrap().unwrap();
    let Followed::Event(event) = followed else { panic!("{followed:?}") };
    event.position
}

/// Whether nothing comes for a while.
async fn is_quiet(follow: &mut Follow) -> bool {
    timeout(Duration::from_millis(100), follow.next()).await.is_err()
}

async fn history_comes_first_and_then_what_is_written(database: Database) {
    let store = database.open().await;
    let other = |n: u32| event("lot.session.started", json!({ "n": n }), Default::default());
    store.append(vec![parcel(0), other(1), parcel(2)]).await.unwrap();
    let filter = Filter::new().with_key("lot.parcel".parse().unwrap());
    let mut follow = store.follow(filter, Start::Position(1)).await.unwrap();
    assert_eq!((next(&mut follow).await, next(&mut follow).await), (1, 3));
    assert!(is_quiet(&mut follow).await);
    store.append(vec![other(3), parcel(4)]).await.unwrap();
    assert_eq!(next(&mut follow).await, 5);
    // What another process writes.
    let elsewhere = database.open().await;
    elsewhere.append(vec![parcel(5)]).await.unwrap();
    assert_eq!(next(&mut follow).await, 6);
    elsewhere.append(vec![other(6)]).await.unwrap();
    assert!(is_quiet(&mut follow).await);
    assert_eq!(follow.position(), 7, "what does not pass was looked at");
}

async fn few_large_events_are_read_ahead(database: Database) {
    let store = database.open().await;
    for part in 0..2 {
        store.append((0..10).map(|n| large(10 * part + n)).collect()).await.unwrap();
    }
    let mut follow = store.follow(Filter::new(), Start::Position(1)).await.unwrap();
    assert_eq!(next(&mut follow).await, 1);
    assert_eq!(follow.position(), 17, "17 of them have more than 16 MiB");
    for position in 2..=20 {
        assert_eq!(next(&mut follow).await, position);
    }
}

async fn nothing_is_missed_and_nothing_comes_twice_beside_two_writers(database: Database) {
    let store = database.open().await;
    store.append((0..50).map(parcel).collect()).await.unwrap();
    let mut all = store.follow(Filter::new(), Start::Position(1)).await.unwrap();
    let odd = Filter::new().with_field(Field::new("/odd", json!(true)).unwrap());
    let mut some = database.open().await.follow(odd, Start::Now).await.unwrap();
    let first = tokio::spawn(write(store.clone(), 7));
    let second = tokio::spawn(write(database.open().await, 40));
    let total = 50 + 2 * u64::from(EACH);
    for expected in 1..=total {
        assert_eq!(next(&mut all).await, expected);
    }
    let mut last = 0;
    for _ in 0..EACH {
        let position = next(&mut some).await;
        assert!(position > last);
        last = position;
    }
    first.await.unwrap();
    second.await.unwrap();
    assert!(is_quiet(&mut all).await && is_quiet(&mut some).await);
}

/// Appends as fast as it goes, half of it odd.
async fn write(store: EventStore, batch: u32) {
    let event = |n: u32| event("lot.parcel", json!({ "odd": n % 2 == 1 }), Default::default());
    for from in (0..EACH).step_by(batch as usize) {
        let events: Vec<Incoming> = (from..EACH.min(from + batch)).map(event).collect();
        store.append(events).await.unwrap();
    }
}

async fn a_follower_begins_where_it_is_told(database: Database) {
    let store = database.open().await;
    for n in 0..3 {
        store.append(vec![parcel(n)]).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
    let second = store.at(2).await.unwrap().unwrap().received;
    let start = async |start| store.follow(Filter::new(), start).await.unwrap();
    let mut by_time = start(Start::Time(second)).await;
    assert_eq!((next(&mut by_time).await, next(&mut by_time).await), (2, 3));
    let mut now = start(Start::Now).await;
    let mut later = start(Start::Position(5)).await;
    let mut by_later_time = start(Start::Time(chrono::Utc::now())).await;
    assert!(is_quiet(&mut now).await);
    store.append(vec![parcel(3)]).await.unwrap();
    assert_eq!((next(&mut now).await, next(&mut by_later_time).await), (4, 4));
    assert!(is_quiet(&mut later).await);
    store.append(vec![parcel(4)]).await.unwrap();
    assert_eq!(next(&mut later).await, 5);
}

async fn a_dropped_wait_loses_nothing(database: Database) {
    let store = database.open().await;
    let mut follow = store.follow(Filter::new(), Start::Now).await.unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..200 {
                store.append(vec![parcel(n)]).await.unwrap();
            }
        }
    });
    let (mut seen, mut patience) = (0, 0);
    while seen < 200 {
        patience = (patience + 1) % 50;
        if let Ok(followed) = timeout(Duration::from_millis(patience), follow.next()).await {
            let Followed::Event(event) = followed.unwrap() else { panic!("no event") };
            seen += 1;
            assert_eq!(event.position, seen);
        }
    }
    writer.await.unwrap();
}
