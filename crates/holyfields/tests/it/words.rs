//! HF030 to HF032 and HF043: keywords.

use expect_test::expect;

use crate::folder::found;

#[test]
fn what_the_type_cannot_show_is_noted() {
    let text = r##"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "pair": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer" }] },
    "either": { "anyOf": [{ "type": "string" }, { "type": "string", "format": "uuid" }] },
    "untyped": { "properties": { "a": {} } },
    "cart": { "type": "object", "properties": { "a": {} }, "patternProperties": { "^x": {} } }
  },
  "if": { "required": ["pair"] },
  "then": { "required": ["either"] },
  "dependentSchemas": { "pair": { "required": ["cart"] } },
  "oneOf": [{ "required": ["pair"] }, { "required": ["either"] }]
}"##;
    expect![[r#"
        note[HF030]: the type does not show `prefixItems`: its items become `serde_json::Value`; the validator checks
         --> a/b.c.v1.json:5:32
          |
        5 |     "pair": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer" }] },
          |                                ^^^^^^^^^^^^^ (/properties/pair/prefixItems)

        note[HF030]: the type does not show `properties`: no `type` says that this is an object; the validator checks
         --> a/b.c.v1.json:7:18
          |
        7 |     "untyped": { "properties": { "a": {} } },
          |                  ^^^^^^^^^^^^ (/properties/untyped/properties)

        note[HF030]: the type does not show `patternProperties`: it is not seen in the fields; the validator checks
         --> a/b.c.v1.json:8:60
          |
        8 |     "cart": { "type": "object", "properties": { "a": {} }, "patternProperties": { "^x": {} } }
          |                                                            ^^^^^^^^^^^^^^^^^^^ (/properties/cart/patternProperties)

        note[HF030]: the type does not show `if`: it is not seen in the fields; the validator checks
          --> a/b.c.v1.json:10:3
           |
        10 |   "if": { "required": ["pair"] },
           |   ^^^^ (/if)

        note[HF030]: the type does not show `dependentSchemas`: it is not seen in the fields; the validator checks
          --> a/b.c.v1.json:12:3
           |
        12 |   "dependentSchemas": { "pair": { "required": ["cart"] } },
           |   ^^^^^^^^^^^^^^^^^^ (/dependentSchemas)

        note[HF030]: the type does not show `oneOf`: it is not seen in the fields; the validator checks
          --> a/b.c.v1.json:13:3
           |
        13 |   "oneOf": [{ "required": ["pair"] }, { "required": ["either"] }]
           |   ^^^^^^^ (/oneOf)
    "#]].assert_eq(&found(&[("a/b.c.v1.json", text)]));
}

#[test]
fn what_only_constrains_is_not_noted() {
    let text = r##"{
        "type": "object",
        "additionalProperties": false,
        "required": ["a"],
        "minProperties": 1,
        "properties": {
            "a": {"type": "string", "minLength": 1, "pattern": "^x", "not": {"const": "xy"}},
            "b": {"type": ["array", "null"], "items": {"type": "number"}, "uniqueItems": true,
                  "contains": {"minimum": 3}},
            "c": {"type": "integer", "anyOf": [{"minimum": 10}, {"multipleOf": 5}]}
        },
        "dependentRequired": {"b": ["c"]},
        "propertyNames": {"maxLength": 1}
    }"##;
    assert_eq!(found(&[("a/b.c.v1.json", text)]), "nothing\n");
}

#[test]
fn a_payload_that_is_no_object() {
    expect![[r#"
        error[HF031]: `a/b.c.v1.json` accepts payloads that are no objects
         --> a/b.c.v1.json:2:11
          |
        2 |   "type": ["object", "null"]
          |           ^^^^^^^^^^^^^^^^^^ (/type)
          |
          = help: write `"type": "object"` at the root

        error[HF031]: `a/b.d.v1.json` accepts payloads that are no objects
        --> a/b.d.v1.json
         = help: write `"type": "object"` at the root

        error[HF031]: `a/b.e.v1.json` accepts payloads that are no objects
        --> a/b.e.v1.json
         = help: write `"type": "object"` at the root
    "#]]
    .assert_eq(&found(&[
        ("a/b.c.v1.json", "{\n  \"type\": [\"object\", \"null\"]\n}"),
        ("a/b.d.v1.json", "{ \"properties\": {} }"),
        ("a/b.e.v1.json", "true"),
        ("a/b.f.v1.json", r#"{ "type": "object", "additionalProperties": false }"#),
        ("a/b.g.v1.json", r#"{ "$ref": "b.f.v1.json" }"#),
    ]));
}

#[test]
fn a_dynamic_reference_with_one_possible_target_is_an_ordinary_one() {
    let text = r##"{
  "$defs": { "t": { "$dynamicAnchor": "node", "items": { "$dynamicRef": "#node" } } },
  "examples": [{ "$dynamicRef": "data" }]
}"##;
    expect![[r#"
        nothing
    "#]]
    .assert_eq(&found(&[("a.json", text)]));
}

#[test]
fn dynamic_references_with_several_possible_targets() {
    let text = r##"{
  "$dynamicAnchor": "node",
  "$defs": { "t": { "$id": "t", "$dynamicAnchor": "node", "items": { "$dynamicRef": "#node" } } },
  "not": { "$ref": "#/$defs/t", "$dynamicRef": "#node" },
  "$recursiveAnchor": true
}"##;
    expect![[r##"
        error[HF032]: this `$dynamicRef` is not supported: its target depends on the way there, as 2 schemas have that `$dynamicAnchor`
         --> a.json:3:85
          |
        3 |   "$defs": { "t": { "$id": "t", "$dynamicAnchor": "node", "items": { "$dynamicRef": "#node" } } },
          |                                                                                     ^^^^^^^ (/$defs/t/items/$dynamicRef)
          |
          = help: use `$ref` with a fixed target

        error[HF032]: this `$dynamicRef` is not supported: it stands beside a `$ref`
         --> a.json:4:20
          |
        4 |   "not": { "$ref": "#/$defs/t", "$dynamicRef": "#node" },
          |                    ^^^^^^^^^^^ (/not/$ref)
          |
          = help: use `$ref` with a fixed target

        error[HF032]: `$recursiveAnchor` is a word of draft 2019-09, which is not supported
         --> a.json:5:3
          |
        5 |   "$recursiveAnchor": true
          |   ^^^^^^^^^^^^^^^^^^ (/$recursiveAnchor)
          |
          = help: use `$ref` with a fixed target
    "##]].assert_eq(&found(&[("a.json", text)]));
}

#[test]
fn formats_that_nothing_checks() {
    let text = r#"{
  "properties": {
    "a": { "format": "date-tiem" },
    "b": { "format": "colour" },
    "c": { "format": "uuid" },
    "format": { "const": { "format": "data" } }
  }
}"#;
    expect![[r#"
        error[HF043]: nothing checks the format `date-tiem`
         --> a.json:3:22
          |
        3 |     "a": { "format": "date-tiem" },
          |                      ^^^^^^^^^^^ (/properties/a/format)
          |
          = help: did you mean `date-time`?

        error[HF043]: nothing checks the format `colour`
         --> a.json:4:22
          |
        4 |     "b": { "format": "colour" },
          |                      ^^^^^^^^ (/properties/b/format)
          |
          = help: use one of date, date-time, duration, email, hostname, ipv4, ipv6, iri, iri-reference, json-pointer, regex, relative-json-pointer, time, uri, uri-reference, uri-template, uuid, or a `pattern`
    "#]].assert_eq(&found(&[("a.json", text)]));
}
