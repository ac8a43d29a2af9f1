//! A new file.
//!
//! It is made beside its place, with all tables, and then put there: nobody ever finds half a store, and
//! of several processes that do so at once one is first, and the others open what it has made.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bloodbank_bus::Outage;
use uuid::Uuid;

use super::{Sqlite, write_ahead};
use crate::StoreError;
use crate::sql::{Connection, migrations};

/// Makes the file with its tables, for its owner only, unless something lies there already. Gives
/// whether it was made here.
pub(crate) async fn create(path: &Path, pages: Option<u32>) -> Result<bool, StoreError> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::StorageFull => StoreError::Full,
        _ => {
            let place = format!("sqlite:{}", path.display());
            StoreError::Open { place, outage: Outage::said(error) }
        }
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    make_folder(folder).map_err(failed)?;
    let new = New::beside(path);
    drop(make_file(&new.0).map_err(failed)?);
    fill(&new.0, pages).await?;
    match fs::hard_link(&new.0, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        // Not every file system has links. The tables are then made in the place.
        Err(_) => match make_file(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => return Ok(false),
        },
    }
    drop(new);
    // The name is on the disk before anything is confirmed. Some file systems do not know how.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(true)
}

/// The tables first: the log of a file that is not there yet would stay behind.
async fn fill(new: &Path, pages: Option<u32>) -> Result<(), StoreError> {
    let mut connection = Connection::Sqlite(Sqlite::blank(new, pages)?);
    migrations::run(&mut connection).await?;
    match &connection {
        Connection::Sqlite(sqlite) => {
            write_ahead(&sqlite.connection).map_err(|error| super::reason(&error))
        }
        #[cfg(feature = "postgres")]
        Connection::Postgres(_) => Ok(()),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// An empty file, which nobody but its owner reads. SQLite gives the files beside it the same mode.
fn make_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file in the making, with those that SQLite puts beside it. They go when this is dropped.
struct New(PathBuf);

impl New {
    fn beside(path: &Path) -> Self {
        New(with(path, &format!(".new-{}", Uuid::now_v7().simple())))
    }
}

impl Drop for New {
    fn drop(&mut self) {
        for ending in ["", "-journal", "-wal", "-shm"] {
            // Most of them are not there.
            let _ = fs::remove_file(with(&self.0, ending));
        }
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
