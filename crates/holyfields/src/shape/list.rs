//! Arrays: lists of one type, and tuples.

use serde_json::{Value, json};

use super::build::Builder;
use super::layers::{Layer, Layers, below, child};
use super::names::Name;
use crate::resolve::Target;

impl<'a> Builder<'a> {
    pub(super) fn list(&mut self, layers: &Layers<'a>, name: &Name) -> Value {
        let mut tuples = layers.iter().filter_map(|layer| Some((layer, layer.tuple()?)));
        let Some((layer, (keyword, items))) = tuples.next() else {
            let places = layers.places("items");
            let item = match places.is_empty() {
                true => json!(true),
                false => self.value(&places, &name.inner("item")).inline(),
            };
            return json!({ "type": "array", "items": item });
        };
        let alone = tuples.next().is_none();
        let further = layer.further_items();
        let beside = |other: &Layer<'_>| other.at != layer.at && other.get("items").is_some();
        let schema = if !alone || layers.iter().any(beside) {
            None
        } else if length(layers, layer) == Some(items.len()) && TUPLES.contains(&items.len()) {
            let places = (0..items.len()).map(|index| below(&layer.at, keyword, index));
            Some(self.tuple(places, name))
        } else if layer.get(further) == Some(&json!(false))
            && items.windows(2).all(|w| w[0] == w[1])
        {
            // All that there can be is of one type.
            let first = below(&layer.at, keyword, 0);
            let item = self.value(&[first], &name.inner("item")).inline();
            Some(json!({ "type": "array", "items": item }))
        } else {
            None
        };
        schema.unwrap_or_else(|| {
            self.not_carried(layers, keyword, "its items become `serde_json::Value`");
            json!({ "type": "array", "items": true })
        })
    }

    fn tuple(&mut self, places: impl ExactSizeIterator<Item = Target>, name: &Name) -> Value {
        let length = places.len();
        let items = places.enumerate().map(|(index, at)| {
            let name = name.inner(ORDINALS.get(index).copied().unwrap_or("item"));
            self.value(&[at], &name).inline()
        });
        let items: Vec<Value> = items.collect();
        json!({ "type": "array", "items": items, "minItems": length, "maxItems": length })
    }
}

/// Tuples of these lengths have what generated types derive.
const TUPLES: std::ops::RangeInclusive<usize> = 1..=12;

/// What the types inside a tuple are called after.
const ORDINALS: [&str; 3] = ["first", "second", "third"];

/// How many items there must be, where that is fixed.
fn length(layers: &Layers<'_>, layer: &Layer<'_>) -> Option<usize> {
    let number = |value: &Value| value.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as usize);
    let bounds = |keyword: &'static str| layers.all(keyword).filter_map(move |(_, b)| number(b));
    let least = bounds("minItems").max()?;
    let closed = layer.get(layer.further_items()) == Some(&json!(false));
    let items = layer.tuple().filter(|_| closed).map(|(_, items)| items.len());
    let most = bounds("maxItems").chain(items).min()?;
    (least == most).then_some(least)
}

/// The places of the items of an array, wherever in it they stand.
pub(super) fn item_places(layers: &Layers<'_>) -> Vec<Target> {
    let mut places = layers.places("items");
    places.extend(layers.places("additionalItems"));
    for layer in layers.iter() {
        let (keyword, count) =
            layer.tuple().map_or(("items", 0), |(word, items)| (word, items.len()));
        places.extend((0..count).map(|index| below(&layer.at, keyword, index)));
    }
    for keyword in ["contains", "unevaluatedItems"] {
        places.extend(layers.all(keyword).map(|(layer, _)| child(&layer.at, keyword)));
    }
    places
}
