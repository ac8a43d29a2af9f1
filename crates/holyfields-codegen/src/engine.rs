//! typify, behind one door: small schemas of the shape → Rust types, as text.
//!
//! It is asked about each different schema once. The shape leaves it only primitives, lists, maps,
//! nullables and references to named types; the named types are written by our own code.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use schemars08::schema::Schema;
use serde_json::{Value, json};
use typify::{TypeDetails, TypeSpace, TypeSpaceSettings};

use crate::CodegenError;

/// The name of the one struct whose fields are the types that we ask for.
const CARRIER: &str = "Carrier";

/// The Rust types of schemas, with full paths: `::std::vec::Vec<T17>`.
#[derive(Debug, Default)]
pub(crate) struct RustTypes(HashMap<String, String>);

impl RustTypes {
    /// Asks for the types of all these schemas. `named` are the ids they may refer to.
    pub(crate) fn of<'a>(
        schemas: impl IntoIterator<Item = &'a Value>,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, CodegenError> {
        let distinct: BTreeMap<String, &Value> =
            schemas.into_iter().map(|schema| (schema.to_string(), schema)).collect();
        let named: BTreeSet<&str> = named.into_iter().collect();
        let all: Vec<&Value> = distinct.values().copied().collect();
        let types = match translate(&all, &named) {
            Ok(types) => types,
            // Once more one by one, to say which schema it was.
            Err(_) => {
                let one = |schema| translate(&[schema], &named).map(|mut types| types.remove(0));
                all.into_iter().map(one).collect::<Result<_, _>>()?
            }
        };
        Ok(RustTypes(distinct.into_keys().zip(types).collect()))
    }

    /// The type of a schema that was asked for.
    pub(crate) fn get(&self, schema: &Value) -> &str {
        self.0.get(&schema.to_string()).map_or("::serde_json::Value", String::as_str)
    }
}

/// The types of these schemas, in their order.
fn translate(schemas: &[&Value], named: &BTreeSet<&str>) -> Result<Vec<String>, CodegenError> {
    let failed = |reason: String| CodegenError::Engine {
        schema: schemas.first().map(ToString::to_string).unwrap_or_default(),
        reason,
    };
    // typify panics on what it does not know; that must not reach a user.
    let outcome = catch_unwind(AssertUnwindSafe(|| ask(schemas, named)));
    match outcome {
        Ok(Ok(types)) if types.len() == schemas.len() => Ok(types),
        Ok(Ok(types)) => Err(failed(format!("{} types came back", types.len()))),
        Ok(Err(error)) => Err(failed(error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Err(failed(text.unwrap_or_else(|| "it panicked".into())))
        }
    }
}

fn ask(schemas: &[&Value], named: &BTreeSet<&str>) -> Result<Vec<String>, String> {
    let mut settings = TypeSpaceSettings::default();
    settings.with_map_type("::std::collections::BTreeMap".to_string());
    for id in named {
        settings.with_replacement(id, id, std::iter::empty());
    }
    let names: Vec<String> = (0..schemas.len()).map(|index| format!("f{index:06}")).collect();
    let properties: serde_json::Map<String, Value> =
        names.iter().cloned().zip(schemas.iter().map(|schema| (*schema).clone())).collect();
    let carrier = json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    });
    let mut definitions = vec![(CARRIER.to_owned(), parse(carrier)?)];
    for id in named {
        definitions.push(((*id).to_owned(), parse(json!({ "type": "object" }))?));
    }
    let mut space = TypeSpace::new(&settings);
    space.add_ref_types(definitions).map_err(|error| error.to_string())?;
    let carrier = space
        .iter_types()
        .find(|found| found.name() == CARRIER)
        .ok_or("the carrier did not come back")?;
    let TypeDetails::Struct(carrier) = carrier.details() else {
        return Err("the carrier is no struct".into());
    };
    // typify sorts properties by name, and our names sort as they count.
    let types = carrier.properties().map(|(_, id)| {
        let found = space.get_type(&id).map_err(|error| error.to_string())?;
        Ok(found.ident().to_string())
    });
    types.collect()
}

fn parse(schema: Value) -> Result<Schema, String> {
    serde_json::from_value(schema).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_schemas_become_plain_types() {
        let schemas = [
            json!({ "type": "string" }),
            json!({ "type": "string", "format": "uuid" }),
            json!({ "type": "string", "format": "date-time" }),
            json!({ "type": "integer", "format": "uint64", "minimum": 0 }),
            json!({ "type": "integer", "format": "int64" }),
            json!({ "type": "number", "format": "double" }),
            json!({ "type": "boolean" }),
            json!(true),
            json!({ "$ref": "#/$defs/T7" }),
            json!({ "type": "array", "items": { "$ref": "#/$defs/T7" } }),
            json!({ "type": "array", "items": true }),
            json!({ "type": "object", "additionalProperties": true }),
            json!({ "type": "object", "additionalProperties": { "type": "boolean" } }),
            json!({ "type": "array", "items": { "oneOf": [{ "type": "string" }, { "type": "null" }] } }),
            json!({ "type": "array", "items": { "oneOf": [{ "$ref": "#/$defs/T7" }, { "type": "null" }] } }),
        ];
        let types = RustTypes::of(&schemas, ["T7"]).unwrap();
        let types: Vec<String> =
            schemas.iter().map(|schema| types.get(schema).replace(' ', "")).collect();
        expect_test::expect![[r#"
            ::std::string::String
            ::uuid::Uuid
            ::chrono::DateTime<::chrono::offset::Utc>
            u64
            i64
            f64
            bool
            ::serde_json::Value
            T7
            ::std::vec::Vec<T7>
            ::std::vec::Vec<::serde_json::Value>
            ::serde_json::Map<::std::string::String,::serde_json::Value>
            ::std::collections::BTreeMap<::std::string::String,bool>
            ::std::vec::Vec<::std::option::Option<::std::string::String>>
            ::std::vec::Vec<::std::option::Option<T7>>"#]]
        .assert_eq(&types.join("\n"));
    }
}
