//! HF067 to HF069, and the queues that a registry makes.

use expect_test::expect;

use crate::registry::{found, read};

/// Findings, then the queues of each service.
fn queues(registry: &str) -> String {
    let (mut text, services) = read(registry);
    for service in services {
        text += &format!("{}:\n", service.name);
        for queue in service.queues {
            text += &format!("  {} {:?}\n", queue.name, queue.bindings);
        }
    }
    text
}

#[test]
fn bindings_include_later_versions() {
    expect![[r##"
        note[HF065]: `shop.*.created` alone does not match `shop.order.created.v2`
          --> registry.yaml:15:20
           |
        15 |     routing_keys: ["shop.*.created", "shop.order.*", "shop.order.#"]
           |                    ^^^^^^^^^^^^^^^^
           |
           = help: the bindings made from this file include later versions; bind queues of your own with `#` at the end

        note[HF065]: `shop.order.*` alone does not match `shop.order.created.v2`
          --> registry.yaml:15:38
           |
        15 |     routing_keys: ["shop.*.created", "shop.order.*", "shop.order.#"]
           |                                      ^^^^^^^^^^^^^^
           |
           = help: the bindings made from this file include later versions; bind queues of your own with `#` at the end
        bare:
          one ["shop.order.created", "shop.order.created.v2", "shop.stock.low", "shop.order.paid"]
        every:
          two ["#"]
        first:
          three ["shop.order.created.v2"]
        wild:
          four ["shop.*.created", "shop.order.created.v2", "shop.order.*", "shop.order.#"]
    "##]].assert_eq(&queues(
        r##"version: "1.0"
services:
  bare:
    queue_name: one
    routing_keys: [shop.order.created, shop.stock.low]
    consumes: [shop.order.paid, shop.order.created]
  every:
    queue_name: two
    routing_keys: ["#"]
  first:
    queue_names: [three]
    routing_keys: [shop.order.created.v2]
  wild:
    queue_name: four
    routing_keys: ["shop.*.created", "shop.order.*", "shop.order.#"]
"##,
    ));
}

#[test]
fn each_queue_gets_its_own_keys() {
    let registry = r##"version: "1.0"
services:
  one:
    queues:
      shop.paid: [shop.order.paid, "shop.stock.*"]
      shop.created: [shop.order.created]
  two:
    queues: { log: ["#"] }
"##;
    expect![[r##"
        nothing
        one:
          shop.created ["shop.order.created", "shop.order.created.v2"]
          shop.paid ["shop.order.paid", "shop.stock.*"]
        two:
          log ["#"]
    "##]]
    .assert_eq(&queues(registry));
    let (_, services) = read(registry);
    let consumes: Vec<&str> = services[0].consumes.iter().map(String::as_str).collect();
    expect![
        "shop.order.created shop.order.created.v2 shop.order.paid shop.stock.low shop.stock.out"
    ]
    .assert_eq(&consumes.join(" "));
}

#[test]
fn a_queue_without_a_name_is_called_like_its_service() {
    expect![[r#"
        nothing
        consumes:
          consumes ["shop.order.paid"]
        handles:
        produces:
        routing-keys:
          routing-keys ["shop.stock.low"]
    "#]]
    .assert_eq(&queues(
        r##"version: "1.0"
services:
  consumes:
    consumes: [shop.order.paid]
  handles:
    queue_name: shop.ship
    commands: { handles: [shop.order.ship] }
  produces:
    produces: [shop.order.paid]
  routing-keys:
    routing_keys: [shop.stock.low]
"##,
    ));
}

#[test]
fn several_names_and_no_keys_for_each() {
    expect![[r#"
        warning[HF067]: `one` does not say which of its keys go to which of its 3 queues: each gets all
         --> registry.yaml:4:5
          |
        4 |     queue_names: [shop.created, shop.paid, shop.all]
          |     ^^^^^^^^^^^
          |
          = help: name the keys of each queue, for example `queues: { shop.all: [shop.order.created], shop.created: ["shop.stock.*"], shop.paid: [shop.order.created] }`

        warning[HF067]: `flow` does not say which of its keys go to which of its 2 queues: each gets all
          --> registry.yaml:10:11
           |
        10 |   flow: { queue_names: [flow.a, flow.b], routing_keys: [shop.stock.low] }
           |           ^^^^^^^^^^^
           |
           = help: name the keys of each queue, for example `queues: { flow.a: [shop.stock.low], flow.b: [shop.stock.low] }`

        warning[HF067]: no key goes to the queue `shop.keyless`
          --> registry.yaml:15:7
           |
        15 |       shop.keyless: []
           |       ^^^^^^^^^^^^
           |
           = help: list the keys that it gets, or remove it
        flow:
          flow.a ["shop.stock.low"]
          flow.b ["shop.stock.low"]
        keyless:
          shop.keyless []
        one:
          shop.all ["shop.order.created", "shop.order.created.v2", "shop.stock.*"]
          shop.created ["shop.order.created", "shop.order.created.v2", "shop.stock.*"]
          shop.paid ["shop.order.created", "shop.order.created.v2", "shop.stock.*"]
        silent:
        twice:
          shop.stock ["shop.stock.low"]
    "#]].assert_eq(&queues(
        r##"version: "1.0"
services:
  one:
    queue_names: [shop.created, shop.paid, shop.all]
    routing_keys: [shop.order.created, "shop.stock.*"]
  twice:
    queue_name: shop.stock
    queue_names: [shop.stock]
    routing_keys: [shop.stock.low]
  flow: { queue_names: [flow.a, flow.b], routing_keys: [shop.stock.low] }
  silent:
    queue_names: [shop.one, shop.two]
  keyless:
    queues:
      shop.keyless: []
"##,
    ));
}

#[test]
fn a_queue_of_two_services() {
    expect![[r#"
        warning[HF068]: the queue `two` belongs to `one` and to `three`
         --> registry.yaml:9:7
          |
        4 |     queue_name: two
          |                 --- first here
        ...
        9 |       two: [shop.order.paid]
          |       ^^^
          |
          = help: give each its own: a message in a queue goes to only one of those who read it

        warning[HF068]: the queue `two` belongs to `one` and to `two`
          --> registry.yaml:10:3
           |
         4 |     queue_name: two
           |                 --- first here
        ...
        10 |   two:
           |   ^^^
           |
           = help: give each its own: a message in a queue goes to only one of those who read it
        one:
          two ["shop.order.created", "shop.order.created.v2"]
        three:
          shop.three ["shop.order.paid"]
          two ["shop.order.paid"]
        two:
          two ["shop.stock.low"]
    "#]]
    .assert_eq(&queues(
        r##"version: "1.0"
services:
  one:
    queue_name: two
    routing_keys: [shop.order.created]
  three:
    queues:
      shop.three: [shop.order.paid]
      two: [shop.order.paid]
  two:
    routing_keys: [shop.stock.low]
"##,
    ));
}

#[test]
fn queues_and_what_contradicts_them() {
    expect![[r#"
        warning[HF069]: the queue `shop.other` is not under `queues`, so it is not made
         --> registry.yaml:9:17
          |
        9 |     queue_name: shop.other
          |                 ^^^^^^^^^^
          |
          = help: put it under `queues:` with its keys, or remove it

        warning[HF069]: the queue `shop.third` is not under `queues`, so it is not made
          --> registry.yaml:10:30
           |
        10 |     queue_names: [shop.paid, shop.third]
           |                              ^^^^^^^^^^
           |
           = help: put it under `queues:` with its keys, or remove it

        warning[HF069]: `shop.order.created` goes to none of the queues under `queues`
          --> registry.yaml:11:37
           |
        11 |     routing_keys: [shop.order.paid, "shop.order.#"]
           |                                     ^^^^^^^^^^^^^^
           |
           = help: list it under one of the queues, or remove it here

        warning[HF069]: `shop.stock.out` goes to none of the queues under `queues`
          --> registry.yaml:12:16
           |
        12 |     consumes: [shop.stock.out]
           |                ^^^^^^^^^^^^^^
           |
           = help: list it under one of the queues, or remove it here
        agrees:
          agreed ["shop.order.created", "shop.order.created.v2"]
        differs:
          shop.paid ["shop.order.paid"]
    "#]]
    .assert_eq(&queues(
        r##"version: "1.0"
services:
  agrees:
    queue_names: [agreed]
    routing_keys: [shop.order.created.v2]
    queues:
      agreed: [shop.order.created]
  differs:
    queue_name: shop.other
    queue_names: [shop.paid, shop.third]
    routing_keys: [shop.order.paid, "shop.order.#"]
    consumes: [shop.stock.out]
    queues:
      shop.paid: [shop.order.paid]
"##,
    ));
}

#[test]
fn patterns_of_queues_that_are_none() {
    expect![[r#"
        error[HF066]: `shop.order.pa*` is no pattern: a wildcard stands alone between dots
         --> registry.yaml:5:19
          |
        5 |       shop.paid: ["shop.order.pa*", shop..paid, shop.order.payed]
          |                   ^^^^^^^^^^^^^^^^
          |
          = help: `*` is exactly one word, `#` any number of words, also none; there are no others

        error[HF060]: `shop..paid` has an empty word; words are separated by single dots
         --> registry.yaml:5:37
          |
        5 |       shop.paid: ["shop.order.pa*", shop..paid, shop.order.payed]
          |                                     ^^^^^^^^^^
          |
          = help: write a key, or a pattern with `*` and `#`

        warning[HF061]: `shop.order.payed` is no contract's key
         --> registry.yaml:5:49
          |
        5 |       shop.paid: ["shop.order.pa*", shop..paid, shop.order.payed]
          |                                                 ^^^^^^^^^^^^^^^^
          |
          = help: did you mean `shop.order.paid`?

        error[HF062]: `shop.order.ship` is a command, listed here as the event it is not
         --> registry.yaml:6:19
          |
        6 |       shop.ship: [shop.order.ship]
          |                   ^^^^^^^^^^^^^^^
          |
          = help: list it under `commands:`
    "#]]
    .assert_eq(&found(
        r##"version: "1.0"
services:
  one:
    queues:
      shop.paid: ["shop.order.pa*", shop..paid, shop.order.payed]
      shop.ship: [shop.order.ship]
"##,
    ));
}

#[test]
fn commands_are_bound_to_no_queue_of_events() {
    let (_, services) = read(
        "version: '1.0'\nservices:\n  one:\n    queues:\n      a: [shop.order.ship, 'shop.#']\n",
    );
    assert_eq!(services[0].queues[0].bindings, ["shop.#"]);
}

#[test]
fn a_bundle_from_before_there_were_queues() {
    let (_, services) = read("version: '1.0'\nservices:\n  one:\n    routing_keys: ['#']\n");
    let bundle = holyfields::Bundle { services, ..holyfields::Bundle::default() };
    let mut value = serde_json::to_value(&bundle).unwrap();
    value["services"][0].as_object_mut().unwrap().remove("queues");
    let old: holyfields::Bundle = serde_json::from_value(value).unwrap();
    assert!(old.services[0].queues.is_empty());
}
