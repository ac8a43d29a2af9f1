//! Whether a store is as it was written.

mod chain;
mod columns;
mod figures;
mod parts;
mod scan;

use crate::sql::Connection;
use crate::{Checkpoint, EventStore, Position, StoreError};

use self::scan::Scan;

/// The most problems that are described; all are counted.
const MOST_PROBLEMS: usize = 1_000;

/// What was found in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many events were looked at.
    pub events: u64,
    /// How many of them are not what was stored, or say something else than their bytes.
    pub damaged: u64,
    /// How many positions have no event, and were not pruned.
    pub lost: u64,
    /// How many positions were pruned.
    pub pruned: u64,
    /// How many of the events were stored before events had digests.
    pub unchained: u64,
    /// The last position with the digest that stands for everything up to it; `None` without a head.
    pub head: Option<Checkpoint>,
    /// How many problems there are.
    pub found: u64,
    /// The first thousand of them.
    pub problems: Vec<Problem>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The event's position, or the first of several; `None` if it is of the store as a whole.
    pub position: Option<Position>,
    /// What is wrong. Nothing of a payload stands in it.
    pub what: String,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// The position that was looked at last.
    pub done: Position,
    /// The last position.
    pub of: Position,
}

impl Verified {
    /// Whether everything is as it was written.
    pub fn is_clean(&self) -> bool {
        self.found == 0
    }

    fn note(&mut self, position: impl Into<Option<Position>>, what: impl Into<String>) {
        self.found += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem { position: position.into(), what: what.into() });
        }
    }
}

/// Looks at everything that a connection sees, and tells nobody how far it is.
pub(crate) async fn scan(connection: &mut Connection) -> Result<Verified, StoreError> {
    Scan::run(connection, None, |_| {}).await
}

impl EventStore {
    /// Looks at everything in one state of the store, while others go on writing: every checksum and
    /// digest is computed anew, every column compared with the bytes, every position accounted for.
    /// `progress` is called after each page.
    ///
    /// Finds all problems at once, but for pages of PostgreSQL that it cannot read itself. While it
    /// looks, the log beside a SQLite file grows with what others write. Who can write to the database
    /// can change events and all digests behind them: only a checkpoint that was kept elsewhere
    /// ([`verify_against`](EventStore::verify_against)) shows that.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn verify(
        &self,
        progress: impl FnMut(VerifyProgress) + Send + 'static,
    ) -> Result<Verified, StoreError> {
        self.verified(None, progress).await
    }

    /// The same, and whether a position still has the digest that [`Verified::head`] once said.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn verify_against(
        &self,
        expected: Checkpoint,
        progress: impl FnMut(VerifyProgress) + Send + 'static,
    ) -> Result<Verified, StoreError> {
        self.verified(Some(expected), progress).await
    }

    async fn verified(
        &self,
        expected: Option<Checkpoint>,
        progress: impl FnMut(VerifyProgress) + Send + 'static,
    ) -> Result<Verified, StoreError> {
        let look = async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| Scan::run(c, expected, progress).await).await
        };
        self.long_reader()?.run(look).await
    }
}
