//! Why a message was not sent.

use bloodbank_bus::{ReadBackError, TransportError};
use bloodbank_core::{Code, escape_control};

/// Characters of an error that are kept on a row.
const LONGEST: usize = 1_000;

/// A message that was not sent, and holds up those behind it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) key: String,
    /// How often it had failed before.
    pub(super) attempts: u32,
    /// What stands on the row.
    pub(super) last_error: Option<String>,
    pub(super) cause: Cause,
}

#[derive(Debug)]
pub(super) enum Cause {
    /// The row does not hold what its contract asks for today.
    Refused(ReadBackError),
    /// The row does not hold what an outbox writes, in this column.
    Damaged(&'static str),
    /// The bus did not take it.
    Bus(TransportError),
}

impl Failure {
    /// Which attempt this was, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }
}

impl Cause {
    pub(super) fn code(&self) -> Code {
        match self {
            Cause::Refused(error) => error.code(),
            Cause::Damaged(_) => Code::StoreDamaged,
            Cause::Bus(error) => error.code(),
        }
    }

    /// Whether the message itself is at fault, and not the way to the bus.
    pub(super) fn is_of_the_message(&self) -> bool {
        match self {
            Cause::Refused(_) | Cause::Damaged(_) => true,
            Cause::Bus(TransportError::Closed | TransportError::Refused { .. }) => false,
            Cause::Bus(error) => !error.is_retryable(),
        }
    }

    /// What is noted on the row, beside the payload.
    pub(super) fn text(&self) -> String {
        let text = match self {
            Cause::Refused(error) => {
                format!("the contracts in force refuse what was written under others: {error}")
            }
            Cause::Damaged(column) => format!("column `{column}` does not hold what was written"),
            Cause::Bus(error) => error.to_string(),
        };
        escape_control(&text).chars().take(LONGEST).collect()
    }

    /// The same for logs.
    pub(super) fn without_payload(&self) -> String {
        match self {
            Cause::Refused(error) => error.code().meaning().to_owned(),
            other => other.text(),
        }
    }
}
