//! A copy of everything, and a store of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bloodbank_bus::{Settlement, Subscription, Topology, Transport};
use bloodbank_core::Kind;
use bloodbank_testkit::catalog::queue;
use candystore::{BackupError, Embedded, EventStore, Filter, Incoming, Order, StoreUrl};
use tokio::time::timeout;

use crate::databases::{Database, on_both, parcel};
use crate::raw::change;
use crate::verifying::{problems, verify};

on_both!(
    a_copy_has_what_was_confirmed_before_while_others_write,
    queues_of_a_copy_go_on_where_they_were,
    a_store_that_is_not_empty_is_replaced_only_if_that_is_meant,
    what_is_not_a_backup_is_refused_and_changes_nothing,
);

const PATIENCE: Duration = Duration::from_secs(30);

/// Another empty database of the same kind.
async fn another(database: &Database) -> Database {
    match &database.url {
        StoreUrl::Sqlite(_) => Database::sqlite().await.unwrap(),
        _ => Database::postgres().await.unwrap(),
    }
}

async fn restored(database: &Database, file: &std::path::Path) -> (Database, EventStore) {
    let other = another(database).await;
    let verified = EventStore::restore(other.url.clone(), file, false).await.unwrap();
    assert_eq!(problems(&verified), [""; 0]);
    let store = other.open().await;
    (other, store)
}

async fn a_copy_has_what_was_confirmed_before_while_others_write(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    let store = database.open().await;
    store.append((0..500).map(parcel).collect()).await.unwrap();
    let (confirmed, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (seen, over, other) = (confirmed.clone(), is_over.clone(), database.open().await);
    let writing = tokio::spawn(async move {
        let mut n = 0;
        while !over.load(Ordering::Relaxed) {
            let appended = other.append(vec![parcel(n), parcel(n)]).await.unwrap();
            seen.store(appended[1].position(), Ordering::Relaxed);
            n += 1;
        }
    });
    let begun = timeout(PATIENCE, async {
        while confirmed.load(Ordering::Relaxed) < 510 {
            tokio::task::yield_now().await;
        }
    });
    begun.await.expect("others write");
    let before = confirmed.load(Ordering::Relaxed);
    let made = store.backup(&file).await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    assert_eq!(made.bytes, file.metadata().unwrap().len());
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing else is left");
    let again = store.backup(&file).await.unwrap_err();
    assert_eq!(again, BackupError::Exists { file: file.clone() });

    let (_database, copy) = restored(&database, &file).await;
    assert_eq!(problems(&verify(&copy).await), [""; 0]);
    let position = copy.position().await.unwrap();
    assert!(position >= before && position.is_multiple_of(2), "{position} {before}");
    let all = copy.page(&Filter::new(), Order::Newest, 1_000, None).await.unwrap();
    for event in all.events {
        assert_eq!(store.at(event.position).await.unwrap().as_ref(), Some(&event));
    }
    let next = copy.append(vec![parcel(0)]).await.unwrap();
    assert_eq!(next[0].position(), position + 1);
}

async fn queues_of_a_copy_go_on_where_they_were(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    let store = database.open().await;
    let bus = Embedded::new(store.clone());
    bus.declare(&Topology::new().with_queue(queue("q", &["#"]))).await.unwrap();
    store.append((0..5).map(parcel).collect()).await.unwrap();
    let mut deliveries = bus.subscribe(Subscription::new("q").with_prefetch(1)).await.unwrap();
    for _ in 0..2 {
        let delivery = timeout(PATIENCE, deliveries.recv()).await.unwrap().unwrap();
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    deliveries.close().await;
    store.backup(&file).await.unwrap();
    bus.close().await;

    let (_database, copy) = restored(&database, &file).await;
    let bus = Embedded::new(copy.clone());
    let mut deliveries = bus.subscribe(Subscription::new("q").with_prefetch(9)).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 3 {
        let delivery = timeout(PATIENCE, deliveries.recv()).await.unwrap().unwrap();
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
        got.push(delivery.envelope().unwrap().data["n"].as_u64().unwrap());
    }
    assert_eq!(got, [2, 3, 4]);
    deliveries.close().await;
    bus.close().await;
}

async fn a_store_that_is_not_empty_is_replaced_only_if_that_is_meant(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    let store = database.open().await;
    store.append((0..3).map(parcel).collect()).await.unwrap();
    store.add_payload_index("/n").await.unwrap();
    store.backup(&file).await.unwrap();
    let other = another(&database).await;
    let there = other.open().await;
    there.append((0..7).map(parcel).collect()).await.unwrap();
    drop(there);
    let restore = |replace| EventStore::restore(other.url.clone(), file.clone(), replace);
    let refused = restore(false).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty { .. }), "{refused}");
    assert_eq!(other.open().await.position().await.unwrap(), 7);
    // Threads of a store end a little after it.
    let replaced = timeout(PATIENCE, async {
        loop {
            match restore(true).await {
                Err(BackupError::Store(candystore::StoreError::Busy { .. })) => {}
                done => return done,
            }
        }
    });
    assert_eq!(replaced.await.unwrap().unwrap().events, 3);
    let copy = other.open().await;
    assert_eq!(copy.position().await.unwrap(), 3);
    let field = candystore::Field::new("/n", 1.into()).unwrap();
    assert_eq!(copy.count(&Filter::new().with_field(field)).await.unwrap(), 1);
    assert_eq!(copy.payload_indexes().await.unwrap().len(), 1);
}

async fn what_is_not_a_backup_is_refused_and_changes_nothing(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    let restore = |replace| EventStore::restore(database.url.clone(), file.clone(), replace);
    assert!(matches!(restore(false).await, Err(BackupError::File { .. })));
    std::fs::write(&file, "something else").unwrap();
    let store = database.open().await;
    let event = Incoming::new(Kind::Event, "lot.parcel", *b"x");
    store.append(vec![event]).await.unwrap();
    let refused = restore(true).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotABackup { .. }), "{refused}");
    assert_eq!(store.position().await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_not_a_backup_leaves_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let (file, store) = (folder.path().join("copy"), folder.path().join("store.db"));
    std::fs::write(&file, "something else").unwrap();
    let refused = EventStore::restore(StoreUrl::file(&store), &file, false).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotABackup { .. }), "{refused}");
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(left, [file]);
}

#[tokio::test]
async fn a_database_of_something_else_is_not_replaced() {
    let database = Database::sqlite().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("copy"), folder.path().join("accounts.db"));
    database.open().await.backup(&file).await.unwrap();
    let accounts = rusqlite::Connection::open(&other).unwrap();
    accounts
        .execute_batch("CREATE TABLE accounts (name TEXT); INSERT INTO accounts VALUES ('Ada')")
        .unwrap();
    for replace in [false, true] {
        let refused =
            EventStore::restore(StoreUrl::file(&other), &file, replace).await.unwrap_err();
        let is_foreign = matches!(refused, BackupError::Store(candystore::StoreError::Foreign(_)));
        assert!(is_foreign, "{refused}");
    }
    let name: String =
        accounts.query_one("SELECT name FROM accounts", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "Ada");
}

#[tokio::test]
async fn of_a_damaged_store_there_is_no_copy() {
    let database = Database::sqlite().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = database.open().await;
    store.append((0..3).map(parcel).collect()).await.unwrap();
    change(&database, "UPDATE events SET key = 'lot.other' WHERE position = 2").await;
    let refused = store.backup(folder.path().join("copy")).await.unwrap_err();
    assert!(matches!(refused, BackupError::Problems { .. }), "{refused}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_copy_of_another_schema_is_refused_with_its_name() {
    let Some(database) = Database::postgres().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    database.open().await.backup(&file).await.unwrap();
    let other = another(&database).await;
    change(&other, "CREATE SCHEMA elsewhere").await;
    let StoreUrl::Postgres(url) = &other.url else { unreachable!() };
    let elsewhere: StoreUrl = format!("{url}?options=-csearch_path%3Delsewhere").parse().unwrap();
    let refused = EventStore::restore(elsewhere, &file, false).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotABackup { .. }), "{refused}");
    assert!(refused.to_string().contains("`elsewhere`"), "{refused}");
}
