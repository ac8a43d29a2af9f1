//! Events that are made from a number, so that whoever knows the number knows every byte.

use bloodbank_core::{Envelope, Kind, Meta};
use bloodbank_testkit::catalog::mooring;
use candystore::Incoming;
use chrono::DateTime;
use serde_json::json;
use uuid::Uuid;

/// The key of all of them.
pub(crate) const KEY: &str = "terminal.mooring.created";

/// When the first one happened, in milliseconds since 1970.
const EPOCH: u64 = 1_700_000_000_000;

/// The digits of an id that are the event's number.
const NUMBER: u128 = 0xffff_ffff_ffff;

/// An id of version 7 that holds the number.
pub(crate) fn id(number: u64) -> Uuid {
    let millis = u128::from(EPOCH + number);
    Uuid::from_u128(millis << 80 | 7 << 76 | 2 << 62 | u128::from(number) & NUMBER)
}

/// The number that an id holds.
pub(crate) fn number(id: Uuid) -> u64 {
    (id.as_u128() & NUMBER) as u64
}

/// The event of a number, as JSON. It keeps its contract.
pub(crate) fn body(number: u64) -> Vec<u8> {
    let topic = format!("{number} {}", "x".repeat((number % 80) as usize));
    let meta = Meta::new()
        .with_id(id(number))
        .with_timestamp(DateTime::from_timestamp_millis((EPOCH + number) as i64).unwrap())
        .with_correlation_id(id(number - number % 10))
        .with_session_id(format!("session {}", number % 100));
    Envelope::new(KEY, "crash-test", json!(mooring(&topic)), meta).to_bytes().unwrap()
}

/// The event of a number, on its way into a store.
pub(crate) fn incoming(number: u64) -> Incoming {
    Incoming::new(Kind::Event, KEY, body(number))
}
