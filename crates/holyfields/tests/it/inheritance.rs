//! HF040: a contract that refuses what its own base declares.

use expect_test::expect;

use crate::folder::found;

const BASE: &str = r#"{
  "type": "object",
  "required": ["id"],
  "properties": {
    "id": { "type": "string" },
    "note": { "type": "string" }
  }
}"#;

#[test]
fn with_required_properties_nothing_is_accepted() {
    let text = r#"{
  "title": "Thing made",
  "type": "object",
  "allOf": [{ "$ref": "../_base.json" }],
  "properties": { "name": { "type": "string" } },
  "additionalProperties": false
}"#;
    expect![[r#"
        error[HF040]: `Thing made` accepts no payload: `id` must be present, and `additionalProperties: false` refuses it
         --> a/thing.made.v1.json:6:3
          |
        6 |   "additionalProperties": false
          |   ^^^^^^^^^^^^^^^^^^^^^^ sees only the properties declared beside it (/additionalProperties)
          |
         ::: _base.json:5:5
          |
        5 |     "id": { "type": "string" },
          |     ---- the base declares `id` (/properties/id)
          |
          = help: write `"unevaluatedProperties": false` instead: it counts the base's properties
    "#]].assert_eq(&found(&[("_base.json", BASE), ("a/thing.made.v1.json", text)]));
}

#[test]
fn with_optional_ones_something_is_refused_that_the_base_offers() {
    let text = r#"{
  "type": "object",
  "allOf": [{ "$ref": "../_base.json" }],
  "properties": { "id": { "type": "string" } },
  "additionalProperties": false
}"#;
    expect![[r#"
        error[HF040]: `a/thing.made.v1.json` refuses `note`, which its own base declares
         --> a/thing.made.v1.json:5:3
          |
        5 |   "additionalProperties": false
          |   ^^^^^^^^^^^^^^^^^^^^^^ sees only the properties declared beside it (/additionalProperties)
          |
         ::: _base.json:6:5
          |
        6 |     "note": { "type": "string" }
          |     ------ the base declares `note` (/properties/note)
          |
          = help: write `"unevaluatedProperties": false` instead: it counts the base's properties
    "#]].assert_eq(&found(&[("_base.json", BASE), ("a/thing.made.v1.json", text)]));
}

#[test]
fn through_several_steps_and_by_a_reference_beside_it() {
    let middle = r#"{ "allOf": [{ "$ref": "_base.json" }], "properties": { "more": {} } }"#;
    let text = r#"{
  "$defs": {
    "inner": {
      "$ref": "_middle.json",
      "required": ["more"],
      "additionalProperties": false
    }
  }
}"#;
    expect![[r#"
        error[HF040]: `types.json#/$defs/inner` accepts no payload: `id`, `more` must be present, and `additionalProperties: false` refuses them
         --> types.json:6:7
          |
        6 |       "additionalProperties": false
          |       ^^^^^^^^^^^^^^^^^^^^^^ sees only the properties declared beside it (/$defs/inner/additionalProperties)
          |
         ::: _base.json:5:5
          |
        5 |     "id": { "type": "string" },
          |     ---- the base declares `id` (/properties/id)
          |
         ::: _middle.json:1:56
          |
        1 | { "allOf": [{ "$ref": "_base.json" }], "properties": { "more": {} } }
          |                                                        ------ the base declares `more` (/properties/more)
          |
          = help: write `"unevaluatedProperties": false` instead: it counts the base's properties
    "#]].assert_eq(&found(&[
        ("_base.json", BASE),
        ("_middle.json", middle),
        ("types.json", text),
    ]));
}

#[test]
fn what_is_right() {
    let unevaluated = r#"{
        "type": "object",
        "allOf": [{"$ref": "../_base.json"}],
        "properties": {"name": {"type": "string"}},
        "unevaluatedProperties": false
    }"#;
    let repeated = r#"{
        "type": "object",
        "allOf": [{"$ref": "../_base.json"}],
        "properties": {"id": true, "note": true},
        "additionalProperties": false
    }"#;
    // In draft-07 nothing beside a `$ref` counts.
    let lone = r#"{
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "../_base.json",
        "additionalProperties": false
    }"#;
    assert_eq!(
        found(&[
            ("_base.json", BASE),
            ("a/thing.made.v1.json", unevaluated),
            ("a/thing.moved.v1.json", repeated),
            ("a/thing.lost.v1.json", lone),
        ]),
        "nothing\n"
    );
}
