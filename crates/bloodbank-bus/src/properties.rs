//! What travels beside a message and is not a header.

use bloodbank_core::Envelope;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The properties of a message, as AMQP has them. What is `None` is not there.
///
/// Of an envelope they only repeat what it says ([`Properties::of`]). Of a message from somebody else
/// they may be all that tells where it came from, so they are kept on every way that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Properties {
    /// The media type of the bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// How the bytes are encoded: `gzip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// How urgent it is, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// What it has in common with others, or what it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// A queue that waits for an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The publisher's name of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// What kind of message it is: AMQP's `type`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Which program published it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
}

/// The media type of envelopes.
pub(crate) const JSON: &str = "application/json";

impl Properties {
    /// Those that repeat what an envelope says.
    pub fn of(envelope: &Envelope) -> Self {
        Properties {
            content_type: Some(JSON.to_owned()),
            correlation_id: envelope.correlation_id.map(|id| id.to_string()),
            message_id: Some(envelope.id.to_string()),
            timestamp: u64::try_from(envelope.timestamp.timestamp()).ok(),
            kind: Some(envelope.event_type.clone()),
            app_id: Some(envelope.source.clone()),
            ..Properties::default()
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Properties::default()
    }

    /// Those that do not only repeat what an envelope says.
    #[must_use]
    pub fn beyond(mut self, envelope: &Envelope) -> Self {
        let mut buffer = Uuid::encode_buffer();
        let mut is_id =
            |text: &String, id: Uuid| *text == *id.hyphenated().encode_lower(&mut buffer);
        self.content_type.take_if(|text| text == JSON);
        self.message_id.take_if(|text| is_id(text, envelope.id));
        if let Some(id) = envelope.correlation_id {
            self.correlation_id.take_if(|text| is_id(text, id));
        }
        let seconds = u64::try_from(envelope.timestamp.timestamp()).ok();
        self.timestamp.take_if(|said| Some(*said) == seconds);
        self.kind.take_if(|text| *text == envelope.event_type);
        self.app_id.take_if(|text| *text == envelope.source);
        self
    }

    /// The same, with what is not there taken from others.
    #[must_use]
    pub fn or(self, others: Properties) -> Self {
        Properties {
            content_type: self.content_type.or(others.content_type),
            content_encoding: self.content_encoding.or(others.content_encoding),
            priority: self.priority.or(others.priority),
            correlation_id: self.correlation_id.or(others.correlation_id),
            reply_to: self.reply_to.or(others.reply_to),
            message_id: self.message_id.or(others.message_id),
            timestamp: self.timestamp.or(others.timestamp),
            kind: self.kind.or(others.kind),
            app_id: self.app_id.or(others.app_id),
        }
    }

    /// As messages hold them: in a box, and only if there are any.
    pub fn boxed(self) -> Option<Box<Self>> {
        (!self.is_empty()).then(|| Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use bloodbank_core::Meta;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_envelope_says_itself_is_not_beyond_it() {
        let meta = Meta::new().with_correlation_id(Uuid::now_v7());
        let envelope = Envelope::new("a.b", "s", json!({}), meta);
        assert!(Properties::of(&envelope).beyond(&envelope).is_empty());
        let others = Properties::of(&Envelope::new("a.c", "t", json!({}), Meta::new()));
        let beyond = others.clone().beyond(&envelope);
        assert_eq!((beyond.message_id, beyond.kind), (others.message_id, others.kind));
        assert_eq!((beyond.app_id, beyond.content_type), (others.app_id, None));
    }

    #[test]
    fn what_is_there_wins_over_others() {
        let one = Properties { priority: Some(7), ..Properties::default() };
        let two =
            Properties { priority: Some(1), kind: Some("k".to_owned()), ..Properties::default() };
        let both = one.clone().or(two);
        assert_eq!((both.priority, both.kind.as_deref()), (Some(7), Some("k")));
        assert_eq!((one.boxed().is_some(), Properties::default().boxed()), (true, None));
    }
}
