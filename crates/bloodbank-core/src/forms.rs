//! How the envelope's ids and times are written, which is as its schema says.
//!
//! The crates for UUIDs and times read more than that; what one language takes, every other must.

use std::fmt;

use chrono::{DateTime, Timelike, Utc};
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Hexadecimal digits and four hyphens.
const UUID_LENGTH: usize = 36;

/// Reads the format `uuid`.
pub(crate) fn uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    deserializer.deserialize_str(Text { read: read_uuid, expected: "a UUID with hyphens" })
}

/// Reads the format `uuid`; null is absent.
pub(crate) fn maybe_uuid<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Uuid>, D::Error> {
    deserializer.deserialize_option(MaybeUuid)
}

/// Reads the format `date-time`.
pub(crate) fn date_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<DateTime<Utc>, D::Error> {
    let expected = "a time as in RFC 3339, with `T` and an offset";
    deserializer.deserialize_str(Text { read: read_date_time, expected })
}

fn read_uuid(text: &str) -> Option<Uuid> {
    // The other forms have other lengths.
    if text.len() == UUID_LENGTH { Uuid::try_parse(text).ok() } else { None }
}

fn read_date_time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    // The crate takes a blank for the `T`, the minus sign of Unicode, and a second of 60 at any time of
    // the day.
    let is_separated = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    let is_leap = time.nanosecond() >= 1_000_000_000;
    (text.is_ascii() && is_separated && (!is_leap || (time.hour(), time.minute()) == (23, 59)))
        .then_some(time)
}

/// Writes ids and the time as the schema wants them, where they can be read at all.
pub(crate) fn strengthen(fields: &mut Map<String, Value>) {
    for (name, value) in fields {
        let Some(text) = value.as_str() else { continue };
        let written = match name.as_str() {
            "id" | "correlation_id" | "causation_id" => {
                Uuid::try_parse(text).ok().map(|id| id.to_string())
            }
            "timestamp" => text.parse::<DateTime<Utc>>().ok().map(|time| time.to_rfc3339()),
            _ => None,
        };
        if let Some(written) = written {
            *value = Value::String(written);
        }
    }
}

/// A text of some form.
struct Text<T> {
    read: fn(&str) -> Option<T>,
    expected: &'static str,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

struct MaybeUuid;

impl<'de> Visitor<'de> for MaybeUuid {
    type Value = Option<Uuid>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID with hyphens, or null")
    }

    fn visit_none<E: Error>(self) -> Result<Option<Uuid>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Uuid>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Uuid>, D::Error> {
        uuid(deserializer).map(Some)
    }
}
