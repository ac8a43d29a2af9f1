//! What travels beside a message.

use std::collections::BTreeMap;

/// What travels beside a message, as text.
///
/// Properties and headers that a transport has in other types are given as text, too.
pub type Headers = BTreeMap<String, String>;

/// Until when the sender of a command waits for its answer, RFC 3339 in UTC.
pub const ANSWER_BY: &str = "x-bloodbank-answer-by";
/// How often its handlers have failed.
pub const ATTEMPTS: &str = "x-bloodbank-attempts";
/// What a handler said when it last failed.
pub const ERROR: &str = "x-bloodbank-error";
/// When the message first failed, RFC 3339 in UTC.
pub const FIRST_FAILED: &str = "x-bloodbank-first-failed";
/// The routing key that the message was published under, where it had to travel under another.
pub const KEY: &str = "x-bloodbank-key";
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
