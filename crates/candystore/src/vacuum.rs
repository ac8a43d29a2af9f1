//! Giving the space of what was pruned back to the disk.

use crate::sql::{Connection, Mode, Target, apart};
use crate::{EventStore, StoreError};

/// How large a SQLite file was, and is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vacuumed {
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
}

impl EventStore {
    /// Writes a SQLite file anew without its free pages; nobody else can write meanwhile, and the disk
    /// needs as much room as the file has. Does nothing on PostgreSQL, which looks after its free space
    /// by itself: `None`.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Full`], and if the database cannot be asked.
    pub async fn vacuum(&self) -> Result<Option<Vacuumed>, StoreError> {
        let target = self.target().clone();
        // Within the writer's transactions it is not possible.
        apart("candystore-vacuum", move || async move { vacuum(&target).await }).await
    }
}

async fn vacuum(target: &Target) -> Result<Option<Vacuumed>, StoreError> {
    let mut connection = Connection::open(target, Mode::Write).await?;
    if !connection.is_sqlite() {
        return Ok(None);
    }
    let before = size(&mut connection).await?;
    connection.batch("VACUUM").await?;
    // Until then the smaller file is only in the log beside it.
    connection.query("PRAGMA wal_checkpoint(TRUNCATE)", &[]).await?;
    Ok(Some(Vacuumed { before, after: size(&mut connection).await? }))
}

/// In bytes, without the log beside the file.
async fn size(connection: &mut Connection) -> Result<u64, StoreError> {
    let pages = connection.query_one("PRAGMA page_count", &[]).await?.position(0)?;
    Ok(pages * connection.query_one("PRAGMA page_size", &[]).await?.position(0)?)
}
