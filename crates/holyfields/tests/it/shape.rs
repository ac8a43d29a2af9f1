//! The shape: what a type can say, never narrower than the schema.

use std::fmt::Write;

use expect_test::expect;
use holyfields::shape::{Body, TypeShape};

use crate::folder::{found, noted};

/// The types of a catalog in short: a line a type, a line a field.
pub(crate) fn types(files: &[(&str, &str)]) -> String {
    let catalog = noted(files);
    let mut types = catalog.shape.types.clone();
    types.sort_by(|a, b| (&a.module, &a.name).cmp(&(&b.module, &b.name)));
    let mut text = String::new();
    for shape in &types {
        let TypeShape { id, module, name, body, .. } = shape;
        writeln!(text, "{id} {module}::{name}").unwrap();
        match body {
            Body::Struct(body) => {
                for field in &body.fields {
                    let optional = if field.required { "" } else { "?" };
                    let nullable = if field.nullable { " or null" } else { "" };
                    let sensitive = if field.sensitive { " sensitive" } else { "" };
                    let (name, schema) = (&field.ident, &field.schema);
                    writeln!(text, "  {name}{optional}: {schema}{nullable}{sensitive}").unwrap();
                }
                if let Some(extra) = &body.extra {
                    let sensitive = if body.sensitive_extra { " sensitive" } else { "" };
                    writeln!(text, "  …: {extra}{sensitive}").unwrap();
                }
            }
            Body::Enum(choices) => {
                for choice in choices {
                    writeln!(text, "  {} {:?}", choice.ident, choice.wire).unwrap();
                }
            }
            Body::Union(union) => {
                writeln!(text, "  told by {:?}", union.told).unwrap();
                for variant in &union.variants {
                    writeln!(text, "  {} {}", variant.ident, variant.schema).unwrap();
                }
            }
        }
    }
    text
}

/// The types of one contract with these properties.
pub(crate) fn of(properties: &str) -> String {
    let text = format!(
        r#"{{"type": "object", "additionalProperties": false, "properties": {{{properties}}},
            "$defs": {{
                "maybe": {{"type": ["object", "null"], "properties": {{"a": {{}}}}}},
                "choice": {{"enum": ["a", "b", null]}},
                "node": {{"type": "object", "properties": {{
                    "next": {{"$ref": "a.json#/$defs/node", "required": ["next"]}},
                    "other": {{"oneOf": [{{"$ref": "a.json#/$defs/other"}}, {{"type": "null"}}]}}}}}},
                "other": {{"oneOf": [{{"$ref": "a.json#/$defs/node"}}, {{"type": "null"}}]}},
                "list": {{"type": "array", "items": {{"$ref": "a.json#/$defs/list"}}}},
                "alone": {{"anyOf": [{{"$ref": "a.json#/$defs/alone"}}]}}
            }}}}"#
    );
    let text = text.replace("a.json#", "#");
    types(&[("a/b.c.v1.json", &text)])
}

#[test]
fn a_shared_type_that_may_be_null_may_be_so_each_time() {
    expect![[r##"
        T1 a::BC
          x?: {"$ref":"#/$defs/T2"} or null
          y?: {"$ref":"#/$defs/T2"} or null
          z?: {"type":"array","items":{"oneOf":[{"$ref":"#/$defs/T2"},{"type":"null"}]}}
          c?: {"$ref":"#/$defs/T3"} or null
          d?: {"$ref":"#/$defs/T3"} or null
        T3 a::BCChoice
          A "a"
          B "b"
        T2 a::BCMaybe
          a?: true
          …: true
    "##]]
    .assert_eq(&of(r##""x": {"$ref": "#/$defs/maybe"}, "y": {"$ref": "#/$defs/maybe"},
        "z": {"type": "array", "items": {"$ref": "#/$defs/maybe"}},
        "c": {"$ref": "#/$defs/choice"}, "d": {"$ref": "#/$defs/choice"}"##));
}

#[test]
fn recursion_with_words_beside_the_reference() {
    expect![[r##"
        T1 a::BC
          x?: {"$ref":"#/$defs/T2"}
        T2 a::BCNode
          next?: {"$ref":"#/$defs/T3"}
          other?: {"$ref":"#/$defs/T2"} or null
          …: true
        T3 a::BCNodeNext
          next: {"$ref":"#/$defs/T3"}
          other?: {"$ref":"#/$defs/T2"} or null
          …: true
    "##]]
    .assert_eq(&of(r##""x": {"$ref": "#/$defs/node"}"##));
}

#[test]
fn recursion_without_a_definition() {
    expect![[r##"
        T1 a::BC
          x?: {"$ref":"#/$defs/T2"}
        T2 a::BCX
          y?: {"$ref":"#/$defs/T2"}
          …: true
    "##]]
    .assert_eq(&of(
        r##""x": {"type": "object", "properties": {"y": {"$ref": "#/properties/x"}}}"##,
    ));
}

#[test]
fn recursion_that_no_type_can_name() {
    expect![[r#"
        T1 a::BC
          x?: {"type":"array","items":true}
          y?: true
    "#]]
    .assert_eq(&of(r##""x": {"$ref": "#/$defs/list"}, "y": {"$ref": "#/$defs/alone"}"##));
}

#[test]
fn sensitive_values_below_are_sensitive_above() {
    expect![[r##"
        T1 a::BC
          a?: {"type":"string"} sensitive
          b?: {"type":"array","items":{"type":"string"}} sensitive
          c?: {"type":"object","additionalProperties":true} sensitive
          d?: {"$ref":"#/$defs/T2"} sensitive
          e?: true sensitive
          f?: {"$ref":"#/$defs/T3"} sensitive
          g?: {"$ref":"#/$defs/T4"} sensitive
        T2 a::BCD
          told by JsonType
          String {"type":"string"}
          Integer {"type":"integer","format":"int64"}
        T3 a::BCF
          x?: true sensitive
          …: true sensitive
        T4 a::BCG
          x?: true sensitive
          …: true sensitive
    "##]]
    .assert_eq(&of(r##"
        "a": {"type": "string", "x-bloodbank-sensitive": true},
        "b": {"type": "array", "items": {"type": "string", "x-bloodbank-sensitive": true}},
        "c": {"type": "object", "additionalProperties": {"x-bloodbank-sensitive": true}},
        "d": {"anyOf": [{"type": "string", "x-bloodbank-sensitive": true}, {"type": "integer"}]},
        "e": {"properties": {"x": {"x-bloodbank-sensitive": true}}},
        "f": {"type": "object", "properties": {"x": {"x-bloodbank-sensitive": true}},
              "additionalProperties": {"x-bloodbank-sensitive": true}},
        "g": {"type": "object", "x-bloodbank-sensitive": true, "properties": {"x": {}}}"##));
}

#[test]
fn a_tag_may_stand_in_a_base_or_beside_it() {
    expect![[r##"
        T1 a::BC
          u?: {"$ref":"#/$defs/T2"}
        T2 a::BCU
          told by Tag("kind")
          One {"$ref":"#/$defs/T3"}
          Two {"$ref":"#/$defs/T4"}
        T3 a::BCUOne
          x?: true
        T4 a::BCUTwo
    "##]]
    .assert_eq(&of(r##"
        "u": {"oneOf": [
            {"allOf": [{"type": "object", "properties": {"x": {}}}], "required": ["kind"],
             "properties": {"kind": {"const": "one"}}, "unevaluatedProperties": false},
            {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["two"]}},
             "additionalProperties": false}]}"##));
}

#[test]
fn branches_that_are_alike_become_what_they_share() {
    let text = r#"{"type": "object", "additionalProperties": false, "properties": {
        "a": {"oneOf": [{"type": "object"}, {"type": "object"}]},
        "b": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
        "c": {"anyOf": [{"type": "string"}, {"const": 5}]}}}"#;
    expect![[r##"
        T1 a::BC
          a?: {"type":"object","additionalProperties":true}
          b?: {"type":"number","format":"double"}
          c?: {"$ref":"#/$defs/T2"}
        T2 a::BCC
          told by JsonType
          String {"type":"string"}
          Integer {"type":"integer","format":"uint64","minimum":0}
    "##]]
    .assert_eq(&types(&[("a/b.c.v1.json", text)]));
}

#[test]
fn a_chain_of_types_has_an_end() {
    let mut properties = String::new();
    for n in 0..200 {
        let next = n + 1;
        properties += &format!(
            "\"d{n}\": {{\"type\": \"object\", \"properties\": {{\"n\": {{\"$ref\": \"#/$defs/d{next}\"}}}}}},"
        );
    }
    let text = format!(
        r##"{{"type": "object", "properties": {{"a": {{"$ref": "#/$defs/d0"}}}},
            "$defs": {{{properties} "d200": {{}}}}}}"##
    );
    let said = found(&[("a/b.c.v1.json", &text)]);
    assert!(said.starts_with("note[HF030]"), "{said}");
}
