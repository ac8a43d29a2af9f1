//! Values without parts: texts, numbers, and those that an `enum` or `const` lists.

use serde_json::{Value, json};

use super::Body;
use super::build::{Asked, Builder, Typed};
use super::layers::Layers;
use crate::naming;

impl<'a> Builder<'a> {
    /// A `const` or an `enum`.
    pub(super) fn enumeration(
        &mut self,
        layers: &Layers<'a>,
        values: &[&Value],
        asked: &Asked,
    ) -> Typed {
        let types = layers.types();
        let may_be_null = types.is_none_or(|types| types.contains("null"));
        let nullable = may_be_null && values.iter().any(|value| value.is_null());
        let values: Vec<&Value> = values.iter().copied().filter(|v| !v.is_null()).collect();
        let all = |test: fn(&Value) -> bool| !values.is_empty() && values.iter().all(|v| test(v));
        let schema = if all(Value::is_string) {
            let texts: Vec<String> =
                values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
            if !distinct(&texts) {
                json!({ "type": "string" })
            } else {
                self.named(asked, nullable, layers, |_, _| Body::Enum(texts))
            }
        } else if all(Value::is_boolean) {
            json!({ "type": "boolean" })
        } else if all(|value| value.is_u64()) {
            json!({ "type": "integer", "format": "uint64", "minimum": 0 })
        } else if all(|value| value.is_i64()) {
            json!({ "type": "integer", "format": "int64" })
        } else if all(Value::is_number) {
            json!({ "type": "number", "format": "double" })
        } else {
            return Typed::any();
        };
        Typed { schema, nullable }
    }
}

/// A text, maybe one that Rust has a type for.
pub(super) fn string(layers: &Layers<'_>) -> Value {
    let formats: Vec<&str> = layers.all("format").filter_map(|(_, f)| f.as_str()).collect();
    match formats.as_slice() {
        [format @ ("uuid" | "date-time")] => json!({ "type": "string", "format": format }),
        _ => json!({ "type": "string" }),
    }
}

/// An integer, unsigned where no negative one is allowed.
pub(super) fn integer(layers: &Layers<'_>) -> Value {
    let bounds = ["minimum", "exclusiveMinimum"];
    let mut least = bounds.into_iter().flat_map(|keyword| layers.all(keyword));
    let never_negative = least.any(|(_, bound)| bound.as_f64().is_some_and(|n| n >= 0.0));
    match never_negative {
        true => json!({ "type": "integer", "format": "uint64", "minimum": 0 }),
        false => json!({ "type": "integer", "format": "int64" }),
    }
}

/// Whether the values also differ as names of variants.
fn distinct(texts: &[String]) -> bool {
    let mut names: Vec<String> = texts.iter().map(|text| naming::type_name(text)).collect();
    names.sort();
    names.windows(2).all(|pair| pair[0] != pair[1])
}
