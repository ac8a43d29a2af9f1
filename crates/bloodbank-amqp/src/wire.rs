//! Messages as AMQP has them, and back. The body is the envelope; properties and headers mirror it.

use std::sync::Arc;

use bloodbank_bus::{
    Delivery, DeliveryTag, HeaderValue, Headers, Properties, Reason, TransportError, Verbatim,
    headers,
};
use bloodbank_core::Envelope;
use chrono::DateTime;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use uuid::Uuid;

use crate::replies::REPLY_TO;
use crate::values;

/// Where AMQP keeps a message across a restart.
const PERSISTENT: u8 = 2;

/// The most bytes of a short string.
const SHORT: usize = 255;

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
pub(crate) fn mirrored(
    envelope: &Envelope,
    more: &Headers,
) -> Result<BasicProperties, TransportError> {
    let causation = envelope.causation_id.map(|id| id.to_string());
    let mirrored = [
        (headers::SCHEMA, envelope.schema.as_deref()),
        (headers::TRACEPARENT, envelope.traceparent.as_deref()),
        (headers::TRACESTATE, envelope.tracestate.as_deref()),
        (headers::CAUSATION_ID, causation.as_deref()),
        (headers::SESSION_ID, envelope.session_id.as_deref()),
    ];
    let mut table = FieldTable::default();
    for (name, value) in mirrored {
        if let Some(value) = value {
            table.insert(name.into(), AMQPValue::LongString(value.into()));
        }
    }
    add_headers(&mut table, more)?;
    Ok(basic(Properties::of(envelope)).with_headers(table))
}

/// The properties of a message that is passed on with these headers: its own. One that has none gets
/// those of its envelope, if it is one.
pub(crate) fn forwarded(
    message: &Verbatim,
    headers: &Headers,
) -> Result<BasicProperties, TransportError> {
    let properties = match &message.properties {
        Some(properties) => basic((**properties).clone()),
        None => match message.envelope() {
            Ok(envelope) => return mirrored(envelope, headers),
            Err(_) => strange(),
        },
    };
    let mut table = FieldTable::default();
    add_headers(&mut table, headers)?;
    Ok(properties.with_headers(table))
}

/// The properties of an answer to the command with this id.
pub(crate) fn answer(correlation_id: Option<ShortString>) -> BasicProperties {
    let answer = strange().with_content_type("application/json".into());
    answer.with_correlation_id(correlation_id.unwrap_or_default())
}

/// Those of bytes of which nothing is known.
fn strange() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/octet-stream".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(text_of(Uuid::now_v7()))
}

fn basic(properties: Properties) -> BasicProperties {
    type Set = fn(BasicProperties, ShortString) -> BasicProperties;
    let mut basic = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let texts: [(Option<String>, Set); 7] = [
        (properties.content_type, BasicProperties::with_content_type),
        (properties.content_encoding, BasicProperties::with_content_encoding),
        (properties.correlation_id, BasicProperties::with_correlation_id),
        (properties.reply_to, BasicProperties::with_reply_to),
        (properties.message_id, BasicProperties::with_message_id),
        (properties.kind, BasicProperties::with_type),
        (properties.app_id, BasicProperties::with_app_id),
    ];
    for (text, set) in texts {
        if let Some(text) = text {
            basic = set(basic, cut(text));
        }
    }
    if let Some(priority) = properties.priority {
        basic = basic.with_priority(priority);
    }
    match properties.timestamp {
        Some(seconds) => basic.with_timestamp(seconds),
        None => basic,
    }
}

/// What a message said beside its headers. An address that only its own channel could answer is no
/// use to anybody later, and the broker refuses it.
fn properties(basic: &BasicProperties) -> Option<Box<Properties>> {
    let text = |text: &Option<ShortString>| text.as_ref().map(|text| text.as_str().to_owned());
    let mut properties = Properties::default();
    properties.content_type = text(basic.content_type());
    properties.content_encoding = text(basic.content_encoding());
    properties.priority = *basic.priority();
    properties.correlation_id = text(basic.correlation_id());
    properties.reply_to = text(basic.reply_to()).filter(|to| !to.starts_with(REPLY_TO));
    properties.message_id = text(basic.message_id());
    properties.timestamp = *basic.timestamp();
    properties.kind = text(basic.kind());
    properties.app_id = text(basic.app_id());
    // In a box even if there are none: it is known that there are none.
    Some(Box::new(properties))
}

/// Headers in which the broker counts what it did with a message, and counts anew for one that is
/// passed on, a `-` at the end standing for whatever follows; and those that it would obey a second time.
const OF_THE_BROKER: [&str; 5] =
    ["x-delivery-count", "x-acquired-count", "x-death", "x-first-death-", "x-last-death-"];
const COPIES: [&str; 2] = ["CC", "BCC"];

fn add_headers(table: &mut FieldTable, headers: &Headers) -> Result<(), TransportError> {
    for (name, value) in headers.iter().filter(|(name, _)| !is_of_the_broker(name)) {
        table.insert(short(name)?, values::to_amqp(value)?);
    }
    Ok(())
}

fn is_of_the_broker(name: &str) -> bool {
    let theirs = |its: &&str| name == *its || (its.ends_with('-') && name.starts_with(its));
    OF_THE_BROKER.iter().any(theirs) || COPIES.contains(&name)
}

pub(crate) fn text_of(id: Uuid) -> ShortString {
    let mut buffer = Uuid::encode_buffer();
    ShortString::from(&*id.hyphenated().encode_lower(&mut buffer))
}

/// A text of at most 255 bytes.
///
/// # Errors
/// If it is longer; AMQP has no place for it.
pub(crate) fn short(text: &str) -> Result<ShortString, TransportError> {
    ShortString::try_new(text)
        .map_err(|_| TransportError::NameTooLong { bytes: text.len(), most: SHORT })
}

/// As much of a text as a property can hold; the envelope has all of it.
fn cut(mut text: String) -> ShortString {
    text.truncate(text.floor_char_boundary(SHORT));
    ShortString::try_new(text).unwrap_or_default()
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
    let mut headers = table.map(values::headers_of).unwrap_or_default();
    let death = table.and_then(last_death);
    if let Some(death) = &death {
        note_death(&mut headers, death);
    }
    // A value of another type under that name is a stranger's.
    let key: Option<Arc<str>> =
        headers.get(headers::KEY).and_then(HeaderValue::as_str).map(Arc::from);
    if key.is_some() {
        headers.remove(headers::KEY);
    }
    let key = key.unwrap_or_else(|| key_of(message, death.as_ref()).into());
    let reply_to = message.properties.reply_to().as_ref().map(|to| to.as_str().into());
    let carried =
        Verbatim::stored(key, body, headers).with_properties(properties(message.properties));
    Delivery::new(tag, queue.clone(), carried)
        .with_redelivered(message.redelivered)
        .with_reply_to(reply_to)
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
fn note_death(headers: &mut Headers, death: &Death) {
    let reason = match &*death.reason {
        "delivery_limit" => Reason::DeliveryLimit,
        "maxlen" => Reason::QueueFull,
        // It was rejected or has waited, which says nothing more.
        _ => return,
    };
    if headers.contains_key(headers::REASON) {
        return;
    }
    let mut note = |name: &str, value: HeaderValue| headers.insert(name.to_owned(), value);
    note(headers::REASON, reason.as_str().into());
    note(headers::PARKED_FROM, death.queue.as_str().into());
    let time = death.time.and_then(|seconds| i64::try_from(seconds).ok());
    if let Some(time) = time.and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
        note(headers::PARKED_AT, time.to_rfc3339().into());
    }
}

fn text_in(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(lossy(text)),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn lossy(text: &LongString) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_broker_itself_writes_is_left_out() {
        let theirs = ["x-death", "x-delivery-count", "x-first-death-queue", "x-last-death-x", "CC"];
        let others = ["x-death-note", "x-delivery-country", "x-first-death", "x-mine", "CCs"];
        let headers = theirs.iter().chain(&others).map(|name| ((*name).to_owned(), "v".into()));
        let mut table = FieldTable::default();
        add_headers(&mut table, &headers.collect()).unwrap();
        let mut passed: Vec<&str> = table.inner().keys().map(ShortString::as_str).collect();
        passed.sort_unstable();
        let mut expected = others;
        expected.sort_unstable();
        assert_eq!(passed, expected);
    }

    #[test]
    fn only_a_text_is_taken_for_the_key() {
        let of_value = |value: AMQPValue| {
            let mut table = FieldTable::default();
            table.insert(headers::KEY.into(), value);
            let properties = BasicProperties::default().with_headers(table);
            let message = Incoming {
                exchange: "events",
                routing_key: "a.b",
                redelivered: false,
                properties: &properties,
            };
            let delivery =
                delivery(DeliveryTag { consumer: 1, number: 1 }, &"q".into(), &message, Vec::new());
            (delivery.key.to_string(), delivery.headers.get(headers::KEY).cloned())
        };
        assert_eq!(of_value(AMQPValue::LongString("c.d".into())), ("c.d".to_owned(), None));
        let kept = Some(HeaderValue::I32(7));
        assert_eq!(of_value(AMQPValue::LongInt(7)), ("a.b".to_owned(), kept));
    }
}
