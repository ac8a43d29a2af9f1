//! What errors of PostgreSQL mean to us.

use std::error::Error as _;
use std::io;

use bloodbank_bus::Outage;
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

use crate::sql::LOCK_PATIENCE;
use crate::{Damage, StoreError};

/// What an error of PostgreSQL means to us.
pub(super) fn reason(error: &Error) -> StoreError {
    let code = error.code();
    if code == Some(&SqlState::DISK_FULL) {
        return StoreError::Full;
    }
    if code == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return StoreError::Busy { seconds: LOCK_PATIENCE.as_secs() };
    }
    if code == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return StoreError::Denied { reason: text_of(error) };
    }
    if error.is_closed() || is_end(error) {
        return StoreError::lost(Outage::said(text_of(error)));
    }
    let damaged = [&SqlState::DATA_CORRUPTED, &SqlState::INDEX_CORRUPTED];
    if code.is_some_and(|code| damaged.contains(&code)) {
        return StoreError::Damaged(Damage::Said { reason: text_of(error) });
    }
    StoreError::Database { reason: text_of(error) }
}

/// Whether the connection ends with the error: after it the server closes, or the way there is broken.
fn is_end(error: &Error) -> bool {
    if let Some(error) = error.as_db_error() {
        return matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    }
    // What cannot be encoded is invalid input, and would not be better on another connection.
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() != io::ErrorKind::InvalidInput)
}

/// The error with its cause, which alone says what happened. Never a value of a statement.
pub(super) fn text_of(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(error), _) => format!("{} ({})", error.message(), error.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
