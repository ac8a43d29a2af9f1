//! Values without parts: texts and numbers.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::build::{Asked, Builder};
use super::layers::Layers;
use super::{Body, Choice, names};

impl<'a> Builder<'a> {
    /// A text: an enum where the schema lists all there are, maybe one that Rust has a type for.
    pub(super) fn string(&mut self, layers: &Layers<'a>, asked: &Asked) -> Value {
        if let Some(values) = layers.values() {
            let texts = values.into_iter().filter_map(Value::as_str);
            return self.choices(texts.map(|text| (text, Vec::new())), layers, asked);
        }
        let mut formats: Vec<&str> = layers.all("format").filter_map(|(_, f)| f.as_str()).collect();
        formats.dedup();
        let [format @ ("uuid" | "date-time")] = formats.as_slice() else {
            return json!({ "type": "string" });
        };
        if SPELLING.iter().any(|keyword| layers.has(keyword)) {
            let effect = "other words ask for a spelling of it, so it stays a `String`";
            self.not_carried(layers, "format", effect);
            return json!({ "type": "string" });
        }
        json!({ "type": "string", "format": format })
    }

    /// One of several texts, each with what is said about it.
    pub(super) fn choices<'t>(
        &mut self,
        texts: impl Iterator<Item = (&'t str, Vec<String>)>,
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Value {
        let mut seen: HashSet<&str> = HashSet::new();
        let listed: Vec<(&str, Vec<String>)> =
            texts.filter(|(text, _)| seen.insert(text)).collect();
        if listed.is_empty() {
            return json!({ "type": "string" });
        }
        let idents = names::variants(listed.iter().map(|(text, _)| *text));
        let choices = listed.into_iter().zip(idents);
        let choices = choices
            .map(|((wire, docs), ident)| Choice { ident, wire: wire.to_owned(), docs })
            .collect();
        self.named(asked, layers, |_, _| Body::Enum(choices))
    }

    /// An integer of 64 bits, unsigned where no negative one is allowed.
    pub(super) fn integer(&mut self, layers: &Layers<'a>) -> Value {
        let values = layers.values().unwrap_or_default();
        let values: Vec<f64> = values.into_iter().filter_map(Value::as_f64).collect();
        let bounds = |keywords: [&str; 2]| -> Vec<f64> {
            let found = keywords.into_iter().flat_map(|keyword| layers.all(keyword));
            found.filter_map(|(_, bound)| bound.as_f64()).collect()
        };
        let least = bounds(["minimum", "exclusiveMinimum"]);
        let most = bounds(["maximum", "exclusiveMaximum"]);
        let listed_unsigned = !values.is_empty() && values.iter().all(|value| *value >= 0.0);
        if listed_unsigned || least.iter().any(|bound| *bound >= 0.0) {
            return json!({ "type": "integer", "format": "uint64", "minimum": 0 });
        }
        // As a float, the greatest signed integer is one more than it is.
        let large = |bound: &f64| *bound > i64::MAX as f64;
        if values.iter().any(large) || (most.iter().any(large) && most.iter().all(large)) {
            let keyword = if layers.has("maximum") { "maximum" } else { "exclusiveMaximum" };
            let effect = "no integer of Rust's takes all of these, so it is `serde_json::Value`";
            self.not_carried(layers, keyword, effect);
            return json!(true);
        }
        json!({ "type": "integer", "format": "int64" })
    }
}

/// Any number; as everywhere in JSON, with the precision of a double.
pub(super) fn number() -> Value {
    json!({ "type": "number", "format": "double" })
}

/// Keywords beside a format that may refuse another spelling of the same date or UUID.
const SPELLING: [&str; 8] =
    ["pattern", "minLength", "maxLength", "not", "if", "anyOf", "oneOf", "contentEncoding"];
