//! What is marked `x-bloodbank-sensitive`, and so must not be shown.

use std::collections::BTreeSet;

use serde_json::Value;

use super::build::Builder;
use super::layers::{Layers, below, child};
use super::list::item_places;
use crate::resolve::Target;

/// The mark.
pub(super) const MARK: &str = "x-bloodbank-sensitive";

impl<'a> Builder<'a> {
    /// Whether a value described by these places shows something that is marked.
    ///
    /// Structs answer for their declared properties themselves; where the type is not made of
    /// structs (`schema` says which it is), nobody does.
    pub(super) fn is_sensitive(&self, places: &[Target], schema: &Value) -> bool {
        self.has_mark(places, is_opaque(schema))
    }

    /// Whether some value that no declared property holds is marked.
    pub(super) fn extra_is_sensitive(&self, layers: &Layers<'a>) -> bool {
        let mut further = layers.places("additionalProperties");
        further.extend(layers.places("unevaluatedProperties"));
        further.extend(layers.members("patternProperties").into_iter().map(|(_, at)| at));
        self.has_mark(&further, true) || self.has_mark(&conditional(layers), true)
    }

    fn has_mark(&self, places: &[Target], into_properties: bool) -> bool {
        let mut open: Vec<Target> = places.to_vec();
        let mut seen: BTreeSet<Target> = BTreeSet::new();
        while let Some(at) = open.pop() {
            if !seen.insert(at.clone()) {
                continue;
            }
            let layers = self.layers(&[at]);
            if layers.is_marked(MARK) {
                return true;
            }
            open.extend(item_places(&layers));
            open.extend(conditional(&layers));
            for keyword in ["additionalProperties", "unevaluatedProperties"] {
                open.extend(layers.places(keyword));
            }
            open.extend(layers.members("patternProperties").into_iter().map(|(_, at)| at));
            if into_properties {
                open.extend(layers.members("properties").into_iter().map(|(_, at)| at));
            }
        }
        false
    }
}

/// The places that describe the same value where some condition holds.
fn conditional(layers: &Layers<'_>) -> Vec<Target> {
    let mut places = Vec::new();
    for keyword in ["anyOf", "oneOf"] {
        for (layer, list) in layers.all(keyword) {
            let count = list.as_array().map_or(0, Vec::len);
            places.extend((0..count).map(|index| below(&layer.at, keyword, index)));
        }
    }
    for keyword in ["if", "then", "else"] {
        places.extend(layers.places(keyword));
    }
    for keyword in ["dependentSchemas", "dependencies"] {
        for (layer, members) in layers.all(keyword) {
            let at = child(&layer.at, keyword);
            let schemas = members.as_object().into_iter().flatten();
            let schemas = schemas.filter(|(_, schema)| schema.is_object());
            places.extend(schemas.map(|(name, _)| child(&at, name)));
        }
    }
    places
}

/// Whether a type holds values of which it knows nothing.
fn is_opaque(schema: &Value) -> bool {
    match schema {
        Value::Bool(_) => true,
        Value::Array(items) => items.iter().any(is_opaque),
        Value::Object(object) => object.values().any(is_opaque),
        _ => false,
    }
}
