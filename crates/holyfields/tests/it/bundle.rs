//! The bundle: references rewritten, draft-07 lowered, nothing else changed.

use expect_test::expect;
use serde_json::{Value, json};

use crate::folder::{catalog, noted};

/// The bundle's definition of a file.
fn definition(files: &[(&str, &str)], name: &str) -> String {
    let bundle = noted(files).bundle();
    serde_json::to_string_pretty(&bundle.definitions[name]).unwrap()
}

/// The definition of one draft-07 contract with these keywords.
fn lowered(keywords: &Value) -> String {
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
    });
    schema.as_object_mut().unwrap().extend(keywords.as_object().unwrap().clone());
    definition(&[("a/b.c.v1.json", &schema.to_string())], "a/b.c.v1")
}

#[test]
fn references_lead_into_the_bundle_and_names_of_places_are_gone() {
    let event = r##"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://s.example/a/b.c.v1.json",
        "title": "Kept",
        "type": "object",
        "properties": {
            "own": {"$ref": "#/$defs/own"},
            "anchor": {"$ref": "#here", "description": "kept beside it"},
            "path": {"$ref": "../_common/types 1.json#/$defs/100%25"},
            "id": {"$ref": "https://s.example/types.json"},
            "nested": {"$ref": "inner.json#/$defs/deep"}
        },
        "$defs": {
            "own": {"$anchor": "here", "type": "string", "x-unknown": {"$ref": "kept"}},
            "inner": {"$id": "inner.json", "$defs": {"deep": {"type": "string"}}}
        }
    }"##;
    let event = event.replace("types 1", "types%201");
    let types = r#"{"$id": "https://s.example/types.json", "$defs": {"100%": {"type": "string"}}}"#;
    let files =
        [("a/b.c.v1.json", event.as_str()), ("_common/types 1.json", types), ("unused.json", "{}")];
    let bundle = noted(&files).bundle();
    expect![[r##"
        {
          "_common/types 1": {
            "$defs": {
              "100%": {
                "type": "string"
              }
            }
          },
          "a/b.c.v1": {
            "title": "Kept",
            "type": "object",
            "properties": {
              "own": {
                "$ref": "#/$defs/a~1b.c.v1/$defs/own"
              },
              "anchor": {
                "$ref": "#/$defs/a~1b.c.v1/$defs/own",
                "description": "kept beside it"
              },
              "path": {
                "$ref": "#/$defs/_common~1types%201/$defs/100%25"
              },
              "id": {
                "$ref": "#/$defs/_common~1types%201"
              },
              "nested": {
                "$ref": "#/$defs/a~1b.c.v1/$defs/inner/$defs/deep"
              }
            },
            "$defs": {
              "own": {
                "type": "string",
                "x-unknown": {
                  "$ref": "kept"
                }
              },
              "inner": {
                "$defs": {
                  "deep": {
                    "type": "string"
                  }
                }
              }
            }
          }
        }"##]]
    .assert_eq(&serde_json::to_string_pretty(&bundle.definitions).unwrap());
}

#[test]
fn data_is_data_also_where_it_looks_like_a_schema() {
    let data = json!({
        "$schema": "s", "$id": "i", "$anchor": "a", "$ref": "nowhere.json",
        "properties": {"x": {"$ref": "#/nowhere", "$id": "y"}},
        "items": [{"$ref": "../out.json"}],
        "dependencies": {"a": ["b"]},
    });
    for draft in
        ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"]
    {
        let schema = json!({
            "$schema": draft,
            "type": "object",
            "properties": {
                "a": {"const": data},
                "b": {"enum": [data]},
                "c": {"default": data},
                "examples": {"examples": [data]},
            },
            "examples": [data],
            "x-bloodbank-counterexamples": [{"why": "because", "data": data}],
        });
        let bundle = catalog(&[("a/b.c.v1.json", &schema.to_string())]).bundle();
        let mut expected = schema.clone();
        expected.as_object_mut().unwrap().shift_remove("$schema");
        assert_eq!(bundle.definitions["a/b.c.v1"], expected);
    }
}

#[test]
fn properties_may_be_called_like_keywords() {
    let schema = json!({
        "type": "object",
        "properties": {
            "$id": {"type": "string"},
            "$ref": {"type": "string"},
            "$schema": {"$ref": "#/properties/$id"},
            "items": {"type": "array", "items": {"$ref": "#/properties/$ref"}},
        },
    });
    let bundle = catalog(&[("a/b.c.v1.json", &schema.to_string())]).bundle();
    let properties = &bundle.definitions["a/b.c.v1"]["properties"];
    assert_eq!(properties["$id"], json!({"type": "string"}));
    assert_eq!(properties["$schema"], json!({"$ref": "#/$defs/a~1b.c.v1/properties/$id"}));
    let items = &properties["items"]["items"];
    assert_eq!(*items, json!({"$ref": "#/$defs/a~1b.c.v1/properties/$ref"}));
}

#[test]
fn tuples_of_draft_07() {
    expect![[r#"
        {
          "type": "object",
          "properties": {
            "tuple": {
              "prefixItems": [
                {
                  "type": "string"
                },
                true
              ],
              "items": {
                "type": "number"
              }
            },
            "closed": {
              "prefixItems": [
                true
              ],
              "items": false
            },
            "list": {
              "items": {
                "type": "string"
              }
            }
          }
        }"#]]
    .assert_eq(&lowered(&json!({
        "properties": {
            "tuple": {"items": [{"type": "string"}, true], "additionalItems": {"type": "number"}},
            "closed": {"items": [true], "additionalItems": false},
            "list": {"items": {"type": "string"}, "additionalItems": false},
        },
    })));
}

#[test]
fn dependencies_of_draft_07() {
    expect![[r#"
        {
          "type": "object",
          "dependentRequired": {
            "a": [
              "b"
            ],
            "e": []
          },
          "dependentSchemas": {
            "c": {
              "required": [
                "d"
              ]
            }
          }
        }"#]]
    .assert_eq(&lowered(&json!({
        "dependencies": {"a": ["b"], "c": {"required": ["d"]}, "e": []},
    })));
}

#[test]
fn siblings_of_a_reference_in_draft_07() {
    expect![[r##"
        {
          "type": "object",
          "properties": {
            "a": {
              "$ref": "#/$defs/a~1b.c.v1/definitions/t",
              "definitions": {
                "u": {
                  "type": "string"
                }
              }
            },
            "b": {
              "$ref": "#/$defs/a~1b.c.v1/properties/a/definitions/u"
            }
          },
          "definitions": {
            "t": {
              "type": "string"
            }
          }
        }"##]]
    .assert_eq(&lowered(&json!({
        "properties": {
            "a": {"$ref": "#/definitions/t", "minLength": 3, "description": "gone",
                  "definitions": {"u": {"type": "string", "$id": "#u"}}},
            "b": {"$ref": "#u"},
        },
        "definitions": {"t": {"type": "string"}},
    })));
}

#[test]
fn references_into_what_is_renamed_follow_it() {
    expect![[r##"
        {
          "type": "object",
          "properties": {
            "a": {
              "$ref": "#/$defs/a~1b.c.v1/properties/items/prefixItems/1"
            },
            "b": {
              "$ref": "#/$defs/a~1b.c.v1/properties/items/items"
            },
            "c": {
              "$ref": "#/$defs/a~1b.c.v1/dependentSchemas/a"
            },
            "items": {
              "prefixItems": [
                true,
                {
                  "type": "string"
                }
              ],
              "items": {
                "type": "number"
              }
            }
          },
          "dependentSchemas": {
            "a": {
              "required": [
                "b"
              ]
            }
          }
        }"##]]
    .assert_eq(&lowered(&json!({
        "properties": {
            "a": {"$ref": "#/properties/items/items/1"},
            "b": {"$ref": "#/properties/items/additionalItems"},
            "c": {"$ref": "#/dependencies/a"},
            "items": {"items": [true, {"type": "string"}], "additionalItems": {"type": "number"}},
        },
        "dependencies": {"a": {"required": ["b"]}},
    })));
}

#[test]
fn words_that_draft_07_does_not_know_are_dropped() {
    expect![[r#"
        {
          "type": "object",
          "x-mine": 1,
          "properties": {
            "prefixItems": {
              "type": "string"
            }
          }
        }"#]]
    .assert_eq(&lowered(&json!({
        "unevaluatedProperties": false,
        "dependentRequired": {"a": ["b"]},
        "prefixItems": [true],
        "x-mine": 1,
        "properties": {"prefixItems": {"type": "string"}},
    })));
}

#[test]
fn a_contract_as_a_document_of_its_own() {
    let event = r#"{"type": "object", "properties": {"a": {"$ref": "../x.json#/$defs/t"}}}"#;
    let types = r#"{"$defs": {"t": {"$ref": "y y.json"}, "u": {"type": "string"}}}"#;
    let bundle = catalog(&[
        ("a/b.c.v1.json", event),
        ("a/b.d.v1.json", r#"{"type": "object"}"#),
        ("x.json", &types.replace("y y", "y%20y")),
        ("y y.json", r#"{"type": "string"}"#),
    ])
    .bundle();
    let document = bundle.document(bundle.contract("a.b.c").unwrap());
    assert_eq!(document["$ref"], "#/$defs/a~1b.c.v1");
    let names: Vec<&String> = document["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["a/b.c.v1", "x", "y y"]);
}
