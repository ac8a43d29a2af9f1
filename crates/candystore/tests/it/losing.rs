//! The way to the server breaks, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bloodbank_bus::TransportError;
use bloodbank_core::Code;
use bloodbank_testkit::{Postgres, Proxy};
use candystore::{Embedded, EventStore, StoreError, StoreUrl};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::databases::{Database, parcel, publish};

/// A store behind a proxy, unless there is no server.
async fn store() -> Option<(EventStore, Proxy)> {
    if !bloodbank_testkit::postgres() {
        return None;
    }
    let server = Postgres::shared().await;
    let proxy = Proxy::start(("127.0.0.1", server.port())).await;
    let ports = [server.port(), proxy.port()].map(|port| format!("127.0.0.1:{port}/"));
    let url = server.fresh_url().await.replace(&ports[0], &ports[1]);
    Some((Database::at(url.parse().unwrap()).open().await, proxy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_writes_is_told_that_the_connection_is_lost_and_may_go_on() {
    let Some((store, proxy)) = store().await else { return };
    let is_over = Arc::new(AtomicBool::new(false));
    let write = async |store: EventStore, is_over: Arc<AtomicBool>| {
        let (mut stored, mut lost) = (0, 0);
        while !is_over.load(Ordering::Relaxed) {
            let event = parcel(stored);
            while let Err(error) = store.append(vec![event.clone()]).await {
                let is_gone =
                    matches!(error, StoreError::Lost { .. } | StoreError::Unreachable { .. });
                assert!(is_gone, "{error}");
                lost += 1;
            }
            stored += 1;
        }
        (stored, lost)
    };
    let writers: Vec<_> =
        (0..20).map(|_| tokio::spawn(write(store.clone(), is_over.clone()))).collect();
    for _ in 0..10 {
        sleep(Duration::from_millis(100)).await;
        proxy.cut();
    }
    is_over.store(true, Ordering::Relaxed);
    let (mut all_stored, mut all_lost) = (0, 0);
    for writer in writers {
        let (stored, lost) = writer.await.unwrap();
        (all_stored, all_lost) = (all_stored + stored, all_lost + lost);
    }
    assert!(all_lost > 0, "the connection was never lost");
    assert_eq!(store.position().await.unwrap(), u64::from(all_stored), "each is stored once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_there_is_no_server_a_store_that_was_open_says_that_nothing_was_done() {
    let Some((store, proxy)) = store().await else { return };
    store.append(vec![parcel(0)]).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    for n in 1..4 {
        let error = store.append(vec![parcel(n)]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        assert!(error.is_retryable(), "{error}");
        let error = store.get(Uuid::nil()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    }
    proxy.refuse(false);
    store.append(vec![parcel(5)]).await.unwrap();
    assert_eq!(store.position().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_while_there_is_no_server_was_not_taken_and_it_is_said_why() {
    let Some((store, proxy)) = store().await else { return };
    let bus = Embedded::new(store.clone());
    publish(&bus).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    for _ in 0..3 {
        let error = publish(&bus).await.unwrap_err();
        let TransportError::Disconnected { outage } = &error else { panic!("{error}") };
        assert!(!outage.to_string().is_empty() && error.is_retryable(), "{error}");
    }
    let said = publish(&bus).await.unwrap_err().to_string();
    assert!(said.contains("connect"), "{said}");
    proxy.refuse(false);
    publish(&bus).await.unwrap();
    assert_eq!(store.position().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_while_somebody_holds_the_file_has_its_outcome_by_its_deadline() {
    let database = Database::sqlite().await.unwrap();
    let store = database.open().await;
    let bus = Embedded::new(store.clone());
    publish(&bus).await.unwrap();
    let StoreUrl::Sqlite(path) = &database.url else { panic!("a file") };
    let holder = rusqlite::Connection::open(path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    // One after the other, so that some have waited for others before it is their turn.
    let waiting = (0..4).map(|n| {
        let bus = bus.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(700 * n)).await;
            // The deadline is 5 s; the machine may be busy, too.
            timeout(Duration::from_secs(20), publish(&bus)).await.unwrap().unwrap_err()
        })
    });
    for task in waiting.collect::<Vec<_>>() {
        let error = task.await.unwrap();
        assert!(matches!(error, TransportError::Unavailable { .. }), "{error}");
        assert_eq!(error.code(), Code::StoreBusy, "{error}");
    }
    holder.execute_batch("ROLLBACK").unwrap();
    publish(&bus).await.unwrap();
    assert_eq!(store.position().await.unwrap(), 2, "nothing of it was stored later");
}
