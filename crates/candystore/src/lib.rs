//! Candystore: every event kept once, in order, for good.
//!
//! [`EventStore`] appends what it is given under gapless positions, in commit order, and answers
//! questions about it. It lies in one SQLite file or in a PostgreSQL database, which any number of
//! processes may use at a time.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod append;
mod chain;
mod error;
mod event;
mod follow;
mod query;
mod record;
mod sql;
mod stats;
mod store;
mod url;
mod writer;

pub use append::Appended;
pub use chain::{Cause, Chain, Link};
pub use error::StoreError;
pub use event::{Position, Standing, StoredEvent};
pub use follow::{Follow, Followed, Start};
pub use query::{Cursor, CursorError, Field, FieldError, Filter, Order, Page};
pub use record::Incoming;
pub use stats::{By, Group, Totals};
pub use store::{EventStore, StoreOptions};
pub use url::{StoreUrl, UrlError};
