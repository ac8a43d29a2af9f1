//! Messages that nobody waits for any more.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::reading::Fault;
use crate::{Delivery, HeaderValue, headers};

/// The time so long after another, as a header says it; none that cannot be written.
pub(crate) fn after(from: DateTime<Utc>, time: Duration) -> Option<HeaderValue> {
    from.checked_add_signed(TimeDelta::from_std(time).ok()?).map(headers::of_time)
}

/// Refuses a message that has expired. One that is replayed is of the past anyway.
pub(crate) fn check(delivery: &Delivery) -> Result<(), Fault> {
    if delivery.headers.contains_key(headers::REPLAY) {
        return Ok(());
    }
    match headers::time(&delivery.headers, headers::EXPIRES_AT) {
        Some(at) if has_passed(at) => Err(Fault::Expired(at)),
        _ => Ok(()),
    }
}

fn has_passed(at: DateTime<Utc>) -> bool {
    at <= Utc::now()
}
