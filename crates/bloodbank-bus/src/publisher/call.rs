//! Commands that are answered.

use std::time::Duration;

use bloodbank_core::codec::{self, DecodeError};
use bloodbank_core::{Code, Envelope, Refusal, Validated};
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::dynamic::DynamicPublisher;
use crate::{Encoded, Headers, PublishError, Request, TransportError, headers};

/// What a handler answers, as it travels: `{"ok": <reply>}`, or `{"error": "<why there is none>"}`.
///
/// Other languages answer in the same words. The reply is what `x-bloodbank-reply` in the schema of the
/// command says, if it says anything; see [`Command::Reply`](bloodbank_core::Command::Reply).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The command was carried out, with this result.
    Ok(Value),
    /// It was not, and this is why.
    Error(String),
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The command was not sent.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The handler failed.
    #[error("the handler of command {id} failed: {reason}")]
    Handler {
        /// The command's id.
        id: Uuid,
        /// What the handler says.
        reason: String,
    },
    /// No answer came in time. The command lies in its worker queue or is being handled; call again
    /// with the same idempotency key to wait for the same work.
    #[error("command {id} was sent, and no answer came in {waited:?}")]
    NoAnswer {
        /// The command's id.
        id: Uuid,
        /// How long was waited.
        waited: Duration,
    },
    /// The connection was lost while the answer was on its way; the command was sent.
    #[error("command {id} was sent, and the way back of the answer was lost")]
    WayBackLost {
        /// The command's id.
        id: Uuid,
    },
    /// The command was answered with something that breaks what its schema says of the answer.
    #[error("the answer to command {id} breaks its contract: {refusal}")]
    Refused {
        /// The command's id.
        id: Uuid,
        /// The violations, in the answer.
        refusal: Box<Refusal>,
    },
    /// The answer is not what the caller asked for.
    #[error("the answer to command {id} is not what was asked for: {reason}")]
    Decode {
        /// The command's id.
        id: Uuid,
        /// What the decoder says.
        reason: String,
    },
}

impl CallError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            CallError::Publish(error) => error.code(),
            CallError::Handler { .. } => Code::HandlerFailed,
            CallError::NoAnswer { .. } => Code::NoAnswer,
            CallError::WayBackLost { .. } => Code::AnswerLost,
            CallError::Refused { .. } => Code::AnswerRefused,
            CallError::Decode { .. } => Code::AnswerUnreadable,
        }
    }
}

/// No call waits longer: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Sends a command and waits for its answer, which the publisher's contracts judge.
pub(super) async fn call<R: DeserializeOwned>(
    publisher: &DynamicPublisher,
    command: Validated<Envelope>,
    mut headers: Headers,
    within: Duration,
) -> Result<R, CallError> {
    let (id, within) = (command.id, within.min(LONGEST_WAIT));
    let key = command.event_type.clone();
    let wait = TimeDelta::from_std(within).unwrap_or_default();
    let until = (Utc::now() + wait).to_rfc3339_opts(SecondsFormat::Millis, true);
    headers.insert(headers::ANSWER_BY.to_owned(), until.into());
    let command = Encoded::in_form(command, headers, publisher.form).map_err(PublishError::from)?;
    let Request { confirm, answer } = publisher.transport.request(command);
    let since = Instant::now();
    let not_sent = |source| PublishError::Transport { id, source };
    match timeout(within, confirm).await {
        Ok(sent) => sent.map_err(not_sent)?,
        Err(_) => return Err(not_sent(TransportError::Unknown).into()),
    }
    let answer = timeout(within.saturating_sub(since.elapsed()), answer)
        .await
        .map_err(|_| CallError::NoAnswer { id, waited: within })?
        .map_err(|_| CallError::WayBackLost { id })?;
    let decode = |error: serde_json::Error| CallError::Decode { id, reason: error.to_string() };
    match serde_json::from_slice(&answer).map_err(decode)? {
        Answer::Ok(reply) => {
            let contracts = publisher.sealer.contracts().current();
            codec::read_reply(&contracts, &key, &reply).map_err(|error| unreadable(id, error))
        }
        Answer::Error(reason) => Err(CallError::Handler { id, reason }),
    }
}

fn unreadable(id: Uuid, error: DecodeError) -> CallError {
    match error {
        DecodeError::Refused(refusal) => CallError::Refused { id, refusal: Box::new(refusal) },
        DecodeError::Shape { reason, .. } => CallError::Decode { id, reason },
        other => CallError::Decode { id, reason: other.to_string() },
    }
}
