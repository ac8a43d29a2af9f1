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
        error[HF050]: example 2 of `demo.thing.made` is refused: `/name` is missing
          --> demo/thing.made.v1.json:17:5
           |
        17 |     {
           |     ^ /examples/1
           |
          ::: demo/thing.made.v1.json:12:3
           |
        12 |   "required": ["event_type", "name"],
           |   ---------- the schema asks for it here  at /required
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused: `/event_type` is "demo.thing.mad"; expected "demo.thing.made"
          --> demo/thing.made.v1.json:18:21
           |
        18 |       "event_type": "demo.thing.mad",
           |                     ^^^^^^^^^^^^^^^^ /examples/1/event_type
           |
          ::: demo/thing.made.v1.json:5:21
           |
         5 |     "event_type": { "const": "demo.thing.made" },
           |                     ------- the schema asks for it here  at /properties/event_type/const
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused: `/made_at` is "yesterday"; expected text of the format `date-time`
          --> demo/thing.made.v1.json:19:18
           |
        19 |       "made_at": "yesterday",
           |                  ^^^^^^^^^^^ /examples/1/made_at
           |
          ::: demo/thing.made.v1.json:7:36
           |
         7 |     "made_at": { "type": "string", "format": "date-time" },
           |                                    -------- the schema asks for it here  at /properties/made_at/format
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused: `/colour` is "blue"; expected one of "red", "green"
          --> demo/thing.made.v1.json:20:17
           |
        20 |       "colour": "blue",
           |                 ^^^^^^ /examples/1/colour
           |
          ::: demo/thing.made.v1.json:8:17
           |
         8 |     "colour": { "enum": ["red", "green"] },
           |                 ------ the schema asks for it here  at /properties/colour/enum
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused: `/size` is "large"; expected an integer, or null
          --> demo/thing.made.v1.json:21:15
           |
        21 |       "size": "large",
           |               ^^^^^^^ /examples/1/size
           |
          ::: demo/thing.made.v1.json:9:15
           |
         9 |     "size": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
           |               ------- the schema asks for it here  at /properties/size/anyOf
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused: `/parts/1/weight` is 11; expected at most 10
          --> demo/thing.made.v1.json:22:46
           |
        22 |       "parts": [{ "weight": 3 }, { "weight": 11 }],
           |                                              ^^ /examples/1/parts/1/weight
           |
          ::: demo/thing.made.v1.json:14:70
           |
        14 |   "$defs": { "part": { "type": "object", "properties": { "weight": { "maximum": 10 } } } },
           |                                                                      --------- the schema asks for it here  at /$defs/part/properties/weight/maximum
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused: no property `/naem` is declared
          --> demo/thing.made.v1.json:23:7
           |
        23 |       "naem": "x"
           |       ^^^^^^ /examples/1/naem
           |
          ::: demo/thing.made.v1.json:13:3
           |
        13 |   "additionalProperties": false,
           |   ---------------------- the schema asks for it here  at /additionalProperties
           |
           = help: correct the example, or the schema

        error[HF050]: example 3 of `demo.thing.made` is refused: the payload is 7; expected an object
          --> demo/thing.made.v1.json:25:5
           |
        25 |     7
           |     ^ /examples/2
           |
          ::: demo/thing.made.v1.json:3:3
           |
         3 |   "type": "object",
           |   ------ the schema asks for it here  at /type
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
           |                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ /x-bloodbank-counterexamples/0/data
           |
           = help: let the schema say so, or remove the counter-example

        error[HF052]: counter-example 2 has no text `why`
          --> demo/thing.made.v1.json:17:5
           |
        17 |     { "data": {} },
           |     ^^^^^^^^^^^^^^ /x-bloodbank-counterexamples/1
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`

        error[HF052]: counter-example 3 has no text `why`
          --> demo/thing.made.v1.json:18:5
           |
        18 |     { "why": "", "data": {} },
           |     ^^^^^^^^^^^^^^^^^^^^^^^^^ /x-bloodbank-counterexamples/2
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`

        error[HF052]: counter-example 4 has no `data`
          --> demo/thing.made.v1.json:19:5
           |
        19 |     { "why": "No data." },
           |     ^^^^^^^^^^^^^^^^^^^^^ /x-bloodbank-counterexamples/3
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`

        error[HF052]: counter-example 5 has no text `why` and no `data`
          --> demo/thing.made.v1.json:20:5
           |
        20 |     "no entry"
           |     ^^^^^^^^^^ /x-bloodbank-counterexamples/4
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`
    "#]].assert_eq(&of(examples));
    expect![[r#"
        error[HF052]: `x-bloodbank-counterexamples` is an object with 0 properties; it should be an array
          --> demo/thing.made.v1.json:15:34
           |
        15 |   "x-bloodbank-counterexamples": {}
           |                                  ^^ /x-bloodbank-counterexamples
           |
           = help: write `{ "why": "what is wrong with it", "data": { … } }`
    "#]].assert_eq(&of(r#"  "x-bloodbank-counterexamples": {}"#));
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
        error[HF050]: example 1 of `demo.thing.made` is refused: `/id` is 1; expected a string
         --> demo/thing.made.v1.json:6:57
          |
        6 |   "examples": [{ "event_type": "demo.thing.made", "id": 1, "name": "x", "other": 1 }]
          |                                                         ^ /examples/0/id
          |
         ::: _base.json:3:27
          |
        3 |   "properties": { "id": { "type": "string" }, "name": { "type": "string" } }
          |                           ------ the schema asks for it here  at /properties/id/type
          |
          = help: correct the example, or the schema

        error[HF050]: example 1 of `demo.thing.made` is refused: no property `/other` is declared
         --> demo/thing.made.v1.json:6:73
          |
        6 |   "examples": [{ "event_type": "demo.thing.made", "id": 1, "name": "x", "other": 1 }]
          |                                                                         ^^^^^^^ /examples/0/other
          |
         ::: demo/thing.made.v1.json:5:3
          |
        5 |   "unevaluatedProperties": false,
          |   ----------------------- the schema asks for it here  at /unevaluatedProperties
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
    expect![[r##"
        error[HF050]: example 1 of `demo.thing.made` is refused: `/shape/radius` is "1"; expected a number
          --> demo/thing.made.v1.json:17:46
           |
        17 |     { "shape": { "kind": "circle", "radius": "1" } },
           |                                              ^^^ /examples/0/shape/radius
           |
          ::: demo/thing.made.v1.json:7:66
           |
         7 |       "properties": { "kind": { "const": "circle" }, "radius": { "type": "number" } },
           |                                                                  ------ the schema asks for it here  at /$defs/circle/properties/radius/type
           |
           = help: correct the example, or the schema

        error[HF050]: example 2 of `demo.thing.made` is refused: `/shape` is an object with 1 property; expected one of 2 alternatives
          --> demo/thing.made.v1.json:18:16
           |
        18 |     { "shape": { "kind": "cone" } }
           |                ^^^^^^^^^^^^^^^^^^ /examples/1/shape
           |
          ::: demo/thing.made.v1.json:3:30
           |
         3 |   "properties": { "shape": { "oneOf": [{ "$ref": "#/$defs/circle" }, { "$ref": "#/$defs/box" }] } },
           |                              ------- the schema asks for it here  at /properties/shape/oneOf
           |
           = help: correct the example, or the schema
    "##]].assert_eq(&found(&[("demo/thing.made.v1.json", text)]));
}
