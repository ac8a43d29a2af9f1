//! Random documents that look like schemas. holyfields-codegen's tests use them too.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

const KEYWORDS: [&str; 38] = [
    "$anchor",
    "$defs",
    "$id",
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "default",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxLength",
    "minimum",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedProperties",
    "x-bloodbank-kind",
    "x-bloodbank-sensitive",
];

/// Values that keywords have in real schemas, and some that they do not.
fn values() -> impl Strategy<Value = Value> {
    let texts = [
        "object",
        "string",
        "array",
        "integer",
        "null",
        "uuid",
        "date-time",
        "command",
        "#",
        "a.b.c",
        "#/$defs/a",
        "#/$defs/b",
        "#/properties/a",
        "#/properties/b/items",
        "#/definitions/a",
        "#/oneOf/0",
        "#/allOf/1",
        "b.json",
        "b.json#/$defs/a",
        "a/x.y.v1.json",
        "#here",
        "here",
        "https://x/a",
        "../x.json",
        "",
    ];
    prop_oneof![
        8 => prop::sample::select(texts.to_vec()).prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        2 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => prop::collection::vec(prop::sample::select(vec!["a", "b", "event_type"]), 0..3)
            .prop_map(Value::from),
        1 => prop::collection::vec(prop::sample::select(vec!["object", "null", "string"]), 0..3)
            .prop_map(Value::from),
    ]
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "event_type", "type", "a-b", "a_b", "self", "extra"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// Something like a schema.
pub(crate) fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        values(),
        (prop::sample::select(KEYWORDS.to_vec()), values())
            .prop_map(|(keyword, value)| json!({ keyword: value })),
        Just(json!({"type": "string"})),
    ];
    leaf.prop_recursive(5, 48, 5, |inner| {
        let holders = prop::sample::select(KEYWORDS.to_vec());
        let map = prop::collection::vec((names(), inner.clone()), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
            .boxed();
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        let held = prop_oneof![map.clone(), list, inner];
        let object = prop::collection::vec((holders, held), 1..5).prop_map(|members| {
            members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>()
        });
        // Most things worth trying need a type and properties.
        (object, map, prop::bool::weighted(0.6)).prop_map(|(mut object, properties, typed)| {
            if typed {
                object.insert("type".into(), "object".into());
                object.insert("properties".into(), properties);
            }
            Value::Object(object)
        })
    })
}
