//! What became of messages, for who looks for one.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::reading::noted_error;
use crate::{Delivery, Headers, Settlement, headers};

/// What became of one message in one queue, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The id of its envelope.
    pub id: Uuid,
    /// The queue.
    pub queue: String,
    /// When.
    pub at: DateTime<Utc>,
    /// At which attempt, from 1.
    pub attempt: u32,
    /// What became of it.
    pub fate: Fate,
    /// Who had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The replay that it was part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fate {
    /// It was handled.
    Handled,
    /// It left the queue without having been handled.
    Dropped {
        /// Why.
        reason: String,
    },
    /// Its handler failed; it is tried again.
    Failed {
        /// What the handler said.
        error: String,
        /// When it is tried again, at the earliest.
        next: DateTime<Utc>,
    },
    /// It was put aside.
    Parked {
        /// Why, in a word: see [`Reason`](crate::Reason).
        reason: String,
        /// What the handler or the contract said.
        error: String,
    },
}

impl Report {
    /// What became of a message.
    pub fn new(
        id: Uuid,
        queue: impl Into<String>,
        attempt: u32,
        at: DateTime<Utc>,
        fate: Fate,
    ) -> Self {
        Report { id, queue: queue.into(), at, attempt, fate, by: None, replay: None }
    }

    /// What a settlement makes of a delivery; `None` if it changes nothing, or the delivery is not an
    /// envelope.
    pub fn of(delivery: &Delivery, settlement: &Settlement) -> Option<Self> {
        let at = Utc::now();
        let (id, fate) = (delivery.id()?, Fate::of(settlement, at)?);
        let replay = headers::text(&delivery.headers, headers::REPLAY).map(str::to_owned);
        let queue = delivery.queue.to_string();
        Some(Report { replay, ..Report::new(id, queue, delivery.attempt, at, fate) })
    }

    /// Some of them as JSON.
    pub fn to_bytes(reports: &[Report]) -> Vec<u8> {
        // They always have a JSON form.
        serde_json::to_vec(reports).unwrap_or_default()
    }

    /// From JSON; `None` if it is not what [`to_bytes`](Report::to_bytes) makes.
    pub fn read(bytes: &[u8]) -> Option<Vec<Self>> {
        serde_json::from_slice(bytes).ok()
    }

    /// Sets who had it.
    pub fn with_by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }
}

impl Fate {
    /// What a settlement means; `None` if nothing has become of the message.
    pub fn of(settlement: &Settlement, at: DateTime<Utc>) -> Option<Self> {
        let noted =
            |headers: &Headers, name| headers::text(headers, name).unwrap_or_default().to_owned();
        match settlement {
            Settlement::Ack => Some(Fate::Handled),
            Settlement::Drop { reason } => Some(Fate::Dropped { reason: noted_error(reason) }),
            Settlement::Requeue => None,
            Settlement::Retry { after, headers } => {
                let after = TimeDelta::from_std(*after).unwrap_or(TimeDelta::zero());
                let next = at.checked_add_signed(after).unwrap_or(at);
                Some(Fate::Failed { error: noted(headers, headers::ERROR), next })
            }
            Settlement::Park { headers } => Some(Fate::Parked {
                reason: noted(headers, headers::REASON),
                error: noted(headers, headers::ERROR),
            }),
        }
    }
}

/// This process, as it is named in what is kept of its work: `<program>@<host> pid <number>`.
pub fn this_process() -> &'static str {
    static NAME: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_name()?.to_str());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| std::env::var("HOSTNAME").ok());
        let host = host.as_deref().map_or("localhost", str::trim);
        format!("{}@{host} pid {}", program.unwrap_or("unknown"), std::process::id())
    });
    &NAME
}
