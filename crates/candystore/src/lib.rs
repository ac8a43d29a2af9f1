//! Candystore: every event kept once, in order, for good.
//!
//! [`EventStore`] appends what it is given under gapless positions, in commit order, and answers
//! questions about it. It lies in one SQLite file or in a PostgreSQL database, which any number of
//! processes may use at a time. [`Embedded`] is a bus on it, with nothing else to install.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod append;
mod chain;
mod embedded;
mod error;
mod event;
mod follow;
mod line;
mod page;
mod prune;
mod pruned;
mod quarantine;
mod query;
mod record;
mod recorder;
mod replay;
mod sql;
mod stats;
mod store;
mod url;
mod vacuum;
mod verify;
mod writer;

pub use append::Appended;
pub use chain::{Cause, Chain, Link};
pub use embedded::{Embedded, EmbeddedOptions, QueueStatus};
pub use error::StoreError;
pub use event::{Position, Standing, StoredEvent};
pub use follow::{Follow, Followed, Start};
pub use line::{LineError, body_field};
pub use page::EventPages;
pub use prune::{DoomedKey, Prune, PrunePlan, PruneProgress};
pub use pruned::PrunedRange;
pub use quarantine::{Difference, Quarantined};
pub use query::{Cursor, CursorError, Field, FieldError, Filter, Order, Page};
pub use record::Incoming;
pub use recorder::{RecordError, Recorded, Recorder};
pub use replay::{
    Pace, Planned, Replay, ReplayError, ReplayOptions, ReplayPlan, ReplayRun, ReplayState,
    ReplayTarget, Unfit,
};
pub use stats::{By, Group, Totals};
pub use store::{EventStore, StoreOptions};
pub use url::{StoreUrl, UrlError};
pub use vacuum::Vacuumed;
pub use verify::{Problem, Verified, VerifyProgress};
