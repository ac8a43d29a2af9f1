//! Where in a schema the subschemas are.
//!
//! Only these places are schemas: what stands in `examples`, `const`, `enum` or `default` is data,
//! even where it looks like one.

use serde_json::Value;

use crate::file::Draft;
use crate::pointer;

/// How a keyword holds subschemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    One,
    List,
    Map,
    /// Draft-07 `items`: one or a list.
    OneOrList,
    /// Draft-07 `dependencies`: a map to schemas or to lists of names.
    MapWithLists,
}

fn holds(keyword: &str, draft: Draft) -> Option<Holds> {
    Some(match (keyword, draft) {
        ("items", Draft::V7) => Holds::OneOrList,
        ("additionalItems", Draft::V7) => Holds::One,
        ("dependencies", Draft::V7) => Holds::MapWithLists,
        (
            "unevaluatedItems"
            | "unevaluatedProperties"
            | "contentSchema"
            | "prefixItems"
            | "dependentSchemas",
            Draft::V7,
        ) => return None,
        (
            "additionalProperties"
            | "contains"
            | "else"
            | "if"
            | "items"
            | "not"
            | "propertyNames"
            | "then"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "contentSchema"
            | "x-bloodbank-reply",
            _,
        ) => Holds::One,
        ("allOf" | "anyOf" | "oneOf" | "prefixItems", _) => Holds::List,
        // `definitions` is no keyword of 2020-12, but people still use it there.
        ("$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "properties", _) => {
            Holds::Map
        }
        _ => return None,
    })
}

/// Calls `visit` with the subschemas directly below a schema: their pointers and values.
///
/// Beside a draft-07 `$ref` nothing counts, except that definitions may be referred to.
pub(crate) fn children<'a>(
    schema: &'a Value,
    at: &str,
    draft: Draft,
    visit: &mut impl FnMut(String, &'a Value),
) {
    let Some(object) = schema.as_object() else {
        return;
    };
    let lone_ref = draft == Draft::V7 && object.contains_key("$ref");
    for (keyword, value) in object {
        if lone_ref && !["$defs", "definitions"].contains(&keyword.as_str()) {
            continue;
        }
        let Some(holds) = holds(keyword, draft) else {
            continue;
        };
        let here = pointer::join(at, keyword);
        match (holds, value) {
            (Holds::List | Holds::OneOrList, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    visit(format!("{here}/{index}"), item);
                }
            }
            (Holds::Map | Holds::MapWithLists, Value::Object(members)) => {
                for (name, member) in members {
                    if holds == Holds::Map || !member.is_array() {
                        visit(pointer::join(&here, name), member);
                    }
                }
            }
            (Holds::One | Holds::OneOrList, value) => visit(here, value),
            _ => {}
        }
    }
}

/// Calls `visit` with a schema and every subschema below it, outermost first: pointer and value.
///
/// `at` is the pointer of the schema itself.
pub fn each<'a>(
    schema: &'a Value,
    at: &str,
    draft: Draft,
    visit: &mut impl FnMut(&str, &'a Value),
) {
    visit(at, schema);
    let mut below = Vec::new();
    children(schema, at, draft, &mut |pointer, child| below.push((pointer, child)));
    for (pointer, child) in below {
        each(child, &pointer, draft, visit);
    }
}

/// Rebuilds a schema, passing every direct subschema through `change`.
pub(crate) fn map_children(
    schema: &Value,
    at: &str,
    draft: Draft,
    change: &mut impl FnMut(&str, &Value) -> Value,
) -> Value {
    let mut changed = schema.clone();
    children(schema, "", draft, &mut |below, child| {
        if let Some(slot) = changed.pointer_mut(&below) {
            *slot = change(&format!("{at}{below}"), child);
        }
    });
    changed
}
