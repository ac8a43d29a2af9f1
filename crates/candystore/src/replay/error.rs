//! Why a replay does not begin, or does not go on.

use bloodbank_bus::{Exchange, TransportError};
use bloodbank_core::Code;
use uuid::Uuid;

use super::options::ReplayTarget;
use super::plan::Unfit;
use crate::StoreError;

/// Why a replay does not begin, or does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The filter asks for commands.
    #[error("commands are recorded and never replayed: they would be carried out again")]
    Commands,
    /// Some events break their contract, and are not to be skipped.
    #[error(
        "{count} of the events break the contracts of today, the first of them at position {} \
         (`{}`)", first.position, first.key
    )]
    Unfit {
        /// How many.
        count: u64,
        /// The first.
        first: Unfit,
    },
    /// No queue takes what is replayed.
    #[error("nobody hears replays of `{key}` on {}", Exchange::Replay.name())]
    Nobody {
        /// The routing key.
        key: String,
    },
    /// It was carried through already.
    #[error("replay {id} is done; there is nothing left to send")]
    Over {
        /// Its id.
        id: Uuid,
    },
    /// Another process is at it: it was heard of while we waited.
    #[error("replay {id} is running: another process sends it; stop that one first")]
    Running {
        /// Its id.
        id: Uuid,
    },
    /// What goes wrong with the bus.
    #[error(transparent)]
    Transport(TransportError),
    /// What goes wrong with the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReplayError {
    pub(super) fn of(error: TransportError, target: &ReplayTarget) -> Self {
        match (error, target) {
            (TransportError::Unroutable { key }, ReplayTarget::Replay) => {
                ReplayError::Nobody { key }
            }
            (error, _) => ReplayError::Transport(error),
        }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            ReplayError::Commands => Code::ReplayOfCommands,
            ReplayError::Unfit { .. } => Code::ReplayUnfit,
            ReplayError::Nobody { .. } => Code::ReplayUnheard,
            ReplayError::Over { .. } => Code::ReplayDone,
            ReplayError::Running { .. } => Code::ReplayRunning,
            ReplayError::Transport(error) => error.code(),
            ReplayError::Store(error) => error.code(),
        }
    }

    /// Whether the same may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            ReplayError::Transport(error) => error.is_retryable(),
            ReplayError::Store(error) => error.is_retryable(),
            _ => false,
        }
    }
}
