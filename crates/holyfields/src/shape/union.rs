//! `oneOf` and `anyOf`: which branches a value of one JSON type may take, and the type for them.
//!
//! Branches of several JSON types are told apart by that alone. What remains are several objects,
//! told apart by a property or by their shape, and several texts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::branches::{Branch, constants, order_of_trial};
use super::build::{Asked, Builder, SHAPING};
use super::kinds::Kind;
use super::layers::{Layers, below};
use super::names::{self, Name};
use super::{Body, Told, Union, Variant, reference, sensitive};
use crate::naming;
use crate::resolve::Target;

/// A union among the layers, and the branches of it that are of interest.
pub(super) struct Alternatives<'a> {
    keyword: &'static str,
    branches: Vec<Branch<'a>>,
    /// Whether all that is said about the value is said in the branches.
    bare: bool,
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

    /// Several objects.
    fn objects(
        &mut self,
        found: &Alternatives<'a>,
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Option<Value> {
        let Some((property, values)) = self.tag(&found.branches) else {
            return self.by_shape(found, layers, asked);
        };
        let texts: Option<Vec<&str>> = values.iter().map(|value| value.as_str()).collect();
        if let Some(texts) = texts {
            let idents = names::variants(texts);
            return Some(self.tagged(&property, &values, idents, &found.branches, layers, asked));
        }
        let words = values.iter().map(|value| format!("{property} {value}"));
        let idents = names::variants(words.collect::<Vec<_>>().iter().map(String::as_str));
        let only = values.iter().map(|value| Some((property.clone(), (*value).clone())));
        let order = (0..found.branches.len()).collect();
        Some(self.tried(found, order, idents, only.collect(), layers, asked))
    }

    /// Objects with a required property that holds another text in each.
    fn tagged(
        &mut self,
        property: &str,
        texts: &[&Value],
        idents: Vec<String>,
        branches: &[Branch<'a>],
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Value {
        self.named(asked, layers, |builder, name| {
            let variants = branches.iter().zip(idents).zip(texts).map(|((branch, ident), text)| {
                // Only the union has this type: what else refers to the branch has the tag as a
                // field.
                let schema = builder.branch_struct(branch, &name.inner(&ident), Some(property));
                Variant {
                    ident,
                    schema,
                    sensitive: branch.layers.is_marked(sensitive::MARK),
                    only: Some((property.to_owned(), (*text).clone())),
                }
            });
            let variants = variants.collect();
            Body::Union(Union { told: Told::Tag(property.to_owned()), variants })
        })
    }

    /// Objects that differ in what they require.
    fn by_shape(
        &mut self,
        found: &Alternatives<'a>,
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Option<Value> {
        // Where a value takes two branches, what is beside them may count what both declare.
        if found.keyword == "anyOf" && !found.bare {
            return None;
        }
        let order = order_of_trial(&found.branches, &mut self.kinds, |places| {
            Layers::of(places, self.files, self.references)
        })?;
        let words: Vec<String> =
            found.branches.iter().map(|branch| self.word(branch, &found.branches)).collect();
        let idents = names::variants(words.iter().map(String::as_str));
        let only = vec![None; words.len()];
        Some(self.tried(found, order, idents, only, layers, asked))
    }

    /// Branches of which the first is taken that keeps the whole value.
    fn tried(
        &mut self,
        found: &Alternatives<'a>,
        order: Vec<usize>,
        idents: Vec<String>,
        only: Vec<Option<(String, Value)>>,
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Value {
        self.named(asked, layers, |builder, name| {
            let variants = found.branches.iter().zip(idents).zip(only);
            let variants = variants.map(|((branch, ident), only)| {
                let name = name.inner(&ident);
                let schema =
                    match found.bare && builder.kinds.at(&branch.at).list() == [Kind::Object] {
                        true => builder.value(std::slice::from_ref(&branch.at), &name).schema,
                        false => builder.branch_struct(branch, &name, None),
                    };
                let sensitive = branch.layers.is_marked(sensitive::MARK)
                    || builder.is_sensitive(std::slice::from_ref(&branch.at), &schema);
                Variant { ident, schema, sensitive, only }
            });
            let variants = variants.collect();
            Body::Union(Union { told: Told::Shape(order), variants })
        })
    }

    /// A branch's own struct, without the tag: the union writes that.
    fn branch_struct(&mut self, branch: &Branch<'a>, name: &Name, tag: Option<&str>) -> Value {
        let name = self.names.take(name);
        let id = self.next_id();
        let mut body = self.structure(&branch.layers, &name, tag);
        body.key = None;
        self.define(id.clone(), name, &branch.own, Body::Struct(body));
        reference(&id)
    }

    /// The property that tells the branches apart, and its value in each.
    fn tag(&self, branches: &[Branch<'a>]) -> Option<(String, Vec<&'a Value>)> {
        let all: Vec<Vec<(&str, &Value)>> = branches
            .iter()
            .map(|branch| constants(&branch.layers, |places| self.layers(places)))
            .collect();
        let first = all.first()?;
        first.iter().find_map(|(name, _)| {
            let of = |constants: &Vec<(&str, &'a Value)>| {
                constants.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
            };
            let values: Vec<&Value> = all.iter().map(of).collect::<Option<_>>()?;
            let texts: BTreeSet<String> = values.iter().map(|value| value.to_string()).collect();
            (texts.len() == values.len()).then(|| ((*name).to_owned(), values))
        })
    }

    /// What the variant of a branch is called: after its definition, its title, or what only it
    /// asks for.
    fn word(&self, branch: &Branch<'a>, all: &[Branch<'a>]) -> String {
        let name = Name { module: String::new(), name: String::new() };
        let (places, _) = self.dereference(std::slice::from_ref(&branch.at), &name);
        let defined = places.first().and_then(|at| self.names.word(at));
        let title = || branch.own.text("title").map(naming::type_name);
        let own = || {
            let others = all.iter().filter(|other| other.at != branch.at);
            let wanted: BTreeSet<&str> = others.flat_map(|other| other.own.required()).collect();
            branch.own.required().into_iter().find(|name| !wanted.contains(name))
        };
        defined
            .or_else(title)
            .or_else(|| own().map(str::to_owned))
            .unwrap_or_else(|| Kind::Object.variant().to_owned())
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
