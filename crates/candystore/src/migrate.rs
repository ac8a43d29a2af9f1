//! Bringing the tables of a store up to date, as a step of its own.

use crate::sql::{Connection, Mode, Target, apart, migrations};
use crate::{EventStore, StoreError, StoreOptions};

/// A store's tables were brought from one version to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migrated {
    /// The version before; 0 if there was none, and the store was made.
    pub from: i64,
    /// The version now.
    pub to: i64,
}

impl EventStore {
    /// Makes a store, or brings its tables up to date, as [`open`](EventStore::open) does before it
    /// opens it. `None` if nothing was missing. One process does it, others wait.
    ///
    /// # Errors
    /// Those of [`open`](EventStore::open).
    pub async fn migrate(options: StoreOptions) -> Result<Option<Migrated>, StoreError> {
        let target = Target::of(options);
        let migrate = async move || Ok(Connection::open_or_make(&target).await?.1);
        apart("candystore-migrate", migrate).await
    }

    /// Whether the tables are those that this program reads. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Older`], [`StoreError::Newer`], [`StoreError::Foreign`],
    /// and if the database cannot be asked.
    pub async fn check(options: StoreOptions) -> Result<(), StoreError> {
        let target = Target::of(options);
        let check = async move || {
            let mut connection = Connection::open(&target, Mode::Read).await?;
            migrations::check(&mut connection, &target.url.to_string()).await
        };
        apart("candystore-check", check).await
    }
}
