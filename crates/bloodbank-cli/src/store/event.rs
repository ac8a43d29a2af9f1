//! A stored event, as it is shown.

use std::io::{self, Write};

use bloodbank::candystore::{DamagedEvents, PrunedRange, StoredEvent, body_field};
use bloodbank::serde::de::IgnoredAny;
use bloodbank::serde_json::{self, Value, json};
use bloodbank::{Kind, escape_control};

use crate::mask::Mask;
use crate::{pretty, when};

/// The key, and that it is of a command if it is.
pub(super) fn key(event: &StoredEvent) -> String {
    match event.kind {
        Kind::Event => event.key.clone(),
        Kind::Command => format!("{} (command)", event.key),
    }
}

/// A line for people; payloads may be large, or nobody's business.
pub(super) fn line(event: &StoredEvent) -> String {
    format!(
        "{}  {:>8}  {:<34}  {:<24}  {:<9}  {}",
        when::show(event.received),
        event.position,
        escape_control(&key(event)),
        escape_control(&event.source),
        event.standing,
        event.id,
    )
}

/// What a follower is told of positions that are gone.
pub(crate) fn pruned(range: &PrunedRange) -> String {
    format!("note: positions {} to {} were pruned; it goes on behind them", range.first, range.last)
}

/// What is not what was stored, and is not shown.
pub(crate) fn damaged(damaged: &DamagedEvents) -> String {
    format!("damaged: {damaged}; `bloodbank store verify` finds all of it")
}

/// Everything about it on one line of JSON. The envelope stands in it as it came, but for line breaks;
/// what is no JSON is `body`, or `body_hex` if it is no text.
pub(super) fn json_line(event: &StoredEvent, mask: &Mask) -> String {
    let (name, contents) = contents(&mask.body(&event.key, &event.body));
    let facts = facts(event).to_string();
    let facts = facts.strip_suffix('}').unwrap_or(&facts);
    format!("{facts},\"{name}\":{contents}}}")
}

fn contents(body: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(body) {
        // A line break in JSON is white space: in its texts it is written `\n`.
        Ok(text) if is_json(text) => ("envelope", text.replace(['\n', '\r'], " ")),
        _ => {
            let (name, body) = body_field(body);
            (name, Value::from(body).to_string())
        }
    }
}

/// The bytes for people: JSON with line breaks, anything else as it came, with nothing that a terminal
/// would take for more than text.
pub(super) fn print_body(out: &mut impl Write, body: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(body);
    if !is_json(&text) {
        return writeln!(out, "{}", escape_control(&text));
    }
    pretty::json(&text).lines().try_for_each(|line| writeln!(out, "{}", escape_control(line)))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn facts(event: &StoredEvent) -> Value {
    json!({
        "position": event.position,
        "id": event.id,
        "kind": event.kind.as_str(),
        "key": event.key,
        "source": event.source,
        "timestamp": event.timestamp,
        "received": event.received,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "session_id": event.session_id,
        "standing": event.standing.as_str(),
        "violation": event.violation,
        "schema": event.schema,
        "headers": event.headers,
        "properties": event.properties,
        "checksum": event.checksum,
    })
}
