//! HF033: integers that JSON Schema allows and no integer of Rust can hold.

use serde_json::Value;

use super::{View, list};
use crate::finding::{Finding, Place};
use crate::rules;

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (_, file) in view.files() {
        let mut wide: Vec<(String, String)> = Vec::new();
        crate::walk::each(&file.schema, "", file.draft, &mut |at, schema| {
            if is_wide(schema) {
                let name = at.rsplit('/').next().unwrap_or_default();
                wide.push((crate::pointer::unescape(name).into_owned(), at.to_owned()));
            }
        });
        let Some((_, first)) = wide.first() else { continue };
        let names: Vec<&str> = wide.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!(
            "{} may be beyond 64 bits, where no integer type can follow; such a payload is valid \
             and cannot be decoded",
            list(&names)
        );
        findings.push(
            Finding::new(rules::NARROWER_TYPE, message, Place::key(&file.path, first))
                .help("give it a `minimum` and a `maximum`"),
        );
    }
}

/// Whether a schema allows integers beyond those of its type: `u64` where none is negative, else
/// `i64`.
fn is_wide(schema: &Value) -> bool {
    let is_integer = match schema.get("type") {
        Some(Value::String(kind)) => kind == "integer",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "integer"),
        _ => false,
    };
    if !is_integer || schema.get("enum").is_some() || schema.get("const").is_some() {
        return false;
    }
    let bound = |words: [&str; 2]| {
        words.into_iter().find_map(|word| schema.get(word).and_then(Value::as_f64))
    };
    let least = bound(["minimum", "exclusiveMinimum"]);
    let most = bound(["maximum", "exclusiveMaximum"]);
    let least_held = if least.is_some_and(|least| least >= 0.0) { 0.0 } else { i64::MIN as f64 };
    let most_held = if least_held == 0.0 { u64::MAX as f64 } else { i64::MAX as f64 };
    least.is_none_or(|least| least < least_held) || most.is_none_or(|most| most > most_held)
}
