//! Objects: structs where properties are declared, maps where they are not.

use serde_json::{Value, json};

use super::build::{Asked, Builder};
use super::kinds::Kinds;
use super::layers::Layers;
use super::names::Name;
use super::{Body, Field, Struct, limits, sensitive};
use crate::finding::Finding;
use crate::resolve::Target;
use crate::{naming, rules};

/// Keywords that shape an object in a way that its fields do not show.
const UNSEEN: [&str; 5] = ["if", "dependentSchemas", "dependencies", "oneOf", "anyOf"];

impl<'a> Builder<'a> {
    pub(super) fn object(&mut self, layers: &Layers<'a>, asked: &Asked) -> Value {
        if layers.members("properties").is_empty() {
            let values = self.map_values(layers, &asked.name);
            return json!({ "type": "object", "additionalProperties": values });
        }
        self.named(asked, layers, |builder, name| {
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
        for keyword in UNSEEN {
            self.not_carried(layers, keyword, "it is not seen in the fields");
        }
        let mut body = Struct {
            extra: self.extra(layers, name),
            sensitive_extra: layers.is_marked(sensitive::MARK) || self.extra_is_sensitive(layers),
            ..Struct::default()
        };
        let required = layers.required();
        for (wire, places) in declared(layers) {
            let is_required = required.contains(wire);
            let property = self.layers(&places);
            if key_property == Some(wire)
                && let Some([Value::String(text)]) = property.values().as_deref()
            {
                self.check_key_required(&places, wire, is_required);
                body.key = Some((wire.to_owned(), text.clone()));
            } else if is_required || self.kinds.all(&places) != Kinds::NONE {
                // What must be absent needs no field.
                let field = self.field(layers, name, wire, &places, &body);
                body.fields.push(Field { required: is_required, ..field });
            }
        }
        body
    }

    fn field(
        &mut self,
        layers: &Layers<'a>,
        name: &Name,
        wire: &str,
        places: &[Target],
        body: &Struct,
    ) -> Field {
        let property = self.layers(places);
        let typed = self.value(places, &name.inner(wire));
        let only = match property.values().as_deref() {
            Some([only]) => Some((*only).clone()),
            _ => None,
        };
        let default = property.all("default").next_back().map(|(_, value)| value.clone());
        Field {
            ident: unused_ident(&naming::identifier(wire), body),
            wire: wire.to_owned(),
            description: property.text("description").unwrap_or_default().to_owned(),
            limits: limits::describe(&property, &typed.schema),
            only,
            default,
            required: false,
            nullable: typed.nullable,
            sensitive: layers.is_marked(sensitive::MARK)
                || self.is_sensitive(places, &typed.schema),
            deprecated: property.is_marked("deprecated"),
            schema: typed.schema,
        }
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
}

/// Every declared property with all places that declare it, bases first.
pub(super) fn declared<'a>(layers: &Layers<'a>) -> Vec<(&'a str, Vec<Target>)> {
    let mut declared: Vec<(&str, Vec<Target>)> = Vec::new();
    for (name, place) in layers.members("properties") {
        match declared.iter_mut().find(|(known, _)| *known == name) {
            Some((_, places)) => places.push(place),
            None => declared.push((name, vec![place])),
        }
    }
    declared
}

fn unused_ident(ident: &str, body: &Struct) -> String {
    let taken = |ident: &str| {
        (body.extra.is_some() && ident == "extra")
            || body.fields.iter().any(|field| field.ident == ident)
    };
    if !taken(ident) {
        return ident.to_owned();
    }
    let bare = ident.trim_start_matches("r#");
    (2..).map(|n| format!("{bare}_{n}")).find(|ident| !taken(ident)).unwrap_or_default()
}
