//! What generated code calls to read payloads.

mod branches;
mod whole_numbers;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::describe::HIDDEN;
use crate::{CheckError, Code, Contract, Contracts, Refusal, UnknownKey, escape_control};

pub use branches::Branches;

/// For optional fields that may also be null: outer `None` absent, inner `None` null.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Patch {
///     #[serde(
///         default,
///         skip_serializing_if = "Option::is_none",
///         deserialize_with = "bloodbank_core::codec::nullable"
///     )]
///     topic: Option<Option<String>>,
/// }
/// let patch: Patch = serde_json::from_str(r#"{"topic":null}"#)?;
/// assert_eq!(patch.topic, Some(None));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Also for an optional field that takes any value: null then stays a value.
///
/// # Errors
/// Those of `T`.
pub fn nullable<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// For a flattened `extra` map beside `#[serde(tag = "event_type")]`, which serde writes but does not
/// take out when it reads.
///
/// # Errors
/// Those of the deserializer.
pub fn extra_without_event_type<'de, D>(deserializer: D) -> Result<Map<String, Value>, D::Error>
where
    D: Deserializer<'de>,
{
    extra_without("event_type", deserializer)
}

/// The same beside `#[serde(tag = "type")]`.
///
/// # Errors
/// Those of the deserializer.
pub fn extra_without_type<'de, D>(deserializer: D) -> Result<Map<String, Value>, D::Error>
where
    D: Deserializer<'de>,
{
    extra_without("type", deserializer)
}

fn extra_without<'de, D>(tag: &str, deserializer: D) -> Result<Map<String, Value>, D::Error>
where
    D: Deserializer<'de>,
{
    let mut extra = Map::deserialize(deserializer)?;
    extra.shift_remove(tag);
    Ok(extra)
}

/// Why bytes are not a payload of a type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON.
    #[error("not JSON, at line {line}, column {column}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1; 0 if the text ends before its line begins.
        column: usize,
    },
    /// JSON, but not what the contract asks for.
    #[error(transparent)]
    Refused(Refusal),
    /// No contract has the key.
    #[error(transparent)]
    UnknownKey(UnknownKey),
    /// The key belongs to another contract than the type.
    #[error("`{key}` is not the key of this type, which is `{wanted}`")]
    OtherKey {
        /// The routing key of the payload, with version.
        key: String,
        /// The first key of the type.
        wanted: &'static str,
    },
    /// The contract's own schema cannot be used.
    #[error("the schema of `{key}` cannot be used: {reason}")]
    Schema {
        /// The routing key, with version.
        key: String,
        /// What the schema compiler says.
        reason: String,
    },
    /// The contract accepts it and the generated type does not: a type too narrow for its contract.
    #[error("`{key}` is valid, but its type does not take it: {reason}")]
    Shape {
        /// The routing key, with version.
        key: String,
        /// What serde says; `(hidden)` if the contract has anything sensitive.
        reason: String,
    },
}

impl DecodeError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            DecodeError::Syntax { .. } => Code::NotJson,
            DecodeError::Refused(error) => error.code(),
            DecodeError::UnknownKey(error) => error.code(),
            DecodeError::OtherKey { .. } => Code::OtherType,
            DecodeError::Schema { .. } => Code::SchemaUnusable,
            DecodeError::Shape { .. } => Code::TypeTooNarrow,
        }
    }
}

impl From<CheckError> for DecodeError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Refused(refusal) => DecodeError::Refused(refusal),
            CheckError::UnknownKey(unknown) => DecodeError::UnknownKey(unknown),
            CheckError::Schema { key, reason } => DecodeError::Schema { key, reason },
            // Only values of generated types are encoded; nothing that is decoded passes here.
            CheckError::Encode(error) => {
                DecodeError::Syntax { line: error.line(), column: error.column() }
            }
        }
    }
}

/// What a command was answered with, if it is what the command's schema names.
///
/// # Errors
/// [`DecodeError::Refused`] with the violations; [`DecodeError::Shape`] if it is not an `R`.
pub fn read_reply<R: DeserializeOwned>(
    contracts: &Contracts,
    key: &str,
    reply: &Value,
) -> Result<R, DecodeError> {
    contracts.check_reply(key, reply)?;
    let again = |error| match whole_numbers::with_integers(reply) {
        Some(reply) => R::deserialize(&reply),
        None => Err(error),
    };
    R::deserialize(reply).or_else(again).map_err(|error| DecodeError::Shape {
        key: key.to_owned(),
        reason: if contracts.has_sensitive_reply(key) {
            HIDDEN.to_owned()
        } else {
            escape_control(&error.to_string())
        },
    })
}

/// What a payload can be read as: any [`Contract`] type, [`Value`], and the generated `AnyEvent`.
pub trait Payload: Sized + Send + 'static {
    /// Whether a key without a contract is refused before it comes here. `AnyEvent` takes it, as
    /// unchecked data: a newer publisher may know more than we do.
    const KNOWN_ONLY: bool = false;

    /// Reads a payload that keeps the contract of `key`, if there is one.
    ///
    /// # Errors
    /// [`DecodeError::OtherKey`] or [`DecodeError::Shape`].
    fn from_valid(key: &str, payload: &Value) -> Result<Self, DecodeError>;
}

impl Payload for Value {
    const KNOWN_ONLY: bool = true;

    fn from_valid(_key: &str, payload: &Value) -> Result<Self, DecodeError> {
        Ok(payload.clone())
    }
}

impl<T: Contract> Payload for T {
    const KNOWN_ONLY: bool = true;

    fn from_valid(key: &str, payload: &Value) -> Result<Self, DecodeError> {
        if !T::KEYS.contains(&key) {
            return Err(DecodeError::OtherKey { key: key.to_owned(), wanted: T::KEYS[0] });
        }
        let typed = match whole_numbers::with_integers(payload) {
            Some(payload) => T::deserialize(&payload),
            None => T::deserialize(payload),
        };
        typed.map_err(|error| DecodeError::Shape {
            key: key.to_owned(),
            reason: if T::contracts().has_sensitive(key) {
                HIDDEN.to_owned()
            } else {
                escape_control(&error.to_string())
            },
        })
    }
}

/// A payload from its bytes: parsed, checked against the contract of `key`, and typed.
///
/// # Errors
/// Each step has its variant of [`DecodeError`]. None repeats the payload, except as
/// [`Violation::found`](crate::Violation::found) does.
pub fn decode<T: Contract>(key: &str, bytes: &[u8]) -> Result<T, DecodeError> {
    decode_any(&T::contracts(), key, bytes)
}

/// The same for any [`Payload`].
///
/// # Errors
/// Those of [`decode`]; no [`DecodeError::UnknownKey`] for a payload type that takes such keys.
pub fn decode_any<P: Payload>(
    contracts: &Contracts,
    key: &str,
    bytes: &[u8],
) -> Result<P, DecodeError> {
    let payload = serde_json::from_slice(bytes)
        .map_err(|error| DecodeError::Syntax { line: error.line(), column: error.column() })?;
    check_and_read(contracts, key, &payload)
}

/// The same from a payload that is parsed already.
///
/// # Errors
/// Those of [`decode_any`] except [`DecodeError::Syntax`].
pub fn check_and_read<P: Payload>(
    contracts: &Contracts,
    key: &str,
    payload: &Value,
) -> Result<P, DecodeError> {
    match contracts.check(key, payload) {
        Err(CheckError::UnknownKey(_)) if !P::KNOWN_ONLY => {}
        checked => checked?,
    }
    P::from_valid(key, payload)
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "event_type", rename = "a.b")]
    struct Tagged {
        topic: String,
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "crate::codec::nullable"
        )]
        note: Option<Option<String>>,
        #[serde(flatten, deserialize_with = "crate::codec::extra_without_event_type")]
        extra: Map<String, Value>,
    }

    #[test]
    fn a_tagged_struct_with_extra_makes_the_round_trip() {
        let texts = [
            r#"{"event_type":"a.b","topic":"x"}"#,
            r#"{"event_type":"a.b","topic":"x","note":null,"more":[1]}"#,
            r#"{"event_type":"a.b","topic":"x","note":"n","type":"kept"}"#,
        ];
        for text in texts {
            let value: Tagged = serde_json::from_str(text).unwrap();
            assert!(!value.extra.contains_key("event_type"));
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            let again: Tagged =
                serde_json::from_value(serde_json::to_value(&value).unwrap()).unwrap();
            assert_eq!(again, value);
        }
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        let note = |text: &str| serde_json::from_str::<Tagged>(text).unwrap().note;
        assert_eq!(note(r#"{"topic":"x"}"#), None);
        assert_eq!(note(r#"{"topic":"x","note":null}"#), Some(None));
        assert_eq!(note(r#"{"topic":"x","note":""}"#), Some(Some(String::new())));
    }

    #[test]
    fn the_other_tag() {
        #[derive(Serialize, Deserialize)]
        #[serde(tag = "type", rename = "a.b")]
        struct Other {
            #[serde(flatten, deserialize_with = "crate::codec::extra_without_type")]
            extra: Map<String, Value>,
        }
        let text = r#"{"type":"a.b","event_type":"kept"}"#;
        let other: Other = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&other).unwrap(), text);
    }
}
