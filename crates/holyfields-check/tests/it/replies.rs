//! What a command is answered with is checked like a payload.

use expect_test::expect;

use crate::found;

/// What is found in a command that is answered like this.
fn of(reply: &str) -> String {
    let text = format!(
        r#"{{
  "type": "object",
  "properties": {{ "event_type": {{ "const": "shop.order.pay" }} }},
  "required": ["event_type"],
  "x-bloodbank-reply": {reply}
}}"#
    );
    found(&[("shop/commands/order.pay.v1.json", &text)])
}

#[test]
fn a_schema_of_an_answer_that_is_in_order_is_not_mentioned() {
    assert_eq!(of(r#"{ "type": "null" }"#), "");
    let tree =
        r##"{ "type": "object", "properties": { "a": { "$ref": "#/x-bloodbank-reply" } } }"##;
    assert_eq!(of(tree), "");
}

#[test]
fn a_keyword_with_a_wrong_value_is_found_in_it() {
    expect![[r#"
        error[HF044]: `type` is not valid: expected one of "array", "boolean", "integer", "null", "number", "object", "string" or an array, found "strnig"
         --> shop/commands/order.pay.v1.json:5:34
          |
        5 |   "x-bloodbank-reply": { "type": "strnig" }
          |                                  ^^^^^^^^ (/x-bloodbank-reply/type)
          |
          = help: did you mean `string`?
    "#]].assert_eq(&of(r#"{ "type": "strnig" }"#));
}

#[test]
fn an_answer_that_nothing_can_be_is_found() {
    expect![[r#"
        error[HF041]: nothing can be an answer to `shop.order.pay`
         --> shop/commands/order.pay.v1.json:5:3
          |
        5 |   "x-bloodbank-reply": { "type": "string", "minLength": 3, "maxLength": 2 }
          |   ^^^^^^^^^^^^^^^^^^^ (/x-bloodbank-reply)
          |
          = help: change it, or write `{ "type": "null" }` if there is nothing to answer
    "#]]
    .assert_eq(&of(r#"{ "type": "string", "minLength": 3, "maxLength": 2 }"#));
}

#[test]
fn an_example_of_an_answer_that_it_refuses_is_found() {
    expect![[r#"
        error[HF050]: this example is refused by its own schema: expected a string, found 7
         --> shop/commands/order.pay.v1.json:5:57
          |
        5 |   "x-bloodbank-reply": { "type": "string", "examples": [7] }
          |                                                         ^ (/x-bloodbank-reply/examples/0)
          |
          = help: correct it, or the schema beside it
    "#]].assert_eq(&of(r#"{ "type": "string", "examples": [7] }"#));
}
