//! Objects: structs where properties are declared, maps where they are not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::build::{Builder, Name};
use super::layers::{Layers, child};
use super::{Body, Field, Struct, limits};
use crate::naming;
use crate::resolve::Target;

/// Keywords by which an object may have properties that `properties` does not declare.
const HIDDEN_PROPERTIES: [&str; 7] =
    ["anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "patternProperties"];

impl<'a> Builder<'a> {
    pub(super) fn object(
        &mut self,
        layers: &Layers<'a>,
        at: &Target,
        name: &Name,
        shared: Option<&Target>,
    ) -> Value {
        let declares =
            layers.all("properties").any(|(_, p)| p.as_object().is_some_and(|p| !p.is_empty()));
        if !declares {
            return json!({ "type": "object", "additionalProperties": self.map_values(layers, name) });
        }
        self.named(at, name, shared, layers, |builder, name| {
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
        let mut fields: Vec<Field> = Vec::new();
        let mut key = None;
        for (wire, places) in declared(layers) {
            let property = self.layers(&places);
            if key_property == Some(wire.as_str())
                && let Some([Value::String(text)]) = property.values().as_deref()
            {
                key = Some((wire, text.clone()));
                continue;
            }
            let typed = self.value(&places, &name.inner(&wire));
            fields.push(Field {
                ident: unused_ident(&naming::identifier(&wire), &fields),
                required: required.contains(wire.as_str()),
                description: property.text("description").unwrap_or_default().to_owned(),
                limits: limits::describe(&property),
                nullable: typed.nullable,
                sensitive: property.is_marked("x-bloodbank-sensitive"),
                deprecated: property.is_marked("deprecated"),
                schema: typed.schema,
                wire,
            });
        }
        Struct { fields, extra: self.extra(layers, name), key }
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

fn unused_ident(ident: &str, fields: &[Field]) -> String {
    let taken = |ident: &str| ident == "extra" || fields.iter().any(|field| field.ident == ident);
    if !taken(ident) {
        return ident.to_owned();
    }
    let bare = ident.trim_start_matches("r#");
    (2..).map(|n| format!("{bare}_{n}")).find(|ident| !taken(ident)).unwrap_or_default()
}
