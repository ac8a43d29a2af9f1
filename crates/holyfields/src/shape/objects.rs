//! Unions of objects: what tells their branches apart, and a struct for each.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::branches::{Branch, constants, order_of_trial};
use super::build::{Asked, Builder};
use super::kinds::Kind;
use super::layers::Layers;
use super::names::{self, Name};
use super::object::declared;
use super::union::Alternatives;
use super::{Body, Told, Union, Variant, reference, sensitive};
use crate::resolve::Target;

/// How the branches of a union become variants.
struct Plan {
    told: Told,
    idents: Vec<String>,
    /// The property that says that a value is of a branch, and its value there.
    only: Vec<Option<(String, Value)>>,
}

impl<'a> Builder<'a> {
    /// The type for several objects; none where nothing tells them apart.
    pub(super) fn objects(
        &mut self,
        found: &Alternatives<'a>,
        layers: &Layers<'a>,
        asked: &Asked,
    ) -> Option<Value> {
        let Plan { told, idents, only } =
            self.by_tag(&found.branches).or_else(|| self.by_shape(found))?;
        Some(self.named(asked, layers, |builder, name| {
            builder.shared(layers, &found.branches, name);
            let parts = found.branches.iter().zip(idents).zip(only);
            let variants = parts.map(|((branch, ident), only)| {
                let schema = builder.branch(branch, found.bare, &name.inner(&ident), &told);
                let sensitive = branch.layers.is_marked(sensitive::MARK)
                    || builder.is_sensitive(std::slice::from_ref(&branch.at), &schema);
                Variant { ident, only, sensitive, schema }
            });
            let variants = variants.collect();
            Body::Union(Union { told, variants })
        }))
    }

    /// The type of a branch.
    fn branch(&mut self, branch: &Branch<'a>, bare: bool, name: &Name, told: &Told) -> Value {
        let tag = match told {
            // Only the union has this type: what else refers to the branch has the tag as a field.
            Told::Tag(property) => Some(property.as_str()),
            _ if bare && self.kinds.at(&branch.at).list() == [Kind::Object] => {
                return self.value(std::slice::from_ref(&branch.at), name).schema;
            }
            _ => None,
        };
        let name = self.names.take(name);
        let id = self.next_id();
        let mut body = self.structure(&branch.layers, &name, tag);
        body.key = None;
        self.define(id.clone(), name, &branch.own, Body::Struct(body));
        reference(&id)
    }

    /// Branches with a required property that holds another value in each.
    fn by_tag(&self, branches: &[Branch<'a>]) -> Option<Plan> {
        let all: Vec<HashMap<&str, &Value>> = branches
            .iter()
            .map(|branch| constants(&branch.layers, |places| self.layers(places)).collect())
            .collect();
        let candidates = branches.first()?.layers.members("properties");
        let (property, values) = candidates.into_iter().find_map(|(name, _)| {
            let values = all.iter().map(|constants| constants.get(name).copied());
            let values: Vec<&Value> = values.collect::<Option<_>>()?;
            let distinct: BTreeSet<String> = values.iter().map(|v| v.to_string()).collect();
            (distinct.len() == values.len()).then_some((name, values))
        })?;
        let texts: Option<Vec<&str>> = values.iter().map(|value| value.as_str()).collect();
        let (told, idents) = match texts {
            Some(texts) => (Told::Tag(property.to_owned()), names::variants(texts)),
            None => {
                let words: Vec<String> = values.iter().map(|v| format!("{property} {v}")).collect();
                let order = (0..branches.len()).collect();
                (Told::Shape(order), names::variants(words.iter().map(String::as_str)))
            }
        };
        let only = values.into_iter().map(|value| Some((property.to_owned(), value.clone())));
        Some(Plan { told, idents, only: only.collect() })
    }

    /// Branches that differ in what they require.
    fn by_shape(&mut self, found: &Alternatives<'a>) -> Option<Plan> {
        // Where a value takes two branches, what is beside them may count what both declare.
        if found.keyword == "anyOf" && !found.bare {
            return None;
        }
        let order = order_of_trial(&found.branches, &mut self.kinds, |places| {
            Layers::of(places, self.files, self.references)
        })?;
        let words = self.words(&found.branches);
        let idents = names::variants(words.iter().map(String::as_str));
        Some(Plan { told: Told::Shape(order), idents, only: vec![None; words.len()] })
    }

    /// What the variants of branches are called: after their definition, their title, or what only
    /// they ask for.
    fn words(&self, branches: &[Branch<'a>]) -> Vec<String> {
        let mut askers: HashMap<&str, usize> = HashMap::new();
        for name in branches.iter().flat_map(|branch| branch.own.required()) {
            *askers.entry(name).or_default() += 1;
        }
        let word = |branch: &Branch<'a>| {
            let title = || branch.own.text("title").map(str::to_owned);
            let own = || branch.own.required().into_iter().find(|name| askers[name] == 1);
            self.definition_word(&branch.at)
                .or_else(title)
                .or_else(|| own().map(str::to_owned))
                .unwrap_or_else(|| Kind::Object.variant().to_owned())
        };
        branches.iter().map(word).collect()
    }

    fn definition_word(&self, at: &Target) -> Option<String> {
        let name = Name { module: String::new(), name: String::new() };
        let (places, _) = self.dereference(std::slice::from_ref(at), &name);
        places.first().and_then(|at| self.names.word(at))
    }

    /// Makes the types of what all branches have from beside the union, called after the union.
    fn shared(&mut self, layers: &Layers<'a>, branches: &[Branch<'a>], name: &Name) {
        let of_branches = branches.iter().flat_map(|branch| branch.own.members("properties"));
        let redeclared: HashSet<&str> = of_branches.map(|(name, _)| name).collect();
        for (wire, places) in declared(layers) {
            if !redeclared.contains(wire) {
                self.value(&places, &name.inner(wire));
            }
        }
    }
}
