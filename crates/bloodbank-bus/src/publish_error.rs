//! Why something was not published.

use bloodbank_core::{CheckError, Kind, Refusal, UnknownKey};
use uuid::Uuid;

use crate::TransportError;

/// Why a message was not published or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The payload breaks its contract, in these ways. The transport has not seen it.
    #[error(transparent)]
    Refused(Refusal),
    /// No contract has the key.
    #[error(transparent)]
    UnknownKey(#[from] UnknownKey),
    /// The registry does not give the key to the service.
    #[error(
        "service `{service}` does not {} `{key}`: add the key to `{}:` of this service in \
         services/registry.yaml, or use `services::Any`",
        verb(*kind), list(*kind)
    )]
    NotAllowed {
        /// The service's name.
        service: &'static str,
        /// The routing key, with version.
        key: String,
        /// What the key is.
        kind: Kind,
    },
    /// An event was to be sent, or a command to be published.
    #[error("`{key}` is {}", wrong_kind(*kind))]
    WrongKind {
        /// The routing key, with version.
        key: String,
        /// What the key is.
        kind: Kind,
    },
    /// The contract's own schema cannot be used.
    #[error("the schema of `{key}` cannot be used: {reason}")]
    Schema {
        /// The routing key, with version.
        key: String,
        /// What the schema compiler says.
        reason: String,
    },
    /// The payload has no JSON form.
    #[error("the payload cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// The bus did not take it.
    #[error("message {id} was not published: {source}")]
    Transport {
        /// The id it had; use it to publish the message again ([`Meta::with_id`](bloodbank_core::Meta::with_id)).
        id: Uuid,
        /// What the transport says.
        source: TransportError,
    },
}

impl From<CheckError> for PublishError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Refused(refusal) => PublishError::Refused(refusal),
            CheckError::UnknownKey(unknown) => PublishError::UnknownKey(unknown),
            CheckError::Schema { key, reason } => PublishError::Schema { key, reason },
            CheckError::Encode(error) => PublishError::Encode(error),
            other => PublishError::Schema { key: String::new(), reason: other.to_string() },
        }
    }
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "produce",
        Kind::Command => "send",
    }
}

fn list(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "produces",
        Kind::Command => "commands: sends",
    }
}

fn wrong_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "an event: publish it, it cannot be sent",
        Kind::Command => "a command: send it, it cannot be published",
    }
}
