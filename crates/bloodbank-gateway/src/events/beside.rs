//! What a caller says of a message beside its payload.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bloodbank_core::Meta;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::Gateway;
use crate::problem::{Answer, Problem};

/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 255;

/// What a caller says of a message beside its payload.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Beside {
    /// The piece of work that it belongs to: the id of the message that began it.
    #[param(rename = "X-Correlation-Id")]
    pub(crate) correlation_id: Option<Uuid>,
    /// The id of the message that it follows from.
    #[param(rename = "X-Causation-Id")]
    pub(crate) causation_id: Option<Uuid>,
    /// The session of a user or agent that it belongs to.
    #[param(rename = "X-Session-Id", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub(crate) session_id: Option<String>,
    /// The trace that it belongs to, as W3C Trace Context writes it.
    #[param(
        rename = "traceparent",
        pattern = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
    )]
    pub(crate) traceparent: Option<String>,
    /// What tracing systems note on the trace.
    #[param(rename = "tracestate", min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    pub(crate) tracestate: Option<String>,
    /// Makes the id: whoever repeats it with the same payload gets the first answer again.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub(crate) idempotency_key: Option<String>,
    /// Who says it: a service of registry.yaml, which must let it. A token has a source of its own.
    #[param(rename = "X-Source", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub(crate) source: Option<String>,
}

impl Beside {
    fn of(headers: &HeaderMap) -> Answer<Self> {
        let key = text(headers, "Idempotency-Key")?;
        if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
            let detail = format!("header `Idempotency-Key`: expected 1 to {LONGEST_KEY} bytes");
            return Err(Problem::parameter(detail));
        }
        Ok(Beside {
            correlation_id: id(headers, "X-Correlation-Id")?,
            causation_id: id(headers, "X-Causation-Id")?,
            session_id: text(headers, "X-Session-Id")?,
            traceparent: text(headers, "traceparent")?,
            tracestate: text(headers, "tracestate")?,
            idempotency_key: key,
            source: text(headers, "X-Source")?,
        })
    }

    pub(crate) fn meta(&self) -> Meta {
        let mut meta = Meta::new();
        meta.correlation_id = self.correlation_id;
        meta.causation_id = self.causation_id;
        meta.session_id.clone_from(&self.session_id);
        meta.traceparent.clone_from(&self.traceparent);
        meta.tracestate.clone_from(&self.tracestate);
        meta.idempotency_key.clone_from(&self.idempotency_key);
        meta
    }
}

impl FromRequestParts<Gateway> for Beside {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Answer<Self> {
        Beside::of(&parts.headers)
    }
}

fn text(headers: &HeaderMap, name: &str) -> Answer<Option<String>> {
    let mut all = headers.get_all(name).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).ok();
    match text.filter(|_| all.next().is_none()) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(Problem::parameter(format!("header `{name}`: expected one text in UTF-8"))),
    }
}

fn id(headers: &HeaderMap, name: &str) -> Answer<Option<Uuid>> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    match Uuid::try_parse(&text) {
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(Problem::parameter(format!("header `{name}`: expected a UUID"))),
    }
}
