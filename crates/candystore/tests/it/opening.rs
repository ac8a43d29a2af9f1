//! Opening a store.

use std::fs;

use candystore::{Appended, By, Foreign, StoreError, StoreUrl};

use crate::databases::{Database, make_older, on_both, parcel};
use crate::raw::change;
use crate::verifying::verify;

on_both!(
    what_is_opened_again_holds_what_it_held,
    many_may_open_a_new_store_at_once,
    a_store_of_a_newer_version_is_refused,
    a_store_whose_tables_are_other_ones_is_refused,
    a_store_from_before_typed_headers_is_marked_as_one_that_has_them,
);

async fn a_store_of_a_newer_version_is_refused(database: Database) {
    let store = database.open().await;
    store.append(vec![parcel(0)]).await.unwrap();
    change(&database, "INSERT INTO migrations VALUES (99, 'future', 0, 0)").await;
    let error = database.try_open().await.err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 99, known: 1.. }), "{error}");
    assert_eq!(store.position().await.unwrap(), 1, "nothing was done to it");
}

async fn a_store_whose_tables_are_other_ones_is_refused(database: Database) {
    drop(database.open().await);
    change(&database, "UPDATE migrations SET checksum = checksum + 1 WHERE version = 1").await;
    let error = database.try_open().await.err().unwrap();
    assert_eq!(error, StoreError::Foreign(Foreign::Tables { version: 1 }));
}

async fn a_store_from_before_typed_headers_is_marked_as_one_that_has_them(database: Database) {
    database.open().await.append(vec![parcel(0)]).await.unwrap();
    make_older(&database, 4).await;
    let store = database.open().await;
    let groups = store.stats(None, None, By::Key).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), 1, "what is there is counted");
    assert_eq!(store.append(vec![parcel(1)]).await.unwrap(), [Appended::Stored(2)]);
    // What it held has no digest, and what comes has one.
    let verified = verify(&store).await;
    assert_eq!((verified.events, verified.unchained, verified.found), (2, 1, 0), "{verified:?}");
    drop(store);
    // An earlier program knows four versions, and refuses a store in which there is a fifth.
    change(&database, "UPDATE migrations SET name = 'other' WHERE version = 5").await;
    let error = database.try_open().await.err().unwrap();
    assert_eq!(error, StoreError::Foreign(Foreign::Tables { version: 5 }));
}

async fn what_is_opened_again_holds_what_it_held(database: Database) {
    let store = database.open().await;
    store.append(vec![parcel(0), parcel(1)]).await.unwrap();
    drop(store);
    let store = database.open().await;
    assert_eq!(store.position().await.unwrap(), 2);
}

async fn many_may_open_a_new_store_at_once(database: Database) {
    let url = database.url.clone();
    let openings = (0..6).map(|n| {
        let database = Database::at(url.clone());
        tokio::spawn(async move { database.open().await.append(vec![parcel(n)]).await })
    });
    for opening in openings.collect::<Vec<_>>() {
        opening.await.unwrap().unwrap();
    }
    assert_eq!(database.open().await.position().await.unwrap(), 6);
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "not a database, but long enough to be taken for the head of one").unwrap();
    let error = Database::at(StoreUrl::file(&file)).try_open().await.err().unwrap();
    assert_eq!(error, StoreError::Foreign(Foreign::NotSqlite));
    let error = Database::at(StoreUrl::file(folder.path())).try_open().await.err().unwrap();
    assert!(matches!(error, StoreError::NotAFile { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let url = "postgres://ada:secret@127.0.0.1:1/events".parse().unwrap();
    let error = Database::at(url).try_open().await.err().unwrap().to_string();
    assert!(error.contains("postgres://ada@127.0.0.1:1/events"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
