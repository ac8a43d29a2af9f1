//! What travels beside a message, and the names that we give it.

mod value;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

pub use self::value::HeaderValue;

/// What travels beside a message: values with names. Those of others are passed on as they are.
pub type Headers = BTreeMap<String, HeaderValue>;

/// Until when the sender of a command waits for its answer, RFC 3339 in UTC.
pub const ANSWER_BY: &str = "x-bloodbank-answer-by";
/// How often its handlers have failed.
pub const ATTEMPTS: &str = "x-bloodbank-attempts";
/// The id of the envelope that it follows from. The envelope says the same.
pub const CAUSATION_ID: &str = "x-bloodbank-causation-id";
/// What a handler said when it last failed.
pub const ERROR: &str = "x-bloodbank-error";
/// When nobody waits for the message any more, RFC 3339 in UTC: from then on it is not handled.
pub const EXPIRES_AT: &str = "x-bloodbank-expires-at";
/// When the message first failed, RFC 3339 in UTC.
pub const FIRST_FAILED: &str = "x-bloodbank-first-failed";
/// The routing key that the message was published under, where it had to travel under another.
pub const KEY: &str = "x-bloodbank-key";
/// When a scheduled message is due, RFC 3339 in UTC. No queue gets it before.
pub const NOT_BEFORE: &str = "x-bloodbank-not-before";
/// When the message was parked, RFC 3339 in UTC.
pub const PARKED_AT: &str = "x-bloodbank-parked-at";
/// The queue that the message was parked from.
pub const PARKED_FROM: &str = "x-bloodbank-parked-from";
/// The position that a store gave the message, in decimal.
pub const POSITION: &str = "x-bloodbank-position";
/// Why the message was parked: one of [`Reason`](crate::Reason), in a word.
pub const REASON: &str = "x-bloodbank-reason";
/// How often the message was brought back from the dead letters.
pub const REDRIVES: &str = "x-bloodbank-redrives";
/// Names the replay that the message is part of; deduplication counts it in.
pub const REPLAY: &str = "x-bloodbank-replay";
/// Where the sender of a command waits for its answer, on a bus that has no property for it.
pub const REPLY_TO: &str = "x-bloodbank-reply-to";
/// The `$id` of the contract. The envelope says the same.
pub const SCHEMA: &str = "x-bloodbank-schema";
/// The session that it belongs to. The envelope says the same.
pub const SESSION_ID: &str = "x-bloodbank-session-id";
/// W3C Trace Context. The envelope may say the same; where it does not, this counts.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context, the state that belongs to [`TRACEPARENT`].
pub const TRACESTATE: &str = "tracestate";

/// The text of a header, if it is one.
pub fn text<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    headers.get(name)?.as_str()
}

/// The count that a header says, as text or as a number.
pub fn count(headers: &Headers, name: &str) -> Option<u32> {
    headers.get(name)?.as_i64().and_then(|count| u32::try_from(count).ok())
}

/// The time that a header says, in RFC 3339.
pub fn time(headers: &Headers, name: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text(headers, name)?).ok()?.to_utc())
}

/// A time as a header says it, in RFC 3339.
pub fn of_time(time: DateTime<Utc>) -> HeaderValue {
    time.to_rfc3339_opts(SecondsFormat::Micros, true).into()
}

/// Which attempt the next delivery of a message with these headers is, from 1.
pub(crate) fn attempt(headers: &Headers) -> u32 {
    count(headers, ATTEMPTS).unwrap_or(0).saturating_add(1)
}
