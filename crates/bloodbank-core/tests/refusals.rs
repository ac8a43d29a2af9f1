//! What a refusal says, and what it keeps to itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use bloodbank_core::{CheckError, Contracts, Refusal};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The contracts of a catalog with the one schema, under the key `t.e`.
fn contracts(schema: Value) -> Contracts {
    let bundle = json!({
        "contracts": [{
            "kind": "event", "keys": ["t.e"], "version": 1, "schema_id": "t/e", "title": "E",
            "rust_type": "t::E", "definition": "t/e",
        }],
        "$defs": {"t/e": schema},
    });
    Contracts::from_json(&bundle.to_string()).unwrap()
}

fn refusal(schema: Value, payload: Value) -> Refusal {
    match contracts(schema).check("t.e", &payload) {
        Err(CheckError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Each violation as `pointer rule: expected | found`.
fn lines(schema: Value, payload: Value) -> Vec<String> {
    let line = |v: &bloodbank_core::Violation| {
        format!("{} {}: {} | {}", v.pointer, v.rule, v.expected, v.found)
    };
    refusal(schema, payload).violations.iter().map(line).collect()
}

#[test]
fn all_faults_at_once_and_aligned() {
    let schema = json!({
        "type": "object",
        "properties": {
            "topic": {"type": "string", "maxLength": 10},
            "strategy": {"enum": ["simple", "multi_agent"]},
            "rounds": {"type": "integer", "maximum": 9},
            "people": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["topic", "owner"],
        "additionalProperties": false,
    });
    let payload = json!({
        "topic": "much too long", "strategy": "fast", "rounds": 10, "people": ["a", 7], "topik": 1,
    });
    let expected = "\
t.e: 6 faults
  /owner     expected property `owner` to be present, found nothing
  /topic     expected at most 10 characters, found \"much too long\"
  /strategy  expected one of \"simple\", \"multi_agent\", found \"fast\"
  /rounds    expected at most 9, found 10
  /people/1  expected a string, found 7
  /topik     expected no property of this name (did you mean `topic`?), found 1";
    let refusal = refusal(schema, payload);
    let mut told: Vec<_> = refusal.to_string().lines().map(str::to_owned).collect();
    let mut wanted: Vec<_> = expected.lines().map(str::to_owned).collect();
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted);
}

#[test]
fn wording() {
    let cases = [
        (json!({"type": ["string", "null"]}), json!(1), " type: a string or null | 1"),
        (json!({"const": {"a": 1}}), json!({}), " const: {\"a\":1} | an object with 0 properties"),
        (json!({"minLength": 1}), json!(""), " minLength: at least 1 character | \"\""),
        (
            json!({"maxItems": 1}),
            json!([1, 2]),
            " maxItems: at most 1 item | an array with 2 items",
        ),
        (json!({"exclusiveMinimum": 0}), json!(0), " exclusiveMinimum: more than 0 | 0"),
        (json!({"multipleOf": 0.5}), json!(0.7), " multipleOf: a multiple of 0.5 | 0.7"),
        (json!({"pattern": "^a"}), json!("b"), " pattern: text that matches `^a` | \"b\""),
        (json!({"format": "uuid"}), json!("b"), " format: a UUID | \"b\""),
        (
            json!({"format": "date-time"}),
            json!("today"),
            " format: an RFC 3339 date-time, like 2025-01-31T12:00:00Z | \"today\"",
        ),
        (
            json!({"uniqueItems": true}),
            json!([1, 1]),
            " uniqueItems: items that all differ | an array with 2 items",
        ),
        (json!({"properties": {"x": false}}), json!({"x": 1}), "/x false: nothing here | 1"),
        (
            json!({"dependentRequired": {"a": ["b"]}}),
            json!({"a": 1}),
            "/b dependentRequired: property `b` to be present | nothing",
        ),
        (
            json!({"propertyNames": {"maxLength": 2}}),
            json!({"abc": 1}),
            "/abc propertyNames: a property name that is at most 2 characters | \"abc\"",
        ),
        (
            json!({"contains": {"const": 1}, "minContains": 2}),
            json!([1]),
            " minContains: items as `contains` asks for | an array with 1 item",
        ),
        (
            json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}),
            json!(1),
            " oneOf: exactly one of 2 alternatives | a value that fits 2 of them",
        ),
    ];
    for (schema, payload, line) in cases {
        assert_eq!(lines(schema.clone(), payload), [line], "{schema}");
    }
}

#[test]
fn one_fault_is_told_once() {
    let twice = json!({"allOf": [{"required": ["a"]}], "required": ["a"]});
    assert_eq!(lines(twice, json!({})).len(), 1);
    let both = json!({"type": "string", "enum": ["a", "b"]});
    assert_eq!(lines(both, json!(1)), [" enum: one of \"a\", \"b\" | 1"]);
}

#[test]
fn innocent_neighbours_are_not_unexpected() {
    let schema = json!({
        "allOf": [{"properties": {"a": {"type": "string"}, "b": {}}}],
        "unevaluatedProperties": false,
    });
    assert_eq!(
        lines(schema.clone(), json!({"a": 1, "b": 1, "zz": 1})),
        ["/a type: a string | 1", "/zz unevaluatedProperties: no property of this name | 1",]
    );
    assert_eq!(lines(schema, json!({"a": "x", "zz": 1})).len(), 1);
}

fn shapes() -> Value {
    let branch = |kind: &str, field: &str| {
        json!({
            "type": "object",
            "properties": {"kind": {"const": kind}, field: {"type": "string"}},
            "required": ["kind", field],
        })
    };
    json!({"properties": {"x": {"oneOf": [
        branch("disk", "path"), branch("web", "url"), {"type": "null"},
    ]}}})
}

#[test]
fn unions_report_the_branch_that_was_meant() {
    let missing = "/x/url required: property `url` to be present | nothing";
    assert_eq!(lines(shapes(), json!({"x": {"kind": "web"}})), [missing]);
    assert_eq!(
        lines(shapes(), json!({"x": {"kind": "web", "url": 7}})),
        ["/x/url type: a string | 7"]
    );
    assert_eq!(
        lines(shapes(), json!({"x": {}})),
        ["/x/kind required: property `kind` to be present | nothing"]
    );
    assert_eq!(lines(shapes(), json!({"x": 5})), ["/x oneOf: an object or null | 5"],);
}

#[test]
fn a_violation_knows_its_keyword_in_the_schema_and_the_name_that_was_meant() {
    let mut schema = shapes();
    schema["additionalProperties"] = json!(false);
    let payload = json!({"x": {"kind": "web", "url": 7}, "xx": 1});
    let mut places: Vec<_> = refusal(schema.clone(), payload)
        .violations
        .into_iter()
        .map(|violation| (violation.schema, violation.similar))
        .collect();
    places.sort();
    let url = "/$defs/t~1e/properties/x/oneOf/1/properties/url/type";
    let closed = "/$defs/t~1e/additionalProperties";
    assert_eq!(places, [(closed.to_owned(), Some("x".to_owned())), (url.to_owned(), None)]);
}

#[test]
fn unions_without_a_branch_are_one_line() {
    let kinds = json!({"anyOf": [
        {"properties": {"kind": {"const": "a"}}},
        {"properties": {"kind": {"enum": ["b", "c"]}}},
    ]});
    assert_eq!(
        lines(kinds, json!({"kind": "d"})),
        ["/kind const: one of \"a\", \"b\", \"c\" | \"d\""]
    );
    let names = json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]});
    assert_eq!(
        lines(names, json!({})),
        [
            " anyOf: property `a` to be present or property `b` to be present | an object with 0 properties"
        ]
    );
    let one_or_many =
        json!({"anyOf": [{"enum": ["a", "b"]}, {"type": "array", "items": {"enum": ["a", "b"]}}]});
    assert_eq!(lines(one_or_many, json!(["a", "c"])), ["/1 enum: one of \"a\", \"b\" | \"c\""]);
    let nullable = json!({"anyOf": [{"type": "string", "maxLength": 2}, {"type": "null"}]});
    assert_eq!(lines(nullable, json!("abc")), [" maxLength: at most 2 characters | \"abc\""]);
}

#[test]
fn nothing_sensitive_is_shown() {
    let schema = json!({
        "$defs": {"token": {"type": "string", "maxLength": 3, "x-bloodbank-sensitive": true}},
        "properties": {
            "token": {"$ref": "#/$defs/t~1e/$defs/token"},
            "maybe": {"anyOf": [{"$ref": "#/$defs/t~1e/$defs/token"}, {"type": "integer"}]},
            "login": {
                "x-bloodbank-sensitive": true,
                "properties": {"name": {"type": "integer"}},
                "propertyNames": {"maxLength": 4},
                "additionalProperties": false,
            },
            "open": {"type": "integer"},
        },
        "additionalProperties": false,
    });
    let payload = json!({
        "token": "s3cret", "maybe": "s3cret", "login": {"name": "s3cret", "other": "s3cret"},
        "tokn": "s3cret", "open": "shown",
    });
    let refusal = refusal(schema, payload);
    assert!(!refusal.to_string().contains("s3cret"), "{refusal}");
    assert!(!format!("{refusal:?}").contains("s3cret"));
    assert!(refusal.to_string().contains("shown"));
    assert_eq!(refusal.violations.iter().filter(|v| v.found == "(hidden)").count(), 6, "{refusal}");
}

#[test]
fn control_characters_of_names_do_not_reach_the_terminal() {
    let schema = json!({"additionalProperties": false});
    let shown = refusal(schema, json!({"a\u{1b}[31m\nb": "\u{7}"})).to_string();
    assert!(!shown.contains(['\u{1b}', '\u{7}']) && shown.lines().count() == 2, "{shown}");
}

#[test]
fn catastrophic_patterns_end_in_a_violation() {
    let schema = json!({"pattern": "^(?=.*b)(a|aa)+$(?!x)"});
    let started = Instant::now();
    let lines = lines(schema, json!("a".repeat(5_000) + "b"));
    assert!(lines[0].starts_with(" pattern: text that its `pattern` can decide on"), "{lines:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn look_ahead_works() {
    let contracts = contracts(json!({"pattern": "^(?!admin)[a-z]+$"}));
    assert!(contracts.check("t.e", &json!("anna")).is_ok());
    assert!(contracts.check("t.e", &json!("admin1")).is_err());
}

#[test]
fn schemas_at_fault_are_errors() {
    let schemas = [
        json!({"format": "nope"}),
        json!({"pattern": "(["}),
        json!({"$ref": "https://example.com/x.json"}),
        json!({"type": 7}),
        json!(null),
    ];
    for schema in schemas {
        let error = contracts(schema.clone()).check("t.e", &json!({})).unwrap_err();
        assert!(matches!(error, CheckError::Schema { .. }), "{schema}: {error:?}");
        assert!(error.violations().is_empty());
    }
}

#[test]
fn many_faults_are_counted_and_a_hundred_listed() {
    let payload = Value::from(vec![json!("x"); 5_000]);
    let refusal = refusal(json!({"items": {"type": "integer"}}), payload);
    assert_eq!((refusal.violations.len(), refusal.more, refusal.is_complete), (100, 4_900, true));
    let shown = refusal.to_string();
    assert!(shown.starts_with("t.e: 5,000 faults\n"), "{shown}");
    assert!(shown.ends_with("\n  … and 4,900 more") && shown.lines().count() == 102, "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A text of any length against any limit: refused exactly if too long, in the same words.
    #[test]
    fn lengths(text in "\\PC{0,40}", limit in 0_u64..40) {
        let long = text.chars().count() as u64 > limit;
        let result = contracts(json!({"maxLength": limit})).check("t.e", &json!(text));
        prop_assert_eq!(result.is_err(), long);
        if let Err(CheckError::Refused(refusal)) = result {
            let only = &refusal.violations[0];
            prop_assert_eq!(only.expected.starts_with(&format!("at most {limit} character")), true);
            prop_assert_eq!(refusal.violations.len(), 1);
        }
    }

    /// One violation per property that is missing and one per property too many, by pointer.
    #[test]
    fn missing_and_unexpected(present in prop::collection::btree_set("[a-h/~]", 0..8)) {
        let wanted = ["a", "b", "/", "~"];
        let properties: serde_json::Map<_, _> =
            wanted.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        let schema =
            json!({"properties": properties, "required": wanted, "additionalProperties": false});
        let payload: Value = present.iter().map(|name| (name.clone(), json!(1))).collect();
        let mut pointers: Vec<String> = match contracts(schema).check("t.e", &payload) {
            Ok(()) => vec![],
            Err(error) => error.violations().iter().map(|v| v.pointer.clone()).collect(),
        };
        let missing = wanted.iter().filter(|name| !present.contains(**name)).map(|n| (*n).to_owned());
        let unexpected = present.iter().filter(|n| !wanted.contains(&n.as_str())).cloned();
        let mut expected: Vec<String> = missing
            .chain(unexpected)
            .map(|name| holyfields::pointer::join("", &name))
            .collect();
        pointers.sort();
        expected.sort();
        prop_assert_eq!(pointers, expected);
    }
}
