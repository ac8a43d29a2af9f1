//! Which problem an error is.

use std::time::Duration;

use axum::http::StatusCode;
use bloodbank_access::AccessError;
use bloodbank_bus::{CallError, PublishError, TransportError};
use bloodbank_core::{CheckError, EnvelopeError, Kind, Refusal, SealError, UnknownKey, Violation};
use candystore::{FieldError, ReplayError, StoreError};

use super::{Problem, ViolationBody};

/// After how long it is worth to try again what does not work at the moment.
const SOON: Duration = Duration::from_secs(2);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail =
            format!("the message breaks the contract of `{}`: {}", refusal.key, refusal.count());
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, refusal.code(), detail).violating(&refusal)
    }
}

impl From<UnknownKey> for Problem {
    fn from(unknown: UnknownKey) -> Self {
        Problem::new(StatusCode::NOT_FOUND, unknown.code(), unknown.to_string())
            .suggesting(unknown.suggestions)
    }
}

impl From<CheckError> for Problem {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Refused(refusal) => refusal.into(),
            CheckError::UnknownKey(unknown) => unknown.into(),
            other => Problem::internal(StatusCode::INTERNAL_SERVER_ERROR, other.code(), &other),
        }
    }
}

impl From<EnvelopeError> for Problem {
    fn from(error: EnvelopeError) -> Self {
        let status = match &error {
            EnvelopeError::Malformed(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut problem = Problem::new(status, error.code(), error.to_string());
        if let EnvelopeError::Bounds(violations) = &error {
            problem.more.violations = in_envelope(violations);
        }
        problem
    }
}

fn in_envelope(violations: &[Violation]) -> Vec<ViolationBody> {
    violations.iter().map(ViolationBody::of).collect()
}

impl From<SealError> for Problem {
    fn from(error: SealError) -> Self {
        let code = error.code();
        match error {
            SealError::Refused(refusal) => refusal.into(),
            SealError::UnknownKey(unknown) => unknown.into(),
            SealError::WrongKind { key, kind } => {
                let right = match kind {
                    Kind::Event => format!("`{key}` is an event: POST it to /events/{key}"),
                    Kind::Command => format!("`{key}` is a command: POST it to /commands/{key}"),
                };
                Problem::new(StatusCode::NOT_FOUND, code, right)
            }
            SealError::NotAllowed { .. } | SealError::UnknownService { .. } => {
                Problem::new(StatusCode::FORBIDDEN, code, error.to_string())
            }
            other => Problem::internal(StatusCode::INTERNAL_SERVER_ERROR, code, &other),
        }
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Seal(error) => error.into(),
            PublishError::Transport { id, source } => Problem::from(source).about(id),
            other => Problem::internal(StatusCode::INTERNAL_SERVER_ERROR, other.code(), &other),
        }
    }
}

impl From<TransportError> for Problem {
    fn from(error: TransportError) -> Self {
        let code = error.code();
        match &error {
            TransportError::IdConflict { .. } => {
                Problem::new(StatusCode::CONFLICT, code, error.to_string())
            }
            TransportError::Undeclared { .. } => {
                Problem::new(StatusCode::NOT_FOUND, code, error.to_string())
            }
            TransportError::Unroutable { .. }
            | TransportError::NoScheduler { .. }
            | TransportError::Nacked { .. } => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string()).after(SOON)
            }
            TransportError::Unknown => {
                Problem::internal(StatusCode::GATEWAY_TIMEOUT, code, &error).after(SOON)
            }
            TransportError::Unsupported { .. } => {
                Problem::new(StatusCode::NOT_IMPLEMENTED, code, error.to_string())
            }
            other if other.is_retryable() || matches!(other, TransportError::Closed) => {
                Problem::internal(StatusCode::SERVICE_UNAVAILABLE, code, other).after(SOON)
            }
            other => Problem::internal(StatusCode::INTERNAL_SERVER_ERROR, code, other),
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let code = error.code();
        match error {
            CallError::Publish(error) => error.into(),
            CallError::Handler { id, ref reason } => {
                Problem::new(StatusCode::BAD_GATEWAY, code, reason).about(id)
            }
            CallError::NoAnswer { id, .. } | CallError::WayBackLost { id } => {
                Problem::new(StatusCode::GATEWAY_TIMEOUT, code, error.to_string()).about(id)
            }
            CallError::Refused { id, refusal } => {
                let detail = format!("the answer to command {id} breaks its contract");
                Problem::new(StatusCode::BAD_GATEWAY, code, detail).violating(&refusal).about(id)
            }
            other => Problem::internal(StatusCode::BAD_GATEWAY, code, &other),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = error.code();
        match &error {
            StoreError::Cursor(error) => {
                Problem::new(StatusCode::BAD_REQUEST, code, error.to_string())
            }
            StoreError::Field(error) => {
                Problem::new(StatusCode::BAD_REQUEST, code, error.to_string())
            }
            other if other.is_retryable() || matches!(other, StoreError::Closed) => {
                Problem::internal(StatusCode::SERVICE_UNAVAILABLE, code, other).after(SOON)
            }
            other => Problem::internal(StatusCode::INTERNAL_SERVER_ERROR, code, other),
        }
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, error.code(), error.to_string())
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        let code = error.code();
        match error {
            ReplayError::Transport(error) => error.into(),
            ReplayError::Store(error) => error.into(),
            other => Problem::new(StatusCode::CONFLICT, code, other.to_string()),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let code = error.code();
        match &error {
            AccessError::TokenMissing | AccessError::TokenUnknown => {
                Problem::new(StatusCode::UNAUTHORIZED, code, error.to_string())
            }
            AccessError::RightMissing { .. } => {
                Problem::new(StatusCode::FORBIDDEN, code, error.to_string())
            }
            other => Problem::internal(StatusCode::SERVICE_UNAVAILABLE, code, other).after(SOON),
        }
    }
}
