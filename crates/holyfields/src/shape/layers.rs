//! Flattening: the schema objects that all apply to one value.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::file::{Draft, SchemaFile};
use crate::resolve::{References, Target};

/// One schema object that applies to a value.
#[derive(Clone, Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) at: Target,
    object: &'a Map<String, Value>,
    draft: Draft,
    /// A union of which one branch stands beside this layer, so that it has nothing more to say.
    settled: Option<&'static str>,
}

impl<'a> Layer<'a> {
    /// The value of a keyword that its draft knows.
    pub(crate) fn get(&self, keyword: &str) -> Option<&'a Value> {
        let unknown = match self.draft {
            Draft::V7 => NEWER.contains(&keyword),
            Draft::V2020 => keyword == "additionalItems",
        };
        if unknown || self.settled == Some(keyword) { None } else { self.object.get(keyword) }
    }

    pub(crate) fn keywords(&self) -> impl Iterator<Item = &'a str> {
        let known = |keyword: &&str| self.get(keyword).is_some();
        self.object.keys().map(String::as_str).filter(known)
    }

    /// The schemas of an array's first items, and the keyword that holds them.
    pub(crate) fn tuple(&self) -> Option<(&'static str, &'a Vec<Value>)> {
        let keyword = match self.draft {
            Draft::V7 => "items",
            Draft::V2020 => "prefixItems",
        };
        Some((keyword, self.get(keyword)?.as_array()?))
    }

    /// The keyword for the items behind those of [`Layer::tuple`].
    pub(crate) fn further_items(&self) -> &'static str {
        match self.draft {
            Draft::V7 => "additionalItems",
            Draft::V2020 => "items",
        }
    }
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
        if lone_reference(&files[at.file], object) {
            return;
        }
        let all_of = object.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..all_of {
            self.collect(&below(at, "allOf", index), files, references, seen);
        }
        let draft = files[at.file].draft;
        self.0.push(Layer { at: at.clone(), object, draft, settled: None });
    }

    /// These layers where one branch of a union among them holds.
    pub(crate) fn with(&self, union: &Target, keyword: &'static str, branch: &Layers<'a>) -> Self {
        let mut layers = self.0.clone();
        for layer in layers.iter_mut().filter(|layer| layer.at == *union) {
            layer.settled = Some(keyword);
        }
        let known = |layer: &&Layer<'a>| !self.0.iter().any(|other| other.at == layer.at);
        layers.extend(branch.0.iter().filter(known).cloned());
        Layers(layers)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Layer<'a>> {
        self.0.iter()
    }

    /// A keyword's value in each layer that has it.
    pub(crate) fn all(
        &self,
        keyword: &str,
    ) -> impl DoubleEndedIterator<Item = (&Layer<'a>, &'a Value)> {
        self.0.iter().filter_map(move |layer| Some((layer, layer.get(keyword)?)))
    }

    /// The places of a keyword that holds one subschema.
    pub(crate) fn places(&self, keyword: &str) -> Vec<Target> {
        self.all(keyword)
            .filter(|(_, value)| value.is_object() || value.is_boolean())
            .map(|(layer, _)| child(&layer.at, keyword))
            .collect()
    }

    /// The places of a keyword that holds a map of subschemas: names and places.
    pub(crate) fn members(&self, keyword: &str) -> Vec<(&'a str, Target)> {
        let mut members = Vec::new();
        for (layer, map) in self.all(keyword) {
            let at = child(&layer.at, keyword);
            let names = map.as_object().into_iter().flat_map(Map::keys);
            members.extend(names.map(|name| (name.as_str(), child(&at, name))));
        }
        members
    }

    pub(crate) fn has(&self, keyword: &str) -> bool {
        self.all(keyword).next().is_some()
    }

    /// A text from the outermost layer that has it.
    pub(crate) fn text(&self, keyword: &str) -> Option<&'a str> {
        self.all(keyword).rev().find_map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_marked(&self, keyword: &str) -> bool {
        self.all(keyword).any(|(_, value)| value == &Value::Bool(true))
    }

    /// The names that some `required` lists.
    pub(crate) fn required(&self) -> BTreeSet<&'a str> {
        let lists = self.all("required").filter_map(|(_, names)| names.as_array());
        lists.flatten().filter_map(Value::as_str).collect()
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

/// Words that draft-07 does not know, and so ignores.
const NEWER: [&str; 8] = [
    "dependentRequired",
    "dependentSchemas",
    "maxContains",
    "minContains",
    "prefixItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
];

/// Whether nothing beside the `$ref` of a schema counts.
pub(crate) fn lone_reference(file: &SchemaFile, object: &Map<String, Value>) -> bool {
    file.draft == Draft::V7 && object.contains_key("$ref")
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
