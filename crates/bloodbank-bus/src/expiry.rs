//! Messages that nobody waits for any more.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::reading::Fault;
use crate::{Delivery, HeaderValue, headers};

/// The time so far from now, as a header says it; none that cannot be written.
pub(crate) fn after(time: Duration) -> Option<HeaderValue> {
    let at = Utc::now().checked_add_signed(TimeDelta::from_std(time).ok()?)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Millis, true).into())
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
