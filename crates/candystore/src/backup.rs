//! A copy of a whole store: events, queues with their dead letters, schedules, everything.

mod error;
mod files;
mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};

pub use self::error::BackupError;
use crate::sql::{Connection, Target, apart};
use crate::verify::Verified;
use crate::{EventStore, StoreError, StoreOptions, StoreUrl};

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Where it lies.
    pub file: PathBuf,
    /// How many bytes it has.
    pub bytes: u64,
    /// What was found in it; `None` for one of PostgreSQL, of which only its own list is read.
    pub verified: Option<Verified>,
}

impl EventStore {
    /// Copies the whole store into a file, while others go on reading and writing: one state of it, with
    /// everything that was confirmed before. The file is not there before all of it is on the disk and
    /// was looked at.
    ///
    /// From SQLite it is a store itself. From PostgreSQL it is what `pg_dump` writes in its own format,
    /// and that program must be at hand, of the server's version or newer.
    ///
    /// # Errors
    /// [`BackupError`]; there is no file then that was not there before.
    pub async fn backup(&self, file: impl Into<PathBuf>) -> Result<Backup, BackupError> {
        let (target, file) = (self.target().clone(), file.into());
        apart("candystore-backup", async move || {
            let part = files::Part::beside(&file)?;
            let verified = match &target.url {
                StoreUrl::Sqlite(_) => Some(sqlite::copy(&target, &part.path).await?),
                StoreUrl::Postgres(url) => {
                    postgres::dump(&target, url, &part.path).await?;
                    None
                }
            };
            let bytes = part.keep(&file)?;
            Ok(Backup { file, bytes, verified })
        })
        .await
    }

    /// Makes a store of what [`backup`](EventStore::backup) has written. Nobody may use the store
    /// meanwhile. What is in it stays, unless all of the copy can be read.
    ///
    /// # Errors
    /// [`BackupError`]; [`BackupError::NotEmpty`] if there is anything in the store and it is not to be
    /// replaced.
    pub async fn restore(
        url: StoreUrl,
        file: impl Into<PathBuf>,
        replace: bool,
    ) -> Result<Verified, BackupError> {
        let (target, file) = (Target::of(StoreOptions::new(url)), file.into());
        apart("candystore-restore", async move || {
            files::must_be_there(&file)?;
            match &target.url {
                StoreUrl::Sqlite(path) => sqlite::restore(&target, path, &file, replace).await,
                StoreUrl::Postgres(url) => postgres::restore(&target, url, &file, replace).await,
            }
        })
        .await
    }
}

/// Whether there is nothing in a store that anybody could miss.
async fn is_empty(connection: &mut Connection) -> Result<bool, StoreError> {
    let sql = "SELECT (SELECT position FROM head) + (SELECT COUNT(*) FROM queues) \
         + (SELECT COUNT(*) FROM scheduled) + (SELECT COUNT(*) FROM quarantine)";
    Ok(connection.query_one(sql, &[]).await?.int(0)? == 0)
}

/// Looks at all of a copy.
///
/// # Errors
/// [`BackupError::Problems`] if anything is wrong with it.
async fn verify(connection: &mut Connection, file: &Path) -> Result<Verified, BackupError> {
    let scan = async |c: &mut Connection| crate::verify::scan(c).await;
    let verified = connection.snapshot(scan).await?;
    match verified.problems.first() {
        None => Ok(verified),
        Some(first) => Err(BackupError::Problems {
            file: file.to_owned(),
            found: verified.found,
            first: first.what.clone(),
        }),
    }
}
