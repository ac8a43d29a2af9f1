//! What goes wrong with a store.

use std::fmt;

use bloodbank_bus::Outage;
use bloodbank_core::Code;

use crate::{CursorError, DamagedEvents, FieldError, Position, UrlError};

/// Why a store did not do what it was asked. Nothing of it is half done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The text does not name a store.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The cursor does not go with the question.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// No index can be made on the field.
    #[error(transparent)]
    Field(FieldError),
    /// It cannot be opened, or its server not be reached.
    #[error("the store {place} cannot be opened: {outage}")]
    Open {
        /// The file, or the server without its password.
        place: String,
        /// Why.
        outage: Outage,
    },
    /// What is named as its file is something else, such as a folder.
    #[error(
        "the store {place} cannot be opened: it is not a file; name a file, which need not be there"
    )]
    NotAFile {
        /// What was named.
        place: String,
    },
    /// It lies in PostgreSQL, and the program was built without it.
    #[error(
        "the store {place} cannot be opened: this program was built without PostgreSQL (feature \
         `postgres`)"
    )]
    NoPostgres {
        /// The server without its password.
        place: String,
    },
    /// A newer program has written it.
    #[error("the store is of version {found}, and this program knows versions up to {known}")]
    Newer {
        /// The store's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Its tables were made by something else than this program, or changed by hand.
    #[error("the store was not made by this program: {0}")]
    Foreign(Foreign),
    /// The disk, or the limit of the file's size, is reached. It goes on when there is room.
    #[error("the store's disk is full; nothing was written")]
    Full,
    /// Another process holds it for longer than we wait.
    #[error("the store is busy: another process has held it for {seconds} s")]
    Busy {
        /// How long we have waited.
        seconds: u64,
    },
    /// The connection to the server is gone; what was in flight may have been done or not.
    #[error("the connection to the store is lost: {}{outage}", prefix(place.as_deref()))]
    Lost {
        /// The server that could not be reached again, if it was tried.
        place: Option<String>,
        /// Why.
        outage: Outage,
    },
    /// It does not hold what was written.
    #[error("the store is damaged: {0}")]
    Damaged(Damage),
    /// Anything else that the database says.
    #[error("the database says: {reason}")]
    Database {
        /// In its words.
        reason: String,
    },
    /// The store's own code panicked; nothing was done.
    #[error("the store's own code panicked; nothing was done")]
    Panicked,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

fn prefix(place: Option<&str>) -> String {
    place.map(|place| format!("{place}: ")).unwrap_or_default()
}

impl StoreError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            StoreError::Url(error) => error.code(),
            StoreError::Cursor(error) => error.code(),
            StoreError::Field(error) => error.code(),
            StoreError::Open { .. } => Code::StoreUnavailable,
            StoreError::NotAFile { .. } => Code::NotAFile,
            StoreError::NoPostgres { .. } => Code::NoPostgres,
            StoreError::Newer { .. } => Code::StoreNewer,
            StoreError::Foreign(_) => Code::StoreForeign,
            StoreError::Full => Code::StoreFull,
            StoreError::Busy { .. } => Code::StoreBusy,
            StoreError::Lost { .. } => Code::StoreLost,
            StoreError::Damaged(_) => Code::StoreDamaged,
            StoreError::Database { .. } => Code::DatabaseError,
            StoreError::Panicked => Code::StorePanicked,
            StoreError::Closed => Code::StoreClosed,
        }
    }

    /// Whether the same may work later. Appending again is safe: what is there already is told by its
    /// id.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Full | StoreError::Busy { .. } | StoreError::Lost { .. })
    }

    /// The same of a store that was open before: what cannot be reached now may be back later.
    pub(crate) fn while_open(self) -> Self {
        match self {
            StoreError::Open { place, outage } => StoreError::Lost { place: Some(place), outage },
            other => other,
        }
    }

    /// The connection broke.
    pub(crate) fn lost(outage: Outage) -> Self {
        StoreError::Lost { place: None, outage }
    }

    /// What was read from this column is not what this program writes.
    pub(crate) fn column(name: &'static str) -> Self {
        StoreError::Damaged(Damage::Column(name))
    }
}

/// Why a database is not one of this program's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// The file is not a SQLite database.
    NotSqlite,
    /// The tables of this version are other ones.
    Tables {
        /// The version of the step that made them.
        version: i64,
    },
    /// The tables cannot be made beside what is there.
    Said {
        /// What the database says.
        reason: String,
    },
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::NotSqlite => f.write_str("the file is not a SQLite database"),
            Foreign::Tables { version } => {
                write!(f, "its tables of version {version} are other ones")
            }
            Foreign::Said { reason } => f.write_str(reason),
        }
    }
}

/// In what a store does not hold what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// This column holds something that this program does not write.
    Column(&'static str),
    /// A column holds a value of another type than this.
    Type(&'static str),
    /// A column lacks its value, which is of this type.
    Missing(&'static str),
    /// A number does not stand for a time.
    Time(i64),
    /// The index of ids names a position that does not have an event.
    Index(Position),
    /// A question that always has an answer has none.
    NoRow {
        /// The question, in SQL.
        question: String,
    },
    /// The bytes are not those of their checksum.
    Body,
    /// There is no event, and it was not pruned.
    Lost,
    /// What was asked for is damaged or lost.
    Events(Box<DamagedEvents>),
    /// The database itself finds damage.
    Said {
        /// What it says.
        reason: String,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Column(name) => write!(f, "column `{name}`"),
            Damage::Type(expected) => write!(f, "a column does not hold its {expected}"),
            Damage::Missing(expected) => write!(f, "a column lacks its {expected}"),
            Damage::Time(micros) => write!(f, "{micros} is not a time"),
            Damage::Index(position) => write!(f, "the index of ids names position {position}"),
            Damage::NoRow { question } => write!(f, "no row for `{question}`"),
            Damage::Body => f.write_str("its bytes are not those of its checksum"),
            Damage::Lost => f.write_str("lost"),
            Damage::Events(events) => events.fmt(f),
            Damage::Said { reason } => f.write_str(reason),
        }
    }
}
