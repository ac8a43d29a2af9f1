//! Which events are meant.

use std::fmt;
use std::str::FromStr;

use bloodbank_core::{Code, Kind, TopicPattern, same_value};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

#[cfg(doc)]
use crate::EventStore;
use crate::event::kind_of;
use crate::record::{indexed, stored_envelope};
use crate::{Position, Standing, StoredEvent};

/// Which events are meant: those that pass everything that is set. The default is all of them.
///
/// Times are times of storing ([`StoredEvent::received`](crate::StoredEvent::received)), which never
/// go back from one position to the next. So a time is a position, found by one look into an index.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Filter {
    /// Only events, or only commands; both if `None`.
    pub kind: Option<Kind>,
    /// Keys, exact or with `*` and `#`; one of them must match. All keys if there are none.
    pub keys: Vec<TopicPattern>,
    /// Who said it.
    pub source: Option<String>,
    /// The session it belongs to.
    pub session: Option<String>,
    /// The correlation id. The event that has it as its own id began the work, and belongs to it.
    pub correlation: Option<Uuid>,
    /// Stored then or later.
    pub since: Option<DateTime<Utc>>,
    /// Stored before then.
    pub until: Option<DateTime<Utc>>,
    /// From this position on.
    pub first: Option<Position>,
    /// Up to this position, with it.
    pub last: Option<Position>,
    /// What its contract said when it was stored.
    pub standing: Option<Standing>,
    /// Fields of the payload; all must be as they say. Where none of them has an
    /// [index](EventStore::add_payload_index), events are read one by one.
    pub fields: Vec<Field>,
}

impl Filter {
    /// Everything.
    pub fn new() -> Self {
        Filter::default()
    }

    /// Only events, or only commands.
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Adds a key, or a pattern of keys.
    pub fn with_key(mut self, key: TopicPattern) -> Self {
        self.keys.push(key);
        self
    }

    /// What this source said.
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(indexed(&source.into()).into_owned());
        self
    }

    /// What belongs to this session.
    pub fn with_session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(indexed(&session.into()).into_owned());
        self
    }

    /// What has this correlation id, and the event of this id.
    pub fn with_correlation(mut self, id: Uuid) -> Self {
        self.correlation = Some(id);
        self
    }

    /// What was stored then or later.
    pub fn with_since(mut self, time: DateTime<Utc>) -> Self {
        self.since = Some(time);
        self
    }

    /// What was stored before then.
    pub fn with_until(mut self, time: DateTime<Utc>) -> Self {
        self.until = Some(time);
        self
    }

    /// From this position on.
    pub fn with_first(mut self, position: Position) -> Self {
        self.first = Some(position);
        self
    }

    /// Up to this position, with it.
    pub fn with_last(mut self, position: Position) -> Self {
        self.last = Some(position);
        self
    }

    /// What stands so with its contract.
    pub fn with_standing(mut self, standing: Standing) -> Self {
        self.standing = Some(standing);
        self
    }

    /// Adds a field of the payload.
    pub fn with_field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// What is set, as a JSON object: for logs and for the record of what was done with it.
    pub fn to_json(&self) -> Value {
        let mut json = self.contents();
        json["since"] = json!(self.since);
        json["until"] = json!(self.until);
        json["first"] = json!(self.first);
        json["last"] = json!(self.last);
        if let Some(parts) = json.as_object_mut() {
            parts.retain(|_, part| !part.is_null());
        }
        json
    }

    /// The filter whose [`to_json`](Filter::to_json) this is; `None` if it is of none.
    pub(crate) fn from_json(json: &Value) -> Option<Self> {
        let mut filter = Filter::new();
        for (name, value) in json.as_object()? {
            match name.as_str() {
                "kind" => filter.kind = Some(kind_of(value.as_str()?).ok()?),
                "keys" => {
                    let keys = value.as_array()?.iter();
                    filter.keys =
                        keys.map(|key| key.as_str()?.parse().ok()).collect::<Option<_>>()?;
                }
                "source" => filter.source = Some(value.as_str()?.to_owned()),
                "session" => filter.session = Some(value.as_str()?.to_owned()),
                "correlation" => filter.correlation = Some(value.as_str()?.parse().ok()?),
                "since" => filter.since = Some(value.as_str()?.parse().ok()?),
                "until" => filter.until = Some(value.as_str()?.parse().ok()?),
                "first" => filter.first = Some(value.as_u64()?),
                "last" => filter.last = Some(value.as_u64()?),
                "standing" => filter.standing = Some(value.as_str()?.parse().ok()?),
                "fields" => {
                    let field = |field: &Value| {
                        Field::new(field.get(0)?.as_str()?, field.get(1)?.clone()).ok()
                    };
                    let fields = value.as_array()?.iter();
                    filter.fields = fields.map(field).collect::<Option<_>>()?;
                }
                _ => return None,
            }
        }
        Some(filter)
    }

    /// Tells it from filters that mean other events. The range, in times and in positions, is no
    /// part of it, so that `10m` ago may move on from page to page.
    pub(crate) fn digest(&self) -> u32 {
        crc32fast::hash(self.contents().to_string().as_bytes())
    }

    fn contents(&self) -> Value {
        let mut keys: Vec<&str> = self.keys.iter().map(TopicPattern::as_str).collect();
        keys.sort_unstable();
        keys.dedup();
        let fields: Vec<_> = self.fields.iter().map(|f| json!([f.pointer, f.value])).collect();
        json!({
            "kind": self.kind.map(Kind::as_str),
            "keys": (!keys.is_empty()).then_some(keys),
            "source": self.source,
            "session": self.session,
            "correlation": self.correlation,
            "standing": self.standing.map(Standing::as_str),
            "fields": (!fields.is_empty()).then_some(fields),
        })
    }

    /// Whether an event passes, as the store would say: for who has the events already, and tells them to
    /// several who ask for different ones.
    pub fn matches(&self, event: &StoredEvent) -> bool {
        let is = |asked: &Option<String>, found: &str| {
            asked.as_deref().is_none_or(|asked| indexed(asked) == indexed(found))
        };
        let session = event.session_id.as_deref();
        let is_in_session =
            self.session.is_none() || session.is_some_and(|found| is(&self.session, found));
        let belongs = |id: Uuid| event.id == id || event.correlation_id == Some(id);
        self.kind.is_none_or(|kind| event.kind == kind)
            && (self.keys.is_empty() || self.keys.iter().any(|key| key.matches(&event.key)))
            && is(&self.source, &event.source)
            && is_in_session
            && self.correlation.is_none_or(belongs)
            && self.since.is_none_or(|since| event.received >= since)
            && self.until.is_none_or(|until| event.received < until)
            && self.first.is_none_or(|first| event.position >= first)
            && self.last.is_none_or(|last| event.position <= last)
            && self.standing.is_none_or(|standing| event.standing == standing)
            && self.passes(event)
    }

    /// Whether the fields of a payload are as they must be. What is not an envelope has none.
    pub(crate) fn passes(&self, event: &StoredEvent) -> bool {
        if self.fields.is_empty() {
            return true;
        }
        let Ok(envelope) = stored_envelope(event) else { return false };
        self.fields.iter().all(|field| field.is_in(&envelope.data))
    }
}

/// A field of the payload and what it must be: `/topic="Budget"`.
///
/// Values are equal as contracts see them: numbers by value, UUIDs and times by what they mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pointer: String,
    value: Value,
}

/// A text that is no field and value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// It does not begin as a pointer does.
    #[error("`{0}` is no JSON pointer: expected `/` and the name of a field, as in `/topic`")]
    Pointer(String),
    /// There is no value.
    #[error("`{0}` has no value: expected a pointer, `=` and JSON, as in `/rounds=3`")]
    NoValue(String),
    /// No index can be made of it.
    #[error("no index can be made on `{pointer}`: {reason}")]
    NoIndex {
        /// The field.
        pointer: String,
        /// Why.
        reason: &'static str,
    },
    /// What stands behind `=` is no JSON.
    #[error("the value of `{pointer}` is no JSON: {reason}")]
    Json {
        /// The field.
        pointer: String,
        /// What the parser says.
        reason: String,
    },
}

impl FieldError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            FieldError::Pointer(_) => Code::FieldPointer,
            FieldError::NoValue(_) => Code::FieldNoValue,
            FieldError::NoIndex { .. } => Code::FieldNoIndex,
            FieldError::Json { .. } => Code::FieldNotJson,
        }
    }
}

impl Field {
    /// The field that a JSON pointer (RFC 6901) names in `data`. The empty pointer is the whole of it.
    ///
    /// # Errors
    /// If it is no pointer.
    pub fn new(pointer: impl Into<String>, value: Value) -> Result<Self, FieldError> {
        let pointer = pointer.into();
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(FieldError::Pointer(pointer));
        }
        Ok(Field { pointer, value })
    }

    /// Where it stands in the payload.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What it must be.
    pub fn value(&self) -> &Value {
        &self.value
    }

    fn is_in(&self, data: &Value) -> bool {
        data.pointer(&self.pointer).is_some_and(|found| same_value(found, &self.value))
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let (pointer, value) =
            text.split_once('=').ok_or_else(|| FieldError::NoValue(text.to_owned()))?;
        let value = serde_json::from_str(value).map_err(|error| FieldError::Json {
            pointer: pointer.to_owned(),
            reason: error.to_string(),
        })?;
        Field::new(pointer, value)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pointer, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_the_same_after_the_way_through_json() {
        let time = |text: &str| text.parse().unwrap();
        let full = Filter::new()
            .with_kind(Kind::Event)
            .with_key("lot.#".parse().unwrap())
            .with_source("me")
            .with_session("s")
            .with_correlation(Uuid::now_v7())
            .with_since(time("2026-01-31T12:00:00Z"))
            .with_until(time("2026-02-01T00:00:00.000001Z"))
            .with_first(1)
            .with_last(u64::MAX)
            .with_standing(Standing::Valid)
            .with_field("/a/0=[1,\"x\"]".parse().unwrap());
        for filter in [Filter::new(), full] {
            assert_eq!(Filter::from_json(&filter.to_json()), Some(filter));
        }
        assert_eq!(Filter::from_json(&json!({"colour": "red"})), None);
    }
}
