//! Flattening: the schema objects that all apply to one value.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::file::{Draft, SchemaFile};
use crate::resolve::{References, Target};

/// One schema object that applies to a value.
#[derive(Clone, Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) at: Target,
    pub(crate) object: &'a Map<String, Value>,
}

/// All schema objects that apply to a value: what `$ref` and `allOf` lead to, then the object
/// itself, so that a base comes before its heirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers<'a>(Vec<Layer<'a>>);

impl<'a> Layers<'a> {
    pub(crate) fn of(places: &[Target], files: &'a [SchemaFile], references: &References) -> Self {
        let mut layers = Layers::default();
        let mut seen = BTreeSet::new();
        for place in places {
            layers.collect(place, files, references, &mut seen);
        }
        layers
    }

    fn collect(
        &mut self,
        at: &Target,
        files: &'a [SchemaFile],
        references: &References,
        seen: &mut BTreeSet<Target>,
    ) {
        let schema = files[at.file].schema.pointer(&at.pointer);
        let Some(object) = schema.and_then(Value::as_object) else {
            return;
        };
        if !seen.insert(at.clone()) {
            return;
        }
        if let Some(target) = references.target(at) {
            self.collect(target, files, references, seen);
        }
        if files[at.file].draft == Draft::V7 && object.contains_key("$ref") {
            return;
        }
        let all_of = object.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..all_of {
            self.collect(&below(at, "allOf", index), files, references, seen);
        }
        self.0.push(Layer { at: at.clone(), object });
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Layer<'a>> {
        self.0.iter()
    }

    /// A keyword's value in each layer that has it.
    pub(crate) fn all(
        &self,
        keyword: &str,
    ) -> impl DoubleEndedIterator<Item = (&Layer<'a>, &'a Value)> {
        self.0.iter().filter_map(move |layer| Some((layer, layer.object.get(keyword)?)))
    }

    /// The places of a keyword that holds one subschema.
    pub(crate) fn places(&self, keyword: &str) -> Vec<Target> {
        self.all(keyword)
            .filter(|(_, value)| value.is_object() || value.is_boolean())
            .map(|(layer, _)| child(&layer.at, keyword))
            .collect()
    }

    pub(crate) fn has(&self, keyword: &str) -> bool {
        self.0.iter().any(|layer| layer.object.contains_key(keyword))
    }

    /// A text from the outermost layer that has it.
    pub(crate) fn text(&self, keyword: &str) -> Option<&'a str> {
        self.all(keyword).rev().find_map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_marked(&self, keyword: &str) -> bool {
        self.all(keyword).any(|(_, value)| value == &Value::Bool(true))
    }

    /// The JSON types that every layer allows; none where no layer says.
    pub(crate) fn types(&self) -> Option<BTreeSet<&'a str>> {
        let mut allowed: Option<BTreeSet<&str>> = None;
        for (_, value) in self.all("type") {
            let types: BTreeSet<&str> = match value {
                Value::String(one) => BTreeSet::from([one.as_str()]),
                Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
                _ => continue,
            };
            allowed = Some(match allowed {
                None => types,
                Some(before) => both(&before, &types),
            });
        }
        allowed
    }

    /// The values that every `const` and `enum` allows; none where no layer has one.
    pub(crate) fn values(&self) -> Option<Vec<&'a Value>> {
        let consts = self.all("const").map(|(_, value)| vec![value]);
        let enums = self.all("enum").filter_map(|(_, v)| Some(v.as_array()?.iter().collect()));
        consts.chain(enums).reduce(|before: Vec<&Value>, now| {
            before.into_iter().filter(|value| now.contains(value)).collect()
        })
    }
}

/// The types in both sets; an integer is also a number.
fn both<'a>(one: &BTreeSet<&'a str>, other: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let mut both: BTreeSet<&str> = one.intersection(other).copied().collect();
    let narrower = |a: &BTreeSet<&str>, b: &BTreeSet<&str>| {
        a.contains("integer") && !a.contains("number") && b.contains("number")
    };
    if narrower(one, other) || narrower(other, one) {
        both.insert("integer");
    }
    both
}

pub(crate) fn child(at: &Target, keyword: &str) -> Target {
    Target { file: at.file, pointer: crate::pointer::join(&at.pointer, keyword) }
}

pub(crate) fn below(at: &Target, keyword: &str, index: usize) -> Target {
    Target { file: at.file, pointer: format!("{}/{keyword}/{index}", at.pointer) }
}
