//! What goes wrong with outboxes and relays.

use std::error::Error;
use std::fmt;

use bloodbank_bus::TransportError;
use bloodbank_core::{Code, Refusal, SealError};

/// What a database client says, in its words.
#[derive(Debug)]
pub struct DatabaseError {
    client: Box<dyn Error + Send + Sync>,
}

impl DatabaseError {
    /// From the error of a client.
    pub fn new(client: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        DatabaseError { client: client.into() }
    }

    /// The error of the client, to be downcast by callers that repeat a transaction which the database
    /// has ended for the sake of another.
    pub fn client_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.client
    }

    /// Its code, [`Code::DatabaseError`].
    pub fn code(&self) -> Code {
        Code::DatabaseError
    }
}

impl fmt::Display for DatabaseError {
    /// The client's words with those of what caused it, which some clients keep apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.client.to_string();
        let mut cause = self.client.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !said.contains(&more) {
                said = format!("{said}: {more}");
            }
            cause = error.source();
        }
        f.write_str(&said)
    }
}

/// Its text says all causes, so that it names none.
impl Error for DatabaseError {}

/// Why a message was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The contract or the registry refuses it. The database was not asked.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database did not take it.
    #[error("the database says: {0}")]
    Database(#[from] DatabaseError),
}

impl OutboxError {
    /// Its code: that of what it wraps.
    pub fn code(&self) -> Code {
        match self {
            OutboxError::Seal(error) => error.code(),
            OutboxError::Database(error) => error.code(),
        }
    }

    /// The refusal with its violations, if the payload breaks its contract.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            OutboxError::Seal(error) => error.refusal(),
            OutboxError::Database(_) => None,
        }
    }
}

/// Why a relay has ended without being told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The outbox cannot be read at all: the database is not there when the relay starts, or has no
    /// such table. Later outages do not end a relay.
    #[error("the outbox cannot be read: {0}")]
    Database(#[from] DatabaseError),
    /// The bus was closed.
    #[error(transparent)]
    Bus(#[from] TransportError),
}

impl RelayError {
    /// Its code: that of what it wraps.
    pub fn code(&self) -> Code {
        match self {
            RelayError::Database(error) => error.code(),
            RelayError::Bus(error) => error.code(),
        }
    }
}
