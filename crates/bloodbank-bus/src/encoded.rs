//! Messages as they are published.

use std::sync::Arc;

use bloodbank_core::{Code, Contracts, Envelope, EnvelopeError, Kind, SealError, Validated};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{EnvelopeForm, Headers, Properties, Verbatim, headers, read_envelope};

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
/// let form = Default::default();
/// let encoded = Encoded { envelope, body: [0].into(), headers: Headers::new(), form };
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    envelope: Validated<Envelope>,
    body: Arc<[u8]>,
    headers: Headers,
    form: EnvelopeForm,
}

impl Encoded {
    /// Encodes an envelope in our own words. `headers` travel beside it; mostly there are none.
    ///
    /// # Errors
    /// If the envelope has no JSON form.
    pub fn new(envelope: Validated<Envelope>, headers: Headers) -> Result<Self, serde_json::Error> {
        let body = envelope.to_bytes()?.into();
        Ok(Encoded { envelope, body, headers, form: EnvelopeForm::Native })
    }

    /// The same in any words.
    ///
    /// # Errors
    /// [`SealError::Encode`] if the envelope has no JSON form, [`SealError::CloudEvent`] if it has none
    /// as a CloudEvent and is to be one.
    pub fn in_form(
        envelope: Validated<Envelope>,
        mut headers: Headers,
        form: EnvelopeForm,
    ) -> Result<Self, SealError> {
        let body = form.write(&envelope, &mut headers)?.into();
        Ok(Encoded { envelope, body, headers, form })
    }

    /// Reads a message that was sealed earlier and kept as bytes, as an outbox does. The contracts judge
    /// the envelope that stands in these very bytes, and the bytes are published as they are, so that a
    /// message says the same however long it has waited.
    ///
    /// # Errors
    /// [`ReadBackError`], if the bytes are not an envelope, or the contracts in force refuse it.
    pub fn read_back(
        contracts: &Contracts,
        kind: Kind,
        message: Verbatim,
    ) -> Result<Self, ReadBackError> {
        let Verbatim { key, body, headers, properties, .. } = message;
        let form = EnvelopeForm::of(&headers, properties.as_deref());
        let envelope = read_envelope(&key, &body, &headers, properties.as_deref())?;
        let envelope = contracts.validate(envelope).map_err(SealError::from)?;
        if envelope.kind() != kind {
            let error = SealError::WrongKind { key: key.to_string(), kind: envelope.kind() };
            return Err(ReadBackError::Contract(error));
        }
        Ok(Encoded { envelope, body, headers, form })
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
        self.form.content_type()
    }

    /// Properties that do not only repeat what the envelope says.
    pub fn properties(&self) -> Option<Box<Properties>> {
        let mut properties = Properties::of(&self.envelope);
        properties.content_type = Some(self.content_type().to_owned());
        properties.beyond(&self.envelope).boxed()
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

/// Why bytes that were sealed earlier cannot be published now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadBackError {
    /// They are not an envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The contracts in force refuse the envelope; they are others than those that it was sealed by.
    #[error(transparent)]
    Contract(#[from] SealError),
}

impl ReadBackError {
    /// Its code: that of what it wraps.
    pub fn code(&self) -> Code {
        match self {
            ReadBackError::Envelope(error) => error.code(),
            ReadBackError::Contract(error) => error.code(),
        }
    }
}
