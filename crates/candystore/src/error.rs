//! What goes wrong with a store.

use crate::{CursorError, UrlError};

/// Why a store did not do what it was asked. Nothing of it is half done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such store.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The cursor does not go with the question.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// It cannot be opened, or its server not be reached.
    #[error("the store {place} cannot be opened: {reason}")]
    Open {
        /// The file, or the server without its password.
        place: String,
        /// What the database says.
        reason: String,
    },
    /// A newer program has written it.
    #[error(
        "the store is of version {found}, and this program knows versions up to {known}\n\
         help: use the newer program"
    )]
    Newer {
        /// The store's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Its tables were made by something else than this program, or changed by hand.
    #[error("the store was not made by this program: {reason}")]
    Foreign {
        /// What is not as it should be.
        reason: String,
    },
    /// The disk, or the limit of the file's size, is reached. It goes on when there is room.
    #[error("the store's disk is full; nothing was written\nhelp: make room on it")]
    Full,
    /// Another process holds it for longer than we wait.
    #[error("the store is busy: another process has held it for {seconds} s")]
    Busy {
        /// How long we have waited.
        seconds: u64,
    },
    /// The connection to the server is gone; what was under way may have been done or not.
    #[error("the connection to the store is lost: {reason}")]
    Lost {
        /// What the client says.
        reason: String,
    },
    /// What stands in it is not what was written.
    #[error("the store is damaged: {what}\nhelp: `bloodbank store verify` finds all of it")]
    Damaged {
        /// What, and where.
        what: String,
    },
    /// Anything else that the database says.
    #[error("the database says: {reason}")]
    Database {
        /// In its words.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same may work later. Appending again is safe: what is there already is told by its
    /// id.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Full | StoreError::Busy { .. } | StoreError::Lost { .. })
    }

    /// The same of a store that was open before: what cannot be reached now may be back later.
    pub(crate) fn while_open(self) -> Self {
        match self {
            StoreError::Open { place, reason } => {
                StoreError::Lost { reason: format!("{place}: {reason}") }
            }
            other => other,
        }
    }

    /// What was read is not what this program writes.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        StoreError::Damaged { what: what.into() }
    }
}
