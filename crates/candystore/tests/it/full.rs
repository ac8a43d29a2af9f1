//! A full disk. Of a server's disk there is no test: it is the server that says `Full`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bloodbank_core::Meta;
use bloodbank_testkit::catalog;
use candystore::{Appended, EventStore, Incoming, Position, StoreError, StoreOptions, StoreUrl};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::databases::{Database, event};
use crate::verifying::{problems, verify};

/// Nobody waits for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event of a kilobyte.
fn large(n: u32) -> Incoming {
    event("lot.parcel", json!({ "n": n, "text": "x".repeat(1_000) }), Meta::new())
}

fn many(count: u32) -> Vec<Incoming> {
    (0..count).map(large).collect()
}

async fn open(url: &StoreUrl, pages: u32) -> EventStore {
    let options = StoreOptions::new(url.clone()).with_max_pages(pages);
    EventStore::open(options, catalog::contracts()).await.unwrap()
}

/// Appends in batches until the store is full; gives the last position that was confirmed.
async fn fill(store: &EventStore, batch: u32) -> Position {
    let mut confirmed = store.position().await.unwrap();
    for n in 0..100_000 {
        let batch = (0..batch).map(|m| large(batch * n + m)).collect();
        match timeout(PATIENCE, store.append(batch)).await.unwrap() {
            Ok(appended) => confirmed = appended.last().unwrap().position(),
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                assert!(error.is_retryable());
                return confirmed;
            }
        }
    }
    panic!("it is never full");
}

/// Everything that was confirmed is there, and nothing else.
async fn holds(store: &EventStore, confirmed: Position) {
    assert_eq!(store.position().await.unwrap(), confirmed);
    let verified = verify(store).await;
    assert_eq!(problems(&verified), [""; 0]);
    assert_eq!(verified.events, confirmed);
}

#[tokio::test]
async fn a_full_file_says_so_and_loses_nothing_and_goes_on_with_room() {
    for batch in [1, 50] {
        let database = Database::sqlite().await.unwrap();
        let store = open(&database.url, 200).await;
        let confirmed = fill(&store, batch).await;
        assert!(confirmed > 100, "{confirmed}");
        holds(&store, confirmed).await;
        assert_eq!(store.append(many(300)).await.unwrap_err(), StoreError::Full);
        holds(&store, confirmed).await;
        drop(store);
        let store = open(&database.url, 400).await;
        assert_eq!(store.append(vec![large(0)]).await.unwrap(), [Appended::Stored(confirmed + 1)]);
        holds(&store, confirmed + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_in_the_same_moment_is_told_and_does_not_hang() {
    let database = Database::sqlite().await.unwrap();
    let store = open(&database.url, 200).await;
    let jobs: Vec<_> = (0..300)
        .map(|n| {
            let store = store.clone();
            // Large and small ones, so that some would fit and share a transaction with one that
            // does not.
            let batch = (0..if n % 10 == 9 { 40 } else { 1 }).map(|m| large(100 * n + m)).collect();
            tokio::spawn(async move { timeout(PATIENCE, store.append(batch)).await.unwrap() })
        })
        .collect();
    let (mut confirmed, mut full) = (0, 0);
    for job in jobs {
        match job.await.unwrap() {
            Ok(appended) => confirmed += appended.len() as u64,
            Err(StoreError::Full) => full += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(full > 0);
    holds(&store, confirmed).await;
    // What was not stored can be appended again where it fits.
    let confirmed = fill(&store, 1).await;
    holds(&store, confirmed).await;
}

/// A file system of two megabytes, gone with the test.
struct Small(TempDir);

impl Small {
    /// None where we may not mount one.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path());
        match mount.output() {
            Ok(output) if output.status.success() => Some(Small(folder)),
            _ => {
                eprintln!("skipped: a small file system takes the right to mount one");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.unwrap().success());
    }
}

#[tokio::test]
async fn a_full_disk_says_so_and_loses_nothing_and_goes_on_with_room() {
    let Some(small) = Small::mount() else { return };
    let ballast = small.path().join("ballast");
    fs::write(&ballast, vec![0; 500_000]).unwrap();
    let database = Database::at(StoreUrl::file(small.path().join("store.db")));
    let store = database.open().await;
    let confirmed = fill(&store, 7).await;
    assert!(confirmed > 100, "{confirmed}");
    holds(&store, confirmed).await;
    assert_eq!(store.append(many(100)).await.unwrap_err(), StoreError::Full);
    let new = Database::at(StoreUrl::file(small.path().join("new.db"))).try_open().await;
    assert_eq!(new.err(), Some(StoreError::Full));
    fs::remove_file(&ballast).unwrap();
    holds(&store, confirmed).await;
    assert_eq!(store.append(vec![large(0)]).await.unwrap(), [Appended::Stored(confirmed + 1)]);
    let confirmed = fill(&store, 1).await;
    drop(store);
    fs::write(&ballast, b"").unwrap();
    holds(&database.open().await, confirmed).await;
}
