//! What the envelope asks of its own fields, beside their types.
//!
//! `schemas/_common/envelope.v1.json` says the same; the lengths are those that AMQP's short strings
//! can carry, so they count bytes.

use serde_json::Value;

use crate::describe;
use crate::{Envelope, Violation};

/// The most bytes of a short string in AMQP 0.9.1.
const SHORT_STRING: usize = 255;

/// What is wrong with an envelope, apart from its payload.
pub(crate) fn faults(envelope: &Envelope) -> Vec<Violation> {
    let mut faults = Vec::new();
    let mut check = |field: &str, text: &str, rule: &str, expected: &str, holds: bool| {
        if !holds {
            faults.push(Violation {
                pointer: format!("(envelope)/{field}"),
                rule: rule.to_owned(),
                expected: expected.to_owned(),
                found: describe::found(&Value::String(text.to_owned())),
                schema: format!("/properties/{field}/{rule}"),
                similar: None,
            });
        }
    };
    let source = &envelope.source;
    check("source", source, "maxLength", "1 to 255 bytes", is_short(source));
    check(
        "event_type",
        &envelope.event_type,
        "maxLength",
        "1 to 255 bytes",
        is_short(&envelope.event_type),
    );
    if let Some(session) = &envelope.session_id {
        check("session_id", session, "maxLength", "1 to 255 bytes", is_short(session));
    }
    if let Some(trace) = &envelope.traceparent {
        check("traceparent", trace, "pattern", "a W3C traceparent", is_traceparent(trace));
    }
    faults
}

fn is_short(text: &str) -> bool {
    (1..=SHORT_STRING).contains(&text.len())
}

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, in lower case.
fn is_traceparent(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 55
        && text.bytes().enumerate().all(|(i, byte)| match i {
            2 | 35 | 52 => byte == b'-',
            _ => is_hex(byte),
        })
}

#[cfg(test)]
mod tests {
    use crate::Meta;

    use super::*;

    fn faults_of(source: &str, meta: Meta) -> Vec<String> {
        let envelope = Envelope::new("a.b", source, Value::Null, meta);
        faults(&envelope).into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn what_a_short_string_cannot_carry_is_refused() {
        assert!(faults_of("s", Meta::new()).is_empty());
        assert!(faults_of(&"s".repeat(255), Meta::new().with_session_id("x")).is_empty());
        assert_eq!(faults_of("", Meta::new()), ["(envelope)/source"]);
        // 128 characters, 256 bytes.
        assert_eq!(faults_of(&"é".repeat(128), Meta::new()), ["(envelope)/source"]);
        assert_eq!(faults_of("s", Meta::new().with_session_id("")), ["(envelope)/session_id"]);
    }

    #[test]
    fn a_trace_context_reads_as_w3c_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(faults_of("s", Meta::new().with_traceparent(good)).is_empty());
        for bad in ["", "00", &good.to_uppercase(), &good.replace('-', "_"), &format!("{good}0")] {
            let found = faults_of("s", Meta::new().with_traceparent(bad));
            assert_eq!(found, ["(envelope)/traceparent"], "{bad}");
        }
    }
}
