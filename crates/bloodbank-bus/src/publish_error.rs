//! Why something was not published.

use bloodbank_core::{Code, Refusal, SealError};
use uuid::Uuid;

use crate::TransportError;

/// Why a message was not published or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It was not sealed: the contract or the registry refuses it. The transport has not seen it.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The bus did not take it.
    #[error("message {id} was not published: {source}")]
    Transport {
        /// The id it had; use it to publish the message again ([`Meta::with_id`](bloodbank_core::Meta::with_id)).
        id: Uuid,
        /// What the transport says.
        source: TransportError,
    },
}

impl PublishError {
    /// Its code: that of what it wraps.
    pub fn code(&self) -> Code {
        match self {
            PublishError::Seal(error) => error.code(),
            PublishError::Transport { source, .. } => source.code(),
        }
    }

    /// The refusal with its violations, if the payload breaks its contract.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            PublishError::Seal(error) => error.refusal(),
            PublishError::Transport { .. } => None,
        }
    }
}
