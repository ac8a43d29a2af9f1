//! Values and types in words. What is written here goes to logs and terminals.

use std::fmt::Write as _;

use jsonschema::JsonType;
use serde_json::Value;

/// What stands for a sensitive value.
pub(crate) const HIDDEN: &str = "(hidden)";

/// Characters of a text that are shown.
const LONGEST_TEXT: usize = 60;

/// Choices of an enum that are shown.
const MOST_CHOICES: usize = 12;

/// The text with control characters and those that turn or hide text as `\u{…}`.
///
/// For names and keys from outside on their way to a terminal or a log.
pub fn escape_control(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Control characters, line separators, zero-width characters and the bidirectional controls.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || c == '\u{feff}'
}

/// A payload value for a [`Violation`](crate::Violation): never what is inside a container.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("an array with {}", count(items.len() as u64, "item")),
        Value::Object(object) => {
            format!("an object with {}", count(object.len() as u64, "property"))
        }
    }
}

/// A value that the schema itself names, as in `const`.
pub(crate) fn constant(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => shortened(&value.to_string()).0,
        _ => found(value),
    }
}

/// `one of "simple", "multi_agent"`.
pub(crate) fn choices(options: &[&Value]) -> String {
    let shown: Vec<String> = options.iter().take(MOST_CHOICES).map(|&o| constant(o)).collect();
    match options.len() {
        0 => "nothing at all".to_owned(),
        1 => shown.concat(),
        n if n > MOST_CHOICES => format!("one of {n} values: {}, …", shown.join(", ")),
        _ => format!("one of {}", shown.join(", ")),
    }
}

/// `a string`, `an integer`, `null`.
pub(crate) fn type_name(json_type: JsonType) -> &'static str {
    match json_type {
        JsonType::Null => "null",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "an array",
        JsonType::Object => "an object",
    }
}

/// What a `format` asks for.
pub(crate) fn format_name(format: &str) -> String {
    let known = match format {
        "date-time" => "an RFC 3339 date-time, like 2025-01-31T12:00:00Z",
        "date" => "a date, like 2025-01-31",
        "time" => "an RFC 3339 time, like 12:00:00Z",
        "duration" => "an ISO 8601 duration, like PT15M",
        "email" | "idn-email" => "an e-mail address",
        "hostname" | "idn-hostname" => "a host name",
        "ipv4" => "an IPv4 address",
        "ipv6" => "an IPv6 address",
        "uuid" => "a UUID",
        "uri" | "iri" => "a URI, with its scheme",
        "uri-reference" | "iri-reference" => "a URI or a relative reference",
        "json-pointer" => "a JSON Pointer",
        "regex" => "a regular expression",
        _ => return format!("text of the format `{format}`"),
    };
    known.to_owned()
}

/// `1 item`, `3 properties`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}

/// `10,000`: digits in groups of three.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The text in quotes; a long one is cut and its length told.
pub(crate) fn quoted(text: &str) -> String {
    let (shown, cut) = shortened(text);
    let mut out = String::with_capacity(shown.len() + 2);
    out.push('"');
    for c in shown.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_unprintable(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out.push('"');
    if cut {
        // Writing to a String does not fail.
        let _ = write!(out, " ({})", count(text.chars().count() as u64, "character"));
    }
    out
}

fn shortened(text: &str) -> (String, bool) {
    match text.char_indices().nth(LONGEST_TEXT) {
        None => (text.to_owned(), false),
        Some((end, _)) => (format!("{}…", &text[..end]), true),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values() {
        assert_eq!(found(&json!("it's\n\"x\"\u{202e}")), r#""it's\n\"x\"\u{202e}""#);
        assert_eq!(found(&json!("grün, हिन्दी")), r#""grün, हिन्दी""#);
        assert_eq!(found(&json!({"secret": 1})), "an object with 1 property");
        assert_eq!(found(&json!([1, 2])), "an array with 2 items");
        assert_eq!(
            found(&json!("ä".repeat(61))),
            format!("\"{}…\" (61 characters)", "ä".repeat(60))
        );
        assert_eq!(found(&json!("ä".repeat(60))), format!("\"{}\"", "ä".repeat(60)));
    }

    #[test]
    fn digits_come_in_groups_of_three() {
        let words = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(words, ["0", "999", "1,000", "12,345,678"]);
    }

    #[test]
    fn many_choices_are_cut() {
        let options: Vec<Value> = (0..40).map(Value::from).collect();
        let options: Vec<&Value> = options.iter().collect();
        assert!(choices(&options).starts_with("one of 40 values: 0, 1, "));
        assert_eq!(choices(&options[..2]), "one of 0, 1");
        assert_eq!(choices(&options[..1]), "0");
    }

    proptest! {
        #[test]
        fn nothing_unprintable_gets_through(text in any::<String>()) {
            prop_assert!(!quoted(&text).chars().any(is_unprintable));
            prop_assert!(!escape_control(&text).chars().any(is_unprintable));
            prop_assert!(quoted(&text).len() < 2_000);
        }
    }
}
