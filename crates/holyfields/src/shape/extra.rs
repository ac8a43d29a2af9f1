//! Properties that no `properties` declares: whether there are any, and of which type.

use serde_json::{Value, json};

use super::build::Builder;
use super::layers::{Layer, Layers, child};
use super::names::Name;
use crate::resolve::Target;

/// Keywords by which an object may have properties that `properties` does not declare.
const HIDDEN_PROPERTIES: [&str; 8] = [
    "anyOf",
    "dependencies",
    "dependentSchemas",
    "else",
    "if",
    "oneOf",
    "patternProperties",
    "then",
];

impl<'a> Builder<'a> {
    /// The schema of the values beyond the declared ones; none where there can be none.
    pub(super) fn extra(&mut self, layers: &Layers<'a>, name: &Name) -> Option<Value> {
        (!is_closed(layers)).then(|| self.map_values(layers, name))
    }

    /// The schema of a map's values.
    pub(super) fn map_values(&mut self, layers: &Layers<'a>, name: &Name) -> Value {
        let places: Vec<Target> = layers.iter().filter_map(value_place).collect();
        if places.is_empty() {
            self.not_carried(layers, "patternProperties", "it is not seen in the fields");
            return json!(true);
        }
        self.value(&places, &name.inner("value")).inline()
    }
}

/// The place that describes every property that a layer does not declare, if one does.
fn value_place(layer: &Layer<'_>) -> Option<Target> {
    let further = layer.get("additionalProperties");
    let patterns = layer.get("patternProperties").and_then(Value::as_object);
    let Some(patterns) = patterns.filter(|patterns| !patterns.is_empty()) else {
        return further
            .filter(|schema| schema.is_object())
            .map(|_| child(&layer.at, "additionalProperties"));
    };
    // Each name matches a pattern, and all of these say the same.
    let mut schemas = patterns.values();
    let first = schemas.next()?;
    let same = schemas.all(|schema| schema == first);
    (further == Some(&json!(false)) && same).then(|| {
        let name = patterns.keys().next().map_or("", String::as_str);
        child(&child(&layer.at, "patternProperties"), name)
    })
}

/// Whether no property beyond the declared ones is accepted.
pub(super) fn is_closed(layers: &Layers<'_>) -> bool {
    let is_false = |layer: &Layer<'_>, keyword| layer.get(keyword) == Some(&json!(false));
    let closed_by_one = layers.iter().any(|layer| {
        is_false(layer, "additionalProperties") && layer.get("patternProperties").is_none()
    });
    // This keyword also sees what others accepted, and so what only they know of.
    let sees_all = layers.iter().any(|layer| is_false(layer, "unevaluatedProperties"));
    let accepts_others = |layer: &Layer<'_>| {
        let open = ["additionalProperties", "unevaluatedProperties"];
        open.into_iter().any(|word| layer.get(word).is_some_and(|value| *value != json!(false)))
    };
    let hidden = HIDDEN_PROPERTIES.iter().any(|keyword| layers.has(keyword));
    closed_by_one || (sees_all && !hidden && !layers.iter().any(accepts_others))
}
