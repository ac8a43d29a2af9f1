//! Candystore: every event kept once, in order, for good.
//!
//! [`EventStore`] appends what it is given under gapless positions, in commit order, and answers
//! questions about it. It lies in one SQLite file or in a PostgreSQL database, which any number of
//! processes may use at a time.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod append;
mod embedded;
mod error;
mod event;
mod query;
mod record;
mod recorder;
mod sql;
mod store;
mod url;
mod writer;

pub use append::Appended;
pub use embedded::{Embedded, EmbeddedOptions};
pub use error::StoreError;
pub use event::{Position, Standing, StoredEvent};
pub use query::{Cursor, CursorError, Field, FieldError, Filter, Order, Page};
pub use record::Incoming;
pub use recorder::{RecordError, Recorded, Recorder};
pub use store::{EventStore, StoreOptions};
pub use url::{StoreUrl, UrlError};
