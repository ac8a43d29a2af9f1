//! Where a replay goes, how fast, and what it does about events that break their contract.

use std::fmt;
use std::str::FromStr;

use bloodbank_bus::{Destination, Exchange};

use crate::StoreError;

/// Where replayed events go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayTarget {
    /// To [`Exchange::Replay`], for the queues that hear replays.
    #[default]
    Replay,
    /// To [`Exchange::Events`], for everybody, as if they happened now.
    Live,
    /// Into one queue, past all bindings.
    Queue(String),
}

impl ReplayTarget {
    pub(super) fn destination(&self) -> Destination {
        match self {
            ReplayTarget::Replay => Destination::Exchange(Exchange::Replay),
            ReplayTarget::Live => Destination::Exchange(Exchange::Events),
            ReplayTarget::Queue(name) => Destination::queue(name),
        }
    }
}

/// As it is stored: `replay`, `live`, `queue:<name>`.
impl fmt::Display for ReplayTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayTarget::Replay => f.write_str("replay"),
            ReplayTarget::Live => f.write_str("live"),
            ReplayTarget::Queue(name) => write!(f, "queue:{name}"),
        }
    }
}

impl FromStr for ReplayTarget {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match (text, text.strip_prefix("queue:")) {
            ("replay", _) => Ok(ReplayTarget::Replay),
            ("live", _) => Ok(ReplayTarget::Live),
            (_, Some(name)) => Ok(ReplayTarget::Queue(name.to_owned())),
            _ => Err(StoreError::column("replays.target")),
        }
    }
}

/// How fast events are replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Pace {
    /// As fast as the bus takes them.
    #[default]
    Full,
    /// At most so many a second; more than 0.
    Rate(f64),
    /// So many times as fast as they happened, by their timestamps; more than 0.
    Speed(f64),
}

/// As it is stored: `full`, `rate:<events a second>`, `speed:<factor>`.
impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pace::Full => f.write_str("full"),
            Pace::Rate(rate) => write!(f, "rate:{rate}"),
            Pace::Speed(speed) => write!(f, "speed:{speed}"),
        }
    }
}

impl FromStr for Pace {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let damaged = || StoreError::column("replays.pace");
        let (name, number) = text.split_once(':').unwrap_or((text, "1"));
        let number = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
        match (name, number.ok_or_else(damaged)?) {
            ("full", _) => Ok(Pace::Full),
            ("rate", rate) => Ok(Pace::Rate(rate)),
            ("speed", speed) => Ok(Pace::Speed(speed)),
            _ => Err(damaged()),
        }
    }
}

/// How a plan is carried out.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReplayOptions {
    /// Where events go.
    pub target: ReplayTarget,
    /// How fast.
    pub pace: Pace,
    /// Passes over what breaks its contract, instead of refusing.
    pub skip_invalid: bool,
    /// Who does it, for the record: `user@host`.
    pub author: String,
}

impl ReplayOptions {
    /// To [`ReplayTarget::Replay`], at full speed, and nothing that breaks its contract.
    pub fn new(author: impl Into<String>) -> Self {
        ReplayOptions { author: author.into(), ..ReplayOptions::default() }
    }

    /// Sets where events go.
    pub fn with_target(mut self, target: ReplayTarget) -> Self {
        self.target = target;
        self
    }

    /// Sets how fast.
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Sets whether what breaks its contract is passed over.
    pub fn with_skip_invalid(mut self, skip: bool) -> Self {
        self.skip_invalid = skip;
        self
    }
}
