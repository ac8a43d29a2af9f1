//! HF050, HF051 and HF052: examples are tests.

use expect_test::expect;

use crate::found;

const SCHEMA: &str = r##"{
  "title": "Thing made",
  "type": "object",
  "properties": {
    "event_type": { "const": "demo.thing.made" },
    "name": { "type": "string", "minLength": 2 },
    "made_at": { "type": "string", "format": "date-time" },
    "colour": { "enum": ["red", "green"] },
    "size": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
    "parts": { "type": "array", "items": { "$ref": "#/$defs/part" } }
  },
  "required": ["event_type", "name"],
  "additionalProperties": false,
  "$defs": { "part": { "type": "object", "properties": { "weight": { "maximum": 10 } } } },
EXAMPLES
}"##;

fn of(examples: &str) -> String {
    found(&[("demo/thing.made.v1.json", &SCHEMA.replace("EXAMPLES", examples))])
}

#[test]
fn every_fault_of_an_example() {
    let examples = r#"  "examples": [
    { "event_type": "demo.thing.made", "name": "ok" },
    {
      "event_type": "demo.thing.mad",
      "made_at": "yesterday",
      "colour": "blue",
      "size": "large",
      "parts": [{ "weight": 3 }, { "weight": 11 }],
      "naem": "x"
    },
    7
  ]"#;
    expect![[r#"
        error[HF050]: example 2 of `demo.thing.made` is refused at `/name`: expected property `name` to be present, found nothing
          --> demo/thing.made.v1.json:17:5
           |
        12 |   "required": ["event_type", "name"],
           |   ---------- the schema asks for it here (/required)
        ...
        17 |     {
           |     ^ (/examples/1)
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused at `/event_type`: expected "demo.thing.made", found "demo.thing.mad"
          --> demo/thing.made.v1.json:18:21
           |
         5 |     "event_type": { "const": "demo.thing.made" },
           |                     ------- the schema asks for it here (/properties/event_type/const)
        ...
        18 |       "event_type": "demo.thing.mad",
           |                     ^^^^^^^^^^^^^^^^ (/examples/1/event_type)
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused at `/made_at`: expected an RFC 3339 date-time, like 2025-01-31T12:00:00Z, found "yesterday"
          --> demo/thing.made.v1.json:19:18
           |
         7 |     "made_at": { "type": "string", "format": "date-time" },
           |                                    -------- the schema asks for it here (/properties/made_at/format)
        ...
        19 |       "made_at": "yesterday",
           |                  ^^^^^^^^^^^ (/examples/1/made_at)
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused at `/colour`: expected one of "red", "green", found "blue"
          --> demo/thing.made.v1.json:20:17
           |
         8 |     "colour": { "enum": ["red", "green"] },
           |                 ------ the schema asks for it here (/properties/colour/enum)
        ...
        20 |       "colour": "blue",
           |                 ^^^^^^ (/examples/1/colour)
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused at `/size`: expected an integer or null, found "large"
          --> demo/thing.made.v1.json:21:15
           |
         9 |     "size": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
           |               ------- the schema asks for it here (/properties/size/anyOf)
        ...
        21 |       "size": "large",
           |               ^^^^^^^ (/examples/1/size)
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused at `/parts/1/weight`: expected at most 10, found 11
          --> demo/thing.made.v1.json:22:46
           |
        14 |   "$defs": { "part": { "type": "object", "properties": { "weight": { "maximum": 10 } } } },
           |                                                                      --------- the schema asks for it here (/$defs/part/properties/weight/maximum)
        ...
        22 |       "parts": [{ "weight": 3 }, { "weight": 11 }],
           |                                              ^^ (/examples/1/parts/1/weight)
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused at `/naem`: expected no property of this name (did you mean `name`?), found "x"
          --> demo/thing.made.v1.json:23:7
           |
        13 |   "additionalProperties": false,
           |   ---------------------- the schema asks for it here (/additionalProperties)
        ...
        23 |       "naem": "x"
           |       ^^^^^^ (/examples/1/naem)
           |
           = help: write `name`, or correct the schema

        error[HF050]: example 3 of `demo.thing.made` is refused: expected an object, found 7
          --> demo/thing.made.v1.json:25:5
           |
         3 |   "type": "object",
           |   ------ the schema asks for it here (/type)
        ...
        25 |     7
           |     ^ (/examples/2)
           |
           = help: correct the example, or the schema
    "#]].assert_eq(&of(examples));
}

#[test]
fn good_examples_and_counterexamples() {
    let examples = r#"  "examples": [
    { "event_type": "demo.thing.made", "name": "ok", "made_at": "2026-03-01T10:00:00Z" }
  ],
  "x-bloodbank-counterexamples": [
    { "why": "A thing has a name.", "data": { "event_type": "demo.thing.made" } }
  ]"#;
    expect![[""]].assert_eq(&of(examples));
}

#[test]
fn counterexamples_that_fail() {
    let examples = r#"  "x-bloodbank-counterexamples": [
    { "why": "A name may not be blank.", "data": { "event_type": "demo.thing.made", "name": "  " } },
    { "data": {} },
    { "why": "", "data": {} },
    { "why": "No data." },
    "no entry"
  ]"#;
    expect![[r#"
        error[HF051]: counter-example 1 of `demo.thing.made` is accepted, but should be refused: A name may not be blank.
          --> demo/thing.made.v1.json:16:50
           |
        16 |     { "why": "A name may not be blank.", "data": { "event_type": "demo.thing.made", "name": "  " } },
           |                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ (/x-bloodbank-counterexamples/0/data)
           |
           = help: let the schema say so, or remove the counter-example

        error[HF052]: counter-example 2 has no text `why`
          --> demo/thing.made.v1.json:17:5
           |
        17 |     { "data": {} },
           |     ^^^^^^^^^^^^^^ (/x-bloodbank-counterexamples/1)
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`

        error[HF052]: counter-example 3 has no text `why`
          --> demo/thing.made.v1.json:18:5
           |
        18 |     { "why": "", "data": {} },
           |     ^^^^^^^^^^^^^^^^^^^^^^^^^ (/x-bloodbank-counterexamples/2)
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`

        error[HF052]: counter-example 4 has no `data`
          --> demo/thing.made.v1.json:19:5
           |
        19 |     { "why": "No data." },
           |     ^^^^^^^^^^^^^^^^^^^^^ (/x-bloodbank-counterexamples/3)
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`

        error[HF052]: counter-example 5 has no text `why` and no `data`
          --> demo/thing.made.v1.json:20:5
           |
        20 |     "no entry"
           |     ^^^^^^^^^^ (/x-bloodbank-counterexamples/4)
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`
    "#]].assert_eq(&of(examples));
    expect![[r#"
        error[HF052]: `x-bloodbank-counterexamples` is not an array
          --> demo/thing.made.v1.json:15:34
           |
        15 |   "x-bloodbank-counterexamples": {}
           |                                  ^^ (/x-bloodbank-counterexamples)
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`
    "#]]
    .assert_eq(&of(r#"  "x-bloodbank-counterexamples": {}"#));
}

#[test]
fn a_fault_below_unevaluated_properties_has_no_echo() {
    let text = r#"{
  "allOf": [{ "$ref": "../_base.json" }],
  "type": "object",
  "properties": { "event_type": { "const": "demo.thing.made" } },
  "unevaluatedProperties": false,
  "examples": [{ "event_type": "demo.thing.made", "id": 1, "name": "x", "other": 1 }]
}"#;
    let base = r#"{
  "type": "object",
  "properties": { "id": { "type": "string" }, "name": { "type": "string" } }
}"#;
    expect![[r#"
        warning[HF026]: `event_type` names the key but is not required: the type always writes it
         --> demo/thing.made.v1.json:4:19
          |
        4 |   "properties": { "event_type": { "const": "demo.thing.made" } },
          |                   ^^^^^^^^^^^^ (/properties/event_type)
          |
          = help: add "event_type" to `required`

        error[HF050]: example 1 of `demo.thing.made` is refused at `/id`: expected a string, found 1
         --> demo/thing.made.v1.json:6:57
          |
        6 |   "examples": [{ "event_type": "demo.thing.made", "id": 1, "name": "x", "other": 1 }]
          |                                                         ^ (/examples/0/id)
          |
         ::: _base.json:3:27
          |
        3 |   "properties": { "id": { "type": "string" }, "name": { "type": "string" } }
          |                           ------ the schema asks for it here (/properties/id/type)
          |
          = help: correct the example, or the schema

        error[HF050]: example 1 of `demo.thing.made` is refused at `/other`: expected no property of this name, found 1
         --> demo/thing.made.v1.json:6:73
          |
        5 |   "unevaluatedProperties": false,
          |   ----------------------- the schema asks for it here (/unevaluatedProperties)
        6 |   "examples": [{ "event_type": "demo.thing.made", "id": 1, "name": "x", "other": 1 }]
          |                                                                         ^^^^^^^ (/examples/0/other)
          |
          = help: correct the example, or the schema
    "#]].assert_eq(&found(&[("_base.json", base), ("demo/thing.made.v1.json", text)]));
}

#[test]
fn a_fault_in_a_union_is_told_for_the_branch_that_was_meant() {
    let text = r##"{
  "type": "object",
  "properties": { "shape": { "oneOf": [{ "$ref": "#/$defs/circle" }, { "$ref": "#/$defs/box" }] } },
  "$defs": {
    "circle": {
      "type": "object",
      "properties": { "kind": { "const": "circle" }, "radius": { "type": "number" } },
      "required": ["kind", "radius"]
    },
    "box": {
      "type": "object",
      "properties": { "kind": { "const": "box" }, "width": { "type": "number" } },
      "required": ["kind", "width"]
    }
  },
  "examples": [
    { "shape": { "kind": "circle", "radius": "1" } },
    { "shape": { "kind": "cone" } }
  ]
}"##;
    expect![[r#"
        error[HF050]: example 1 of `demo.thing.made` is refused at `/shape/radius`: expected a number, found "1"
          --> demo/thing.made.v1.json:17:46
           |
         7 |       "properties": { "kind": { "const": "circle" }, "radius": { "type": "number" } },
           |                                                                  ------ the schema asks for it here (/$defs/circle/properties/radius/type)
        ...
        17 |     { "shape": { "kind": "circle", "radius": "1" } },
           |                                              ^^^ (/examples/0/shape/radius)
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused at `/shape/kind`: expected one of "circle", "box", found "cone"
          --> demo/thing.made.v1.json:18:26
           |
         7 |       "properties": { "kind": { "const": "circle" }, "radius": { "type": "number" } },
           |                                 ------- the schema asks for it here (/$defs/circle/properties/kind/const)
        ...
        18 |     { "shape": { "kind": "cone" } }
           |                          ^^^^^^ (/examples/1/shape/kind)
           |
           = help: correct the example, or the schema
    "#]].assert_eq(&found(&[("demo/thing.made.v1.json", text)]));
}
