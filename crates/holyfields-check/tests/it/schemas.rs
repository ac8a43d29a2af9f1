//! HF042 and HF044: rules on files, contracts or not.

use expect_test::expect;

use crate::found;

#[test]
fn every_keyword_with_a_wrong_value() {
    let text = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "#a",
  "title": 3,
  "type": ["object", "nul"],
  "properties": {
    "a": { "type": "strnig", "minLength": -1, "maxLength": "3", "required": ["x", "x"] },
    "b": 4
  },
  "allOf": []
}"##;
    expect![[r##"
        error[HF044]: `$id` is not valid: expected text that matches `^[^#]*#?$`, found "#a"
         --> _lib.json:3:10
          |
        3 |   "$id": "#a",
          |          ^^^^ (/$id)

        error[HF044]: `title` is not valid: expected a string, found 3
         --> _lib.json:4:12
          |
        4 |   "title": 3,
          |            ^ (/title)

        error[HF044]: `type/1` is not valid: expected one of "array", "boolean", "integer", "null", "number", "object", "string", found "nul"
         --> _lib.json:5:22
          |
        5 |   "type": ["object", "nul"],
          |                      ^^^^^ (/type/1)
          |
          = help: did you mean `null`?

        error[HF044]: `type` is not valid: expected one of "array", "boolean", "integer", "null", "number", "object", "string" or an array, found "strnig"
         --> _lib.json:7:20
          |
        7 |     "a": { "type": "strnig", "minLength": -1, "maxLength": "3", "required": ["x", "x"] },
          |                    ^^^^^^^^ (/properties/a/type)
          |
          = help: did you mean `string`?

        error[HF044]: `minLength` is not valid: expected at least 0, found -1
         --> _lib.json:7:43
          |
        7 |     "a": { "type": "strnig", "minLength": -1, "maxLength": "3", "required": ["x", "x"] },
          |                                           ^^ (/properties/a/minLength)

        error[HF044]: `maxLength` is not valid: expected an integer, found "3"
         --> _lib.json:7:60
          |
        7 |     "a": { "type": "strnig", "minLength": -1, "maxLength": "3", "required": ["x", "x"] },
          |                                                            ^^^ (/properties/a/maxLength)

        error[HF044]: `required` is not valid: expected items that all differ, found an array with 2 items
         --> _lib.json:7:77
          |
        7 |     "a": { "type": "strnig", "minLength": -1, "maxLength": "3", "required": ["x", "x"] },
          |                                                                             ^^^^^^^^^^ (/properties/a/required)

        error[HF044]: `b` is not valid: expected a schema (an object, `true` or `false`), found 4
         --> _lib.json:8:10
          |
        8 |     "b": 4
          |          ^ (/properties/b)

        error[HF044]: `allOf` is not valid: expected at least 1 item, found an array with 0 items
          --> _lib.json:10:12
           |
        10 |   "allOf": []
           |            ^^ (/allOf)
    "##]].assert_eq(&found(&[("_lib.json", text)]));
}

#[test]
fn draft_07_has_its_own_metaschema() {
    let seven = "http://json-schema.org/draft-07/schema#";
    let text = format!(r#"{{ "$schema": "{seven}", "items": [true, 3], "dependencies": 1 }}"#);
    expect![[r#"
        error[HF044]: `items/1` is not valid: expected a schema (an object, `true` or `false`), found 3
         --> _lib.json:1:73
          |
        1 | { "$schema": "http://json-schema.org/draft-07/schema#", "items": [true, 3], "dependencies": 1 }
          |                                                                         ^ (/items/1)

        error[HF044]: `dependencies` is not valid: expected an object, found 1
         --> _lib.json:1:93
          |
        1 | { "$schema": "http://json-schema.org/draft-07/schema#", "items": [true, 3], "dependencies": 1 }
          |                                                                                             ^ (/dependencies)
    "#]].assert_eq(&found(&[("_lib.json", &text)]));
    // Not a keyword there.
    let text = format!(r#"{{ "$schema": "{seven}", "prefixItems": 3 }}"#);
    expect![[""]].assert_eq(&found(&[("_lib.json", &text)]));
}

#[test]
fn patterns_that_the_engine_cannot_compile() {
    let text = r#"{
  "properties": {
    "a": { "pattern": "^(a|b$" },
    "b": { "pattern": "\\d{2,1}" },
    "c": { "pattern": "[z-a]" },
    "d": { "pattern": "\\p{Foo}" },
    "e": { "pattern": "a**" },
    "f": { "pattern": "(?<n>a)\\k<n>" }
  },
  "patternProperties": { "^x-(": true },
  "propertyNames": { "pattern": "?" }
}"#;
    expect![[r#"
        error[HF042]: the pattern `^(a|b$` cannot be used: opening parenthesis without closing parenthesis
         --> _lib.json:3:23
          |
        3 |     "a": { "pattern": "^(a|b$" },
          |                       ^^^^^^^^ (/properties/a/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF042]: the pattern `\d{2,1}` cannot be used: the validator cannot translate it
         --> _lib.json:4:23
          |
        4 |     "b": { "pattern": "\\d{2,1}" },
          |                       ^^^^^^^^^^ (/properties/b/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF042]: the pattern `[z-a]` cannot be used: invalid character class range, the start must be <= the end
         --> _lib.json:5:23
          |
        5 |     "c": { "pattern": "[z-a]" },
          |                       ^^^^^^^ (/properties/c/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF042]: the pattern `\p{Foo}` cannot be used: unicode property not found
         --> _lib.json:6:23
          |
        6 |     "d": { "pattern": "\\p{Foo}" },
          |                       ^^^^^^^^^^ (/properties/d/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF042]: the pattern `a**` cannot be used: target of repeat operator is invalid
         --> _lib.json:7:23
          |
        7 |     "e": { "pattern": "a**" },
          |                       ^^^^^ (/properties/e/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF042]: the pattern `(?<n>a)\k<n>` cannot be used: the validator cannot translate it
         --> _lib.json:8:23
          |
        8 |     "f": { "pattern": "(?<n>a)\\k<n>" }
          |                       ^^^^^^^^^^^^^^^ (/properties/f/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF042]: the pattern `^x-(` cannot be used: opening parenthesis without closing parenthesis
          --> _lib.json:10:26
           |
        10 |   "patternProperties": { "^x-(": true },
           |                          ^^^^^^ (/patternProperties/^x-()
           |
           = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF042]: the pattern `?` cannot be used: target of repeat operator is invalid
          --> _lib.json:11:33
           |
        11 |   "propertyNames": { "pattern": "?" }
           |                                 ^^^ (/propertyNames/pattern)
           |
           = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`
    "#]].assert_eq(&found(&[("_lib.json", text)]));
}

#[test]
fn draft_07_reports_a_pattern_once() {
    let text = r#"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "pattern": "(",
  "patternProperties": { "(": true }
}"#;
    expect![[r#"
        error[HF042]: the pattern `(` cannot be used: opening parenthesis without closing parenthesis
         --> _lib.json:3:14
          |
        3 |   "pattern": "(",
          |              ^^^ (/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF042]: the pattern `(` cannot be used: opening parenthesis without closing parenthesis
         --> _lib.json:4:26
          |
        4 |   "patternProperties": { "(": true }
          |                          ^^^ (/patternProperties/()
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`
    "#]]
    .assert_eq(&found(&[("_lib.json", text)]));
}

#[test]
fn patterns_that_the_engine_compiles() {
    let text = r#"{
  "properties": {
    "a": { "pattern": "^(?!theboard\\.)[a-z]+$" },
    "b": { "pattern": "^(\\d{4})-\\1$" },
    "c": { "pattern": "^\\p{Letter}+\\cA\\/$" },
    "pattern": { "examples": [{ "pattern": "(" }], "const": { "pattern": "(" } }
  }
}"#;
    expect![[""]].assert_eq(&found(&[("_lib.json", text)]));
}
