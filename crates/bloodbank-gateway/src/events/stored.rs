//! Stored events as they are answered.

use bloodbank_access::Caller;
use bloodbank_bus::{Headers, Properties};
use bloodbank_core::Contracts;
use candystore::{DamagedEvents, Position, StoredEvent, body_field};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A stored event, or the record of a command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredEvent)]
pub(crate) struct StoredBody {
    /// Its place in the store: 1, 2, 3, … in the order of commits, without gaps.
    position: Position,
    /// The id of its envelope; of what is not an envelope one that is made of its bytes.
    id: Uuid,
    /// `event` or `command`.
    kind: &'static str,
    /// The routing key that it travelled under.
    key: String,
    /// Who said it; empty if it is not an envelope.
    source: String,
    /// When it happened.
    timestamp: Option<DateTime<Utc>>,
    /// When it was stored.
    received: DateTime<Utc>,
    /// The piece of work that it belongs to.
    correlation_id: Option<Uuid>,
    /// The id of the message that it follows from.
    causation_id: Option<Uuid>,
    /// The session that it belongs to.
    session_id: Option<String>,
    /// What its contract said when it was stored: `valid`, `invalid`, `unknown` or `malformed`.
    standing: &'static str,
    /// The first thing that is wrong with it.
    violation: Option<String>,
    /// The digest of the schema that judged it.
    schema: Option<Uuid>,
    /// The CRC-32 of its bytes, as they came.
    checksum: u32,
    /// What travelled beside it.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    #[schema(value_type = Object)]
    headers: Headers,
    /// What else did, and does not only repeat what the envelope says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    properties: Option<Box<Properties>>,
    /// The message as it came, if it is JSON: mostly an envelope. Values that the contract marks as
    /// sensitive read `(hidden)` for a caller who may not see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Value>,
    /// The message, if it is a text and not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The bytes of the message in hexadecimal digits, if it is not a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<String>,
}

impl StoredBody {
    /// The event as this caller may see it.
    pub(crate) fn of(contracts: &Contracts, caller: &Caller, event: StoredEvent) -> Self {
        let mut said = StoredBody::without_message(&event);
        let shown = match caller.sees_sensitive() {
            true => event.body[..].into(),
            false => contracts.hide_message(&event.key, &event.body),
        };
        match serde_json::from_slice(&shown) {
            Ok(envelope) => said.envelope = Some(envelope),
            Err(_) => match body_field(&shown) {
                ("body", text) => said.body = Some(text),
                (_, hex) => said.body_hex = Some(hex),
            },
        }
        (said.headers, said.properties) = (event.headers, event.properties);
        said
    }

    /// What is known of it beside the message.
    pub(crate) fn without_message(event: &StoredEvent) -> Self {
        StoredBody {
            position: event.position,
            id: event.id,
            kind: event.kind.as_str(),
            key: event.key.clone(),
            source: event.source.clone(),
            timestamp: event.timestamp,
            received: event.received,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            session_id: event.session_id.clone(),
            standing: event.standing.as_str(),
            violation: event.violation.clone(),
            schema: event.schema,
            checksum: event.checksum,
            headers: Headers::new(),
            properties: None,
            envelope: None,
            body: None,
            body_hex: None,
        }
    }
}

/// Positions whose events are not what was stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DamagedEvents)]
pub(crate) struct DamagedBody {
    /// The first of the positions.
    first: Position,
    /// The last of them.
    last: Position,
    /// What is wrong with them.
    reason: String,
}

impl From<DamagedEvents> for DamagedBody {
    fn from(damaged: DamagedEvents) -> Self {
        let reason = damaged.to_string();
        DamagedBody { first: damaged.first, last: damaged.last, reason }
    }
}
