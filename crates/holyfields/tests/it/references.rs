//! HF010 to HF014: where a `$ref` leads.

use expect_test::expect;
use holyfields::resolve::Target;

use crate::folder::{catalog, found};

const TEXT: &str = r#"{"type": "string"}"#;

/// What the `$ref` at `/properties/a` of `x.json` means.
fn target(files: &[(&str, &str)]) -> String {
    let catalog = catalog(files);
    let file = catalog.files.iter().position(|file| file.path == "x.json").unwrap();
    let at = Target { file, pointer: "/properties/a".into() };
    let target = catalog.references.target(&at).unwrap();
    format!("{}#{}", catalog.files[target.file].path, target.pointer)
}

/// The same for one file and the text of the reference.
fn target_of(reference: &str, rest: &str) -> String {
    let text = format!(r#"{{"properties": {{"a": {{"$ref": "{reference}"}}}}, {rest}}}"#);
    target(&[("x.json", &text)])
}

#[test]
fn into_the_same_file() {
    let defs = r#""$defs": {"t": {"$anchor": "here", "type": "string"}}"#;
    assert_eq!(target_of("#/$defs/t", defs), "x.json#/$defs/t");
    assert_eq!(target_of("#here", defs), "x.json#/$defs/t");
    assert_eq!(target_of("#", defs), "x.json#");
}

#[test]
fn old_drafts_have_definitions_and_ids_that_are_anchors() {
    let rest = r##""$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"t": {"$id": "#here", "type": "string"}}"##;
    assert_eq!(target_of("#/definitions/t", rest), "x.json#/definitions/t");
    assert_eq!(target_of("#here", rest), "x.json#/definitions/t");
}

#[test]
fn a_pointer_may_be_percent_encoded() {
    let rest = r#""$defs": {"a b": {}, "c/d~e": {}, "100%": {}, "ä": {}}"#;
    assert_eq!(target_of("#/$defs/a%20b", rest), "x.json#/$defs/a b");
    assert_eq!(target_of("#/$defs/c~1d~0e", rest), "x.json#/$defs/c~1d~0e");
    assert_eq!(target_of("#/$defs/c%7E1d%7E0e", rest), "x.json#/$defs/c~1d~0e");
    assert_eq!(target_of("#/$defs/100%25", rest), "x.json#/$defs/100%");
    assert_eq!(target_of("#/%24defs/%C3%A4", rest), "x.json#/$defs/ä");
}

#[test]
fn into_another_file_by_path() {
    let files = |reference: &str| {
        let text = format!(r#"{{"properties": {{"a": {{"$ref": "{reference}"}}}}}}"#);
        target(&[("x.json", &text), ("b/y.json", TEXT), ("b/with space.json", TEXT)])
    };
    assert_eq!(files("b/y.json"), "b/y.json#");
    assert_eq!(files("./b/../b/y.json"), "b/y.json#");
    assert_eq!(files("b/y.json#"), "b/y.json#");
    assert_eq!(files("b/with%20space.json"), "b/with space.json#");
}

#[test]
fn into_another_file_by_id() {
    let files = |reference: &str| {
        let text = format!(
            r#"{{"$id": "https://s.example/events/x.json",
                "properties": {{"a": {{"$ref": "{reference}"}}}}}}"#
        );
        let other = r#"{"$id": "https://s.example/types/y.json",
            "$defs": {"t": {"$anchor": "here"}, "inner": {"$id": "z.json", "$defs": {"u": {}}}}}"#;
        target(&[("x.json", &text), ("b/y.json", other)])
    };
    assert_eq!(files("https://s.example/types/y.json#/$defs/t"), "b/y.json#/$defs/t");
    assert_eq!(files("/types/y.json#here"), "b/y.json#/$defs/t");
    assert_eq!(files("../types/y.json"), "b/y.json#");
    assert_eq!(files("../types/z.json"), "b/y.json#/$defs/inner");
    assert_eq!(files("../types/z.json#/$defs/u"), "b/y.json#/$defs/inner/$defs/u");
}

#[test]
fn inside_a_nested_id_the_root_is_that_schema() {
    let text = r##"{
        "$id": "https://s.example/x.json",
        "$defs": {"t": {}},
        "properties": {"a": {"$id": "inner.json", "$ref": "#/$defs/t", "$defs": {"t": {}}}}
    }"##;
    assert_eq!(target(&[("x.json", text)]), "x.json#/properties/a/$defs/t");
}

#[test]
fn files_may_refer_to_each_other_in_circles() {
    let x = r#"{"properties": {"a": {"$ref": "y.json"}}}"#;
    let y = r#"{"properties": {"b": {"$ref": "x.json"}, "c": {"$ref": "y.json#/properties/c"}}}"#;
    assert_eq!(target(&[("x.json", x), ("y.json", y)]), "y.json#");
}

#[test]
fn a_circle_of_references_without_anything_else_is_no_overflow() {
    let text = r##"{
        "type": "object", "additionalProperties": false,
        "properties": {"a": {"$ref": "#/$defs/b"}, "d": {"$ref": "#/properties/d"}},
        "$defs": {"b": {"$ref": "#/$defs/c"}, "c": {"allOf": [{"$ref": "#/$defs/b"}]}}
    }"##;
    expect![[r#"
        nothing
    "#]]
    .assert_eq(&found(&[("a/b.c.v1.json", text)]));
}

#[test]
fn nowhere() {
    let text = r##"{
  "properties": {
    "a": { "$ref": "#/$defs/missing" },
    "b": { "$ref": "types.json" },
    "c": { "$ref": "_common/types.json#/$defs/missing" },
    "d": { "$ref": "#missing" },
    "e": { "$ref": "elsewhere/nothing.json" },
    "f": { "$ref": "#/types/t" },
    "g": { "$ref": "#/examples/0" }
  },
  "types": { "t": { "$ref": "#/types/u" } },
  "examples": [{}]
}"##;
    expect![[r##"
        error[HF010]: `#/$defs/missing` leads nowhere: `x.json` has no `#/$defs/missing`
         --> x.json:3:20
          |
        3 |     "a": { "$ref": "#/$defs/missing" },
          |                    ^^^^^^^^^^^^^^^^^ (/properties/a/$ref)
          |
          = help: correct the part behind `#`

        error[HF010]: `types.json` leads nowhere: no file `types.json` beside this one
         --> x.json:4:20
          |
        4 |     "b": { "$ref": "types.json" },
          |                    ^^^^^^^^^^^^ (/properties/b/$ref)
          |
          = help: did you mean `_common/types.json` (from the schema root)?

        error[HF010]: `_common/types.json#/$defs/missing` leads nowhere: `_common/types.json` has no `#/$defs/missing`
         --> x.json:5:20
          |
        5 |     "c": { "$ref": "_common/types.json#/$defs/missing" },
          |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ (/properties/c/$ref)
          |
          = help: correct the part behind `#`

        error[HF010]: `#missing` leads nowhere: `x.json` has no `#missing`
         --> x.json:6:20
          |
        6 |     "d": { "$ref": "#missing" },
          |                    ^^^^^^^^^^ (/properties/d/$ref)
          |
          = help: correct the part behind `#`

        error[HF010]: `elsewhere/nothing.json` leads nowhere: no file `elsewhere/nothing.json` beside this one
         --> x.json:7:20
          |
        7 |     "e": { "$ref": "elsewhere/nothing.json" },
          |                    ^^^^^^^^^^^^^^^^^^^^^^^^ (/properties/e/$ref)
          |
          = help: correct the path; it counts from the folder of this file

        error[HF010]: `#/types/t` leads to a value of `x.json` that no keyword makes a schema
         --> x.json:8:20
          |
        8 |     "f": { "$ref": "#/types/t" },
          |                    ^^^^^^^^^^^ (/properties/f/$ref)
          |
          = help: move it under `$defs`

        error[HF010]: `#/examples/0` leads to a value of `x.json` that no keyword makes a schema
         --> x.json:9:20
          |
        9 |     "g": { "$ref": "#/examples/0" }
          |                    ^^^^^^^^^^^^^^ (/properties/g/$ref)
          |
          = help: move it under `$defs`
    "##]].assert_eq(&found(&[("x.json", text), ("_common/types.json", "{\"$defs\": {}}")]));
}

#[test]
fn to_the_network_and_out_of_the_folder() {
    let text = r##"{
  "properties": {
    "a": { "$ref": "https://example.com/types.json#/$defs/t" },
    "b": { "$ref": "../types.json" },
    "c": { "$ref": "/etc/passwd" },
    "d": { "$ref": "file:///etc/passwd" },
    "e": { "$ref": "a/../../b.json" }
  }
}"##;
    expect![[r#"
        error[HF011]: `https://example.com/types.json#/$defs/t` leads to no `$id` of this folder, and nothing is ever fetched
         --> x.json:3:20
          |
        3 |     "a": { "$ref": "https://example.com/types.json#/$defs/t" },
          |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ (/properties/a/$ref)
          |
          = help: copy the schema into the folder and refer to it by relative path

        error[HF012]: `../types.json` leads out of the schema folder
         --> x.json:4:20
          |
        4 |     "b": { "$ref": "../types.json" },
          |                    ^^^^^^^^^^^^^^^ (/properties/b/$ref)
          |
          = help: move the file it means into the schema folder

        error[HF012]: `/etc/passwd` leads out of the schema folder
         --> x.json:5:20
          |
        5 |     "c": { "$ref": "/etc/passwd" },
          |                    ^^^^^^^^^^^^^ (/properties/c/$ref)
          |
          = help: move the file it means into the schema folder

        error[HF011]: `file:///etc/passwd` leads to no `$id` of this folder, and nothing is ever fetched
         --> x.json:6:20
          |
        6 |     "d": { "$ref": "file:///etc/passwd" },
          |                    ^^^^^^^^^^^^^^^^^^^^ (/properties/d/$ref)
          |
          = help: copy the schema into the folder and refer to it by relative path

        error[HF012]: `a/../../b.json` leads out of the schema folder
         --> x.json:7:20
          |
        7 |     "e": { "$ref": "a/../../b.json" }
          |                    ^^^^^^^^^^^^^^^^ (/properties/e/$ref)
          |
          = help: move the file it means into the schema folder
    "#]].assert_eq(&found(&[("x.json", text)]));
}

#[test]
fn path_against_id() {
    let x = r#"{
  "$id": "https://s.example/events/x.json",
  "properties": { "a": { "$ref": "y.json" } }
}"#;
    let y = r#"{ "$id": "https://s.example/other/y.json" }"#;
    let other = r#"{ "$id": "https://s.example/events/y.json" }"#;
    expect![[r#"
        warning[HF013]: `y.json` means `y.json` by path and `z.json` by `$id`; the path counts
         --> x.json:3:34
          |
        3 |   "properties": { "a": { "$ref": "y.json" } }
          |                                  ^^^^^^^^ (/properties/a/$ref)
          |
          = help: let the `$id`s mirror the folder, or leave them out
    "#]]
    .assert_eq(&found(&[("x.json", x), ("y.json", y), ("z.json", other)]));
    let same = r#"{ "$id": "https://s.example/events/y.json" }"#;
    assert_eq!(found(&[("x.json", x), ("y.json", same)]), "nothing\n");
}

#[test]
fn one_id_for_two() {
    let text = r#"{ "$id": "https://s.example/a.json" }"#;
    let inner = "{\n  \"$defs\": { \"t\": { \"$id\": \"https://s.example/a.json#\" } }\n}";
    expect![[r#"
        error[HF014]: `https://s.example/a.json` is the `$id` of two schemas; it should name one
         --> b.json:1:10
          |
        1 | { "$id": "https://s.example/a.json" }
          |          ^^^^^^^^^^^^^^^^^^^^^^^^^^ (/$id)
          |
         ::: a.json:1:10
          |
        1 | { "$id": "https://s.example/a.json" }
          |          -------------------------- first here (/$id)
          |
          = help: give this schema an `$id` of its own

        error[HF014]: `https://s.example/a.json` is the `$id` of two schemas; it should name one
         --> c.json:2:28
          |
        2 |   "$defs": { "t": { "$id": "https://s.example/a.json#" } }
          |                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^ (/$defs/t/$id)
          |
         ::: a.json:1:10
          |
        1 | { "$id": "https://s.example/a.json" }
          |          -------------------------- first here (/$id)
          |
          = help: give this schema an `$id` of its own
    "#]]
    .assert_eq(&found(&[("a.json", text), ("b.json", text), ("c.json", inner)]));
}

#[test]
fn beside_an_old_reference_nothing_counts() {
    let text = r##"{
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {
            "a": {"$ref": "#/definitions/t", "$id": "https://s.example/a",
                  "properties": {"b": {"$ref": "nowhere.json"}}}
        },
        "definitions": {"t": {}}
    }"##;
    assert_eq!(target(&[("x.json", text)]), "x.json#/definitions/t");
}
