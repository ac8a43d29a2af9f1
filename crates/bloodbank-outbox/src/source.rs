//! Where a relay takes messages from.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::time::Duration;

use bloodbank_bus::BoxFuture;

use crate::{DatabaseError, Dialect, Tables, Value};

#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;
#[cfg(feature = "sqlite")]
pub use self::sqlite::Sqlite;

/// A connection of the relay's own to the database that an outbox lies in.
///
/// The relay says what to do in SQL of the [`dialect`](Source::dialect); a source knows how to connect,
/// and how one relay of many becomes the one that sends.
pub trait Source: Send + 'static {
    /// Which SQL it speaks.
    fn dialect(&self) -> Dialect;

    /// The tables.
    fn tables(&self) -> &Tables;

    /// Connects, unless there is a connection.
    ///
    /// # Errors
    /// What the database says.
    fn open(&mut self) -> BoxFuture<'_, Result<(), DatabaseError>>;

    /// Connects where needed, and says whether this relay is the one that sends. It stays that as long
    /// as its connection lives, and ends with it, so that another takes over.
    ///
    /// # Errors
    /// What the database says; also if there is no such table.
    fn lead(&mut self) -> BoxFuture<'_, Result<bool, DatabaseError>>;

    /// Runs one statement, and says how many rows it has changed. Never connects: who has lost the
    /// connection may no longer be the one that sends.
    ///
    /// # Errors
    /// What the database says.
    fn execute<'s>(
        &'s mut self,
        sql: &'s str,
        values: Vec<Value>,
    ) -> BoxFuture<'s, Result<u64, DatabaseError>>;

    /// Asks for rows, whose columns are numbers, text or bytes. Never connects.
    ///
    /// # Errors
    /// What the database says.
    fn query<'s>(
        &'s mut self,
        sql: &'s str,
        values: Vec<Value>,
    ) -> BoxFuture<'s, Result<Vec<Vec<Value>>, DatabaseError>>;

    /// Waits until there may be new rows, or this time is over. Safe to drop before it is done.
    fn wait(&mut self, at_most: Duration) -> BoxFuture<'_, ()>;

    /// How often to look for rows that nothing has told of, unless the relay says otherwise.
    fn poll(&self) -> Duration;
}

/// Nothing was asked, as there is no connection.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn not_connected() -> DatabaseError {
    DatabaseError::new("there is no connection to the database")
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn dialect(&self) -> Dialect {
        (**self).dialect()
    }

    fn tables(&self) -> &Tables {
        (**self).tables()
    }

    fn open(&mut self) -> BoxFuture<'_, Result<(), DatabaseError>> {
        (**self).open()
    }

    fn lead(&mut self) -> BoxFuture<'_, Result<bool, DatabaseError>> {
        (**self).lead()
    }

    fn execute<'s>(
        &'s mut self,
        sql: &'s str,
        values: Vec<Value>,
    ) -> BoxFuture<'s, Result<u64, DatabaseError>> {
        (**self).execute(sql, values)
    }

    fn query<'s>(
        &'s mut self,
        sql: &'s str,
        values: Vec<Value>,
    ) -> BoxFuture<'s, Result<Vec<Vec<Value>>, DatabaseError>> {
        (**self).query(sql, values)
    }

    fn wait(&mut self, at_most: Duration) -> BoxFuture<'_, ()> {
        (**self).wait(at_most)
    }

    fn poll(&self) -> Duration {
        (**self).poll()
    }
}
