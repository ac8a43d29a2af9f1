//! The file of a store goes while it is open.

use std::fs;
use std::path::{Path, PathBuf};

use bloodbank_bus::TransportError;
use bloodbank_core::Code;
use candystore::{Embedded, EventStore, StoreError, StoreUrl};
use tempfile::TempDir;
use uuid::Uuid;

use crate::databases::{Database, parcel, publish};

struct Place {
    folder: TempDir,
    store: EventStore,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::at(StoreUrl::file(folder.path().join("store.db"))).open().await;
        store.append(vec![parcel(0)]).await.unwrap();
        Place { folder, store }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let path = |name| self.folder.path().join(name);
        ["store.db", "store.db-wal", "store.db-shm"].map(path).into_iter()
    }

    /// Nothing is confirmed, and nothing is read, and it is said why.
    async fn is_gone(&self) {
        for n in 1..4 {
            let error = self.store.append(vec![parcel(n)]).await.unwrap_err();
            assert!(matches!(error, StoreError::Removed { .. }), "{error}");
            assert!(error.to_string().contains("deleted or replaced"), "{error}");
            let error = self.store.get(Uuid::nil()).await.unwrap_err();
            assert!(matches!(error, StoreError::Removed { .. }), "{error}");
        }
        let error = publish(&Embedded::new(self.store.clone())).await.unwrap_err();
        assert!(matches!(error, TransportError::Unavailable { .. }), "{error}");
        assert_eq!(error.code(), Code::StoreRemoved);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_confirmed_into_a_file_that_was_deleted() {
    let place = Place::new().await;
    place.files().for_each(|file| fs::remove_file(file).unwrap());
    place.is_gone().await;
    assert!(!place.folder.path().join("store.db").exists(), "nobody makes it again");
}

/// What was committed last lies there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_confirmed_into_a_log_that_was_deleted() {
    let place = Place::new().await;
    fs::remove_file(place.folder.path().join("store.db-wal")).unwrap();
    let error = place.store.append(vec![parcel(1)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Removed { .. }), "{error}");
    assert!(error.to_string().contains("store.db-wal"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_confirmed_into_a_file_that_was_replaced() {
    let place = Place::new().await;
    let other = Place::new().await;
    let path = |place: &Place| place.folder.path().join("store.db");
    let kept = place.folder.path().join("kept.db");
    fs::rename(path(&place), &kept).unwrap();
    let copied = place.folder.path().join("copy.db");
    copy(&other, &copied);
    fs::rename(copied, path(&place)).unwrap();
    place.is_gone().await;
    // It goes on where the file comes back.
    fs::rename(&kept, path(&place)).unwrap();
    place.store.append(vec![parcel(7)]).await.unwrap();
    assert_eq!(place.store.position().await.unwrap(), 2);
}

/// A whole copy of a store in one file.
fn copy(of: &Place, to: &Path) {
    let from = of.folder.path().join("store.db");
    let connection = rusqlite::Connection::open(from).unwrap();
    connection.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
}
