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
    Field(#[from] FieldError),
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
    /// There is none: no file, or none of its tables. Opening it for writing makes it.
    #[error("there is no store at {place}")]
    Missing {
        /// The file, or the server without its password.
        place: String,
    },
    /// An older program has made its tables, and it was opened to be read only: nothing is changed then.
    #[error(
        "the store is of version {found}, and this program reads version {known}: it must be migrated \
         first"
    )]
    Older {
        /// The store's version.
        found: i64,
        /// The version that this program needs.
        known: i64,
    },
    /// It was opened to be read only.
    #[error("the store was opened to be read only")]
    ReadOnly,
    /// The database does not let the user do this.
    #[error("the database does not let us do this: {reason}")]
    Denied {
        /// In its words.
        reason: String,
    },
    /// Its file was deleted, or another one lies in its place. What was not confirmed by then is lost, or
    /// lies in the file that is gone.
    #[error(
        "the store's file {place} was deleted or replaced while it was open; nothing is stored any \
         more"
    )]
    Removed {
        /// The file.
        place: String,
    },
    /// The server lets nobody else in.
    #[error("the store {place} has too many connections: its server takes no more")]
    TooManyConnections {
        /// The server without its password.
        place: String,
    },
    /// It was open, and cannot be reached. Nothing was done.
    #[error("the store cannot be reached, and nothing was done: {}{outage}", prefix(place.as_deref()))]
    Unreachable {
        /// The server that was tried, if that is why.
        place: Option<String>,
        /// Why.
        outage: Outage,
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
    #[error("the connection to the store is lost: {outage}")]
    Lost {
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
            StoreError::Missing { .. } => Code::StoreMissing,
            StoreError::Older { .. } => Code::StoreOlder,
            StoreError::ReadOnly => Code::StoreReadOnly,
            StoreError::Denied { .. } => Code::StoreDenied,
            StoreError::Removed { .. } => Code::StoreRemoved,
            StoreError::TooManyConnections { .. } => Code::TooManyConnections,
            StoreError::Unreachable { .. } => Code::StoreUnreachable,
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
        matches!(
            self,
            StoreError::Full
                | StoreError::Busy { .. }
                | StoreError::Lost { .. }
                | StoreError::Unreachable { .. }
                | StoreError::TooManyConnections { .. }
        )
    }

    /// The same of a store that was open before: what cannot be reached now may be back later.
    pub(crate) fn while_open(self) -> Self {
        match self {
            StoreError::Open { place, outage } => {
                StoreError::Unreachable { place: Some(place), outage }
            }
            StoreError::Missing { place } => StoreError::Removed { place },
            other => other,
        }
    }

    /// The same of a store that is being opened.
    pub(crate) fn while_opening(self) -> Self {
        match self {
            StoreError::Unreachable { place: Some(place), outage } => {
                StoreError::Open { place, outage }
            }
            StoreError::Removed { place } => StoreError::Missing { place },
            other => other,
        }
    }

    /// The same of what was to be committed later: a server takes back what it has not committed.
    pub(crate) fn before_commit(self) -> Self {
        match self {
            StoreError::Lost { outage } => StoreError::Unreachable { place: None, outage },
            other => other,
        }
    }

    /// The connection broke.
    pub(crate) fn lost(outage: Outage) -> Self {
        StoreError::Lost { outage }
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
    /// It has tables, and none of them is a store's.
    OtherTables,
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
            Foreign::OtherTables => f.write_str("it holds other tables, and none of a store"),
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
