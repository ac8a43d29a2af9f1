//! Errors as problem+json (RFC 9457).

mod of;
mod render;

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bloodbank_core::{Code, Refusal, Violation};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) use self::render::render;

/// What a handler gives, or why it does not.
pub(crate) type Answer<T> = Result<T, Problem>;

/// Why a request is not answered as it was meant.
///
/// It becomes a body of JSON in [`render`], where the id of the request is known.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Code,
    detail: String,
    more: Box<More>,
}

#[derive(Clone, Debug, Default)]
struct More {
    violations: Vec<ViolationBody>,
    unlisted: u64,
    suggestions: Vec<String>,
    id: Option<Uuid>,
    retry_after: Option<Duration>,
    /// What goes into the log and not into the answer.
    cause: Option<String>,
}

/// A problem as it is answered (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// A URI that names the kind of problem: `urn:bloodbank:error:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem as a word that stays the same.
    code: &'static str,
    /// What the code means.
    title: &'static str,
    /// The status code of HTTP.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// What to do about it.
    remedy: &'static str,
    /// Names this very answer, as the header `X-Request-Id` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// In which ways the message breaks its contract; at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<ViolationBody>,
    /// How many more violations there are than are listed, at least.
    #[serde(skip_serializing_if = "is_zero")]
    more_violations: u64,
    /// Names that look like the one that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<String>,
    /// The id of the message that it is about. Where it is not known whether the message was taken,
    /// publish it again with the same id or idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A way in which a message breaks its contract.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Violation)]
pub(crate) struct ViolationBody {
    /// Whether it is in the `payload` or in the `envelope` around it.
    #[serde(rename = "in")]
    part: &'static str,
    /// Where: a JSON pointer (RFC 6901) into that part. For a missing property the place where it should
    /// be.
    pointer: String,
    /// What was expected, and what was found.
    message: String,
    /// The keyword of JSON Schema that fails.
    keyword: String,
    /// Where the keyword stands: a JSON pointer into the contract's schema.
    keyword_location: String,
}

impl ViolationBody {
    fn of(violation: &Violation) -> Self {
        let pointer = violation.pointer.strip_prefix("(envelope)");
        ViolationBody {
            part: if pointer.is_some() { "envelope" } else { "payload" },
            pointer: pointer.unwrap_or(&violation.pointer).to_owned(),
            message: format!("expected {}, found {}", violation.expected, violation.found),
            keyword: violation.rule.clone(),
            keyword_location: violation.schema.clone(),
        }
    }
}

impl Problem {
    /// A problem with these words of its own.
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Problem { status, code, detail: detail.into(), more: Box::default() }
    }

    /// A problem of ours. The cause is logged, and the answer says nothing of it.
    pub(crate) fn internal(status: StatusCode, code: Code, cause: impl ToString) -> Self {
        let mut problem = Problem::new(status, code, code.meaning());
        problem.more.cause = Some(cause.to_string());
        problem
    }

    /// A parameter that is not what it should be.
    pub(crate) fn parameter(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, Code::ParameterRefused, detail)
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Says when to try again.
    pub(crate) fn after(mut self, time: Duration) -> Self {
        self.more.retry_after = Some(time);
        self
    }

    /// Says which message it is about.
    pub(crate) fn about(mut self, id: Uuid) -> Self {
        self.more.id = Some(id);
        self
    }

    fn suggesting(mut self, names: Vec<String>) -> Self {
        self.more.suggestions = names;
        self
    }

    fn violating(mut self, refusal: &Refusal) -> Self {
        self.more.violations = refusal.violations.iter().map(ViolationBody::of).collect();
        self.more.unlisted = refusal.more;
        self
    }

    /// As it is answered.
    pub(crate) fn body(&self, instance: Option<String>) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:bloodbank:error:{}", self.code),
            code: self.code.as_str(),
            title: self.code.meaning(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            remedy: self.code.remedy(),
            instance,
            violations: self.more.violations.clone(),
            more_violations: self.more.unlisted,
            suggestions: self.more.suggestions.clone(),
            id: self.more.id,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(time) = self.more.retry_after {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"bloodbank\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(self);
        response
    }
}
