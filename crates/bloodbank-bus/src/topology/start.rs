//! Where a queue begins.

use chrono::{DateTime, Utc};

/// Where to begin with what is published, on a bus that keeps a record of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With what comes from now on.
    #[default]
    Now,
    /// With the first that is recorded.
    Beginning,
    /// At this position of the record.
    Position(u64),
    /// With what was recorded then or later.
    Time(DateTime<Utc>),
}
