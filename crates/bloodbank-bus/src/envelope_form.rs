//! In which words a message holds its envelope: our own, or those of CloudEvents.

use bloodbank_core::{Envelope, EnvelopeError, SealError, escape_control};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value};

use crate::properties::JSON;
use crate::{HeaderValue, Headers, Properties};

/// In which words a message holds its envelope. All of them are understood when they are received;
/// which one is published, the publisher says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnvelopeForm {
    /// Our own: the bytes are the envelope as JSON.
    #[default]
    Native,
    /// A CloudEvent 1.0 in its structured form: the bytes are the event as JSON.
    CloudEvent,
    /// A CloudEvent 1.0 in its binary form: the bytes are the payload, and the attributes are headers,
    /// as the AMQP binding of CloudEvents has it.
    CloudEventBinary,
}

/// The media type of a CloudEvent in its structured form.
const STRUCTURED: &str = "application/cloudevents+json";
/// How the media types of all forms of CloudEvents begin but for the binary one.
const CLOUD_EVENTS: &str = "application/cloudevents";
/// How headers begin that are attributes: the first two by the AMQP binding of CloudEvents, of which
/// we write the first; the third by Knative's binding for RabbitMQ.
const PREFIXES: [&str; 3] = ["cloudEvents_", "cloudEvents:", "ce-"];
/// The attribute that every event has, after each of them.
const VERSIONS: [&str; 3] =
    ["cloudEvents_specversion", "cloudEvents:specversion", "ce-specversion"];

impl EnvelopeForm {
    /// The form of a message with these headers and properties.
    pub fn of(headers: &Headers, properties: Option<&Properties>) -> Self {
        let media = media_type(properties).as_bytes();
        let start = media.get(..CLOUD_EVENTS.len()).unwrap_or_default();
        if start.eq_ignore_ascii_case(CLOUD_EVENTS.as_bytes()) {
            EnvelopeForm::CloudEvent
        } else if VERSIONS.iter().any(|name| headers.contains_key(*name)) {
            EnvelopeForm::CloudEventBinary
        } else {
            EnvelopeForm::Native
        }
    }

    /// The media type of the bytes that it makes.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            EnvelopeForm::CloudEvent => STRUCTURED,
            EnvelopeForm::Native | EnvelopeForm::CloudEventBinary => JSON,
        }
    }

    /// The bytes of an envelope, with the headers that are a part of it added to those that are there.
    pub(crate) fn write(
        self,
        envelope: &Envelope,
        headers: &mut Headers,
    ) -> Result<Vec<u8>, SealError> {
        if self == EnvelopeForm::Native {
            return envelope.to_bytes().map_err(SealError::Encode);
        }
        let mut event = envelope.to_cloud_event()?;
        if self == EnvelopeForm::CloudEvent {
            return serde_json::to_vec(&event).map_err(SealError::Encode);
        }
        let data = event.shift_remove("data").unwrap_or_default();
        // AMQP has a property for it.
        event.shift_remove("datacontenttype");
        for (name, value) in event {
            headers.insert(format!("{}{name}", PREFIXES[0]), header(value));
        }
        serde_json::to_vec(&data).map_err(SealError::Encode)
    }
}

/// Reads the envelope of a message, in whichever form it is; see [`Envelope::read`].
///
/// # Errors
/// [`EnvelopeError`].
pub fn read_envelope(
    key: &str,
    body: &[u8],
    headers: &Headers,
    properties: Option<&Properties>,
) -> Result<Envelope, EnvelopeError> {
    match EnvelopeForm::of(headers, properties) {
        EnvelopeForm::Native => Envelope::read(key, body),
        EnvelopeForm::CloudEvent => {
            let media = media_type(properties).to_ascii_lowercase();
            let attributes = structured(body, &media)?;
            Envelope::read_cloud_event(key, attributes)
        }
        EnvelopeForm::CloudEventBinary => {
            Envelope::read_cloud_event(key, binary(body, headers, properties)?)
        }
    }
}

/// The attributes of an event in its structured form.
fn structured(body: &[u8], media: &str) -> Result<Map<String, Value>, EnvelopeError> {
    if media != STRUCTURED {
        return Err(malformed(&format!("`{media}` is not taken in, only `{STRUCTURED}`")));
    }
    serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))
}

/// The attributes of an event in its binary form.
fn binary(
    body: &[u8],
    headers: &Headers,
    properties: Option<&Properties>,
) -> Result<Map<String, Value>, EnvelopeError> {
    let mut event = Map::new();
    for (header, value) in headers {
        let name = PREFIXES.iter().find_map(|prefix| header.strip_prefix(prefix));
        let Some(name) = name else { continue };
        let value = attribute(name, value).ok_or_else(|| {
            malformed(&format!("the attribute `{name}` is not a text, a number or a truth value"))
        })?;
        if event.insert(name.to_owned(), value).is_some() || name.starts_with("data_") {
            return Err(malformed(&format!("a CloudEvent that says `{name}` twice")));
        }
    }
    let media = properties.and_then(|properties| properties.content_type.clone());
    if let Some(media) = media {
        event.insert("datacontenttype".to_owned(), media.into());
    }
    let data: Value = serde_json::from_slice(body)
        .map_err(|error| malformed(&format!("its data is not JSON: {error}")))?;
    event.insert("data".to_owned(), data);
    Ok(event)
}

fn malformed(reason: &str) -> EnvelopeError {
    EnvelopeError::Malformed(escape_control(reason))
}

/// The media type of the bytes without its parameters, in whichever letters.
fn media_type(properties: Option<&Properties>) -> &str {
    let said = properties.and_then(|properties| properties.content_type.as_deref());
    said.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

/// An attribute as a header: in AMQP's own type where it has one.
fn header(attribute: Value) -> HeaderValue {
    match attribute {
        Value::Bool(value) => HeaderValue::Bool(value),
        Value::String(text) => text.into(),
        // Of numbers there are only those of 32 bits.
        other => match other.as_i64().and_then(|number| i32::try_from(number).ok()) {
            Some(number) => HeaderValue::I32(number),
            None => other.to_string().into(),
        },
    }
}

/// A header as an attribute; none for what no attribute is. A time may be a number: milliseconds since
/// 1970.
fn attribute(name: &str, header: &HeaderValue) -> Option<Value> {
    Some(match header {
        HeaderValue::Null => Value::Null,
        HeaderValue::Bool(value) => (*value).into(),
        HeaderValue::Text(text) => text.as_str().into(),
        HeaderValue::Time(seconds) => {
            let time = DateTime::from_timestamp(i64::try_from(*seconds).ok()?, 0)?;
            time.to_rfc3339_opts(SecondsFormat::Secs, true).into()
        }
        number if name == "time" => {
            let time = DateTime::from_timestamp_millis(number.as_i64()?)?;
            time.to_rfc3339_opts(SecondsFormat::Millis, true).into()
        }
        number => number.as_i64()?.into(),
    })
}
