//! Envelopes as AMQP messages, and back. The body is the envelope; properties and headers mirror it.

use std::sync::Arc;

use bloodbank_bus::{Delivery, DeliveryTag, Headers, Reason, TransportError, headers};
use bloodbank_core::{Envelope, Validated};
use chrono::DateTime;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use uuid::Uuid;

/// Where AMQP keeps a message across a restart.
const PERSISTENT: u8 = 2;

const SCHEMA: &str = "x-bloodbank-schema";
const CAUSATION: &str = "x-bloodbank-causation-id";
const SESSION: &str = "x-bloodbank-session-id";
const TRACEPARENT: &str = "traceparent";

/// A message on its way to the broker.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) body: Arc<[u8]>,
    pub(crate) properties: BasicProperties,
    /// Whether it is an error that no queue takes it.
    pub(crate) mandatory: bool,
}

impl Outgoing {
    /// What tells it from the others on its way: a return names nothing else.
    pub(crate) fn name(&self) -> (ShortString, Option<ShortString>, ShortString) {
        let id = self.properties.message_id().clone();
        (self.exchange.clone(), id, self.routing_key.clone())
    }
}

/// The properties and headers that mirror an envelope.
pub(crate) fn properties(
    envelope: &Envelope,
    more: &Headers,
) -> Result<BasicProperties, TransportError> {
    let seconds = u64::try_from(envelope.timestamp.timestamp()).unwrap_or(0);
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(text_of(envelope.id))
        .with_timestamp(seconds)
        .with_type(short(&envelope.event_type)?)
        .with_app_id(short(&envelope.source)?);
    if let Some(id) = envelope.correlation_id {
        properties = properties.with_correlation_id(text_of(id));
    }
    let causation = envelope.causation_id.map(|id| id.to_string());
    let mirrored = [
        (SCHEMA, envelope.schema.as_deref()),
        (TRACEPARENT, envelope.traceparent.as_deref()),
        (CAUSATION, causation.as_deref()),
        (SESSION, envelope.session_id.as_deref()),
    ];
    let mut table = FieldTable::default();
    for (name, value) in mirrored {
        if let Some(value) = value {
            table.insert(name.into(), AMQPValue::LongString(value.into()));
        }
    }
    add_headers(&mut table, more)?;
    Ok(properties.with_headers(table))
}

/// The properties of bytes that are passed on: those of the envelope, if they are one.
pub(crate) fn forwarded(body: &[u8], more: &Headers) -> Result<BasicProperties, TransportError> {
    if let Ok(envelope) = Envelope::from_bytes(body)
        && let Ok(properties) = properties(&envelope, more)
    {
        return Ok(properties);
    }
    let mut table = FieldTable::default();
    add_headers(&mut table, more)?;
    let properties = BasicProperties::default()
        .with_content_type("application/octet-stream".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(text_of(Uuid::now_v7()));
    Ok(properties.with_headers(table))
}

/// The bytes of an envelope.
pub(crate) fn body(envelope: &Validated<Envelope>) -> Result<Arc<[u8]>, TransportError> {
    let bytes = envelope.to_bytes();
    bytes.map(Into::into).map_err(|error| TransportError::Other { reason: error.to_string() })
}

/// Headers in which the broker counts what it did with a message; of one that is passed on it
/// counts anew.
const OF_THE_BROKER: [&str; 5] =
    ["x-delivery-count", "x-acquired-count", "x-death", "x-first-death-", "x-last-death-"];

fn add_headers(table: &mut FieldTable, headers: &Headers) -> Result<(), TransportError> {
    let ours = |name: &str| !OF_THE_BROKER.iter().any(|prefix| name.starts_with(prefix));
    for (name, value) in headers.iter().filter(|(name, _)| ours(name)) {
        table.insert(short(name)?, AMQPValue::LongString(value.as_str().into()));
    }
    Ok(())
}

fn text_of(id: Uuid) -> ShortString {
    let mut buffer = Uuid::encode_buffer();
    ShortString::from(&*id.hyphenated().encode_lower(&mut buffer))
}

/// A text of at most 255 bytes.
///
/// # Errors
/// If it is longer; AMQP has no place for it.
pub(crate) fn short(text: &str) -> Result<ShortString, TransportError> {
    ShortString::try_new(text).map_err(|_| TransportError::Other {
        reason: format!("a name of {} bytes is too long for AMQP, which takes 255", text.len()),
    })
}

/// A message from a queue.
pub(crate) struct Incoming<'m> {
    pub(crate) exchange: &'m str,
    pub(crate) routing_key: &'m str,
    pub(crate) redelivered: bool,
    pub(crate) properties: &'m BasicProperties,
}

/// What a message from a queue is to the bus.
pub(crate) fn delivery(
    tag: DeliveryTag,
    queue: &Arc<str>,
    message: &Incoming<'_>,
    body: Vec<u8>,
) -> Delivery {
    let table = message.properties.headers().as_ref();
    let mut texts = table.map(texts_of).unwrap_or_default();
    let death = table.and_then(last_death);
    if let Some(death) = &death {
        note_death(&mut texts, death);
    }
    let failed = texts.get(headers::ATTEMPTS).and_then(|text| text.parse::<u32>().ok());
    let attempt = failed.unwrap_or(0).saturating_add(1);
    let key = texts.remove(headers::KEY);
    Delivery {
        tag,
        queue: queue.clone(),
        key: key.map_or_else(|| key_of(message, death.as_ref()).into(), Into::into),
        body: body.into(),
        headers: texts,
        attempt,
        redelivered: message.redelivered,
        reply_to: message.properties.reply_to().as_ref().map(|to| to.as_str().into()),
    }
}

/// The routing key that a message was published under first.
fn key_of<'m>(message: &Incoming<'m>, death: Option<&'m Death>) -> &'m str {
    if !message.exchange.is_empty() {
        return message.routing_key;
    }
    // Through the default exchange the routing key is the name of a queue.
    let before = death.and_then(|death| death.routing_key.as_deref());
    let said = message.properties.kind().as_ref().map(ShortString::as_str);
    before.or(said).unwrap_or(message.routing_key)
}

/// How the broker itself took a message out of a queue.
struct Death {
    reason: String,
    queue: String,
    routing_key: Option<String>,
    /// Seconds since 1970.
    time: Option<u64>,
}

fn last_death(table: &FieldTable) -> Option<Death> {
    let AMQPValue::FieldArray(deaths) = table.inner().get("x-death")? else { return None };
    let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else { return None };
    let text = |name: &str| death.inner().get(name).and_then(text_in);
    let first = |keys: &FieldArray| keys.as_slice().first().and_then(text_in);
    let routing_key = match death.inner().get("routing-keys") {
        Some(AMQPValue::FieldArray(keys)) => first(keys),
        _ => None,
    };
    let time = match death.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => Some(*seconds),
        _ => None,
    };
    Some(Death { reason: text("reason")?, queue: text("queue")?, routing_key, time })
}

/// What the broker parked by itself says why and from where, as what we park does.
fn note_death(texts: &mut Headers, death: &Death) {
    if death.reason == "delivery_limit" && !texts.contains_key(headers::REASON) {
        texts.insert(headers::REASON.to_owned(), Reason::DeliveryLimit.to_string());
        texts.insert(headers::PARKED_FROM.to_owned(), death.queue.clone());
        let time = death.time.and_then(|seconds| i64::try_from(seconds).ok());
        if let Some(time) = time.and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
            texts.insert(headers::PARKED_AT.to_owned(), time.to_rfc3339());
        }
    }
}

fn texts_of(table: &FieldTable) -> Headers {
    let text = |(name, value): (&ShortString, &AMQPValue)| {
        Some((name.as_str().to_owned(), text_in(value)?))
    };
    table.inner().iter().filter_map(text).collect()
}

fn text_in(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        AMQPValue::Boolean(value) => Some(value.to_string()),
        other => integer_in(other).map(|number| number.to_string()),
    }
}

fn integer_in(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(n) => Some(n.into()),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => Some(n.into()),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => Some(n.into()),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => Some(n),
        _ => None,
    }
}
