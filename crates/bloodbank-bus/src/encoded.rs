//! Messages as they are published.

use std::sync::Arc;

use bloodbank_core::{Envelope, Kind, Validated};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Headers, headers};

/// An envelope that has passed its contract, as it is published: its bytes, and what travels beside
/// them. The one place where envelopes are encoded, whatever carries them.
///
/// Only a [`Validated`] envelope can be encoded, so nothing else reaches a transport:
///
/// ```compile_fail,E0308
/// # fn sneak(envelope: bloodbank_core::Envelope) {
/// let encoded = bloodbank_bus::Encoded::new(envelope, bloodbank_bus::Headers::new());
/// # }
/// ```
///
/// Nor are bytes put beside an envelope that are not its own:
///
/// ```compile_fail,E0451
/// # use bloodbank_bus::{Encoded, Headers};
/// # fn swap(envelope: bloodbank_core::Validated<bloodbank_core::Envelope>) {
/// let encoded = Encoded { envelope, body: [0].into(), headers: Headers::new() };
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    envelope: Validated<Envelope>,
    body: Arc<[u8]>,
    headers: Headers,
}

impl Encoded {
    /// Encodes an envelope. `headers` travel beside it; mostly there are none.
    ///
    /// # Errors
    /// If the envelope has no JSON form.
    pub fn new(envelope: Validated<Envelope>, headers: Headers) -> Result<Self, serde_json::Error> {
        let body = envelope.to_bytes()?.into();
        Ok(Encoded { envelope, body, headers })
    }

    /// The envelope that the bytes say.
    pub fn envelope(&self) -> &Validated<Envelope> {
        &self.envelope
    }

    /// The id of the envelope.
    pub fn id(&self) -> Uuid {
        self.envelope.id
    }

    /// The routing key.
    pub fn key(&self) -> &str {
        &self.envelope.event_type
    }

    /// Whether it is an event or a command.
    pub fn kind(&self) -> Kind {
        self.envelope.kind()
    }

    /// The media type of the bytes.
    pub fn content_type(&self) -> &'static str {
        crate::properties::JSON
    }

    /// The bytes.
    pub fn body(&self) -> &Arc<[u8]> {
        &self.body
    }

    /// What travels beside the bytes.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// When the message is due, if that is in the future: [`headers::NOT_BEFORE`]. A transport then
    /// keeps it until that time.
    pub fn due(&self) -> Option<DateTime<Utc>> {
        // Most messages have no headers, and are not asked for the time.
        let due = headers::time(&self.headers, headers::NOT_BEFORE)?;
        (due > Utc::now()).then_some(due)
    }

    /// The envelope, its bytes and its headers.
    pub fn into_parts(self) -> (Validated<Envelope>, Arc<[u8]>, Headers) {
        (self.envelope, self.body, self.headers)
    }
}
