//! HF071: values that the type beside them refuses.

use std::collections::BTreeSet;

use serde_json::Value;

use super::View;
use crate::finding::{Finding, Place};
use crate::{pointer, rules};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.each(|file, at, object| {
        let listed = object.get("enum").and_then(Value::as_array).into_iter().flatten();
        let listed = listed.enumerate().map(|(index, value)| (format!("enum/{index}"), value));
        let single = object.get("const").map(|value| ("const".to_owned(), value));
        let values: Vec<_> = listed.chain(single).collect();
        if values.is_empty() {
            return;
        }
        let Some(types) = view.layers(&at).types() else { return };
        let words = Vec::from_iter(types.iter().copied()).join("` or `");
        for (below, value) in values.into_iter().filter(|(_, value)| !is_one_of(value, &types)) {
            let message = format!("{value} can never be: the type here is `{words}`");
            let place = Place::value(&file.path, format!("{}/{below}", at.pointer));
            let mut finding = Finding::new(rules::DEAD_VALUE, message, place);
            if object.contains_key("type") {
                let place = Place::value(&file.path, pointer::join(&at.pointer, "type"));
                finding = finding.also(place.labelled("the type"));
            }
            findings.push(finding.help("remove the value, or let `type` allow it"));
        }
    });
}

/// Whether a value is of one of these JSON types; `1.0` is an integer.
fn is_one_of(value: &Value, types: &BTreeSet<&str>) -> bool {
    let is_whole = |number: &serde_json::Number| number.as_f64().is_some_and(|n| n.fract() == 0.0);
    match value {
        Value::Null => types.contains("null"),
        Value::Bool(_) => types.contains("boolean"),
        Value::String(_) => types.contains("string"),
        Value::Array(_) => types.contains("array"),
        Value::Object(_) => types.contains("object"),
        Value::Number(number) => {
            types.contains("number") || (types.contains("integer") && is_whole(number))
        }
    }
}
