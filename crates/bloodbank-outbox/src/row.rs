//! A message as a row.

use std::fmt;
use std::sync::Arc;

use bloodbank_bus::Encoded;
use bloodbank_core::Kind;
use uuid::Uuid;

use crate::Value;

/// A message as it is written, for clients that [`Tx`](crate::Tx) is not implemented for.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The envelope's id.
    pub id: Uuid,
    /// Whether it is an event or a command.
    pub kind: Kind,
    /// The routing key.
    pub key: String,
    /// The bytes that will be published.
    pub envelope: Arc<[u8]>,
    /// What travels beside them, as JSON.
    pub headers: Option<String>,
}

impl Row {
    pub(crate) fn of(message: Encoded) -> Result<Self, serde_json::Error> {
        let (id, kind) = (message.id(), message.kind());
        let (envelope, body, headers) = message.into_parts();
        let key = envelope.into_inner().event_type;
        let headers = (!headers.is_empty()).then(|| serde_json::to_string(&headers)).transpose()?;
        Ok(Row { id, kind, key, envelope: body, headers })
    }

    /// The number of its kind, as the table holds it: 1 for an event, 2 for a command.
    pub fn kind_number(&self) -> i64 {
        match self.kind {
            Kind::Event => 1,
            Kind::Command => 2,
        }
    }

    /// The values of [`Tables::insert`](crate::Tables::insert): id (as text), kind, key, envelope,
    /// headers.
    pub fn values(&self) -> Vec<Value> {
        vec![
            Value::text(self.id.to_string()),
            Value::Int(self.kind_number()),
            Value::text(self.key.clone()),
            Value::Bytes(self.envelope.clone()),
            Value::Text(self.headers.clone()),
        ]
    }
}

impl fmt::Debug for Row {
    /// Without the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Row");
        debug.field("id", &self.id).field("kind", &self.kind).field("key", &self.key);
        debug.finish_non_exhaustive()
    }
}
