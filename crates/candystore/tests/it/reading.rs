//! Opening a store to read it, and migrating it.

use std::fs;

use candystore::{Foreign, StoreError, StoreUrl};

use crate::databases::{Database, make_older, on_both, parcel};
use crate::raw::hold;

on_both!(
    reading_waits_for_nobody_who_writes_and_changes_nothing,
    what_is_not_there_is_not_made_by_reading,
    a_store_of_an_older_version_is_migrated_by_who_writes_and_not_by_who_reads,
);

async fn reading_waits_for_nobody_who_writes_and_changes_nothing(database: Database) {
    database.open().await.append(vec![parcel(0)]).await.unwrap();
    let held = hold(&database).await;
    let store = database.open_to_read().await.unwrap();
    assert_eq!(store.position().await.unwrap(), 1);
    assert!(store.at(1).await.unwrap().is_some());
    assert_eq!(store.append(vec![parcel(1)]).await, Err(StoreError::ReadOnly));
    // Nothing is missing, so that opening it for writing waits for nobody, either.
    let writer = database.open().await;
    assert_eq!(writer.migrated(), None);
    let busy = writer.append(vec![parcel(1)]).await.unwrap_err();
    assert!(matches!(busy, StoreError::Busy { .. }), "{busy}");
    drop(held);
    writer.append(vec![parcel(1)]).await.unwrap();
    assert_eq!(store.position().await.unwrap(), 2, "what is written later is read");
}

async fn what_is_not_there_is_not_made_by_reading(database: Database) {
    for _ in 0..2 {
        let error = database.open_to_read().await.err().unwrap();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
        assert_eq!(database.check().await, Err(error));
        if let StoreUrl::Sqlite(path) = &database.url {
            assert!(!path.exists());
        }
    }
    let migrated = database.migrate().await.unwrap().unwrap();
    assert!(migrated.from == 0 && migrated.to > 0, "{migrated:?}");
    database.check().await.unwrap();
    assert_eq!(database.open_to_read().await.unwrap().position().await.unwrap(), 0);
}

async fn a_store_of_an_older_version_is_migrated_by_who_writes_and_not_by_who_reads(
    database: Database,
) {
    let last = database.migrate().await.unwrap().unwrap().to;
    for explicit in [true, false] {
        make_older(&database, 5).await;
        let error = database.open_to_read().await.err().unwrap();
        assert_eq!(error, StoreError::Older { found: 5, known: last });
        assert!(error.to_string().contains("migrated"), "{error}");
        assert_eq!(database.check().await, Err(error));
        let migrated = match explicit {
            true => database.migrate().await.unwrap(),
            false => database.open().await.migrated(),
        };
        assert_eq!(migrated.map(|done| (done.from, done.to)), Some((5, last)));
        database.check().await.unwrap();
        assert_eq!(database.migrate().await, Ok(None));
    }
}

#[tokio::test]
async fn a_file_of_somebody_else_is_not_changed_by_reading() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("theirs.db");
    let theirs = rusqlite::Connection::open(&file).unwrap();
    theirs.execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('a')").unwrap();
    drop(theirs);
    let before = fs::read(&file).unwrap();
    let database = Database::at(StoreUrl::file(&file));
    let error = database.open_to_read().await.err().unwrap();
    assert_eq!(error, StoreError::Foreign(Foreign::OtherTables));
    assert_eq!(database.check().await, Err(error));
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "there is nothing beside it");
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_and_its_folder_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deep/store.db");
    let database = Database::at(StoreUrl::file(&path));
    let store = database.open().await;
    store.append(vec![parcel(0)]).await.unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let inner = path.parent().unwrap();
    assert_eq!((mode(inner), mode(inner.parent().unwrap())), (0o700, 0o700));
    let mut names = Vec::new();
    for entry in fs::read_dir(inner).unwrap().map(Result::unwrap) {
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["store.db", "store.db-shm", "store.db-wal"]);
}

/// A file that somebody has made, but not a store yet.
#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.db");
    fs::write(&file, "").unwrap();
    let database = Database::at(StoreUrl::file(&file));
    assert!(matches!(database.check().await, Err(StoreError::Missing { .. })));
    database.open().await.append(vec![parcel(0)]).await.unwrap();
}
