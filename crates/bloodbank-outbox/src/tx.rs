//! The caller's own transaction.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlx")]
mod sqlx;

use std::sync::Arc;

use crate::{DatabaseError, Dialect, Value};

#[cfg(feature = "postgres")]
pub use self::postgres::Pg;
#[cfg(feature = "postgres")]
pub(crate) use self::postgres::{execute as execute_postgres, query as query_postgres};
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::{execute as execute_sqlite, query as query_sqlite};

/// A transaction or connection of the caller's, borrowed for one statement: `&tx` of tokio-postgres and
/// rusqlite, `&mut *tx` of sqlx.
///
/// On a connection outside of a transaction each statement is committed at once.
///
/// It is implemented for sqlx on PostgreSQL. For any other client a type of the caller's own does, around
/// a borrowed connection; or no `Tx` at all: [`Draft::row`](crate::Draft::row).
pub trait Tx: Sized {
    /// What [`execute`](Tx::execute) gives. A client that blocks gives a [`Ready`](std::future::Ready).
    type Executing: Future<Output = Result<u64, DatabaseError>> + Unpin;

    /// Which SQL it speaks.
    fn dialect(&self) -> Dialect;

    /// Runs one statement, and says how many rows it has changed or returned.
    fn execute(self, sql: Arc<str>, values: Vec<Value>) -> Self::Executing;
}
