//! The walk that explains and the validator that judges say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bloodbank_core::schema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

fn name() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(vec!["a", "b", "c", "kind"]).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..4).prop_map(Value::from),
        prop::sample::select(vec![0.5, 1.0, 2.0]).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "b", "kind", "long text"]).prop_map(Value::from),
    ]
}

fn payload() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn types() -> impl Strategy<Value = Value> {
    let all = vec!["null", "boolean", "integer", "number", "string", "array", "object"];
    prop_oneof![
        prop::sample::select(all.clone()).prop_map(Value::from),
        prop::sample::subsequence(all, 1..4).prop_map(Value::from),
    ]
}

/// A keyword that applies no other schema.
fn own() -> impl Strategy<Value = Value> {
    prop_oneof![
        types().prop_map(|types| json!({"type": types})),
        scalar().prop_map(|value| json!({"const": value})),
        prop::collection::vec(scalar(), 1..4).prop_map(|values| json!({"enum": values})),
        (0_u32..3).prop_map(|n| json!({"minimum": n, "exclusiveMaximum": n + 2})),
        (0_u32..3).prop_map(|n| json!({"minLength": n, "pattern": "^[a-k]*$"})),
        (0_u32..3).prop_map(|n| json!({"minItems": n, "uniqueItems": true})),
        (0_u32..3).prop_map(|n| json!({"maxProperties": n})),
        name().prop_map(|name| json!({"required": [name]})),
        (name(), name()).prop_map(|(a, b)| json!({"dependentRequired": {a: [b]}})),
        Just(json!({"$ref": "#/$defs/tree"})),
        any::<bool>().prop_map(Value::from),
    ]
}

/// One more keyword around others, or several together.
fn schema() -> impl Strategy<Value = Value> {
    own().prop_recursive(4, 32, 4, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..4);
        let members = prop::collection::btree_map(name(), inner.clone(), 1..4).boxed();
        prop_oneof![
            members.clone().prop_map(|m| json!({"properties": m})),
            (members.clone(), inner.clone())
                .prop_map(|(m, rest)| json!({"properties": m, "additionalProperties": rest})),
            inner.clone().prop_map(|s| json!({"patternProperties": {"^[ab]": s}})),
            inner.clone().prop_map(|s| json!({"propertyNames": s})),
            members.prop_map(|m| json!({"dependentSchemas": m})),
            inner.clone().prop_map(|s| json!({"items": s})),
            (some.clone(), inner.clone())
                .prop_map(|(list, rest)| json!({"prefixItems": list, "items": rest})),
            (inner.clone(), 0_u32..3, 1_u32..3).prop_map(|(s, least, most)| json!({
                "contains": s, "minContains": least, "maxContains": most,
            })),
            inner.clone().prop_map(|s| json!({"contains": s})),
            some.clone().prop_map(|list| json!({"allOf": list})),
            some.clone().prop_map(|list| json!({"anyOf": list})),
            some.clone().prop_map(|list| json!({"oneOf": list})),
            inner.clone().prop_map(|s| json!({"not": s})),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| json!({"if": a, "then": b, "else": c})),
            (some.clone(), inner.clone())
                .prop_map(|(list, s)| json!({"allOf": list, "unevaluatedProperties": s})),
            (some.clone(), inner)
                .prop_map(|(list, s)| json!({"anyOf": list, "unevaluatedItems": s})),
            some.prop_map(merged),
        ]
    })
}

/// The keywords of all of them in one schema.
fn merged(schemas: Vec<Value>) -> Value {
    let objects = schemas.into_iter().filter_map(|schema| match schema {
        Value::Object(object) => Some(object),
        _ => None,
    });
    objects.flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What is refused has a reason, which the walk finds by itself; what is valid has none.
    #[test]
    fn the_walk_finds_a_fault_where_the_validator_does(
        schema in schema(), tree in schema(), payload in payload(),
    ) {
        let document = json!({"allOf": [schema], "$defs": {"tree": {
            "properties": {"a": {"$ref": "#/$defs/tree"}, "b": tree},
            "items": {"$ref": "#/$defs/tree"},
        }}});
        let validator = Validator::new(&document).unwrap();
        let is_valid = validator.is_valid(&payload);
        prop_assert_eq!(validator.check(&payload).is_ok(), is_valid);
        let (found, _) = validator.explain(&payload);
        let has_reason = !found.list.iter().any(|v| v.schema.is_empty());
        prop_assert_eq!(has_reason, !is_valid, "{} {}", document, payload);
        prop_assert!(found.is_complete);
        prop_assert!(!found.list.is_empty());
        for violation in &found.list {
            let place = violation.pointer.rsplit_once('/').map_or("", |(above, _)| above);
            prop_assert!(payload.pointer(place).is_some(), "{}", violation);
            prop_assert!(!has_reason || document.pointer(&violation.schema).is_some(),
                "{} at {}", violation, violation.schema);
        }
    }
}
