//! `oneOf` and `anyOf`: unions told apart by a property or by JSON type; any value where neither
//! tells.

use std::collections::BTreeSet;

use serde_json::Value;

use super::build::{Asked, Builder, Name, Typed};
use super::layers::{Layers, below};
use super::{Body, Union, Variant, reference};
use crate::naming;
use crate::resolve::Target;

/// One alternative of a union.
struct Branch<'a> {
    at: Target,
    layers: Layers<'a>,
}

impl<'a> Builder<'a> {
    /// The type of a value with `oneOf` or `anyOf`; none where these only constrain.
    pub(super) fn union(&mut self, layers: &Layers<'a>, asked: &Asked) -> Option<Typed> {
        let keywords = ["oneOf", "anyOf"];
        let mut found =
            keywords.into_iter().flat_map(|word| layers.all(word).map(move |f| (word, f)));
        let (keyword, (layer, list)) = found.next()?;
        let several = found.next().is_some();
        let count = list.as_array().map_or(0, Vec::len);
        let branches: Vec<Branch<'a>> = (0..count)
            .map(|index| below(&layer.at, keyword, index))
            .map(|at| Branch { layers: self.layers(std::slice::from_ref(&at)), at })
            .collect();
        if layers.has("properties") || branches.iter().all(only_constrains) {
            return None;
        }
        let (nulls, branches): (Vec<_>, Vec<_>) = branches.into_iter().partition(is_null);
        let nullable =
            !nulls.is_empty() && layers.types().is_none_or(|types| types.contains("null"));
        let typed = match branches.as_slice() {
            _ if several => None,
            [one] => Some(self.value(std::slice::from_ref(&one.at), &asked.name)),
            _ => self
                .tagged(layers, &branches, asked, nullable)
                .or_else(|| self.by_json_type(layers, &branches, asked, nullable))
                .map(Typed::plain),
        };
        let Some(typed) = typed else {
            self.not_carried(layers, keyword, "it becomes `serde_json::Value`");
            return Some(Typed::any());
        };
        Some(Typed { nullable: typed.nullable || nullable, ..typed })
    }

    /// Objects with a required property that holds another const in each.
    fn tagged(
        &mut self,
        layers: &Layers<'a>,
        branches: &[Branch<'a>],
        asked: &Asked,
        nullable: bool,
    ) -> Option<Value> {
        let tag = tag(branches)?;
        let wires: Vec<String> =
            branches.iter().filter_map(|branch| constant(branch, &tag)).collect();
        Some(self.named(asked, nullable, layers, |builder, name| {
            let variants = branches.iter().zip(wires).map(|(branch, wire)| {
                let ident = naming::type_name(&wire);
                let schema = builder.variant(branch, &name.inner(&wire), &tag);
                Variant { ident, wire, schema }
            });
            let variants = variants.collect();
            Body::Union(Union { tag: Some(tag), variants })
        }))
    }

    /// A branch's struct, without the tag: the union writes that.
    fn variant(&mut self, branch: &Branch<'a>, name: &Name, tag: &str) -> Value {
        // Only the union has this type: what else refers to the branch has the tag as a field.
        let id = self.claim(&branch.at, name);
        let mut body = self.structure(&branch.layers, name, Some(tag));
        body.key = None;
        self.define(id.clone(), name.clone(), &branch.layers, Body::Struct(body));
        reference(&id)
    }

    /// Alternatives of which each has another JSON type.
    fn by_json_type(
        &mut self,
        layers: &Layers<'a>,
        branches: &[Branch<'a>],
        asked: &Asked,
        nullable: bool,
    ) -> Option<Value> {
        let kinds: Vec<&str> =
            branches.iter().map(|b| json_type(&b.layers)).collect::<Option<_>>()?;
        let distinct: BTreeSet<&str> =
            kinds.iter().map(|kind| if *kind == "integer" { "number" } else { kind }).collect();
        if distinct.len() < kinds.len() {
            return None;
        }
        Some(self.named(asked, nullable, layers, |builder, name| {
            let variants = branches.iter().zip(kinds).map(|(branch, kind)| {
                let ident = naming::type_name(if kind == "array" { "list" } else { kind });
                let typed = builder.value(std::slice::from_ref(&branch.at), &name.inner(&ident));
                Variant { ident, wire: String::new(), schema: typed.inline() }
            });
            let variants = variants.collect();
            Body::Union(Union { tag: None, variants })
        }))
    }
}

/// The property that tells the branches apart.
fn tag(branches: &[Branch<'_>]) -> Option<String> {
    let first = branches.first()?;
    let objects = branches.iter().all(|branch| json_type(&branch.layers) == Some("object"));
    let properties = first.layers.all("properties").filter_map(|(_, names)| names.as_object());
    let mut names = properties.flat_map(|names| names.keys()).filter(|_| objects);
    names
        .find(|name| {
            let values: Option<Vec<String>> =
                branches.iter().map(|branch| constant(branch, name)).collect();
            values.is_some_and(|values| {
                let idents: BTreeSet<String> =
                    values.iter().map(|value| naming::type_name(value)).collect();
                idents.len() == branches.len()
            })
        })
        .cloned()
}

/// The one text that a required property of a branch may hold.
fn constant(branch: &Branch<'_>, property: &str) -> Option<String> {
    let is_required = |names: &Value| {
        names.as_array().is_some_and(|names| names.iter().any(|name| name == property))
    };
    let required = branch.layers.all("required").any(|(_, names)| is_required(names));
    let mut found = branch.layers.all("properties").filter_map(|(_, p)| p.get(property));
    let schema = found.next().filter(|_| required)?;
    let listed = schema.get("enum").and_then(Value::as_array);
    let only = listed.filter(|values| values.len() == 1).map(|values| &values[0]);
    schema.get("const").or(only)?.as_str().map(str::to_owned)
}

/// The one JSON type that a branch allows.
fn json_type<'a>(layers: &Layers<'a>) -> Option<&'a str> {
    let types: Vec<&str> = layers.types()?.into_iter().collect();
    match types.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn is_null(branch: &Branch<'_>) -> bool {
    let only_null = |values: Vec<&Value>| values.iter().all(|value| value.is_null());
    json_type(&branch.layers) == Some("null") || branch.layers.values().is_some_and(only_null)
}

/// Whether a branch says nothing about the type, as `{"required": ["a"]}` does.
fn only_constrains(branch: &Branch<'_>) -> bool {
    let shaping = ["type", "properties", "enum", "const", "items", "prefixItems", "oneOf", "anyOf"];
    !shaping.iter().any(|keyword| branch.layers.has(keyword))
}
