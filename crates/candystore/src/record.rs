//! From bytes to what is stored of them.

use std::borrow::Cow;
use std::sync::Arc;

use bloodbank_bus::{Delivery, Encoded, EnvelopeForm, Headers, Properties, read_envelope};
use bloodbank_core::{CheckError, Contracts, Envelope, EnvelopeError, Kind};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::beside;
use crate::digest::Digest;
use crate::event::EventRow;
use crate::quarantine::Said;
use crate::sql::time_to_micros;
use crate::summary::Counted;
use crate::{Position, Standing, StoredEvent};

/// The namespace (RFC 9562) of ids that are made for what is not an envelope.
const MALFORMED: Uuid = Uuid::from_u128(0x5f0c_9a1e_64c3_4b7d_8a52_1e0d_93b7_44c6);

/// The most characters of a text that a column with an index holds: PostgreSQL's indexes take 2,704
/// bytes. The body has all of it.
const LONGEST: usize = 512;

/// Bytes on their way into a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Incoming {
    /// The routing key they travelled under.
    pub key: Arc<str>,
    /// Whether they were published or sent.
    pub kind: Kind,
    /// As they came.
    pub body: Arc<[u8]>,
    /// What travelled beside them.
    pub headers: Headers,
    /// What else did.
    pub properties: Option<Box<Properties>>,
    /// When another store got them: they are history then, which no queue gets. It is kept unless it
    /// would go back in time.
    pub received: Option<DateTime<Utc>>,
}

impl Incoming {
    /// An event, or the record of a command.
    pub fn new(kind: Kind, key: impl Into<Arc<str>>, body: impl Into<Arc<[u8]>>) -> Self {
        let (key, body) = (key.into(), body.into());
        Incoming { key, kind, body, headers: Headers::new(), properties: None, received: None }
    }

    /// What came from a queue.
    pub(crate) fn of(kind: Kind, delivery: &Delivery) -> Self {
        Incoming::new(kind, delivery.key.clone(), delivery.body.clone())
            .with_headers(delivery.headers.clone())
            .with_properties(delivery.properties.clone())
    }

    /// Sets what travelled beside the bytes.
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Sets what else did.
    pub fn with_properties(mut self, properties: Option<Box<Properties>>) -> Self {
        self.properties = properties;
        self
    }

    /// Sets when another store got them.
    pub fn with_received(mut self, received: DateTime<Utc>) -> Self {
        self.received = Some(received);
        self
    }
}

/// Everything about an event that can be known before it has a position.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) key: Arc<str>,
    pub(crate) body: Arc<[u8]>,
    pub(crate) headers: Headers,
    pub(crate) properties: Option<Box<Properties>>,
    source: String,
    /// Microseconds since 1970, like all times here.
    timestamp: Option<i64>,
    pub(crate) received: Option<i64>,
    correlation_id: Option<Uuid>,
    causation_id: Option<Uuid>,
    session_id: Option<String>,
    standing: Standing,
    violation: Option<String>,
    schema: Option<Uuid>,
    checksum: u32,
    /// That of the body.
    digest: Digest,
}

impl Record {
    /// Reads and judges bytes. Whatever they are, there is a record of them.
    pub(crate) fn of(contracts: &Contracts, mut incoming: Incoming) -> Self {
        if let Cow::Owned(key) = indexed(&incoming.key) {
            incoming.key = key.into();
        }
        // What is imported may be from an earlier version.
        let Incoming { key, body, headers, properties, .. } = &incoming;
        let properties = properties.as_deref();
        let said = match (incoming.received, EnvelopeForm::of(headers, properties)) {
            (Some(_), EnvelopeForm::Native) => Envelope::read_stored(key, body),
            _ => read_envelope(key, body, headers, properties),
        };
        match said {
            Ok(envelope) => {
                let checked = contracts.check(&envelope.event_type, &envelope.data);
                let (standing, violation) = standing(checked);
                let schema = contracts.digest(&envelope.event_type);
                Record { violation, ..Record::with(&envelope, incoming, standing, schema) }
            }
            Err(error) => Record::malformed(incoming, error.to_string()),
        }
    }

    /// The record that the bytes of a stored event make, judged as they were when it was stored.
    ///
    /// # Errors
    /// Why they are not an envelope any more.
    pub(crate) fn again(event: &StoredEvent) -> Result<Self, String> {
        let incoming = Incoming::new(event.kind, event.key.as_str(), event.body.clone());
        let incoming = incoming.with_headers(event.headers.clone());
        let incoming = incoming.with_properties(event.properties.clone());
        let record = match event.standing {
            Standing::Malformed => Record::malformed(incoming, String::new()),
            standing => Record::with(
                &stored_envelope(event).map_err(|error| error.to_string())?,
                incoming,
                standing,
                event.schema,
            ),
        };
        Ok(Record { violation: event.violation.clone(), ..record })
    }

    /// The record of an envelope that has passed its contract.
    pub(crate) fn of_valid(message: Encoded) -> Self {
        let properties = message.properties();
        let (envelope, body, headers) = message.into_parts();
        let incoming = Incoming::new(envelope.kind(), envelope.event_type.as_str(), body);
        let incoming = incoming.with_headers(headers).with_properties(properties);
        Record::with(&envelope, incoming, Standing::Valid, Some(envelope.schema()))
    }

    fn with(
        envelope: &Envelope,
        incoming: Incoming,
        standing: Standing,
        schema: Option<Uuid>,
    ) -> Self {
        Record {
            id: envelope.id,
            kind: incoming.kind,
            key: incoming.key,
            headers: incoming.headers,
            properties: incoming.properties.and_then(|said| said.beyond(envelope).boxed()),
            source: envelope.source.clone(),
            timestamp: Some(time_to_micros(envelope.timestamp)),
            received: incoming.received.map(time_to_micros),
            correlation_id: envelope.correlation_id,
            causation_id: envelope.causation_id,
            session_id: envelope.session_id.clone(),
            standing,
            violation: None,
            schema,
            checksum: crc32fast::hash(&incoming.body),
            digest: Digest::of_bytes(&incoming.body),
            body: incoming.body,
        }
    }

    fn malformed(incoming: Incoming, violation: String) -> Self {
        // The same bytes under the same key are the same message, also when they come again; of a
        // CloudEvent in its binary form the bytes are not all.
        let Incoming { key, body, headers, properties, .. } = &incoming;
        let beside = match EnvelopeForm::of(headers, properties.as_deref()) {
            EnvelopeForm::CloudEventBinary => beside::text(headers, None).unwrap_or_default(),
            _ => String::new(),
        };
        let name = [key.as_bytes(), b"\n", body, beside.as_bytes()].concat();
        Record {
            id: Uuid::new_v5(&MALFORMED, &name),
            kind: incoming.kind,
            key: incoming.key,
            headers: incoming.headers,
            properties: incoming.properties.and_then(|said| said.boxed()),
            source: String::new(),
            timestamp: None,
            received: incoming.received.map(time_to_micros),
            correlation_id: None,
            causation_id: None,
            session_id: None,
            standing: Standing::Malformed,
            violation: Some(violation),
            schema: None,
            checksum: crc32fast::hash(&incoming.body),
            digest: Digest::of_bytes(&incoming.body),
            body: incoming.body,
        }
    }

    /// What tells it from another message with its id.
    pub(crate) fn said(&self) -> Said<'_> {
        Said {
            kind: self.kind,
            key: &self.key,
            body: &self.body,
            source: &self.source,
            correlation: self.correlation_id,
            causation: self.causation_id,
            session: self.session_id.as_deref(),
        }
    }

    /// What of it is counted.
    pub(crate) fn counted(&self, received: i64) -> Counted {
        Counted {
            kind: self.kind,
            key: self.key.clone(),
            source: indexed(&self.source).into(),
            standing: self.standing,
            bytes: i64::try_from(self.body.len()).unwrap_or(i64::MAX),
            timestamp: self.timestamp,
            received,
            is_gone: false,
        }
    }

    /// What travelled beside it, as it is stored.
    pub(crate) fn beside(&self) -> Option<String> {
        beside::text(&self.headers, self.properties.as_deref())
    }

    /// What is stored of it behind the event with this digest.
    pub(crate) fn chained(&self, position: Position, received: i64, before: Digest) -> EventRow {
        let row = self.row(position, received);
        EventRow { digest: Some(before.after(&row, self.digest)), ..row }
    }

    /// What is stored of it, once it has its position and its time, but for the digest.
    pub(crate) fn row(&self, position: Position, received: i64) -> EventRow {
        let column = |text: &str| indexed(text).into_owned();
        EventRow {
            position,
            id: self.id,
            kind: self.kind,
            key: self.key.as_ref().to_owned(),
            source: column(&self.source),
            timestamp: self.timestamp,
            received,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            session_id: self.session_id.as_deref().map(column),
            standing: self.standing,
            violation: self.violation.as_deref().map(|text| storable(text).into_owned()),
            schema_digest: self.schema,
            headers: self.beside(),
            body: self.body.clone(),
            checksum: self.checksum,
            imported: self.received.is_some(),
            digest: None,
        }
    }
}

/// A text as a column with an index holds it.
pub(crate) fn indexed(text: &str) -> Cow<'_, str> {
    let text = storable(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(text[..end].to_owned()),
        None => text,
    }
}

/// A text without NUL, which PostgreSQL does not store.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// The first thing that is wrong with an event by these contracts, if anything is.
///
/// It is judged as those who get it judge it, who do not take the forms of earlier versions.
pub(crate) fn violation(contracts: &Contracts, event: &StoredEvent) -> Option<String> {
    let StoredEvent { key, body, headers, properties, .. } = event;
    match read_envelope(key, body, headers, properties.as_deref()) {
        Ok(envelope) => standing(contracts.check(key, &envelope.data)).1,
        Err(error) => Some(error.to_string()),
    }
}

/// The envelope that was taken for one when it was stored, by whatever its schema said then.
///
/// # Errors
/// Why it is none any more.
pub(crate) fn stored_envelope(event: &StoredEvent) -> Result<Envelope, EnvelopeError> {
    let StoredEvent { key, body, headers, properties, .. } = event;
    let properties = properties.as_deref();
    if EnvelopeForm::of(headers, properties) != EnvelopeForm::Native {
        return read_envelope(key, body, headers, properties);
    }
    match Envelope::from_stored(body) {
        Ok(envelope) if envelope.event_type == *key => Ok(envelope),
        Ok(Envelope { event_type, .. }) => {
            Err(EnvelopeError::OtherKey { key: key.clone(), event_type })
        }
        Err(error) => Err(EnvelopeError::Malformed(error.to_string())),
    }
}

fn standing(checked: Result<(), CheckError>) -> (Standing, Option<String>) {
    match checked {
        Ok(()) => (Standing::Valid, None),
        Err(CheckError::UnknownKey(unknown)) => (Standing::Unknown, Some(unknown.to_string())),
        Err(error) => {
            let first = error.violations().first().map(ToString::to_string);
            (Standing::Invalid, first.or_else(|| Some(error.to_string())))
        }
    }
}
