//! Why a subscriber does not run.

use std::time::Duration;

use bloodbank_core::Code;

use super::SetupFault;
use crate::TransportError;

/// Why a subscriber does not run, or runs no more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It cannot work as it was put together; everything that is wrong.
    #[error("service `{service}` cannot subscribe:{}", list(faults))]
    Setup {
        /// The service's name.
        service: &'static str,
        /// At least one.
        faults: Vec<SetupFault>,
    },
    /// The transport does not do its part.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The transport has ended a consumer.
    #[error("queue `{queue}` can no longer be consumed: {source}")]
    Ended {
        /// Its name.
        queue: String,
        /// What the transport says.
        source: TransportError,
    },
    /// Some handlers were not done when the time for draining was over. Their messages come again.
    #[error(
        "{unfinished} handlers were not done {waited:?} after the shutdown; their messages come again"
    )]
    Drain {
        /// How many.
        unfinished: usize,
        /// How long was waited.
        waited: Duration,
    },
}

impl SubscribeError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            SubscribeError::Setup { .. } => Code::SubscriberSetup,
            SubscribeError::Transport(error) => error.code(),
            SubscribeError::Ended { source, .. } => source.code(),
            SubscribeError::Drain { .. } => Code::DrainTimeout,
        }
    }
}

fn list(faults: &[SetupFault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}
