//! Candystore: every event kept once, in order, for good.
//!
//! An [`EventStore`] lies in one SQLite file or in a PostgreSQL database ([`StoreUrl`]), which any
//! number of processes may use at a time. It keeps the bytes as they came, under gapless positions in
//! the order of commits.
//!
//! - **In**: [`append`](EventStore::append) judges [`Incoming`] events by their contracts, numbers and
//!   stores them. What is invalid is stored and marked ([`Standing`]); what comes again is a duplicate;
//!   what comes with the id of another event goes to [quarantine](EventStore::quarantined). A
//!   [`Recorder`] appends what passes on a bus.
//! - **Out**: [`at`](EventStore::at) and [`get`](EventStore::get) one event;
//!   [`page`](EventStore::page) and [`count`](EventStore::count) what a [`Filter`] means;
//!   [`follow`](EventStore::follow) what is there and then what comes; [`chain`](EventStore::chain)
//!   what caused an event and what it caused; [`stats`](EventStore::stats) how much of what.
//! - **Again**: a [`ReplayPlan`] counts what would be sent, a [`Replay`] sends it, and a
//!   [`ReplayRun`] is the record of it.
//! - **Upkeep**: [`verify`](EventStore::verify) looks whether all is as it was stored;
//!   [`plan_prune`](EventStore::plan_prune) says what retention would let go, and
//!   [`prune`](EventStore::prune) does it; [`pages`](EventStore::pages) with
//!   [`StoredEvent::to_line`] and [`Incoming::from_line`] take events from one store to another.
//! - **Later**: a [`Scheduler`] keeps messages until they are due;
//!   [`scheduled`](EventStore::scheduled) lists them, [`cancel_scheduled`](EventStore::cancel_scheduled)
//!   takes one back.
//! - **Who did what**: [`audit`](EventStore::audit) keeps it, [`audited`](EventStore::audited) lists it.
//! - **The bus**: [`Embedded`] is a transport on the log of a store, with nothing to install.
//!
//! ```
//! use bloodbank_core::{Bundle, Contracts, Envelope, Kind, Meta};
//! use candystore::{Appended, EventStore, Filter, Incoming, Order, StoreOptions, StoreUrl};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("store.db");
//! // Services have `events::contracts()`; these know no key.
//! let contracts = Contracts::new(Bundle::default());
//! let store = EventStore::open(StoreOptions::new(StoreUrl::file(file)), contracts).await?;
//!
//! let data = serde_json::json!({"topic": "Budget"});
//! let envelope = Envelope::new("theboard.meeting.created", "theboard", data, Meta::new());
//! let body = envelope.to_bytes()?;
//! let event = Incoming::new(Kind::Event, "theboard.meeting.created", body);
//! assert_eq!(store.append(vec![event.clone()]).await?, [Appended::Stored(1)]);
//! assert_eq!(store.append(vec![event]).await?, [Appended::Duplicate(1)]);
//!
//! let meetings = Filter::new().with_key("theboard.meeting.*".parse()?);
//! let page = store.page(&meetings, Order::Newest, 50, None).await?;
//! assert_eq!((page.events[0].id, page.next), (envelope.id, None));
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod append;
mod audit;
mod backup;
mod beside;
mod catch_up;
mod chain;
mod clock;
mod damaged;
mod digest;
mod embedded;
mod error;
mod event;
mod follow;
mod line;
mod migrate;
mod partitions;
mod payload;
mod prune;
mod pruned;
mod pulse;
mod quarantine;
mod query;
mod queues;
mod record;
mod recorder;
mod repair;
mod replay;
mod reports;
mod retention;
mod roles;
mod scheduled;
mod scheduler;
mod sql;
mod stats;
mod store;
mod summary;
mod url;
mod vacuum;
mod verify;
mod whereabouts;
mod writer;

pub use append::Appended;
pub use audit::{AuditEntry, AuditFilter, AuditOutcome, Audited};
pub use backup::{Backup, BackupError};
pub use bloodbank_bus::Start;
pub use catch_up::CatchUp;
pub use chain::{Cause, Chain, Link};
pub use damaged::DamagedEvents;
pub use digest::{Checkpoint, CheckpointError, Digest};
pub use embedded::{
    DamagedMessage, Embedded, EmbeddedOptions, Held, HeldState, InQueue, QueueMove, QueueStatus,
};
pub use error::{Damage, Foreign, StoreError};
pub use event::{Position, Standing, StandingError, StoredEvent};
pub use follow::{Follow, Followed};
pub use line::{LineError, LineFault, LineProblem, body_field};
pub use migrate::Migrated;
pub use payload::PayloadIndex;
pub use prune::{DoomedKey, Prune, PrunePlan, PruneProgress};
pub use pruned::PrunedRange;
pub use quarantine::{Difference, Quarantined, Retried};
pub use query::{Cursor, CursorError, EventPages, Field, FieldError, Filter, Order, Page};
pub use record::Incoming;
pub use recorder::{RecordError, Recorded, Recorder};
pub use repair::{ClockRepair, ClockState};
pub use replay::{
    Pace, Planned, Replay, ReplayError, ReplayOptions, ReplayPlan, ReplayRun, ReplayState,
    ReplayTarget, Unfit,
};
pub use reports::ReportKeeper;
pub use retention::{RetentionPlan, RetentionRule, RetentionRun};
pub use roles::Role;
pub use scheduled::Scheduled;
pub use scheduler::Scheduler;
pub use stats::{By, Group, Latency, Totals};
pub use store::{EventStore, StoreOptions};
pub use url::{StoreUrl, UrlError};
pub use vacuum::Vacuumed;
pub use verify::{Problem, Verified, VerifyProgress};
pub use whereabouts::Whereabouts;
