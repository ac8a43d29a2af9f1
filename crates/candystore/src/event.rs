//! What a store holds.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bloodbank_bus::{Headers, Properties};
use bloodbank_core::{Code, Kind};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::StoreError;
use crate::beside;
use crate::digest::Digest;
use crate::sql::{micros_to_time, table, words};

/// The place of an event in its store: 1, 2, 3, … in the order of commits, without gaps.
pub type Position = u64;

/// What the store makes of an event. None is dropped for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Standing {
    /// It keeps its contract.
    Valid,
    /// It breaks its contract.
    Invalid,
    /// No contract has its key.
    Unknown,
    /// It is not an envelope as its schema wants it, or says that it is of another key than it travelled
    /// under.
    Malformed,
}

impl Standing {
    /// All of them.
    pub const ALL: [Standing; 4] =
        [Standing::Valid, Standing::Invalid, Standing::Unknown, Standing::Malformed];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Valid => "valid",
            Standing::Invalid => "invalid",
            Standing::Unknown => "unknown",
            Standing::Malformed => "malformed",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Standing {
    type Err = StandingError;

    fn from_str(text: &str) -> Result<Self, StandingError> {
        let found = Standing::ALL.into_iter().find(|standing| standing.as_str() == text);
        found.ok_or(StandingError)
    }
}

/// A word that is not a [`Standing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected valid, invalid, unknown or malformed")]
#[non_exhaustive]
pub struct StandingError;

impl StandingError {
    /// Its code, [`Code::NotAValidity`].
    pub fn code(self) -> Code {
        Code::NotAValidity
    }
}

/// One event, or the record of a command, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Its place.
    pub position: Position,
    /// The envelope's id. What is not an envelope gets one made from its bytes.
    pub id: Uuid,
    /// Commands are recorded beside events, and never replayed.
    pub kind: Kind,
    /// The routing key it travelled under.
    pub key: String,
    /// Who said it; empty if it is not an envelope.
    pub source: String,
    /// When it happened, as the envelope says, to the microsecond.
    pub timestamp: Option<DateTime<Utc>>,
    /// When it was stored. Not earlier than that of the position before, unless a clock was wrong.
    pub received: DateTime<Utc>,
    /// What it has in common with others.
    pub correlation_id: Option<Uuid>,
    /// What it follows from.
    pub causation_id: Option<Uuid>,
    /// The session it belongs to.
    pub session_id: Option<String>,
    /// What its contract said when it was stored.
    pub standing: Standing,
    /// The first thing that is wrong with it, if anything is.
    pub violation: Option<String>,
    /// The digest of the schema that judged it, if there was one.
    pub schema: Option<Uuid>,
    /// What travelled beside it.
    pub headers: Headers,
    /// What else did, and does not only repeat what the envelope says.
    pub properties: Option<Box<Properties>>,
    /// The bytes as they came.
    pub body: Arc<[u8]>,
    /// CRC-32 (IEEE 802.3) of the bytes.
    pub checksum: u32,
}

table! {
    /// A row of `events`: all that is kept of an event. Times are in microseconds since 1970.
    EventRow in "events" {
        position: Position,
        id: Uuid,
        kind: Kind,
        key: String,
        source: String,
        timestamp: Option<i64>,
        received: i64,
        correlation_id: Option<Uuid>,
        causation_id: Option<Uuid>,
        session_id: Option<String>,
        standing: Standing,
        violation: Option<String>,
        schema_digest: Option<Uuid>,
        /// What travelled beside it, as [`beside::text`] writes it.
        headers: Option<String>,
        body: Arc<[u8]>,
        checksum: u32,
        /// It is history of another store.
        imported: bool,
        /// `None` if it was stored before there were digests.
        digest: Option<Digest>,
    }
}

words! {
    Kind: |word: &str| kind_of(word).ok(),
    Standing: |word: &str| word.parse().ok(),
}

impl EventRow {
    /// The event, as programs see it.
    ///
    /// # Errors
    /// If something in it is not what this program writes.
    pub(crate) fn event(self) -> Result<StoredEvent, StoreError> {
        let (headers, properties) = beside::read(self.headers.as_deref())?;
        Ok(StoredEvent {
            position: self.position,
            id: self.id,
            kind: self.kind,
            key: self.key,
            source: self.source,
            timestamp: self.timestamp.map(micros_to_time).transpose()?,
            received: micros_to_time(self.received)?,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            session_id: self.session_id,
            standing: self.standing,
            violation: self.violation,
            schema: self.schema_digest,
            headers,
            properties,
            body: self.body,
            checksum: self.checksum,
        })
    }
}

impl StoredEvent {
    /// Whether its bytes are those that were stored, as far as their checksum tells.
    pub fn is_sound(&self) -> bool {
        crc32fast::hash(&self.body) == self.checksum
    }
}

pub(crate) fn kind_of(name: &str) -> Result<Kind, StoreError> {
    match name {
        "event" => Ok(Kind::Event),
        "command" => Ok(Kind::Command),
        _ => Err(StoreError::column("kind")),
    }
}
