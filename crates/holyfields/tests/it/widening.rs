//! The shape never narrows: what a type leaves out, and what it must not.

use expect_test::expect;

use crate::folder::noted;
use crate::shape::{of, types};

#[test]
fn types_of_one_name_are_told_apart_by_file_or_number() {
    let part = r#"{
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "top_comment": { "type": "object", "properties": { "a": {} }, "additionalProperties": false },
        "topComment": { "type": "object", "properties": { "b": {} }, "additionalProperties": false },
        "money": { "$ref": "../_common/types.json#/$defs/money" },
        "other": { "$ref": "../_common/more.json#/$defs/money" }
      }
    }"#;
    let library = r#"{ "$defs": { "money": { "type": "object", "properties": { "c": {} },
        "additionalProperties": false } } }"#;
    let files =
        [("a/b.c.v1.json", part), ("_common/types.json", library), ("_common/more.json", library)];
    expect![[r##"
        T1 a::BC
          top_comment?: {"$ref":"#/$defs/T2"}
          top_comment_2?: {"$ref":"#/$defs/T3"}
          money?: {"$ref":"#/$defs/T4"}
          other?: {"$ref":"#/$defs/T5"}
        T2 a::BCTopComment
          a?: true
        T3 a::BCTopComment2
          b?: true
        T5 common::MoreMoney
          c?: true
        T4 common::TypesMoney
          c?: true
    "##]]
    .assert_eq(&types(&files));
}

#[test]
fn an_object_is_closed_only_where_nothing_further_is_accepted() {
    expect![[r##"
        T1 a::BC
          a?: {"$ref":"#/$defs/T2"}
          b?: {"$ref":"#/$defs/T3"}
          c?: {"$ref":"#/$defs/T4"}
          d?: {"$ref":"#/$defs/T5"}
          e?: {"$ref":"#/$defs/T6"}
          f?: {"$ref":"#/$defs/T7"}
          g?: {"$ref":"#/$defs/T8"}
        T2 a::BCA
          x?: true
          …: true
        T3 a::BCB
          x?: true
          …: true
        T4 a::BCC
          x?: true
          …: true
        T5 a::BCD
          x?: true
          …: true
        T6 a::BCE
          x?: true
          …: true
        T7 a::BCF
          y?: true
          x?: true
        T8 a::BCG
          x?: true
    "##]]
    .assert_eq(&of(r##"
        "a": {"type": "object", "properties": {"x": {}}, "patternProperties": {"^y": true},
              "additionalProperties": false},
        "b": {"type": "object", "properties": {"x": {}}, "unevaluatedProperties": false,
              "anyOf": [{"properties": {"y": {}}}, {"properties": {"z": {}}}]},
        "c": {"type": "object", "properties": {"x": {}}, "unevaluatedProperties": false,
              "if": {"properties": {"y": {"const": 1}}}},
        "d": {"type": "object", "properties": {"x": {}}, "unevaluatedProperties": false,
              "allOf": [{"additionalProperties": true}]},
        "e": {"type": "object", "properties": {"x": {}}, "unevaluatedProperties": false,
              "dependentSchemas": {"x": {"properties": {"y": {}}}}},
        "f": {"type": "object", "properties": {"x": {}}, "unevaluatedProperties": false,
              "allOf": [{"properties": {"y": {}}}]},
        "g": {"allOf": [{"type": "object", "properties": {"x": {}}, "additionalProperties": false}],
              "if": {"properties": {"y": {"const": 1}}}}"##));
}

#[test]
fn integers_take_all_that_their_bounds_allow() {
    expect![[r#"
        T1 a::BC
          a?: {"type":"integer","format":"int64"}
          b?: {"type":"integer","format":"uint64","minimum":0}
          c?: {"type":"integer","format":"uint64","minimum":0}
          d?: {"type":"integer","format":"int64"}
          e?: true
          f?: true
          g?: {"type":"integer","format":"uint64","minimum":0}
          h?: {"type":"number","format":"double"}
          i?: {"type":"number","format":"double"}
    "#]]
    .assert_eq(&of(r##"
        "a": {"type": "integer"},
        "b": {"type": "integer", "minimum": 0},
        "c": {"type": "integer", "exclusiveMinimum": 0, "maximum": 18446744073709551615},
        "d": {"type": "integer", "minimum": -1, "maximum": 255},
        "e": {"type": "integer", "minimum": -1, "maximum": 18446744073709551615},
        "f": {"enum": [-1, 18446744073709551615]},
        "g": {"enum": [1.0, 2]},
        "h": {"enum": [1, 2.5]},
        "i": {"type": ["integer", "number"]}"##));
}

#[test]
fn a_text_whose_spelling_counts_stays_text() {
    expect![[r##"
        T1 a::BC
          a?: {"type":"string","format":"date-time"}
          b?: {"type":"string"}
          c?: {"type":"string"}
          d?: {"type":"string"}
          e?: {"$ref":"#/$defs/T2"}
          f?: true
        T2 a::BCE
          told by JsonType
          String {"type":"string","format":"uuid"}
          Integer {"type":"integer","format":"int64"}
    "##]]
    .assert_eq(&of(r##"
        "a": {"type": "string", "format": "date-time"},
        "b": {"type": "string", "format": "date-time", "pattern": "Z$"},
        "c": {"type": "string", "format": "uuid", "not": {"const": "x"}},
        "d": {"allOf": [{"type": "string", "format": "uuid"}, {"format": "uuid", "pattern": "^A"}]},
        "e": {"type": ["string", "integer"], "format": "uuid"},
        "f": {"format": "uuid"}"##));
}

#[test]
fn a_union_takes_the_kinds_that_its_surroundings_allow() {
    expect![[r##"
        T1 a::BC
          a?: {"type":"string"}
          b?: {"$ref":"#/$defs/T2"} or null
          c?: {"type":"string"}
          d?: {"$ref":"#/$defs/T3"} or null
          e?: {"type":"array","items":true}
          f?: {"type":"object","additionalProperties":true}
          g?: {"$ref":"#/$defs/T6"}
        T2 a::BCB
          told by JsonType
          String {"type":"string"}
          Integer {"type":"integer","format":"int64"}
        T3 a::BCD
          told by JsonType
          List {"type":"array","items":true}
          Object {"$ref":"#/$defs/T4"}
        T6 a::BCG
          told by Shape([0, 1])
          X {"$ref":"#/$defs/T7"}
          Y {"$ref":"#/$defs/T8"}
        T7 a::BCGX
          x: true
        T8 a::BCGY
          y: true
        T4 a::BCNode
          next?: {"$ref":"#/$defs/T5"}
          other?: {"$ref":"#/$defs/T4"} or null
          …: true
        T5 a::BCNodeNext
          next: {"$ref":"#/$defs/T5"}
          other?: {"$ref":"#/$defs/T4"} or null
          …: true
    "##]]
    .assert_eq(&of(r##"
        "a": {"type": ["string", "null"], "oneOf": [{"type": "string"}, {"type": "integer"}]},
        "b": {"oneOf": [{"type": ["string", "null"]}, {"type": "integer"}]},
        "c": {"anyOf": [{"type": "string"}, {"type": "string", "format": "uuid"}]},
        "d": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "array"}, {"enum": [null]}]},
        "e": {"anyOf": [{"type": "array", "items": {"type": "string"}},
                        {"type": "array", "items": {"type": "integer"}}]},
        "f": {"type": "object", "anyOf": [{"properties": {"x": {}}, "required": ["x"]},
                                          {"properties": {"y": {}}, "required": ["y"]}],
              "unevaluatedProperties": false},
        "g": {"type": "object", "oneOf": [{"properties": {"x": {}}, "required": ["x"]},
                                          {"properties": {"y": {}}, "required": ["y"]}],
              "unevaluatedProperties": false}"##));
}

#[test]
fn what_must_be_absent_has_no_field() {
    expect![[r#"
        T1 a::BC
          y?: true
    "#]]
    .assert_eq(&types(&[(
        "a/b.c.v1.json",
        r#"{"type": "object", "allOf": [{"properties": {"x": {"type": "string"}}}],
            "properties": {"x": false, "y": true}, "unevaluatedProperties": false}"#,
    )]));
}

#[test]
fn what_stands_beside_a_union_has_one_type() {
    expect![[r##"
        T1 a::BC
          a?: {"$ref":"#/$defs/T2"}
        T2 a::BCA
          told by Tag("kind")
          One {"$ref":"#/$defs/T4"}
          Two {"$ref":"#/$defs/T5"}
        T3 a::BCABase
          x?: true
          …: true
        T4 a::BCAOne
          base?: {"$ref":"#/$defs/T3"}
        T5 a::BCATwo
          base?: {"$ref":"#/$defs/T3"}
    "##]]
    .assert_eq(&of(r##"
        "a": {"type": "object", "properties": {"base": {"type": "object", "properties": {"x": {}}}},
              "oneOf": [{"properties": {"kind": {"const": "one"}}, "required": ["kind"]},
                        {"properties": {"kind": {"const": "two"}}, "required": ["kind"]}],
              "unevaluatedProperties": false}"##));
}

#[test]
fn the_items_of_a_recursive_list_have_one_type() {
    let text = r##"{"type": "object", "properties": {"a": {"$ref": "#/$defs/list"}},
        "additionalProperties": false,
        "$defs": {"list": {"type": "array", "items": {"type": "object", "properties": {
            "more": {"type": "object", "properties": {"again": {"$ref": "#/$defs/list"}}}}}}}}"##;
    expect![[r##"
        T1 a::BC
          a?: {"type":"array","items":{"$ref":"#/$defs/T2"}}
        T2 a::BCListItem
          more?: {"$ref":"#/$defs/T3"}
          …: true
        T3 a::BCListItemMore
          again?: {"type":"array","items":{"$ref":"#/$defs/T2"}}
          …: true
    "##]]
    .assert_eq(&types(&[("a/b.c.v1.json", text)]));
}

#[test]
fn a_tree_of_references_with_words_beside_them_does_not_grow_without_end() {
    let mut defs = String::new();
    for n in 0..60 {
        let next = format!(r##"{{"$ref": "#/$defs/d{}", "required": ["x"]}}"##, n + 1);
        defs += &format!(
            r#""d{n}": {{"type": "object", "properties": {{"a": {next}, "b": {next}}}}},"#
        );
    }
    let text = format!(
        r##"{{"type": "object", "properties": {{"a": {{"$ref": "#/$defs/d0"}}}},
            "$defs": {{{defs} "d60": {{"type": "object"}}}}}}"##
    );
    let types = noted(&[("a/b.c.v1.json", &text)]).shape.types.len();
    assert!(types < 150, "{types}");
}

#[test]
fn a_tree_of_tuples_ends_in_values() {
    let mut defs = String::new();
    for n in 0..60 {
        let next = format!(r##"{{"$ref": "#/$defs/t{}"}}"##, n + 1);
        defs += &format!(
            r#""t{n}": {{"type": "array", "prefixItems": [{next}, {next}], "minItems": 2,
                "maxItems": 2}},"#
        );
    }
    let text = format!(
        r##"{{"type": "object", "properties": {{"a": {{"$ref": "#/$defs/t0"}}}},
            "$defs": {{{defs} "t60": {{"type": "string"}}}}}}"##
    );
    let shape = noted(&[("a/b.c.v1.json", &text)]).shape;
    assert!(format!("{shape:?}").len() < 20_000);
}
