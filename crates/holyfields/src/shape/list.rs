//! Arrays: lists of one type, and tuples.

use serde_json::{Value, json};

use super::build::Builder;
use super::layers::{Layer, Layers, below, child};
use super::names::Name;
use crate::resolve::Target;

impl<'a> Builder<'a> {
    pub(super) fn list(&mut self, layers: &Layers<'a>, name: &Name) -> Value {
        let with_tuples: Vec<&Layer<'a>> = layers.iter().filter(|l| l.tuple().is_some()).collect();
        let Some(layer) = with_tuples.first() else {
            return self.list_of(&layers.places("items"), name);
        };
        let beside = |other: &Layer<'_>| other.at != layer.at && other.get("items").is_some();
        let typed = match with_tuples.len() == 1 && !layers.iter().any(beside) {
            true => self.tuple(layer, layers, name),
            false => None,
        };
        typed.unwrap_or_else(|| {
            let keyword = layer.tuple().map_or("items", |(keyword, _)| keyword);
            self.not_carried(layers, keyword, "its items become `serde_json::Value`");
            self.list_of(&[], name)
        })
    }

    fn list_of(&mut self, places: &[Target], name: &Name) -> Value {
        let item = match places {
            [] => json!(true),
            places => self.value(places, &name.inner("item")).inline(),
        };
        json!({ "type": "array", "items": item })
    }

    /// The type of an array with a schema for each of its first items: a tuple where their number is
    /// fixed, a list where all are alike.
    fn tuple(&mut self, layer: &Layer<'a>, layers: &Layers<'a>, name: &Name) -> Option<Value> {
        let (keyword, items) = layer.tuple()?;
        let count = items.len();
        let is_last = layer.get(layer.further_items()) == Some(&json!(false));
        if length(layers, layer) == Some(count) && TUPLES.contains(&count) {
            let items: Vec<Value> = (0..count)
                .map(|index| {
                    let name = name.inner(ORDINALS.get(index).copied().unwrap_or("item"));
                    self.value(&[below(&layer.at, keyword, index)], &name).inline()
                })
                .collect();
            let parts: usize = items.iter().map(parts).sum();
            return (parts <= MAX_PARTS).then(
                || json!({ "type": "array", "items": items, "minItems": count, "maxItems": count }),
            );
        }
        let are_alike = items.windows(2).all(|pair| pair[0] == pair[1]);
        (is_last && are_alike && count > 0)
            .then(|| self.list_of(&[below(&layer.at, keyword, 0)], name))
    }
}

/// A tuple of tuples with more parts than this is nothing that a person can read.
const MAX_PARTS: usize = 32;

/// How many types stand in a schema of the shape.
fn parts(schema: &Value) -> usize {
    let inner = schema.get("items").or_else(|| schema.get("additionalProperties"));
    match inner.or_else(|| schema.get("oneOf")) {
        Some(Value::Array(items)) => items.iter().map(parts).sum(),
        Some(item) => parts(item),
        None => 1,
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
