//! HF025: two contracts that become one name in generated code.

use expect_test::expect;

use crate::folder::found;

const CLOSED: &str = r#"{ "type": "object", "additionalProperties": false }"#;

#[test]
fn two_contracts_of_one_type() {
    expect![[r#"
        error[HF025]: two schemas become `a::BCD` in generated code
        --> a/b_c.d.v1.json
        ::: a/b.c_d.v1.json
         = help: rename one of the two

        error[HF025]: two schemas become `x::GoAwayV2` in generated code
        --> x/go.away_v2.v1.json
        ::: x/go.away.v2.json
         = help: rename one of the two
    "#]]
    .assert_eq(&found(&[
        ("a/b_c.d.v1.json", CLOSED),
        ("a/b.c_d.v1.json", CLOSED),
        ("x/go.away.v2.json", CLOSED),
        ("x/go.away_v2.v1.json", CLOSED),
    ]));
}

#[test]
fn two_keys_of_one_constant() {
    let two_words = r#"{
  "type": "object",
  "properties": { "event_type": { "const": "a.b_c" } },
  "required": ["event_type"]
}"#;
    expect![[r#"
        note[HF023]: `a.b_c` has 2 words; keys have three by convention
         --> a.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "a.b_c" } },
          |                                            ^^^^^^^ (/properties/event_type/const)
          |
          = help: bindings such as `*.*.created` do not match it

        note[HF023]: `a_b.c` has 2 words; keys have three by convention
         --> b.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "a_b.c" } },
          |                                            ^^^^^^^ (/properties/event_type/const)
          |
          = help: bindings such as `*.*.created` do not match it

        error[HF025]: two keys become `keys::A_B_C` in generated code
         --> b.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "a_b.c" } },
          |                                            ^^^^^^^ (/properties/event_type/const)
          |
         ::: a.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "a.b_c" } },
          |                                            ------- the other one (/properties/event_type/const)
          |
          = help: rename one of the two
    "#]].assert_eq(&found(&[
        ("a.json", two_words),
        ("b.json", &two_words.replace("a.b_c", "a_b.c")),
    ]));
}

#[test]
fn two_events_of_one_variant() {
    expect![[r#"
        error[HF025]: two keys become `keys::A_B_C_D` in generated code
        --> a_b/c.d.v1.json
        ::: a/b_c.d.v1.json
         = help: rename one of the two
    "#]]
    .assert_eq(&found(&[
        ("a/bc.d.v1.json", CLOSED),
        ("a_b/c.d.v1.json", CLOSED),
        ("a/b_c.d.v1.json", CLOSED),
    ]));
}

#[test]
fn two_keys_of_one_contract() {
    let text = r#"{
  "type": "object",
  "properties": { "event_type": { "enum": ["a.b_c", "a.b.c"] } },
  "required": ["event_type"]
}"#;
    expect![[r#"
        note[HF023]: `a.b_c` has 2 words; keys have three by convention
         --> ab.json:3:43
          |
        3 |   "properties": { "event_type": { "enum": ["a.b_c", "a.b.c"] } },
          |                                           ^^^^^^^^^^^^^^^^^^ (/properties/event_type/enum)
          |
          = help: bindings such as `*.*.created` do not match it

        error[HF025]: two keys become `keys::A_B_C` in generated code
         --> ab.json:3:43
          |
        3 |   "properties": { "event_type": { "enum": ["a.b_c", "a.b.c"] } },
          |                                           ^^^^^^^^^^^^^^^^^^ (/properties/event_type/enum)
          |
          = help: rename one of the two
    "#]].assert_eq(&found(&[("ab.json", text)]));
}
