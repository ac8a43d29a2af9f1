//! What a refusal needs to know of a schema beside its errors.

use std::collections::HashSet;

use serde_json::Value;

use crate::describe::HIDDEN;

/// The word that marks a schema whose values must not be shown.
const SENSITIVE: &str = "x-bloodbank-sensitive";

/// Keywords under which data stands, not schemas, and that of another value: of the answer to the
/// payload.
const DATA: [&str; 7] = [
    "const",
    "default",
    "enum",
    "examples",
    "required",
    "x-bloodbank-counterexamples",
    "x-bloodbank-reply",
];

/// Names taken from a contract's schema and everything it reaches.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Names under any `properties`.
    pub(crate) declared: HashSet<String>,
    /// The length of all of them.
    pub(crate) letters: u64,
    sensitive: HashSet<String>,
    all_sensitive: bool,
}

impl Facts {
    /// Reads a document as [`Bundle::document`](crate::Bundle::document) makes it.
    ///
    /// A marked schema makes the innermost property around it sensitive: by name, wherever that name
    /// occurs. That hides more than need be, and never less, also through `$ref`, unions and cycles.
    pub(crate) fn of(document: &Value) -> Self {
        let mut facts = Facts::default();
        let mut seen = HashSet::new();
        let mut open: Vec<(&Value, Option<&str>)> = vec![(document, None)];
        while let Some((schema, property)) = open.pop() {
            let object = match schema {
                Value::Object(object) => object,
                Value::Array(branches) => {
                    open.extend(branches.iter().map(|branch| (branch, property)));
                    continue;
                }
                _ => continue,
            };
            if object.get(SENSITIVE) == Some(&Value::Bool(true)) {
                match property {
                    Some(name) => facts.sensitive.extend([name.to_owned()]),
                    None => facts.all_sensitive = true,
                }
            }
            for (keyword, value) in object {
                match (keyword.as_str(), value) {
                    ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                        for target in targets(document, reference) {
                            if seen.insert((std::ptr::from_ref(target), property)) {
                                open.push((target, property));
                            }
                        }
                    }
                    ("properties", Value::Object(properties)) => {
                        for (name, schema) in properties {
                            facts.declared.insert(name.clone());
                            open.push((schema, Some(name)));
                        }
                    }
                    ("patternProperties" | "dependentSchemas", Value::Object(schemas)) => {
                        open.extend(schemas.values().map(|schema| (schema, property)));
                    }
                    ("$defs" | "definitions", _) => {}
                    (keyword, _) if DATA.contains(&keyword) => {}
                    _ => open.push((value, property)),
                }
            }
        }
        facts.letters = facts.declared.iter().map(|name| 4 + name.len() as u64).sum();
        facts
    }

    /// Whether the value at this place of the payload must not be shown.
    pub(crate) fn hides(&self, pointer: &str) -> bool {
        let marked = |word| self.sensitive.contains(holyfields::pointer::unescape(word).as_ref());
        self.all_sensitive || (!self.sensitive.is_empty() && pointer.split('/').any(marked))
    }

    /// Puts `(hidden)` in place of each value that must not be shown.
    pub(crate) fn hide(&self, payload: &mut Value) {
        if self.all_sensitive {
            *payload = Value::from(HIDDEN);
            return;
        }
        let mut open = vec![payload];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        match self.sensitive.contains(name) {
                            true => *value = Value::from(HIDDEN),
                            false => open.push(value),
                        }
                    }
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }

    /// Whether anything in the contract is marked.
    pub(crate) fn any_sensitive(&self) -> bool {
        self.all_sensitive || !self.sensitive.is_empty()
    }
}

/// What a reference reaches. One by anchor could reach anything: every definition.
fn targets<'a>(document: &'a Value, reference: &str) -> Vec<&'a Value> {
    let place = reference.strip_prefix('#').map(holyfields::pointer::from_fragment);
    match place.and_then(|place| document.pointer(&place)) {
        Some(target) => vec![target],
        None => {
            let definitions = document.get("$defs").and_then(Value::as_object);
            definitions.into_iter().flat_map(|map| map.values()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_are_found_through_references_unions_and_cycles() {
        let facts = Facts::of(&json!({
            "$ref": "#/$defs/root",
            "$defs": {
                "root": {
                    "properties": {
                        "mail": {"anyOf": [{"$ref": "#/$defs/secret"}, {"type": "null"}]},
                        "tokens": {"type": "array", "items": {"x-bloodbank-sensitive": true}},
                        "child": {"$ref": "#/$defs/root"},
                        "a/b": {"allOf": [{"x-bloodbank-sensitive": true}]},
                        "open": {"examples": [{"x-bloodbank-sensitive": true}]},
                    },
                },
                "secret": {"type": "string", "x-bloodbank-sensitive": true},
                "unused": {"x-bloodbank-sensitive": true},
            },
        }));
        for pointer in ["/mail", "/child/child/mail", "/tokens/3", "/tokens", "/a~1b"] {
            assert!(facts.hides(pointer), "{pointer}");
        }
        for pointer in ["", "/child", "/open", "/a", "/b"] {
            assert!(!facts.hides(pointer), "{pointer}");
        }
        assert!(facts.declared.contains("child"));
    }

    #[test]
    fn a_mark_with_no_property_around_hides_everything() {
        assert!(Facts::of(&json!({"x-bloodbank-sensitive": true})).hides("/any"));
        let by_pattern = json!({"patternProperties": {"^x": {"x-bloodbank-sensitive": true}}});
        assert!(Facts::of(&by_pattern).hides("/x1"));
        assert!(!Facts::of(&json!({"x-bloodbank-sensitive": false})).any_sensitive());
    }

    #[test]
    fn anchors_reach_every_definition() {
        let facts = Facts::of(&json!({
            "properties": {"a": {"$dynamicRef": "#node"}},
            "$defs": {"n": {"$dynamicAnchor": "node", "x-bloodbank-sensitive": true}},
        }));
        assert!(facts.hides("/a"));
    }
}
