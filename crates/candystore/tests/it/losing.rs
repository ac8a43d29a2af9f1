//! The way to the server breaks, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bloodbank_testkit::{Postgres, Proxy};
use candystore::{EventStore, StoreError};
use tokio::time::sleep;
use uuid::Uuid;

use crate::databases::{Database, parcel};

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
                assert!(matches!(error, StoreError::Lost { .. }), "{error}");
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
async fn while_there_is_no_server_a_store_that_was_open_says_that_it_is_lost() {
    let Some((store, proxy)) = store().await else { return };
    store.append(vec![parcel(0)]).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    for n in 1..4 {
        let error = store.append(vec![parcel(n)]).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        let error = store.get(Uuid::nil()).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    proxy.refuse(false);
    store.append(vec![parcel(5)]).await.unwrap();
    assert_eq!(store.position().await.unwrap(), 2);
}
