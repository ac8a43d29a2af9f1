//! From a delivery to what it says, or why it says nothing.

use std::fmt;

use bloodbank_core::codec::{self, DecodeError, Payload};
use bloodbank_core::{Contracts, Envelope, EnvelopeError, escape_control};
use chrono::{DateTime, SecondsFormat, Utc};

use crate::{Delivery, HeaderValue, Headers, Reason, headers};

/// Characters of an error that are kept in a header.
const LONGEST_ERROR: usize = 1_000;

/// How many places of a refusal a log names.
const MOST_PLACES: usize = 5;

/// Why a message is parked before any handler sees it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("no handler takes `{0}`")]
    NoHandler(String),
    #[error(transparent)]
    Payload(#[from] DecodeError),
    #[error("it expired at {}", .0.to_rfc3339_opts(SecondsFormat::Millis, true))]
    Expired(DateTime<Utc>),
}

impl Fault {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Fault::Envelope(_) => Reason::NoEnvelope,
            Fault::NoHandler(_) | Fault::Payload(DecodeError::UnknownKey(_)) => Reason::NoHandler,
            Fault::Payload(_) => Reason::BreaksContract,
            Fault::Expired(_) => Reason::Expired,
        }
    }

    /// The same without anything of the payload: for logs.
    pub(crate) fn without_payload(&self) -> String {
        match self {
            Fault::Payload(DecodeError::Refused(refusal)) => {
                let places = refusal.violations.iter().take(MOST_PLACES);
                let places: Vec<String> = places
                    .map(|violation| format!("{} ({})", violation.place(), violation.rule))
                    .collect();
                format!("{}, at {}", refusal.count(), places.join(", "))
            }
            // The parser's words may repeat what it has read.
            Fault::Envelope(EnvelopeError::Malformed(_)) => "not an envelope".to_owned(),
            Fault::Envelope(EnvelopeError::Bounds(violations)) => {
                let places = violations.iter().map(|violation| violation.place());
                format!(
                    "not an envelope as its schema wants it, at {}",
                    places.collect::<Vec<_>>().join(", ")
                )
            }
            Fault::Payload(DecodeError::Shape { key, .. }) => {
                format!("`{key}` is valid, but its type does not take it")
            }
            other => other.to_string(),
        }
    }
}

/// Words from outside on their way into a log: they cannot end its line, nor begin another.
pub(crate) struct Escaped<'a, T: ?Sized>(pub(crate) &'a T);

impl<T: fmt::Display + ?Sized> fmt::Display for Escaped<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_control(&self.0.to_string()))
    }
}

/// The payload of an envelope, if it keeps its contract.
pub(crate) fn payload<P: Payload>(contracts: &Contracts, envelope: &Envelope) -> Result<P, Fault> {
    Ok(codec::check_and_read(contracts, &envelope.event_type, &envelope.data)?)
}

/// What to note on a message that is parked.
pub(crate) fn parking(delivery: &Delivery, reason: Reason, error: &str) -> Headers {
    let now = now();
    let mut noted = failure(delivery, error, &now);
    noted.insert(headers::REASON.to_owned(), reason.as_str().into());
    noted.insert(headers::PARKED_AT.to_owned(), now.into());
    noted.insert(headers::PARKED_FROM.to_owned(), (&*delivery.queue).into());
    noted
}

/// What to note on a message that is tried again later.
pub(crate) fn retrying(delivery: &Delivery, error: &str) -> Headers {
    failure(delivery, error, &now())
}

fn failure(delivery: &Delivery, error: &str, now: &str) -> Headers {
    let first = delivery.headers.get(headers::FIRST_FAILED);
    let error = noted_error(error);
    Headers::from([
        (headers::ATTEMPTS.to_owned(), delivery.attempt.to_string().into()),
        (headers::ERROR.to_owned(), error.into()),
        (
            headers::FIRST_FAILED.to_owned(),
            first.cloned().unwrap_or_else(|| HeaderValue::from(now)),
        ),
    ])
}

/// As much of an error as is kept.
pub(crate) fn noted_error(error: &str) -> String {
    escape_control(error).chars().take(LONGEST_ERROR).collect()
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
