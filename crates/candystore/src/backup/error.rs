//! Why there is no copy, or no store of it.

use std::path::PathBuf;

use bloodbank_core::Code;

use crate::StoreError;

/// Why a store was not copied, or not made of a copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// What goes wrong with the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is there already.
    #[error("{} is there already; name a new file", .file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{}: {reason}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is not what a store of this kind is made of.
    #[error("{} is not a backup of such a store: {reason}", .file.display())]
    NotABackup {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// There are events or queues in the store already.
    #[error("the store {place} is not empty")]
    NotEmpty {
        /// The store, without a password.
        place: String,
    },
    /// Not all of the copy is as it was written.
    #[error("{} has {found} problems, the first of them: {first}", .file.display())]
    Problems {
        /// The file.
        file: PathBuf,
        /// How many problems there are.
        found: u64,
        /// The first.
        first: String,
    },
    /// A program of PostgreSQL is needed and not there.
    #[error("there is no program `{tool}`, which copies stores on PostgreSQL: {reason}")]
    NoTool {
        /// Its name.
        tool: &'static str,
        /// What the system says.
        reason: String,
    },
    /// A program of PostgreSQL has failed.
    #[error("`{tool}` has failed: {said}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// The end of what it says.
        said: String,
    },
}

impl BackupError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            BackupError::Store(error) => error.code(),
            BackupError::Exists { .. } => Code::BackupExists,
            BackupError::File { .. } => Code::BackupFile,
            BackupError::NotABackup { .. } => Code::NotABackup,
            BackupError::NotEmpty { .. } => Code::StoreNotEmpty,
            BackupError::Problems { .. } => Code::BackupDamaged,
            BackupError::NoTool { .. } => Code::NoPostgresTool,
            BackupError::Tool { .. } => Code::PostgresToolFailed,
        }
    }
}
