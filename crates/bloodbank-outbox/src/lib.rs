//! The transactional outbox and inbox of Bloodbank.
//!
//! An [`Outbox`] validates a message and writes it as a row into the caller's own database transaction,
//! so that a change of state and the message that tells of it are committed together or not at all. A
//! [`Relay`] sends the rows to the bus, in order, and deletes each one when the bus has confirmed it. On
//! the other side an [`Inbox`] notes, again in the caller's own transaction, that a message was handled,
//! so that its effect happens once however often it comes.
//!
//! The caller brings the connection: [`Tx`] is implemented for transactions and connections of
//! tokio-postgres (feature `postgres`), rusqlite (`sqlite`) and sqlx (`sqlx`). For any other client,
//! [`Draft::row`] gives the values and [`Tables::insert`] the statement. The tables are the caller's,
//! too: [`Tables::ddl`] is the text for a migration.
//!
//! Messages keep the order of one aggregate if the row that guards the aggregate is changed before the
//! message is written: the second transaction then waits for the first one, and its message gets the
//! higher number. What is not ordered by such a lock has no order.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod desk;
mod draft;
mod error;
mod inbox;
mod metrics;
mod outbox;
mod relay;
mod row;
mod source;
mod tables;
mod tx;
mod value;

pub use desk::{Waiting, create_tables, list, retry};
pub use draft::{Draft, Writing, Written};
pub use error::{DatabaseError, OutboxError, RelayError};
pub use inbox::{Handling, Inbox, Once};
pub use outbox::Outbox;
pub use relay::Relay;
pub use row::Row;
#[cfg(feature = "postgres")]
pub use source::Postgres;
pub use source::Source;
#[cfg(feature = "sqlite")]
pub use source::Sqlite;
pub use tables::{Dialect, Tables};
#[cfg(feature = "postgres")]
pub use tx::Pg;
pub use tx::Tx;
pub use value::Value;
