//! `oneOf` and `anyOf`: which branches a value of one JSON type may take, and the type for them.
//!
//! Branches of several JSON types are told apart by that alone. What remains are several objects,
//! told apart by a property or by their shape, and several texts.

use serde_json::Value;

use super::branches::Branch;
use super::build::{Asked, Builder, SHAPING};
use super::kinds::Kind;
use super::layers::{Layers, below};
use super::{Body, Told, Union, Variant, sensitive};
use crate::resolve::Target;

/// A union among the layers, and the branches of it that are of interest.
pub(super) struct Alternatives<'a> {
    pub(super) keyword: &'static str,
    pub(super) branches: Vec<Branch<'a>>,
    /// Whether all that is said about the value is said in the branches.
    pub(super) bare: bool,
}

impl<'a> Builder<'a> {
    /// A type for each JSON type that a value may have.
    pub(super) fn by_json_type(
        &mut self,
        kinds: &[Kind],
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Value {
        self.named(asked, layers, |builder, name| {
            let variants = kinds.iter().map(|kind| {
                let part = Asked::part(name.inner(kind.variant()));
                let schema = builder.of_kind(*kind, layers, &part);
                Variant {
                    ident: kind.variant().into(),
                    sensitive: builder.kind_is_sensitive(*kind, layers, &schema),
                    schema,
                    only: None,
                }
            });
            let variants = variants.collect();
            Body::Union(Union { told: Told::JsonType, variants })
        })
    }

    fn kind_is_sensitive(&mut self, kind: Kind, layers: &Layers<'a>, schema: &Value) -> bool {
        let mut places: Vec<Target> = Vec::new();
        for (at, keyword, count) in unions(layers) {
            places.extend((0..count).map(|index| below(&at, keyword, index)));
        }
        places.retain(|at| self.kinds.at(at).meets(kind.into()));
        layers.is_marked(sensitive::MARK) || self.is_sensitive(&places, schema)
    }

    /// The type of a value of one JSON type for which there are alternatives; none where these say
    /// nothing that a type can show.
    pub(super) fn union(
        &mut self,
        kind: Kind,
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Option<Value> {
        let found = self.alternatives(kind, layers)?;
        if let [one] = found.branches.as_slice() {
            return Some(self.only_branch(kind, one, found.bare, asked));
        }
        match kind {
            Kind::String => self.texts(&found.branches, layers, asked),
            Kind::Object => {
                let typed = self.objects(&found, layers, asked);
                if typed.is_none() {
                    self.not_carried(layers, found.keyword, "nothing tells its branches apart");
                }
                typed
            }
            Kind::Array if !layers.has("items") => {
                self.not_carried(layers, found.keyword, "the items become `serde_json::Value`");
                None
            }
            _ => None,
        }
    }

    /// The one union among the layers that shapes a value of this JSON type.
    fn alternatives(&mut self, kind: Kind, layers: &Layers<'a>) -> Option<Alternatives<'a>> {
        let mut found = None;
        for (at, keyword, count) in unions(layers) {
            let places: Vec<Target> = (0..count).map(|index| below(&at, keyword, index)).collect();
            let own: Vec<Layers<'a>> =
                places.iter().map(|at| self.layers(std::slice::from_ref(at))).collect();
            if own.iter().all(only_constrains) {
                continue;
            }
            if found.is_some() {
                return None;
            }
            let branches = places.into_iter().zip(own);
            let branches = branches.filter(|(at, _)| self.kinds.at(at).meets(kind.into()));
            let branches = branches.map(|(place, own)| {
                let layers = layers.with(&at, keyword, &own);
                Branch { at: place, own, layers }
            });
            let branches: Vec<Branch<'a>> = branches.collect();
            let bare = is_bare(layers, &at, keyword);
            found = Some(Alternatives { keyword, branches, bare });
        }
        found.filter(|found| !found.branches.is_empty())
    }

    /// The type of the only branch that takes values of this JSON type.
    fn only_branch(&mut self, kind: Kind, one: &Branch<'a>, bare: bool, asked: &Asked) -> Value {
        match bare && self.kinds.at(&one.at).list() == [kind] {
            true => self.value(std::slice::from_ref(&one.at), &asked.name).schema,
            false => self.of_kind(kind, &one.layers, asked),
        }
    }

    /// An enum, where each branch lists its texts.
    fn texts(
        &mut self,
        branches: &[Branch<'a>],
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Option<Value> {
        let mut texts: Vec<(&'a str, Vec<String>)> = Vec::new();
        for branch in branches {
            let values = branch.layers.values()?;
            let docs = match values.as_slice() {
                [_] => branch.docs(),
                _ => Vec::new(),
            };
            texts.extend(values.into_iter().filter_map(Value::as_str).map(|t| (t, docs.clone())));
        }
        Some(self.choices(texts.into_iter(), layers, asked))
    }
}

/// Every union among the layers: its place, its keyword, and how many branches it has.
fn unions(layers: &Layers<'_>) -> Vec<(Target, &'static str, usize)> {
    let mut found = Vec::new();
    for keyword in ["oneOf", "anyOf"] {
        for (layer, list) in layers.all(keyword) {
            found.push((layer.at.clone(), keyword, list.as_array().map_or(0, Vec::len)));
        }
    }
    found
}

/// Whether nothing but one union shapes the value.
fn is_bare(layers: &Layers<'_>, union: &Target, keyword: &str) -> bool {
    layers.iter().all(|layer| {
        let shaping = |word: &str| SHAPING.contains(&word) && word != "type" && word != "allOf";
        layer.keywords().all(|word| !shaping(word) || (layer.at == *union && word == keyword))
    })
}

/// Whether a branch says nothing about the type, as `{"required": ["a"]}` does.
fn only_constrains(branch: &Layers<'_>) -> bool {
    let shaping = [
        "type",
        "properties",
        "patternProperties",
        "additionalProperties",
        "enum",
        "const",
        "items",
        "prefixItems",
        "oneOf",
        "anyOf",
    ];
    !shaping.iter().any(|keyword| branch.has(keyword))
}
