//! Objects: structs where properties are declared, maps where they are not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::build::{Asked, Builder, Name};
use super::layers::{Layers, below, child};
use super::{Body, Field, Struct, limits};
use crate::finding::Finding;
use crate::resolve::Target;
use crate::{naming, rules};

/// Keywords by which an object may have properties that `properties` does not declare.
const HIDDEN_PROPERTIES: [&str; 7] =
    ["anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "patternProperties"];

impl<'a> Builder<'a> {
    pub(super) fn object(&mut self, layers: &Layers<'a>, asked: &Asked, nullable: bool) -> Value {
        let declares =
            layers.all("properties").any(|(_, p)| p.as_object().is_some_and(|p| !p.is_empty()));
        if !declares {
            let values = self.map_values(layers, &asked.name);
            return json!({ "type": "object", "additionalProperties": values });
        }
        self.named(asked, nullable, layers, |builder, name| {
            Body::Struct(builder.structure(layers, name, None))
        })
    }

    /// The fields of an object; `key_property` is left to the code that writes the key.
    pub(super) fn structure(
        &mut self,
        layers: &Layers<'a>,
        name: &Name,
        key_property: Option<&str>,
    ) -> Struct {
        for keyword in
            ["if", "dependentSchemas", "dependencies", "oneOf", "anyOf", "patternProperties"]
        {
            self.not_carried(layers, keyword, "it is not seen in the fields");
        }
        let required: BTreeSet<&str> = layers
            .all("required")
            .filter_map(|(_, names)| names.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let extra = self.extra(layers, name);
        let mut fields: Vec<Field> = Vec::new();
        let mut key = None;
        let all_sensitive = layers.is_marked("x-bloodbank-sensitive");
        for (wire, places) in declared(layers) {
            let property = self.layers(&places);
            if key_property == Some(wire.as_str())
                && let Some([Value::String(text)]) = property.values().as_deref()
            {
                self.check_key_required(&places, &wire, required.contains(wire.as_str()));
                key = Some((wire, text.clone()));
                continue;
            }
            let typed = self.value(&places, &name.inner(&wire));
            fields.push(Field {
                ident: unused_ident(&naming::identifier(&wire), &fields, extra.is_some()),
                required: required.contains(wire.as_str()),
                description: property.text("description").unwrap_or_default().to_owned(),
                limits: limits::describe(&property),
                nullable: typed.nullable,
                sensitive: all_sensitive || self.is_sensitive(&places),
                deprecated: property.is_marked("deprecated"),
                schema: typed.schema,
                wire,
            });
        }
        let extra_places: Vec<Target> = extra_keywords(layers);
        let sensitive_extra = all_sensitive || self.is_sensitive(&extra_places);
        Struct { fields, extra, sensitive_extra, key }
    }

    /// The type always writes the key, so a payload without it would not come back as it was.
    fn check_key_required(&mut self, places: &[Target], property: &str, required: bool) {
        if let Some(at) = places.last().filter(|_| !required) {
            let message = format!(
                "`{property}` names the key but is not required: the type always writes it"
            );
            let finding = Finding::new(rules::OPTIONAL_KEY, message, self.place(at));
            self.findings.push(finding.help(format!("add \"{property}\" to `required`")));
        }
    }

    /// Whether a value described by these places shows something marked `x-bloodbank-sensitive`.
    ///
    /// Objects with declared properties answer for those themselves.
    fn is_sensitive(&self, places: &[Target]) -> bool {
        let mut open: Vec<Target> = places.to_vec();
        let mut seen: BTreeSet<Target> = BTreeSet::new();
        while let Some(at) = open.pop() {
            if !seen.insert(at.clone()) {
                continue;
            }
            let layers = self.layers(&[at]);
            if layers.is_marked("x-bloodbank-sensitive") {
                return true;
            }
            for keyword in ["items", "additionalProperties", "unevaluatedProperties"] {
                open.extend(layers.places(keyword));
            }
            for keyword in ["prefixItems", "anyOf", "oneOf"] {
                for (layer, list) in layers.all(keyword) {
                    let count = list.as_array().map_or(0, Vec::len);
                    open.extend((0..count).map(|index| below(&layer.at, keyword, index)));
                }
            }
            let maps = match layers.types() {
                // No struct hides them, as none is made.
                None => ["patternProperties", "properties"].as_slice(),
                Some(_) => &["patternProperties"],
            };
            for keyword in maps {
                for (layer, members) in layers.all(keyword) {
                    let names = members.as_object().into_iter().flat_map(|members| members.keys());
                    let at = child(&layer.at, keyword);
                    open.extend(names.map(|name| child(&at, name)));
                }
            }
        }
        false
    }

    /// The schema of the values beyond the declared ones; none where there can be none.
    fn extra(&mut self, layers: &Layers<'a>, name: &Name) -> Option<Value> {
        let closed_by_one = layers.iter().any(|layer| {
            layer.object.get("additionalProperties") == Some(&Value::Bool(false))
                && !layer.object.contains_key("patternProperties")
        });
        let sees_all = layers.all("unevaluatedProperties").any(|(_, v)| v == &Value::Bool(false));
        let hidden = HIDDEN_PROPERTIES.iter().any(|keyword| layers.has(keyword));
        if closed_by_one || (sees_all && !hidden) {
            return None;
        }
        // With one layer only, its `additionalProperties` speaks of exactly the others.
        let alone = layers.iter().count() == 1 && !layers.has("patternProperties");
        Some(if alone { self.map_values(layers, name) } else { json!(true) })
    }

    /// The schema of a map's values.
    fn map_values(&mut self, layers: &Layers<'a>, name: &Name) -> Value {
        let places: Vec<Target> = layers
            .all("additionalProperties")
            .filter(|(_, value)| value.is_object())
            .map(|(layer, _)| child(&layer.at, "additionalProperties"))
            .collect();
        if layers.has("patternProperties") || places.len() != 1 {
            return json!(true);
        }
        self.value(&places, &name.inner("value")).inline()
    }
}

/// Every declared property with all places that declare it, bases first.
fn declared(layers: &Layers<'_>) -> Vec<(String, Vec<Target>)> {
    let mut declared: Vec<(String, Vec<Target>)> = Vec::new();
    for (layer, properties) in layers.all("properties") {
        let at = child(&layer.at, "properties");
        for name in properties.as_object().into_iter().flat_map(|p| p.keys()) {
            let place = child(&at, name);
            match declared.iter_mut().find(|(known, _)| known == name) {
                Some((_, places)) => places.push(place),
                None => declared.push((name.clone(), vec![place])),
            }
        }
    }
    declared
}

/// The places that describe the properties that are not declared.
fn extra_keywords(layers: &Layers<'_>) -> Vec<Target> {
    let keywords = ["additionalProperties", "unevaluatedProperties"];
    let mut places: Vec<Target> =
        keywords.into_iter().flat_map(|keyword| layers.places(keyword)).collect();
    for (layer, members) in layers.all("patternProperties") {
        let at = child(&layer.at, "patternProperties");
        let names = members.as_object().into_iter().flat_map(|members| members.keys());
        places.extend(names.map(|name| child(&at, name)));
    }
    places
}

fn unused_ident(ident: &str, fields: &[Field], has_extra: bool) -> String {
    let taken = |ident: &str| {
        (has_extra && ident == "extra") || fields.iter().any(|field| field.ident == ident)
    };
    if !taken(ident) {
        return ident.to_owned();
    }
    let bare = ident.trim_start_matches("r#");
    (2..).map(|n| format!("{bare}_{n}")).find(|ident| !taken(ident)).unwrap_or_default()
}
