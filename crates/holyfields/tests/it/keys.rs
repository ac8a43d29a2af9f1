//! HF020 to HF026 and what makes a contract: keys, versions, kinds.

use expect_test::expect;

use crate::folder::{catalog, found, noted};

/// A closed object with these properties.
fn object(properties: &str) -> String {
    format!(
        r#"{{
  "type": "object",
  "properties": {{ {properties} }},
  "required": ["event_type"],
  "additionalProperties": false
}}"#
    )
}

/// Every contract in a line: kind, routes, type.
fn contracts(files: &[(&str, &str)]) -> String {
    let catalog = noted(files);
    let lines = catalog.contracts.iter().map(|contract| {
        let routes: Vec<String> = contract.routes().collect();
        let kind = contract.identity.kind;
        let file = &catalog.file(contract).path;
        format!(
            "{kind} {} {}::{} ({file})\n",
            routes.join(" "),
            contract.module,
            contract.type_name
        )
    });
    lines.collect()
}

const CLOSED: &str = r#"{"type": "object", "additionalProperties": false}"#;

#[test]
fn what_is_a_contract_and_what_a_library() {
    let named = object(r#""event_type": { "const": "shop.order.paid" }"#);
    let by_type = r#"{"type": "object", "required": ["type"],
        "properties": {"type": {"const": "shop.order.lost"}}}"#;
    let other_type = r#"{"type": "object", "properties": {"type": {"const": "s3"}}}"#;
    let marked = r#"{"type": "object", "x-bloodbank-kind": "command"}"#;
    expect![[r#"
        event shop.order.created shop::OrderCreated (shop/order.created.v1.json)
        event shop.order.created.v2 shop::OrderCreatedV2 (shop/order.created.v2.schema.json)
        event shop.order.created.v10 shop::OrderCreatedV10 (shop/order.created.v10.json)
        event shop.order.found shop::OrderFound (deep/below/shop/order.found.v1.json)
        event shop.order.lost.v2 shop::OrderLostV2 (anything/else.v2.json)
        event shop.order.paid shop::OrderPaid (anything/at all.json)
        event voice.transcription voice::Transcription (voice/transcription.v1.schema.json)
        command shop.order.refund shop::RefundOrder (shop/order.refund.v1.json)
        command shop.order.ship shop::ShipOrder (shop/commands/order.ship.v1.json)
        command shop.order.ship.v3 shop::ShipOrderV3 (shop/commands/order.ship.v3.json)
    "#]]
    .assert_eq(&contracts(&[
        ("shop/order.created.v1.json", CLOSED),
        ("shop/order.created.v2.schema.json", CLOSED),
        ("shop/order.created.v10.json", CLOSED),
        ("deep/below/shop/order.found.v1.json", CLOSED),
        ("shop/commands/order.ship.v1.json", CLOSED),
        ("shop/commands/order.ship.v3.json", CLOSED),
        ("shop/order.refund.v1.json", marked),
        ("anything/at all.json", &named),
        ("anything/else.v2.json", by_type),
        ("shop/storage.json", other_type),
        ("voice/transcription.v1.schema.json", other_type),
        ("shop/_base.made.v1.json", CLOSED),
        ("_common/types.money.v1.json", CLOSED),
        ("shop/order.v1.json", CLOSED),
        ("shop/order.created.json", CLOSED),
        ("order.created.v1.json", CLOSED),
    ]));
}

#[test]
fn one_struct_for_several_keys() {
    let text = object(r#""event_type": { "enum": ["shop.order.paid", "shop.order.unpaid"] }"#);
    expect![[r#"
        event shop.order.paid.v2 shop.order.unpaid.v2 shop::PaymentV2 (shop/payment.v2.json)
    "#]]
    .assert_eq(&contracts(&[("shop/payment.v2.json", &text)]));
}

#[test]
fn path_against_const() {
    let text = object(r#""event_type": { "const": "shop.order.made" }"#);
    expect![[r#"
        warning[HF024]: the const says `shop.order.made` and the path `shop.order.created`; the const counts
         --> shop/order.created.v1.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "shop.order.made" } },
          |                                            ^^^^^^^^^^^^^^^^^ (/properties/event_type/const)
          |
          = help: rename the file, or correct the const
    "#]].assert_eq(&found(&[("shop/order.created.v1.json", &text)]));
    assert_eq!(found(&[("shop/order.made.v1.json", &text)]), "nothing\n");
}

#[test]
fn a_schema_without_a_key_that_looks_like_one_with() {
    let text = object(r#""event_type": { "type": "string" }"#);
    let user = r#"{"type": "object", "properties": {"a": {"$ref": "_base/used.json"}}}"#;
    expect![[r#"
        warning[HF020]: `shop/order.json` has an `event_type` but names no key
         --> shop/order.json:3:19
          |
        3 |   "properties": { "event_type": { "type": "string" } },
          |                   ^^^^^^^^^^^^ (/properties/event_type)
          |
          = help: give `event_type` a const, or name the file `<domain>/<entity>.<action>.v1.json`

        warning[HF020]: `event_type` of `shop.order.made` has no const; any text would be accepted
         --> shop/order.made.v1.json:3:19
          |
        3 |   "properties": { "event_type": { "type": "string" } },
          |                   ^^^^^^^^^^^^ (/properties/event_type)
          |
          = help: write `"event_type": { "const": "shop.order.made" }`
    "#]]
    .assert_eq(&found(&[
        ("shop/order.json", &text),
        ("shop/order.made.v1.json", &text),
        ("shop/_private.json", &text),
        ("shop/used.json", &text),
        ("shop/user.json", &user.replace("_base/", "")),
    ]));
}

#[test]
fn one_key_twice() {
    let text = object(r#""event_type": { "const": "shop.order.made" }"#);
    let several = object(r#""event_type": { "enum": ["shop.a.b", "shop.order.made"] }"#);
    expect![[r#"
        error[HF021]: `shop.order.made` is defined by two files: `shop/commands/order.made.v1.json` and `shop/order.made.v1.json`
         --> shop/order.made.v1.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "shop.order.made" } },
          |                                            ^^^^^^^^^^^^^^^^^ (/properties/event_type/const)
         ::: shop/commands/order.made.v1.json
          = help: give one another key, or name its file `<entity>.<action>.v2.json`

        error[HF021]: `shop.order.made` is defined by two files: `shop/commands/order.made.v1.json` and `shop/order.v1.json`
         --> shop/order.v1.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "shop.order.made" } },
          |                                            ^^^^^^^^^^^^^^^^^ (/properties/event_type/const)
         ::: shop/commands/order.made.v1.json
          = help: give one another key, or name its file `<entity>.<action>.v2.json`

        error[HF021]: `shop.order.made` is defined by two files: `shop/commands/order.made.v1.json` and `shop/several.json`
         --> shop/several.json:3:43
          |
        3 |   "properties": { "event_type": { "enum": ["shop.a.b", "shop.order.made"] } },
          |                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ (/properties/event_type/enum)
         ::: shop/commands/order.made.v1.json
          = help: give one another key, or name its file `<entity>.<action>.v2.json`
    "#]].assert_eq(&found(&[
        ("shop/order.made.v1.json", &text),
        ("shop/order.v1.json", &text),
        ("shop/several.json", &several),
        ("shop/order.made.v2.json", &text),
        ("shop/commands/order.made.v1.json", CLOSED),
    ]));
}

#[test]
fn misshapen_keys() {
    let with = |key: &str| object(&format!(r#""event_type": {{ "const": "{key}" }}"#));
    let long = format!("shop.order.{}", "x".repeat(250));
    expect![[r#"
        error[HF022]: `made` has one word; a key is `<domain>.<entity>.<action>`
         --> a.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "made" } },
          |                                            ^^^^^^ (/properties/event_type/const)
          |
          = help: write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`

        error[HF022]: `Shop` in `Shop.Order.Made` is not a word; words are lower-case letters, digits and `_`, starting with a letter
         --> b.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "Shop.Order.Made" } },
          |                                            ^^^^^^^^^^^^^^^^^ (/properties/event_type/const)
          |
          = help: write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`

        error[HF022]: `shop..made` has an empty word; words are separated by single dots
         --> c.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "shop..made" } },
          |                                            ^^^^^^^^^^^^ (/properties/event_type/const)
          |
          = help: write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`

        error[HF022]: `shop.order.made.v2` ends in a version; the const holds the bare key, the file name the version
         --> d.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "shop.order.made.v2" } },
          |                                            ^^^^^^^^^^^^^^^^^^^^ (/properties/event_type/const)
          |
          = help: write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`

        error[HF022]: the key is 261 bytes long; AMQP carries at most 255
         --> e.json:3:44
          |
        3 | ...": "shop.order.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" } },
          |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ (/properties/event_type/const)
          |
          = help: write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`

        error[HF022]: `*` in `shop.*.made` is not a word; words are lower-case letters, digits and `_`, starting with a letter
         --> f.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "shop.*.made" } },
          |                                            ^^^^^^^^^^^^^ (/properties/event_type/const)
          |
          = help: write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`

        error[HF022]: `order-made` in `shop.order-made` is not a word; words are lower-case letters, digits and `_`, starting with a letter
         --> h.json:3:63
          |
        3 |   "properties": { "event_type": { "enum": ["shop.order.made", "shop.order-made"] } },
          |                                                               ^^^^^^^^^^^^^^^^^ (/properties/event_type/enum/1)
          |
          = help: write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`

        error[HF022]: `Order` in `shop.Order.Made` is not a word; words are lower-case letters, digits and `_`, starting with a letter
        --> shop/Order.Made.v1.json
         = help: write `<domain>.<entity>.<action>`, as in `theboard.meeting.created`
    "#]].assert_eq(&found(&[
        ("a.json", &with("made")),
        ("b.json", &with("Shop.Order.Made")),
        ("c.json", &with("shop..made")),
        ("d.json", &with("shop.order.made.v2")),
        ("e.json", &with(&long)),
        ("f.json", &with("shop.*.made")),
        ("shop/Order.Made.v1.json", CLOSED),
        ("h.json", &object(r#""event_type": { "enum": ["shop.order.made", "shop.order-made"] }"#)),
    ]));
}

#[test]
fn keys_of_two_and_four_words() {
    let with = |key: &str| object(&format!(r#""event_type": {{ "const": "{key}" }}"#));
    expect![[r#"
        note[HF023]: `llm.prompt` has 2 words; keys have three by convention
         --> a.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "llm.prompt" } },
          |                                            ^^^^^^^^^^^^ (/properties/event_type/const)
          |
          = help: bindings such as `*.*.created` do not match it

        note[HF023]: `a.b.c.d` has 4 words; keys have three by convention
         --> b.json:3:44
          |
        3 |   "properties": { "event_type": { "const": "a.b.c.d" } },
          |                                            ^^^^^^^^^ (/properties/event_type/const)
          |
          = help: bindings such as `*.*.created` do not match it
    "#]]
    .assert_eq(&found(&[("a.json", &with("llm.prompt")), ("b.json", &with("a.b.c.d"))]));
}

#[test]
fn a_key_that_need_not_be_there() {
    let text = r#"{
  "type": "object",
  "properties": { "event_type": { "const": "shop.order.made" } },
  "additionalProperties": false
}"#;
    expect![[r#"
        warning[HF026]: `event_type` names the key but is not required: the type always writes it
         --> shop/order.made.v1.json:3:19
          |
        3 |   "properties": { "event_type": { "const": "shop.order.made" } },
          |                   ^^^^^^^^^^^^ (/properties/event_type)
          |
          = help: add "event_type" to `required`
    "#]]
    .assert_eq(&found(&[("shop/order.made.v1.json", text)]));
    // A base may require it.
    let base = r#"{"required": ["event_type"]}"#;
    let heir = r#"{"type": "object", "allOf": [{"$ref": "_base.json"}],
        "properties": {"event_type": {"const": "shop.order.made"}}}"#;
    let catalog = catalog(&[("_base.json", base), ("order.json", heir)]);
    assert_eq!(catalog.contracts.len(), 1);
}

#[test]
fn a_key_in_an_enum_counts_once() {
    let text = object(r#""event_type": { "enum": ["shop.order.made", "shop.order.made"] }"#);
    expect![[r#"
        event shop.order.made shop::OrderMade (order.json)
    "#]]
    .assert_eq(&contracts(&[("order.json", &text)]));
}
