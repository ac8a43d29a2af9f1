//! From a delivery to what it says, or why it says nothing.

use bloodbank_core::codec::{self, DecodeError, Payload};
use bloodbank_core::{Contracts, Envelope, escape_control};
use chrono::{SecondsFormat, Utc};

use crate::{Delivery, Headers, Reason, headers};

/// Characters of an error that are kept in a header.
const LONGEST_ERROR: usize = 1_000;

/// How many places of a refusal a log names.
const MOST_PLACES: usize = 5;

/// Why a message is parked before any handler sees it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("no envelope: {0}")]
    NoEnvelope(String),
    #[error("it travelled as `{key}` and says that it is `{event_type}`")]
    Key { key: String, event_type: String },
    #[error("no handler takes `{0}`")]
    NoHandler(String),
    #[error(transparent)]
    Payload(#[from] DecodeError),
}

impl Fault {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Fault::NoEnvelope(_) | Fault::Key { .. } => Reason::NoEnvelope,
            Fault::NoHandler(_) | Fault::Payload(DecodeError::UnknownKey(_)) => Reason::NoHandler,
            Fault::Payload(_) => Reason::BreaksContract,
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
            Fault::NoEnvelope(_) => "no envelope".to_owned(),
            Fault::Payload(DecodeError::Shape { key, .. }) => {
                format!("`{key}` is valid, but its type does not take it")
            }
            other => other.to_string(),
        }
    }
}

/// The envelope of a delivery, if it is one and says the key it travelled under.
pub(crate) fn envelope(delivery: &Delivery) -> Result<Envelope, Fault> {
    let envelope = Envelope::from_bytes(&delivery.body)
        .map_err(|error| Fault::NoEnvelope(escape_control(&error.to_string())))?;
    if envelope.event_type != *delivery.key {
        return Err(Fault::Key {
            key: escape_control(&delivery.key),
            event_type: escape_control(&envelope.event_type),
        });
    }
    Ok(envelope)
}

/// The payload of an envelope, if it keeps its contract.
pub(crate) fn payload<P: Payload>(contracts: &Contracts, envelope: &Envelope) -> Result<P, Fault> {
    Ok(codec::check_and_read(contracts, &envelope.event_type, &envelope.data)?)
}

/// What to note on a message that is parked.
pub(crate) fn parking(delivery: &Delivery, reason: Reason, error: &str) -> Headers {
    let now = now();
    let mut noted = failure(delivery, error, &now);
    noted.insert(headers::REASON.to_owned(), reason.to_string());
    noted.insert(headers::PARKED_AT.to_owned(), now);
    noted.insert(headers::PARKED_FROM.to_owned(), delivery.queue.to_string());
    noted
}

/// What to note on a message that is tried again later.
pub(crate) fn retrying(delivery: &Delivery, error: &str) -> Headers {
    failure(delivery, error, &now())
}

fn failure(delivery: &Delivery, error: &str, now: &str) -> Headers {
    let first = delivery.headers.get(headers::FIRST_FAILED);
    let error: String = escape_control(error).chars().take(LONGEST_ERROR).collect();
    Headers::from([
        (headers::ATTEMPTS.to_owned(), delivery.attempt.to_string()),
        (headers::ERROR.to_owned(), error),
        (headers::FIRST_FAILED.to_owned(), first.map_or(now, String::as_str).to_owned()),
    ])
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
