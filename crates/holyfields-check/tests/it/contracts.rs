//! HF041: contracts that accept nothing, and why.

use expect_test::expect;

use crate::found;

#[test]
fn bounds_against_each_other() {
    let text = r#"{
  "title": "Thing made",
  "type": "object",
  "properties": {
    "event_type": { "const": "demo.thing.made" },
    "size": { "type": "integer", "minimum": 5, "maximum": 3, "description": "How large." }
  },
  "required": ["event_type", "size"],
  "examples": [{ "event_type": "demo.thing.made", "size": 4 }]
}"#;
    expect![[r#"
        error[HF041]: `demo.thing.made` accepts no payload at all: these 3 cannot all hold
         --> demo/thing.made.v1.json:6:34
          |
        6 |     "size": { "type": "integer", "minimum": 5, "maximum": 3, "description": "How large." }
          |                                  ^^^^^^^^^     --------- `maximum` must hold (/properties/size/maximum)
          |                                  |
          |                                  `minimum` must hold (/properties/size/minimum)
        7 |   },
        8 |   "required": ["event_type", "size"],
          |                              ------ `size` must be present (/required/1)
          |
          = help: change or remove one of them; its example is refused for this reason
    "#]].assert_eq(&found(&[("demo/thing.made.v1.json", text)]));
    // What is not required may be left out.
    let text =
        text.replace(r#""event_type", "size"]"#, r#""event_type"]"#).replace(", \"size\": 4", "");
    expect![[""]].assert_eq(&found(&[("demo/thing.made.v1.json", &text)]));
}

#[test]
fn a_base_against_its_heir_and_another_base() {
    let text = r##"{
  "allOf": [{ "$ref": "../_base.json" }, { "$ref": "../_base.json#/$defs/numbered" }],
  "type": "object",
  "properties": {
    "event_type": { "const": "demo.thing.made" },
    "name": { "const": 3 }
  },
  "required": ["id"]
}"##;
    let base = r#"{
  "type": "object",
  "properties": { "id": { "type": "string", "format": "uuid" }, "name": { "type": "string" } },
  "$defs": { "numbered": { "properties": { "id": { "type": "integer" } } } }
}"#;
    expect![[r#"
        warning[HF026]: `event_type` names the key but is not required: the type always writes it
         --> demo/thing.made.v1.json:5:5
          |
        5 |     "event_type": { "const": "demo.thing.made" },
          |     ^^^^^^^^^^^^ (/properties/event_type)
          |
          = help: add "event_type" to `required`

        error[HF041]: `demo.thing.made` accepts no payload at all: these 3 cannot all hold
         --> demo/thing.made.v1.json:8:16
          |
        8 |   "required": ["id"]
          |                ^^^^ `id` must be present (/required/0)
          |
         ::: _base.json:3:27
          |
        3 |   "properties": { "id": { "type": "string", "format": "uuid" }, "name": { "type": "string" } },
          |                           ------ `type` must hold (/properties/id/type)
        4 |   "$defs": { "numbered": { "properties": { "id": { "type": "integer" } } } }
          |                                                    ------ `type` must hold (/$defs/numbered/properties/id/type)
          |
          = help: change or remove one of them
    "#]].assert_eq(&found(&[("_base.json", base), ("demo/thing.made.v1.json", text)]));
    let text = text.replace("\"id\"]", "\"name\"]");
    expect![[r#"
        warning[HF026]: `event_type` names the key but is not required: the type always writes it
         --> demo/thing.made.v1.json:5:5
          |
        5 |     "event_type": { "const": "demo.thing.made" },
          |     ^^^^^^^^^^^^ (/properties/event_type)
          |
          = help: add "event_type" to `required`

        error[HF041]: `demo.thing.made` accepts no payload at all: these 3 cannot all hold
         --> demo/thing.made.v1.json:6:15
          |
        6 |     "name": { "const": 3 }
          |               ^^^^^^^ `const` must hold (/properties/name/const)
        7 |   },
        8 |   "required": ["name"]
          |                ------ `name` must be present (/required/0)
          |
         ::: _base.json:3:75
          |
        3 |   "properties": { "id": { "type": "string", "format": "uuid" }, "name": { "type": "string" } },
          |                                                                           ------ `type` must hold (/properties/name/type)
          |
          = help: change or remove one of them
    "#]].assert_eq(&found(&[("_base.json", base), ("demo/thing.made.v1.json", &text)]));
}

#[test]
fn two_contracts_with_one_broken_base() {
    let base = r#"{ "type": "object", "required": ["a", "b"], "maxProperties": 1 }"#;
    let heir = r#"{ "allOf": [{ "$ref": "../_base.json" }], "type": "object" }"#;
    let files =
        [("_base.json", base), ("demo/a.made.v1.json", heir), ("demo/b.made.v1.json", heir)];
    expect![[r#"
        error[HF041]: `demo.a.made` accepts no payload at all: these 3 cannot all hold
         --> _base.json:1:34
          |
        1 | { "type": "object", "required": ["a", "b"], "maxProperties": 1 }
          |                                  ^^^  ---   --------------- `maxProperties` must hold (/maxProperties)
          |                                  |    |
          |                                  |    `b` must be present (/required/1)
          |                                  `a` must be present (/required/0)
          |
          = help: change or remove one of them

        error[HF041]: `demo.b.made` accepts no payload at all: these 3 cannot all hold
         --> _base.json:1:34
          |
        1 | { "type": "object", "required": ["a", "b"], "maxProperties": 1 }
          |                                  ^^^  ---   --------------- `maxProperties` must hold (/maxProperties)
          |                                  |    |
          |                                  |    `b` must be present (/required/1)
          |                                  `a` must be present (/required/0)
          |
          = help: change or remove one of them
    "#]].assert_eq(&found(&files));
}

#[test]
fn a_required_property_that_is_not_declared() {
    let text = r#"{
  "type": "object",
  "properties": { "event_type": { "const": "demo.thing.made" }, "nmae": {} },
  "required": ["name"],
  "additionalProperties": false
}"#;
    expect![[r#"
        warning[HF026]: `event_type` names the key but is not required: the type always writes it
         --> demo/thing.made.v1.json:3:19
          |
        3 |   "properties": { "event_type": { "const": "demo.thing.made" }, "nmae": {} },
          |                   ^^^^^^^^^^^^ (/properties/event_type)
          |
          = help: add "event_type" to `required`

        error[HF041]: `demo.thing.made` accepts no payload at all: these 2 cannot all hold
         --> demo/thing.made.v1.json:4:16
          |
        4 |   "required": ["name"],
          |                ^^^^^^ `name` must be present (/required/0)
        5 |   "additionalProperties": false
          |   ---------------------- only the properties declared beside it may be present (/additionalProperties)
          |
          = help: change or remove one of them
    "#]].assert_eq(&found(&[("demo/thing.made.v1.json", text)]));
}

#[test]
fn unions_and_conditions_count_as_one() {
    let text = r#"{
  "type": "object",
  "properties": { "kind": { "enum": ["a", "b"] } },
  "required": ["kind"],
  "oneOf": [
    { "properties": { "kind": { "const": "c" } } },
    { "properties": { "kind": { "const": "d" } } }
  ]
}"#;
    expect![[r#"
        error[HF041]: `demo.thing.made` accepts no payload at all: these 2 cannot all hold
         --> demo/thing.made.v1.json:3:29
          |
        3 |   "properties": { "kind": { "enum": ["a", "b"] } },
          |                             ^^^^^^ `enum` must hold (/properties/kind/enum)
        4 |   "required": ["kind"],
        5 |   "oneOf": [
          |   ------- `oneOf` must hold (/oneOf)
          |
          = help: change or remove one of them

        note[HF030]: the type does not show `oneOf`: it is not seen in the fields; the validator checks
         --> demo/thing.made.v1.json:5:3
          |
        5 |   "oneOf": [
          |   ^^^^^^^ (/oneOf)
    "#]].assert_eq(&found(&[("demo/thing.made.v1.json", text)]));
}

#[test]
fn draft_07_shows_the_keyword_as_written() {
    let text = r#"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "properties": {
    "pair": { "type": "array", "items": [{ "type": "string", "enum": [1] }], "minItems": 1 }
  },
  "required": ["pair"]
}"#;
    expect![[r#"
        error[HF041]: `demo.thing.made` accepts no payload at all: these 3 cannot all hold
         --> demo/thing.made.v1.json:5:5
          |
        5 |     "pair": { "type": "array", "items": [{ "type": "string", "enum": [1] }], "minItems": 1 }
          |     ^^^^^^ `enum` must hold (/properties/pair)                               ---------- `minItems` must hold (/properties/pair/minItems)
        6 |   },
        7 |   "required": ["pair"]
          |                ------ `pair` must be present (/required/0)
          |
          = help: change or remove one of them

        note[HF030]: the type does not show `items`: its items become `serde_json::Value`; the validator checks
         --> demo/thing.made.v1.json:5:32
          |
        5 |     "pair": { "type": "array", "items": [{ "type": "string", "enum": [1] }], "minItems": 1 }
          |                                ^^^^^^^ (/properties/pair/items)
    "#]].assert_eq(&found(&[("demo/thing.made.v1.json", text)]));
}

#[test]
fn a_contract_that_contains_itself_for_ever() {
    let text = r##"{
  "type": "object",
  "properties": { "child": { "$ref": "#" } },
  "required": ["child"]
}"##;
    expect![[r#"
        error[HF041]: `demo.thing.made` accepts no payload at all: nothing can satisfy this
         --> demo/thing.made.v1.json:4:16
          |
        4 |   "required": ["child"]
          |                ^^^^^^^ `child` must be present (/required/0)
          |
          = help: change or remove it
    "#]]
    .assert_eq(&found(&[("demo/thing.made.v1.json", text)]));
    let text = text.replace("\"required\": [\"child\"]", "\"required\": []");
    expect![[""]].assert_eq(&found(&[("demo/thing.made.v1.json", &text)]));
}

#[test]
fn closed_inheritance_is_reported_once() {
    let text = r#"{
  "allOf": [{ "$ref": "../_base.json" }],
  "type": "object",
  "properties": { "size": { "type": "integer" } },
  "required": ["id", "size"],
  "additionalProperties": false,
  "examples": [{ "id": "a", "size": 1 }]
}"#;
    let base = r#"{ "type": "object", "properties": { "id": { "type": "string" } } }"#;
    expect![[r#"
        error[HF040]: `demo/thing.made.v1.json` accepts no payload: `id` must be present, and `additionalProperties: false` refuses it
         --> demo/thing.made.v1.json:6:3
          |
        6 |   "additionalProperties": false,
          |   ^^^^^^^^^^^^^^^^^^^^^^ sees only the properties declared beside it (/additionalProperties)
          |
         ::: _base.json:1:37
          |
        1 | { "type": "object", "properties": { "id": { "type": "string" } } }
          |                                     ---- the base declares `id` (/properties/id)
          |
          = help: write `"unevaluatedProperties": false` instead: it counts the base's properties
    "#]].assert_eq(&found(&[("_base.json", base), ("demo/thing.made.v1.json", text)]));
}

#[test]
fn what_closed_inheritance_does_not_explain_is_reported_beside_it() {
    let text = r#"{
  "allOf": [{ "$ref": "../_base.json" }],
  "type": "object",
  "properties": { "size": { "type": "integer", "enum": ["large"] } },
  "required": ["id", "size"],
  "additionalProperties": false
}"#;
    let base = r#"{ "type": "object", "properties": { "id": { "type": "string" } } }"#;
    let found = found(&[("_base.json", base), ("demo/thing.made.v1.json", text)]);
    let titles: Vec<_> = found.lines().filter(|line| line.starts_with("error")).collect();
    expect![[r#"
        error[HF041]: `demo.thing.made` accepts no payload at all: these 3 cannot all hold
        error[HF040]: `demo/thing.made.v1.json` accepts no payload: `id` must be present, and `additionalProperties: false` refuses it"#]].assert_eq(&titles.join("\n"));
}

#[test]
fn types_alone_may_contradict() {
    let text = r#"{
  "allOf": [{ "$ref": "../_base.json" }],
  "type": "object",
  "properties": { "event_type": { "const": "demo.thing.made" } },
  "required": ["event_type"]
}"#;
    let base = r#"{ "type": "array" }"#;
    expect![[r#"
        error[HF041]: `demo.thing.made` accepts no payload at all: these 2 cannot all hold
         --> demo/thing.made.v1.json:3:3
          |
        3 |   "type": "object",
          |   ^^^^^^ `type` must hold (/type)
          |
         ::: _base.json:1:3
          |
        1 | { "type": "array" }
          |   ------ `type` must hold (/type)
          |
          = help: change or remove one of them
    "#]]
    .assert_eq(&found(&[("_base.json", base), ("demo/thing.made.v1.json", text)]));
}

#[test]
fn a_schema_without_a_validator_is_never_passed_over() {
    // Known to the structural pass, not to the validator.
    let text = r#"{ "type": "object", "properties": { "host": { "format": "idn-hostname" } } }"#;
    let found = found(&[("demo/thing.made.v1.json", text)]);
    assert!(found.starts_with("error[HF04"), "{found}");
}
