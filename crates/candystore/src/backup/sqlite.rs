//! Copies of a SQLite file.

use std::fs;
use std::path::Path;

use super::files::{Part, failed};
use super::{BackupError, is_empty, verify};
use crate::sql::{Connection, Mode, Target, Value, migrations};
use crate::verify::Verified;
use crate::{StoreError, StoreOptions, StoreUrl};

/// Writes one state of a store into an empty file, and looks at it.
pub(super) async fn copy(target: &Target, file: &Path) -> Result<Verified, BackupError> {
    let Some(name) = file.to_str() else {
        let reason = "its name is not UTF-8".to_owned();
        return Err(BackupError::File { file: file.to_owned(), reason });
    };
    let mut connection =
        Connection::open(target, Mode::Write).await.map_err(StoreError::while_open)?;
    connection.execute("VACUUM INTO $1", &[Value::text(name)]).await?;
    drop(connection);
    // What is written ahead is in the file itself once the last connection is closed.
    verify(&mut open(file).await?, file).await
}

async fn open(file: &Path) -> Result<Connection, StoreError> {
    let target = Target::of(StoreOptions::new(StoreUrl::file(file)));
    Connection::open(&target, Mode::Write).await
}

/// Makes a store of a copy, in one transaction that nobody is beside.
pub(super) async fn restore(
    target: &Target,
    path: &Path,
    file: &Path,
    replace: bool,
) -> Result<Verified, BackupError> {
    let not_a_backup = |reason: String| BackupError::NotABackup { file: file.to_owned(), reason };
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        return Err(not_a_backup("it is a store in use, as its log beside it shows".to_owned()));
    }
    let there = match path.exists() {
        true => Some(may_be_replaced(target, replace).await?),
        false => None,
    };
    // A copy of the copy: looking at it, and bringing its tables up to date, changes it.
    let part = Part::beside(&path.with_extension("restoring"))?;
    fs::copy(file, &part.path).map_err(|error| failed(file, &error))?;
    let verified = {
        let mut copy = open(&part.path).await.map_err(|error| not_a_backup(error.to_string()))?;
        migrations::run(&mut copy).await.map_err(|error| not_a_backup(error.to_string()))?;
        verify(&mut copy, file).await?
    };
    let mut connection = match there {
        Some(connection) => connection,
        None => Connection::open_or_make(target).await?.0,
    };
    connection.replace_with(&part.path)?;
    Ok(verified)
}

/// Opens a file that is there, if what is in it is a store, and nothing that anybody could miss, or is to
/// be replaced.
async fn may_be_replaced(target: &Target, replace: bool) -> Result<Connection, BackupError> {
    let mut connection = Connection::open(target, Mode::Write).await?;
    let place = target.url.to_string();
    match migrations::check(&mut connection, &place).await {
        Ok(()) if !replace && !is_empty(&mut connection).await? => {
            Err(BackupError::NotEmpty { place })
        }
        Ok(()) | Err(StoreError::Missing { .. }) => Ok(connection),
        Err(error) if !replace || matches!(error, StoreError::Foreign(_)) => Err(error.into()),
        Err(_) => Ok(connection),
    }
}
