//! What the validator asks of a value beyond its type, in words.

use serde_json::Value;

use super::layers::Layers;

/// `["1 to 200 characters", "matches `^[a-z]+$`"]`, for a value of this type.
pub(super) fn describe(layers: &Layers<'_>, schema: &Value) -> Vec<String> {
    let is_tuple = schema.get("items").is_some_and(Value::is_array);
    let mut limits = Vec::new();
    limits.extend(listed(layers));
    limits.extend(range(layers, "minLength", "maxLength", "character"));
    if !is_tuple {
        limits.extend(range(layers, "minItems", "maxItems", "item"));
    }
    limits.extend(range(layers, "minProperties", "maxProperties", "property"));
    limits.extend(bounds(layers));
    if let Some(step) = number(layers, "multipleOf") {
        limits.push(format!("a multiple of {step}"));
    }
    if layers.is_marked("uniqueItems") {
        limits.push("no two items equal".into());
    }
    if let Some(format) = layers.text("format").and_then(format_name) {
        limits.push(format.into());
    }
    for (_, pattern) in layers.all("pattern") {
        if let Some(pattern) = pattern.as_str().filter(|pattern| !pattern.contains('`')) {
            limits.push(format!("matches `{pattern}`"));
        }
    }
    limits.dedup();
    limits
}

/// More values than these are no help in a comment.
const MOST_LISTED: usize = 12;

/// The values that there are, where the type does not list them.
fn listed(layers: &Layers<'_>) -> Option<String> {
    let values = layers.values()?;
    let shown = |value: &&Value| value.is_number() || value.is_boolean();
    let texts: Vec<String> = values.iter().filter(|v| shown(v)).map(|v| plain(v)).collect();
    match texts.as_slice() {
        _ if texts.len() != values.iter().filter(|value| !value.is_null()).count() => None,
        [] => None,
        [one] => Some(format!("always {one}")),
        many if many.len() > MOST_LISTED => Some(format!("one of {} values", many.len())),
        several => Some(format!("one of {}", several.join(", "))),
    }
}

fn range(layers: &Layers<'_>, least: &str, most: &str, unit: &str) -> Option<String> {
    let least = number(layers, least).filter(|n| n != "0");
    let most = number(layers, most);
    let units = |count: &str| match (unit, count) {
        (unit, "1") => unit.to_owned(),
        ("property", _) => "properties".to_owned(),
        (unit, _) => format!("{unit}s"),
    };
    Some(match (least, most) {
        (None, None) => return None,
        (Some(least), None) => format!("at least {least} {}", units(&least)),
        (None, Some(most)) => format!("at most {most} {}", units(&most)),
        (Some(least), Some(most)) if least == most => format!("exactly {most} {}", units(&most)),
        (Some(least), Some(most)) => format!("{least} to {most} {}", units(&most)),
    })
}

fn bounds(layers: &Layers<'_>) -> Option<String> {
    let above = number(layers, "exclusiveMinimum").map(|n| format!("more than {n}"));
    let below = number(layers, "exclusiveMaximum").map(|n| format!("less than {n}"));
    let inclusive = match (number(layers, "minimum"), number(layers, "maximum")) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    };
    let parts: Vec<String> = [above, inclusive, below].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The outermost layer's number, as written but without a needless `.0`.
fn number(layers: &Layers<'_>, keyword: &str) -> Option<String> {
    layers.all(keyword).rev().map(|(_, value)| value).find(|value| value.is_number()).map(plain)
}

fn plain(value: &Value) -> String {
    let text = value.to_string();
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// A format that the Rust type does not show.
fn format_name(format: &str) -> Option<&'static str> {
    Some(match format {
        "date" => "a date: `2026-01-31`",
        "time" => "a time of day with an offset: `10:30:00Z`",
        "duration" => "an ISO 8601 duration: `PT15M`",
        "email" => "an email address",
        "hostname" => "a host name",
        "ipv4" => "an IPv4 address",
        "ipv6" => "an IPv6 address",
        "uri" | "iri" => "an absolute URI",
        "uri-reference" | "iri-reference" => "a URI or a relative reference",
        "uri-template" => "a URI template",
        "json-pointer" => "a JSON Pointer",
        "relative-json-pointer" => "a relative JSON Pointer",
        "regex" => "a regular expression",
        _ => return None,
    })
}
