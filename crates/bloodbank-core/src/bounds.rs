//! What the envelope asks of its own fields, beside their types.
//!
//! `schemas/_common/envelope.v1.json` says the same, and a test asks both about the same envelopes.
//! Lengths count characters, as they do in every JSON Schema.

use chrono::Datelike;
use fluent_uri::Uri;
use serde_json::Value;

use crate::describe;
use crate::{Envelope, Violation};

/// The most characters of a source, a routing key or a session.
const LONGEST: usize = 255;
/// The most characters of a tracestate.
const LONGEST_STATE: usize = 512;

/// What is wrong with an envelope that came in, apart from its payload.
pub(crate) fn violations(envelope: &Envelope) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut check = |field: &str, text: &str, rule: &str, expected: &str, holds: bool| {
        if !holds {
            found.push(violation(field, rule, expected, &Value::String(text.to_owned())));
        }
    };
    let key = &envelope.event_type;
    if key.len() > LONGEST {
        check("event_type", key, "maxLength", "at most 255 characters", false);
    }
    check("event_type", key, "pattern", "words with dots between them, as in `a.b`", is_key(key));
    let source = &envelope.source;
    check("source", source, "maxLength", "1 to 255 characters", has_length(source, LONGEST));
    if let Some(session) = &envelope.session_id {
        let is_short = has_length(session, LONGEST);
        check("session_id", session, "maxLength", "1 to 255 characters", is_short);
    }
    if let Some(schema) = &envelope.schema {
        check("schema", schema, "format", "a URI", is_uri(schema));
    }
    if let Some(trace) = &envelope.traceparent {
        check("traceparent", trace, "pattern", "a W3C traceparent", is_traceparent(trace));
    }
    if let Some(state) = &envelope.tracestate {
        let expected = "a W3C tracestate of at most 512 characters";
        check("tracestate", state, "pattern", expected, is_tracestate(state));
    }
    if !envelope.data.is_object() {
        found.push(violation("data", "type", "an object", &envelope.data));
    }
    found
}

/// What is wrong with an envelope that is to be written, apart from its payload: also what can be
/// held in memory and has no form in JSON.
pub(crate) fn violations_when_written(envelope: &Envelope) -> Vec<Violation> {
    let mut found = violations(envelope);
    if !(0..=9_999).contains(&envelope.timestamp.year()) {
        let year = Value::from(envelope.timestamp.year());
        found.push(violation("timestamp", "format", "a year from 0000 to 9999, in UTC", &year));
    }
    for name in FIELDS.iter().filter(|name| envelope.extra.contains_key(**name)) {
        found.push(violation(name, "false", "no second value in `extra`", &envelope.extra[*name]));
    }
    found
}

/// The fields that have a place of their own.
pub(crate) const FIELDS: [&str; 11] = [
    "id",
    "event_type",
    "source",
    "timestamp",
    "correlation_id",
    "causation_id",
    "session_id",
    "schema",
    "traceparent",
    "tracestate",
    "data",
];

fn violation(field: &str, rule: &str, expected: &str, found: &Value) -> Violation {
    Violation {
        pointer: format!("(envelope)/{field}"),
        rule: rule.to_owned(),
        expected: expected.to_owned(),
        found: describe::found(found),
        schema: format!("/properties/{field}/{rule}"),
        similar: None,
    }
}

fn has_length(text: &str, longest: usize) -> bool {
    // No text has more characters than bytes.
    !text.is_empty() && (text.len() <= longest || text.chars().count() <= longest)
}

/// Most are plain addresses, which need no parser.
fn is_uri(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let rest = text.strip_prefix("https://");
    rest.is_some_and(|rest| rest.bytes().all(is_plain)) || Uri::parse(text).is_ok()
}

/// Two words or more, each a lower-case letter and then such letters, digits and underscores.
fn is_key(text: &str) -> bool {
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.contains('.') && text.split('.').all(is_word)
}

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, in lower case.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 55
        && text.bytes().enumerate().all(|(i, byte)| match i {
            2 | 35 | 52 => byte == b'-',
            _ => is_hex(byte),
        })
}

/// Characters of ASCII that can be seen, blanks and tabs: what the header can carry.
pub(crate) fn is_tracestate(text: &str) -> bool {
    let is_visible = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    (1..=LONGEST_STATE).contains(&text.len()) && text.bytes().all(is_visible)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use crate::Meta;

    use super::*;

    fn places(envelope: &Envelope) -> Vec<String> {
        violations_when_written(envelope).into_iter().map(|found| found.pointer).collect()
    }

    fn places_of(source: &str, meta: Meta) -> Vec<String> {
        places(&Envelope::new("a.b", source, json!({}), meta))
    }

    #[test]
    fn lengths_count_characters() {
        assert!(places_of("s", Meta::new()).is_empty());
        assert!(places_of(&"é".repeat(255), Meta::new().with_session_id("x")).is_empty());
        assert_eq!(places_of("", Meta::new()), ["(envelope)/source"]);
        assert_eq!(places_of(&"é".repeat(256), Meta::new()), ["(envelope)/source"]);
        assert_eq!(places_of("s", Meta::new().with_session_id("")), ["(envelope)/session_id"]);
    }

    #[test]
    fn a_trace_context_reads_as_w3c_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(places_of("s", Meta::new().with_traceparent(good)).is_empty());
        for bad in ["", "00", &good.to_uppercase(), &good.replace('-', "_"), &format!("{good}0")] {
            let found = places_of("s", Meta::new().with_traceparent(bad));
            assert_eq!(found, ["(envelope)/traceparent"], "{bad}");
        }
    }

    #[test]
    fn what_has_no_form_in_json_is_not_written() {
        for year in [-1, 10_000] {
            let time = DateTime::from_timestamp(0, 0).unwrap().with_year(year).unwrap();
            let found = places_of("s", Meta::new().with_timestamp(time));
            assert_eq!(found, ["(envelope)/timestamp"], "{year}");
        }
        let mut envelope = Envelope::new("a.b", "s", json!({}), Meta::new());
        envelope.extra.insert("tenant".to_owned(), json!(1));
        assert!(places(&envelope).is_empty());
        envelope.extra.insert("source".to_owned(), json!("another"));
        assert_eq!(places(&envelope), ["(envelope)/source"]);
    }
}
