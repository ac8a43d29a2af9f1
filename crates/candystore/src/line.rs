//! Events as lines of JSON (NDJSON), as they leave one store and enter another.

use std::fmt::{self, Write as _};

use bloodbank_bus::{Headers, Properties};
use bloodbank_core::{Code, Kind, json_problem};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::event::kind_of;
use crate::{Incoming, StoredEvent};

/// The fields of a line; of the last two there is one, and of `properties` one at most.
const FIELDS: [&str; 9] = [
    "position",
    "received",
    "kind",
    "key",
    "headers",
    "properties",
    "checksum",
    "body",
    "body_hex",
];

/// The longest key that travels: AMQP's short strings end there.
const LONGEST_KEY: usize = 255;

/// What is wrong with a line: all of it. No value of the line stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", in_one_line(faults))]
#[non_exhaustive]
pub struct LineError {
    /// At least one.
    pub faults: Vec<LineFault>,
}

impl LineError {
    /// Its code, [`Code::LineFaulty`].
    pub fn code(&self) -> Code {
        Code::LineFaulty
    }
}

fn in_one_line(faults: &[LineFault]) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.join("; ")
}

/// One thing that is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineFault {
    /// It is not JSON.
    NotJson {
        /// Where, in bytes from 1; 0 before the first.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// It is JSON and not an object.
    NotAnObject,
    /// It has fields that no export writes.
    UnknownFields,
    /// It has both `body` and `body_hex`.
    TwoBodies,
    /// A field is missing or is something else.
    Field {
        /// Its name.
        name: &'static str,
        /// What was expected, for people.
        expected: &'static str,
        /// In what it fails.
        problem: LineProblem,
    },
}

/// In what a field of a line fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineProblem {
    /// It is missing.
    Missing,
    /// It is something else.
    Other,
    /// It is a checksum, and the bytes of the body have another one.
    Differs,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineFault::NotJson { column, reason } => {
                write!(f, "expected a line of JSON: {reason} at column {column}")
            }
            LineFault::NotAnObject => f.write_str("expected a JSON object"),
            LineFault::UnknownFields => {
                write!(f, "expected no other fields than {}", FIELDS.join(", "))
            }
            LineFault::TwoBodies => f.write_str("expected `body` or `body_hex`, found both"),
            LineFault::Field { name, expected, problem } => {
                write!(f, "`{name}`: expected {expected}")?;
                f.write_str(match problem {
                    LineProblem::Missing => ", it is missing",
                    LineProblem::Other => ", found something else",
                    LineProblem::Differs => "",
                })
            }
        }
    }
}

impl StoredEvent {
    /// The event as a line of JSON, without the line break: `position`, `received`, `kind`, `key`,
    /// `headers`, `checksum`, and `body`, which is `body_hex` where it is no UTF-8. There are `properties`
    /// where the message had others than those of its envelope.
    pub fn to_line(&self) -> String {
        let (name, body) = body_field(&self.body);
        let mut line = json!({
            "position": self.position,
            "received": self.received.to_rfc3339_opts(SecondsFormat::Micros, true),
            "kind": self.kind.as_str(),
            "key": self.key,
            "headers": self.headers,
            "checksum": self.checksum,
            name: body,
        });
        if let Some(properties) = &self.properties {
            line["properties"] = json!(properties);
        }
        line.to_string()
    }
}

/// A body as a field of JSON, its name and its value: text as `body`, what is no UTF-8 as `body_hex`.
pub fn body_field(body: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(body) {
        Ok(text) => ("body", text.to_owned()),
        Err(_) => {
            let mut hex = String::with_capacity(2 * body.len());
            for byte in body {
                // Into a string it cannot fail.
                let _ = write!(hex, "{byte:02x}");
            }
            ("body_hex", hex)
        }
    }
}

impl Incoming {
    /// Reads a line that [`StoredEvent::to_line`] has written. The position is that of the other store
    /// and is not kept; the time is.
    ///
    /// # Errors
    /// Everything that is wrong with the line, also bytes that are not those of the checksum.
    pub fn from_line(line: &[u8]) -> Result<Self, LineError> {
        let fields: Map<String, Value> = serde_json::from_slice(line.trim_ascii())
            .map_err(|error| LineError { faults: vec![not_an_object(&error)] })?;
        let mut fields = Fields { fields, faults: Vec::new() };
        let incoming = fields.incoming();
        match incoming {
            Some(incoming) if fields.faults.is_empty() => Ok(incoming),
            _ => Err(LineError { faults: fields.faults }),
        }
    }
}

fn not_an_object(error: &serde_json::Error) -> LineFault {
    match error.classify() {
        // Its text would repeat a value.
        serde_json::error::Category::Data => LineFault::NotAnObject,
        _ => LineFault::NotJson { column: error.column(), reason: json_problem(error) },
    }
}

/// A line while it is read.
struct Fields {
    fields: Map<String, Value>,
    faults: Vec<LineFault>,
}

impl Fields {
    fn incoming(&mut self) -> Option<Incoming> {
        let unknown = self.fields.keys().filter(|name| !FIELDS.contains(&name.as_str()));
        if unknown.count() > 0 {
            self.faults.push(LineFault::UnknownFields);
        }
        self.field("position", "a whole number from 1", |value| value.as_u64().filter(|&n| n > 0));
        let received = self.field("received", "a time as in RFC 3339", time);
        let kind = self.field("kind", "`event` or `command`", kind);
        let key = self.field("key", "a text of at most 255 bytes", key);
        let headers = self.field("headers", "an object of the values of headers", headers);
        let properties = match self.fields.contains_key("properties") {
            true => self.field("properties", "an object of the properties of AMQP", properties),
            false => Some(None),
        };
        let checksum = self.field("checksum", "a whole number of 32 bits", |value| {
            value.as_u64().and_then(|number| u32::try_from(number).ok())
        });
        let body = self.body();
        let (checksum, body) = (checksum?, body?);
        if crc32fast::hash(&body) != checksum {
            self.faults.push(LineFault::Field {
                name: "checksum",
                expected: "the CRC-32 of the bytes of the body",
                problem: LineProblem::Differs,
            });
        }
        let incoming = Incoming::new(kind?, key?, body).with_headers(headers?);
        Some(incoming.with_properties(properties?).with_received(received?))
    }

    /// Takes a field out, or notes what was expected.
    fn field<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Option<T> {
        let found = self.fields.remove(name);
        let is_there = found.is_some();
        let value = found.and_then(read);
        if value.is_none() {
            let problem = if is_there { LineProblem::Other } else { LineProblem::Missing };
            self.faults.push(LineFault::Field { name, expected, problem });
        }
        value
    }

    fn body(&mut self) -> Option<Vec<u8>> {
        match (self.fields.contains_key("body"), self.fields.contains_key("body_hex")) {
            (true, true) => {
                self.faults.push(LineFault::TwoBodies);
                None
            }
            (false, true) => self.field("body_hex", "an even number of hexadecimal digits", bytes),
            _ => self.field("body", "a text", text).map(String::into_bytes),
        }
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn key(value: Value) -> Option<String> {
    text(value).filter(|key| key.len() <= LONGEST_KEY)
}

fn time(value: Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc())
}

fn kind(value: Value) -> Option<Kind> {
    kind_of(value.as_str()?).ok()
}

fn headers(value: Value) -> Option<Headers> {
    serde_json::from_value(value).ok()
}

fn properties(value: Value) -> Option<Option<Box<Properties>>> {
    serde_json::from_value(value).ok().map(Properties::boxed)
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    let digits = value.as_str()?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_with_a_line_is_said_and_no_value_of_it() {
        let line = br#"{"position":0,"received":"secret","kind":"secret","key":7,"headers":{"a":{"secret":1}},
            "checksum":-1,"body":["secret"],"secret":1}"#;
        let error = Incoming::from_line(line).unwrap_err();
        assert_eq!(error.faults.len(), 8, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        for (line, said) in [
            (&b"{"[..], "expected a line of JSON: EOF"),
            (b"[", "expected a JSON object"),
            (b"[\"secret\"]", "expected a JSON object"),
            (b"\"secret\"", "expected a JSON object"),
            (b"\xff", "expected a line of JSON: "),
            (b"{}", "`body`: expected a text, it is missing"),
            (b"{\"body\":\"\",\"body_hex\":\"\"}", "found both"),
            (b"{\"body_hex\":\"0\"}", "`body_hex`: expected an even number"),
            (b"{\"body_hex\":\"0g\"}", "`body_hex`: expected an even number"),
        ] {
            let error = Incoming::from_line(line).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }
}
