//! Any JSON as the schema of a property: its types have names of their own and refer to nothing
//! that is not there.
#![no_main]

use std::collections::HashSet;

use holyfields::finding;
use holyfields::shape::{Body, Shape, TypeShape, referenced_id};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let Ok(schema) = serde_json::from_str::<Value>(text) else { return };
    let contract = json!({ "type": "object", "properties": { "value": schema } }).to_string();
    let (catalog, findings) =
        holyfields::read_texts([("suite/case.tried.v1.json", contract.as_str())]);
    if !finding::has_errors(&findings) {
        check(&catalog.shape);
    }
});

fn check(shape: &Shape) {
    let ids: HashSet<&str> = shape.types.iter().map(|t| t.id.as_str()).collect();
    let names: HashSet<_> = shape.types.iter().map(|t| (&t.module, &t.name)).collect();
    assert_eq!(ids.len(), shape.types.len(), "two types have one id");
    assert_eq!(names.len(), shape.types.len(), "two types have one name");
    for schema in shape.types.iter().flat_map(schemas) {
        each(schema, &mut |schema| {
            if let Some(id) = referenced_id(schema) {
                assert!(ids.contains(id), "`{id}` is no type");
            }
        });
    }
}

/// The schemas inside a type.
fn schemas(shape: &TypeShape) -> Vec<&Value> {
    match &shape.body {
        Body::Struct(body) => body.fields.iter().map(|f| &f.schema).chain(&body.extra).collect(),
        Body::Union(union) => union.variants.iter().map(|variant| &variant.schema).collect(),
        _ => Vec::new(),
    }
}

fn each(schema: &Value, visit: &mut impl FnMut(&Value)) {
    visit(schema);
    match schema {
        Value::Object(members) => members.values().for_each(|member| each(member, visit)),
        Value::Array(items) => items.iter().for_each(|item| each(item, visit)),
        _ => {}
    }
}
