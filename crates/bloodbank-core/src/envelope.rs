//! The envelope that goes around every payload.

use chrono::{DateTime, Datelike, SubsecRound, Timelike, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Code, Violation, bounds, escape_control, forms};

/// A message as it travels: who said what, when, and because of what.
///
/// `schemas/_common/envelope.v1.json` defines it. Fields that this version does not know are kept in
/// [`extra`](Envelope::extra) and passed on, so that a later version may add one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Envelope {
    /// Idempotency key: a message with the same id is the same message. Version 7 when we mint it.
    #[serde(deserialize_with = "forms::uuid")]
    pub id: Uuid,
    /// The routing key, with its version.
    pub event_type: String,
    /// The publishing service.
    pub source: String,
    /// When it happened, in UTC. Written with six digits of the second, so that text sorts by time.
    #[serde(serialize_with = "write_timestamp", deserialize_with = "forms::date_time")]
    pub timestamp: DateTime<Utc>,
    /// What a whole piece of work has in common: the id of its first envelope, unless it was chosen.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "forms::maybe_uuid"
    )]
    pub correlation_id: Option<Uuid>,
    /// The id of the envelope that this one follows from.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "forms::maybe_uuid"
    )]
    pub causation_id: Option<Uuid>,
    /// The session of a user or agent that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The contract's `$id`, if it has one. Says what the publisher meant; the key decides what is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// W3C Trace Context: trace and parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// W3C Trace Context: what tracing systems note on the trace, each for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// The payload, which the contract describes: an object.
    pub data: Value,
    /// Fields that this version does not know, as they came. They are written again after the others.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Envelope {
    /// An envelope around a payload. What `meta` leaves open is minted: the id, and now.
    ///
    /// Checks nothing: see [`Contracts::validate`](crate::Contracts::validate).
    pub fn new(
        event_type: impl Into<String>,
        source: impl Into<String>,
        data: Value,
        meta: Meta,
    ) -> Self {
        let (event_type, source) = (event_type.into(), source.into());
        let derived = meta.idempotency_key.map(|key| derived_id(&event_type, &source, &key));
        Envelope {
            id: meta.id.or(derived).unwrap_or_else(Uuid::now_v7),
            event_type,
            source,
            // Microseconds: what the stores and the other languages can carry.
            timestamp: meta.timestamp.unwrap_or_else(Utc::now).trunc_subsecs(6),
            correlation_id: meta.correlation_id,
            causation_id: meta.causation_id,
            session_id: meta.session_id,
            schema: None,
            traceparent: meta.traceparent,
            tracestate: meta.tracestate,
            data,
            extra: Map::new(),
        }
    }

    /// The envelope as JSON, as it goes over every wire and into every store.
    ///
    /// # Errors
    /// None that is known; the signature is serde's.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, self)?;
        Ok(bytes)
    }

    /// Reads an envelope. Says nothing about its payload, nor about the bounds of its fields; whoever
    /// takes one in asks [`Envelope::read`].
    ///
    /// # Errors
    /// If the bytes are not JSON or not an envelope. The message may repeat a value from the input.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The same for bytes that were stored some time ago: UUIDs may stand there without hyphens, and
    /// times in a form that only resembles RFC 3339, as earlier versions have read them.
    ///
    /// # Errors
    /// Those of [`from_bytes`](Envelope::from_bytes).
    pub fn from_stored(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        Envelope::from_bytes(bytes).or_else(|error| {
            let mut fields: Map<String, Value> = serde_json::from_slice(bytes)?;
            forms::strengthen(&mut fields);
            serde_json::from_value(Value::Object(fields)).map_err(|_| error)
        })
    }

    /// Reads the envelope of a message that travelled under a routing key, and asks whether it is
    /// what `schemas/_common/envelope.v1.json` asks for. Says nothing about its payload.
    ///
    /// # Errors
    /// [`EnvelopeError`], whose words are fit for a terminal.
    pub fn read(key: &str, bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Envelope::judged(key, Envelope::from_bytes(bytes))
    }

    /// The same for bytes that were stored some time ago, as in [`from_stored`](Envelope::from_stored).
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn read_stored(key: &str, bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Envelope::judged(key, Envelope::from_stored(bytes))
    }

    pub(crate) fn judged(
        key: &str,
        said: Result<Self, serde_json::Error>,
    ) -> Result<Self, EnvelopeError> {
        let envelope =
            said.map_err(|error| EnvelopeError::Malformed(escape_control(&error.to_string())))?;
        if envelope.event_type != key {
            return Err(EnvelopeError::OtherKey {
                key: escape_control(key),
                event_type: escape_control(&envelope.event_type),
            });
        }
        let violations = bounds::violations(&envelope);
        if violations.is_empty() { Ok(envelope) } else { Err(EnvelopeError::Bounds(violations)) }
    }

    /// Takes the trace context that travelled beside the envelope for what the envelope does not say
    /// itself. What is not a trace context is passed over.
    pub fn adopt_trace(&mut self, traceparent: Option<&str>, tracestate: Option<&str>) {
        let traceparent = traceparent.filter(|text| bounds::is_traceparent(text));
        if self.traceparent.is_none() {
            self.traceparent = traceparent.map(str::to_owned);
        }
        // The state belongs to its trace: that of another one would be wrong.
        if self.tracestate.is_none()
            && traceparent.is_some()
            && self.traceparent.as_deref() == traceparent
        {
            let tracestate = tracestate.filter(|text| bounds::is_tracestate(text));
            self.tracestate = tracestate.map(str::to_owned);
        }
    }
}

/// Why a message does not hold an envelope that can be taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes are not JSON or not an envelope. The reason may repeat a value from them.
    #[error("not an envelope: {0}")]
    Malformed(String),
    /// The envelope names another routing key than the message had.
    #[error("it travelled as `{key}` and says that it is `{event_type}`")]
    OtherKey {
        /// The routing key of the message.
        key: String,
        /// What the envelope says.
        event_type: String,
    },
    /// Fields of the envelope are not what its schema asks for, in these ways.
    #[error("not an envelope as its schema wants it: {}", in_one_line(.0))]
    Bounds(Vec<Violation>),
}

impl EnvelopeError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            EnvelopeError::Malformed(_) => Code::EnvelopeMalformed,
            EnvelopeError::OtherKey { .. } => Code::EnvelopeOtherKey,
            EnvelopeError::Bounds(_) => Code::EnvelopeRefused,
        }
    }
}

fn in_one_line(violations: &[Violation]) -> String {
    let texts: Vec<String> = violations.iter().map(Violation::to_string).collect();
    texts.join("; ")
}

/// The same for the same key, source and idempotency key, everywhere and always.
fn derived_id(event_type: &str, source: &str, key: &str) -> Uuid {
    // A line break stands in no routing key, so that no two triples read alike.
    let name = format!("{event_type}\n{}\n{source}\n{key}", source.len());
    Uuid::new_v5(&IDEMPOTENCY_KEYS, name.as_bytes())
}

/// The namespace (RFC 9562) of ids that are made from idempotency keys.
const IDEMPOTENCY_KEYS: Uuid = Uuid::from_u128(0x0195_c3b9_4e77_7a21_9d38_5c0b_6f1e_2a94);

/// `2025-01-31T12:00:00.000000Z`, at a tenth of the cost of chrono's formatter.
fn write_timestamp<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    let time = time.naive_utc();
    let micros = time.nanosecond() / 1_000;
    let (Ok(year @ 0..=9_999), 0..=999_999) = (u32::try_from(time.year()), micros) else {
        // Years that RFC 3339 does not have, and leap seconds.
        return time.and_utc().serialize(serializer);
    };
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut write = |at: std::ops::Range<usize>, mut number: u32| {
        for digit in text[at].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    write(0..4, year);
    write(5..7, time.month());
    write(8..10, time.day());
    write(11..13, time.hour());
    write(14..16, time.minute());
    write(17..19, time.second());
    write(20..26, micros);
    serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
}

/// What a publisher may say about a message beside its payload; what it leaves open is minted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// See [`Envelope::id`]. Set it to publish the same message again.
    pub id: Option<Uuid>,
    /// Makes the id, unless one is set: messages of one key and source with the same idempotency key
    /// have the same id, so that only the first of them is handled.
    pub idempotency_key: Option<String>,
    /// See [`Envelope::timestamp`].
    pub timestamp: Option<DateTime<Utc>>,
    /// See [`Envelope::correlation_id`].
    pub correlation_id: Option<Uuid>,
    /// See [`Envelope::causation_id`].
    pub causation_id: Option<Uuid>,
    /// See [`Envelope::session_id`].
    pub session_id: Option<String>,
    /// See [`Envelope::traceparent`].
    pub traceparent: Option<String>,
    /// See [`Envelope::tracestate`].
    pub tracestate: Option<String>,
}

impl Meta {
    /// Everything open.
    pub fn new() -> Self {
        Meta::default()
    }

    /// Sets the id, to publish the same message again.
    pub fn with_id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets what makes the id: whoever repeats it means the same message.
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets when it happened.
    pub fn with_timestamp(mut self, timestamp: DateTime<Utc>) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Sets what the piece of work has in common.
    pub fn with_correlation_id(mut self, id: Uuid) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// Sets what it follows from; see also [`Meta::caused_by`].
    pub fn with_causation_id(mut self, id: Uuid) -> Self {
        self.causation_id = Some(id);
        self
    }

    /// Sets the session it belongs to.
    pub fn with_session_id(mut self, id: impl Into<String>) -> Self {
        self.session_id = Some(id.into());
        self
    }

    /// Sets the W3C trace context.
    pub fn with_traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Sets what tracing systems note on the trace.
    pub fn with_tracestate(mut self, tracestate: impl Into<String>) -> Self {
        self.tracestate = Some(tracestate.into());
        self
    }

    /// Links it to the envelope that it follows from.
    ///
    /// Sets the causation; the correlation is that of the cause, or the cause itself if it began the
    /// work. Session and trace context are passed on unless they are set already.
    pub fn caused_by(mut self, cause: &Envelope) -> Self {
        self.causation_id = Some(cause.id);
        self.correlation_id = Some(cause.correlation_id.unwrap_or(cause.id));
        self.session_id = self.session_id.or_else(|| cause.session_id.clone());
        if self.traceparent.is_none() {
            self.traceparent.clone_from(&cause.traceparent);
            self.tracestate = self.tracestate.or_else(|| cause.tracestate.clone());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_absent_is_not_written() {
        let envelope = Envelope::new("llm.prompt", "agent", json!({"a": 1}), Meta::new());
        let text = String::from_utf8(envelope.to_bytes().unwrap()).unwrap();
        assert!(text.starts_with(r#"{"id":""#) && text.ends_with(r#""data":{"a":1}}"#), "{text}");
        assert!(!text.contains("null") && !text.contains("correlation_id"), "{text}");
        assert_eq!(Envelope::from_bytes(text.as_bytes()).unwrap(), envelope);
        assert_eq!(envelope.id.get_version_num(), 7);
    }

    #[test]
    fn unknown_fields_are_kept_and_written_again() {
        let mut value =
            serde_json::to_value(Envelope::new("a.b", "s", json!({"n": 1}), Meta::new())).unwrap();
        value["tenant"] = json!({"name": "x", "quota": [1.5, null]});
        value["priority"] = Value::Null;
        let envelope = Envelope::from_bytes(value.to_string().as_bytes()).unwrap();
        assert_eq!(envelope.extra.len(), 2);
        let again: Value = serde_json::from_slice(&envelope.to_bytes().unwrap()).unwrap();
        assert_eq!(again, value);
    }

    #[test]
    fn what_earlier_versions_have_stored_is_still_read() {
        let id = Uuid::now_v7();
        let old = json!({
            "id": id.simple().to_string(), "event_type": "a.b", "source": "s", "data": {},
            "timestamp": "2026-01-31 12:00:00 +00:00", "causation_id": format!("{{{id}}}"),
        });
        let bytes = old.to_string().into_bytes();
        assert!(Envelope::from_bytes(&bytes).is_err());
        let envelope = Envelope::from_stored(&bytes).unwrap();
        assert_eq!((envelope.id, envelope.causation_id), (id, Some(id)));
        assert_eq!(envelope.timestamp.to_rfc3339(), "2026-01-31T12:00:00+00:00");
        assert_eq!(Envelope::read_stored("a.b", &bytes).unwrap(), envelope);
        assert!(Envelope::read_stored("a.c", &bytes).is_err());
        for strange in [json!({"id": 7}), json!([1])] {
            assert!(Envelope::from_stored(strange.to_string().as_bytes()).is_err());
        }
    }

    #[test]
    fn a_trace_beside_the_envelope_fills_what_it_does_not_say() {
        let (one, other) =
            (format!("00-{:032x}-{:016x}-01", 1, 1), format!("00-{:032x}-{:016x}-01", 2, 2));
        let traced = |meta: Meta, parent: &str, state: &str| {
            let mut envelope = Envelope::new("a.b", "s", json!({}), meta);
            envelope.adopt_trace(Some(parent), Some(state));
            (envelope.traceparent, envelope.tracestate)
        };
        let both = |parent: &str, state: &str| (Some(parent.to_owned()), Some(state.to_owned()));
        assert_eq!(traced(Meta::new(), &one, "a=1"), both(&one, "a=1"));
        assert_eq!(traced(Meta::new(), "nonsense", "a=1"), (None, None));
        assert_eq!(traced(Meta::new(), &one, "\u{e9}"), (Some(one.clone()), None));
        let said = Meta::new().with_traceparent(&*other);
        assert_eq!(traced(said.clone(), &one, "a=1"), (Some(other.clone()), None));
        assert_eq!(traced(said.clone(), &other, "a=1"), both(&other, "a=1"));
        assert_eq!(traced(said.with_tracestate("b=2"), &other, "a=1"), both(&other, "b=2"));
    }

    #[test]
    fn nulls_of_other_languages_are_absent() {
        let mut value =
            serde_json::to_value(Envelope::new("a.b", "s", Value::Null, Meta::new())).unwrap();
        value["session_id"] = Value::Null;
        assert!(Envelope::from_bytes(value.to_string().as_bytes()).unwrap().session_id.is_none());
    }

    proptest! {
        #[test]
        fn timestamps_come_back(
            micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000,
        ) {
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            let envelope = Envelope::new("a.b", "s", Value::Null, Meta::new().with_timestamp(time));
            let text = serde_json::to_value(&envelope).unwrap()["timestamp"].clone();
            let text = text.as_str().unwrap();
            prop_assert_eq!(DateTime::parse_from_rfc3339(text).unwrap(), time);
            prop_assert_eq!(text.len(), 27);
        }
    }

    #[test]
    fn an_idempotency_key_is_an_id() {
        let id = |key: &str, source: &str, idempotency: &str| {
            let meta = Meta::new().with_idempotency_key(idempotency);
            Envelope::new(key, source, Value::Null, meta).id
        };
        let first = id("a.b", "s", "order-7");
        assert_eq!(first, id("a.b", "s", "order-7"));
        let others = [id("a.c", "s", "order-7"), id("a.b", "t", "order-7"), id("a.b", "s", "8")];
        assert!(!others.contains(&first));
        assert_ne!(id("a.b", "s\nx", "y"), id("a.b", "s", "x\ny"));
    }

    #[test]
    fn chains() {
        let first = Envelope::new("a.b", "s", Value::Null, Meta::new().with_session_id("s1"));
        let second = Envelope::new("a.c", "s", Value::Null, Meta::new().caused_by(&first));
        let third = Envelope::new("a.d", "s", Value::Null, Meta::new().caused_by(&second));
        assert_eq!(third.causation_id, Some(second.id));
        assert_eq!(third.correlation_id, Some(first.id));
        assert_eq!(third.session_id.as_deref(), Some("s1"));
        let traced = Meta::new().with_traceparent("a").with_tracestate("b");
        let traced = Envelope::new("a.b", "s", Value::Null, traced);
        let next = Meta::new().caused_by(&traced);
        assert_eq!(
            (next.traceparent.as_deref(), next.tracestate.as_deref()),
            (Some("a"), Some("b"))
        );
        // The state belongs to its trace.
        assert_eq!(Meta::new().with_traceparent("c").caused_by(&traced).tracestate, None);
    }
}
