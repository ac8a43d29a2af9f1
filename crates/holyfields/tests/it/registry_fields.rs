//! What the fields of registry.yaml do, and what becomes of those that are broken.

use std::collections::BTreeSet;
use std::fs;

use expect_test::expect;
use holyfields::Bundle;
use holyfields::finding::has_errors;
use serde_json::Value;

use crate::folder::{Folder, rendered};
use crate::registry::found;

/// A registry in which every field says something.
const FULL: &str = r#"version: "1.0"
exchange:
  name: shop.events
  type: topic
  durable: true
services:
  one:
    name: one
    description: Takes orders
    type: event-producer
    status: active
    owner: shop
    tags: [orders]
    queue_name: one.queue
    queue_names: [one.other]
    routing_keys: [shop.order.paid]
    consumes: [shop.order.created.v2]
    ordered: true
    retries: [1s, 10s]
    max_length: 1000
    produces: [shop.order.created.v2]
    commands:
      sends: [shop.order.ship]
      handles: [shop.order.ship]
    endpoints:
      health: http://localhost:8000/health
    runtime:
      type: pm2
  two:
    queues:
      two.queue:
        routing_keys: [shop.stock.low]
        ordered: false
        retries: []
        max_length: 5
event_subscriptions:
  shop.order.paid: [one]
topology:
  makers: [one, two]
"#;

/// Each field by its place in the JSON Schema, with a line of [`FULL`] and what is put in its place.
const CHANGES: [(&str, &str, &str); 29] = [
    ("/exchange", "exchange:\n  name: shop.events\n  type: topic\n  durable: true\n", ""),
    ("Exchange/name", "name: shop.events", "name: other.events"),
    ("Exchange/type", "type: topic", "type: fanout"),
    ("Exchange/durable", "durable: true", "durable: false"),
    ("/services", "  two:\n", "  three:\n"),
    ("/event_subscriptions", "shop.order.paid: [one]\ntop", "shop.order.created: [one]\ntop"),
    ("/topology", "makers: [one, two]", "makers: [two, one]"),
    ("Service/description", "Takes orders", "Takes all orders"),
    ("Service/type", "event-producer", "event-consumer"),
    ("Service/status", "active", "planned"),
    ("Service/owner", "owner: shop", "owner: somebody"),
    ("Service/tags", "tags: [orders]", "tags: [orders, money]"),
    ("Service/queue_name", "one.queue", "one.first"),
    ("Service/queue_names", "one.other", "one.second"),
    ("Service/queues", "two.queue:", "two.second:"),
    ("Service/routing_keys", "routing_keys: [shop.order.paid]", "routing_keys: [shop.stock.out]"),
    ("Service/consumes", "consumes: [shop.order.created.v2]", "consumes: [shop.stock.out]"),
    ("Service/ordered", "ordered: true", "ordered: false"),
    ("Service/retries", "[1s, 10s]", "[2s, 10s]"),
    ("Service/max_length", "1000", "2000"),
    ("Service/produces", "produces: [shop.order.created.v2]", "produces: [shop.order.paid]"),
    (
        "Service/commands",
        "    commands:\n      sends: [shop.order.ship]\n      handles: [shop.order.ship]\n",
        "",
    ),
    ("Service/endpoints", "8000/health", "9000/health"),
    ("Service/runtime", "type: pm2", "type: systemd"),
    ("Commands/sends", "sends: [shop.order.ship]", "sends: []"),
    ("Commands/handles", "handles: [shop.order.ship]", "handles: []"),
    ("Queue/routing_keys", "[shop.stock.low]", "[shop.stock.out]"),
    ("Queue/ordered", "        ordered: false", "        ordered: true"),
    ("Queue/retries", "retries: []", "retries: [5m]"),
];

/// What is checked and not kept, with a change that is refused or warned of.
const CHECKED: [(&str, &str, &str); 2] =
    [("/version", "\"1.0\"", "\"2.0\""), ("Service/name", "name: one\n", "name: won\n")];

/// The image of a registry, and how many findings it has.
fn image(registry: &str) -> (Bundle, usize) {
    let folder = Folder::new(&crate::registry::CONTRACTS);
    let path = folder.path("registry.yaml");
    fs::write(&path, registry).unwrap();
    let (catalog, findings) = holyfields::read(folder.root(), Some(&path));
    assert!(!has_errors(&findings), "{}", rendered(&catalog, &findings));
    (catalog.bundle(), findings.len())
}

fn changed(from: &str, to: &str) -> String {
    assert_eq!(FULL.matches(from).count(), 1, "{from:?}");
    FULL.replace(from, to)
}

#[test]
fn every_field_that_is_accepted_changes_the_image_or_is_checked() {
    let schema = holyfields::registry::json_schema();
    let mut fields = BTreeSet::new();
    let definitions = schema["$defs"].as_object().unwrap().iter();
    let definitions = definitions.map(|(name, schema)| (name.as_str(), schema));
    for (name, definition) in definitions.chain([("", &schema)]) {
        assert_eq!(definition["additionalProperties"], Value::Bool(false), "{name}");
        for (field, described) in definition["properties"].as_object().unwrap() {
            assert!(described["description"].is_string(), "{name}/{field}");
            fields.insert(format!("{name}/{field}"));
        }
    }
    let mut changes: Vec<(&str, &str, &str)> = CHANGES.to_vec();
    changes.push(("Queue/max_length", "max_length: 5", "max_length: 6"));
    let (before, _) = image(FULL);
    for (field, from, to) in &changes {
        assert_ne!(image(&changed(from, to)).0, before, "nothing reads {field}");
    }
    for (field, from, to) in &CHECKED {
        assert_ne!(found(&changed(from, to)), found(FULL), "nothing checks {field}");
    }
    let tried: BTreeSet<String> =
        changes.iter().chain(&CHECKED).map(|(field, ..)| (*field).to_owned()).collect();
    assert_eq!(fields, tried);
}

#[test]
fn an_image_with_everything_is_the_same_after_the_way_through_json() {
    let (bundle, _) = image(FULL);
    let text = serde_json::to_string(&bundle).unwrap();
    assert_eq!(serde_json::from_str::<Bundle>(&text).unwrap(), bundle);
    let layers: Vec<&str> = bundle.layers_of("two").collect();
    assert_eq!(layers, ["makers"]);
}

#[test]
fn what_a_queue_does_not_say_its_service_says() {
    let (bundle, _) = image(
        r#"version: "1.0"
services:
  one:
    retries: [1s, 1m]
    max_length: 100
    ordered: true
    queues:
      all.own: { routing_keys: [shop.order.paid], retries: [2s], max_length: 5, ordered: false }
      none.own: [shop.stock.low]
"#,
    );
    let queues = &bundle.service("one").unwrap().queues;
    let said: Vec<String> = queues
        .iter()
        .map(|queue| {
            let retries = queue.limits.retries.iter().flatten().map(ToString::to_string);
            let retries: Vec<String> = retries.collect();
            let most = queue.limits.max_length.unwrap();
            format!("{} {} {} {most}", queue.name, queue.ordered, retries.join(" "))
        })
        .collect();
    assert_eq!(said, ["all.own false 2s 5", "none.own true 1s 1m 100"]);
}

#[test]
fn a_misspelt_field_is_found_at_its_line_on_every_level() {
    expect![[r#"
        error[HF063]: nothing reads the field `exchagne`
         --> registry.yaml:2:1
          |
        2 | exchagne: {}
          | ^^^^^^^^
          |
          = help: did you mean `exchange`?

        error[HF063]: nothing reads the field `nmae` of `exchange`
         --> registry.yaml:4:3
          |
        4 |   nmae: shop.events
          |   ^^^^
          |
          = help: did you mean `name`?

        error[HF063]: nothing reads the field `owned` of `services.one`
         --> registry.yaml:7:5
          |
        7 |     owned: shop
          |     ^^^^^
          |
          = help: did you mean `owner`?

        error[HF063]: nothing reads the field `handels` of `services.one.commands`
         --> registry.yaml:8:17
          |
        8 |     commands: { handels: [] }
          |                 ^^^^^^^
          |
          = help: did you mean `handles`?

        error[HF063]: nothing reads the field `retrys` of `services.one.queues.one.queue`
          --> registry.yaml:12:9
           |
        12 |         retrys: [1s]
           |         ^^^^^^
           |
           = help: did you mean `retries`?

        error[HF063]: nothing reads the field `replicas` of `services.one`
          --> registry.yaml:13:5
           |
        13 |     replicas: 3
           |     ^^^^^^^^
           |
           = help: remove it, or put it under `runtime`, which is free form

        error[HF063]: nothing reads the field `layers`
          --> registry.yaml:14:1
           |
        14 | layers: {}
           | ^^^^^^
           |
           = help: remove it; what is read here: `version`, `exchange`, `services`, `event_subscriptions`, `topology`
    "#]].assert_eq(&found(
        r##"version: "1.0"
exchagne: {}
exchange:
  nmae: shop.events
services:
  one:
    owned: shop
    commands: { handels: [] }
    queues:
      one.queue:
        routing_keys: [shop.order.paid]
        retrys: [1s]
    replicas: 3
layers: {}
"##,
    ));
}

#[test]
fn values_of_the_wrong_kind_are_found_all_at_once() {
    expect![[r#"
        error[HF060]: `version` is the number 1.0; expected `1.0`
         --> registry.yaml:1:10
          |
        1 | version: 1.0
          |          ^^^
          |
          = help: put it in quotes: "1.0"

        error[HF060]: `exchange.name` is `amq.topic`; expected the name of an exchange: letters, digits and `_ . : / -`, not beginning with `amq.`
         --> registry.yaml:2:19
          |
        2 | exchange: { name: "amq.topic", type: tpoic, durable: yes }
          |                   ^^^^^^^^^^^

        error[HF060]: `exchange.type` is `tpoic`; expected `topic`, `direct`, `fanout`, `headers`, or a plugin's type, which begins with `x-`
         --> registry.yaml:2:38
          |
        2 | exchange: { name: "amq.topic", type: tpoic, durable: yes }
          |                                      ^^^^^

        error[HF060]: `exchange.durable` is `yes`; expected `true` or `false`
         --> registry.yaml:2:54
          |
        2 | exchange: { name: "amq.topic", type: tpoic, durable: yes }
          |                                                      ^^^

        error[HF060]: `services.one.description` is empty; expected a text
         --> registry.yaml:5:16
          |
        5 |     description:
          |                ^
          |
          = help: give it a value, or remove it

        error[HF060]: `services.one.type` is `event-produzer`; expected `event-producer` or `event-consumer`
         --> registry.yaml:6:11
          |
        6 |     type: event-produzer
          |           ^^^^^^^^^^^^^^
          |
          = help: did you mean `event-producer`?

        error[HF060]: `services.one.status` is `Active`; expected `active`, `planned` or `deprecated`
         --> registry.yaml:7:13
          |
        7 |     status: Active
          |             ^^^^^^
          |
          = help: did you mean `active`?

        error[HF060]: `services.one.owner` is a list; expected a text
         --> registry.yaml:8:12
          |
        8 |     owner: [shop]
          |            ^

        error[HF060]: `services.one.tags` is `orders`; expected a list
         --> registry.yaml:9:11
          |
        9 |     tags: orders
          |           ^^^^^^

        error[HF060]: `services.one.queue_name` is `my queue`; expected the name of a queue: letters, digits and `_ . : / -`, not beginning with `amq.`
          --> registry.yaml:10:17
           |
        10 |     queue_name: "my queue"
           |                 ^^^^^^^^^^

        warning[HF069]: the queue `my queue` is not under `queues`, so it is not made
          --> registry.yaml:10:17
           |
        10 |     queue_name: "my queue"
           |                 ^^^^^^^^^^
           |
           = help: put it under `queues:` with its keys, or remove it

        error[HF060]: `services.one.ordered` is `true`; expected `true` or `false`
          --> registry.yaml:11:14
           |
        11 |     ordered: "true"
           |              ^^^^^^
           |
           = help: write it without quotes: true

        error[HF060]: `services.one.retries[0]` is the number 10; expected a delay such as `500ms`, `10s`, `1m` or `2h`
          --> registry.yaml:12:15
           |
        12 |     retries: [10, 1 s, 0s]
           |               ^^

        error[HF060]: `services.one.retries[1]` is `1 s`; expected a delay such as `500ms`, `10s`, `1m` or `2h`
          --> registry.yaml:12:19
           |
        12 |     retries: [10, 1 s, 0s]
           |                   ^^^

        error[HF060]: `services.one.retries[2]` is `0s`; expected a delay such as `500ms`, `10s`, `1m` or `2h`
          --> registry.yaml:12:24
           |
        12 |     retries: [10, 1 s, 0s]
           |                        ^^

        error[HF060]: `services.one.max_length` is the number 0; expected a whole number from 1 to 1000000000
          --> registry.yaml:13:17
           |
        13 |     max_length: 0
           |                 ^

        error[HF060]: `services.one.endpoints.health` is `localhost`; expected a URL such as `https://example.org/health`
          --> registry.yaml:14:26
           |
        14 |     endpoints: { health: localhost }
           |                          ^^^^^^^^^

        warning[HF067]: no key goes to the queue `one.queue`
          --> registry.yaml:15:15
           |
        15 |     queues: { one.queue: shop.order.paid, one.other: { ordered: true } }
           |               ^^^^^^^^^
           |
           = help: list the keys that it gets, or remove it

        error[HF060]: `services.one.queues.one.queue` is `shop.order.paid`; expected a list or a map
          --> registry.yaml:15:26
           |
        15 |     queues: { one.queue: shop.order.paid, one.other: { ordered: true } }
           |                          ^^^^^^^^^^^^^^^

        warning[HF067]: no key goes to the queue `one.other`
          --> registry.yaml:15:43
           |
        15 |     queues: { one.queue: shop.order.paid, one.other: { ordered: true } }
           |                                           ^^^^^^^^^
           |
           = help: list the keys that it gets, or remove it

        error[HF060]: `services.one.queues.one.other` has no `routing_keys`
          --> registry.yaml:15:54
           |
        15 |     queues: { one.queue: shop.order.paid, one.other: { ordered: true } }
           |                                                      ^

        error[HF060]: `services.one.runtime.a` stands here twice
          --> registry.yaml:16:22
           |
        16 |     runtime: { a: 1, a: 2 }
           |                -     ^
           |                |
           |                first here
           |
           = help: put both together, or remove one

        error[HF060]: a name in `services` is the number 2
          --> registry.yaml:17:3
           |
        17 |   2: {}
           |   ^
           |
           = help: put it in quotes, so that it is a text

        error[HF060]: `services.` is an empty text; expected a text
          --> registry.yaml:18:3
           |
        18 |   "": {}
           |   ^^

        error[HF060]: `event_subscriptions.a..b` is `a..b`; expected a key, or a pattern with `*` and `#`
          --> registry.yaml:19:24
           |
        19 | event_subscriptions: { "a..b": [one] }
           |                        ^^^^^^

        error[HF060]: `topology` is a list; expected a map
          --> registry.yaml:20:11
           |
        20 | topology: [one]
           |           ^
    "#]].assert_eq(&found(
        r##"version: 1.0
exchange: { name: "amq.topic", type: tpoic, durable: yes }
services:
  one:
    description:
    type: event-produzer
    status: Active
    owner: [shop]
    tags: orders
    queue_name: "my queue"
    ordered: "true"
    retries: [10, 1 s, 0s]
    max_length: 0
    endpoints: { health: localhost }
    queues: { one.queue: shop.order.paid, one.other: { ordered: true } }
    runtime: { a: 1, a: 2 }
  2: {}
  "": {}
event_subscriptions: { "a..b": [one] }
topology: [one]
"##,
    ));
}

#[test]
fn what_the_registry_says_of_services_must_hold() {
    expect![[r#"
        warning[HF101]: the service `one` is called `won` here
         --> registry.yaml:4:11
          |
        3 |   one:
          |   --- and so here
        4 |     name: won
          |           ^^^
          |
          = help: give it one name; the line may also be left out

        error[HF102]: the queue `shared` has another `max_length` for `two` than for `one`
         --> registry.yaml:9:3
          |
        3 |   one:
          |   --- the other one
        ...
        9 |   two:
          |   ^^^
          |
          = help: say the same `max_length` for both, or give each a queue of its own

        error[HF102]: the worker queue of `shop.order.ship` has another `max_length` for `two` than for `one`
         --> registry.yaml:9:3
          |
        3 |   one:
          |   --- the other one
        ...
        9 |   two:
          |   ^^^
          |
          = help: say the same `max_length` for both, or give each a queue of its own

        warning[HF068]: the queue `shared` belongs to `one` and to `two`
          --> registry.yaml:11:17
           |
         6 |     queue_name: shared
           |                 ------ first here
        ...
        11 |     queue_name: shared
           |                 ^^^^^^
           |
           = help: give each its own: a message in a queue goes to only one of those who read it

        warning[HF101]: `two` is said to listen to `shop.order.paid`, and its own entry does not say so
          --> registry.yaml:15:26
           |
         9 |   two:
           |   --- its own entry, which counts
        ...
        15 |   shop.order.paid: [one, two, three]
           |                          ^^^
           |
           = help: list `shop.order.paid` under its `routing_keys:`, or remove the line here

        warning[HF100]: `shop.order.paid` names `three`, which is not a service of this file
          --> registry.yaml:15:31
           |
        15 |   shop.order.paid: [one, two, three]
           |                               ^^^^^
           |
           = help: describe it under `services:`, `three: {}` at least, or remove it

        warning[HF100]: the layer `makers` names `owt`, which is not a service of this file
          --> registry.yaml:18:17
           |
        18 |   makers: [one, owt]
           |                 ^^^
           |
           = help: describe it under `services:`, `owt: {}` at least, or remove it

        warning[HF100]: the layer `outside` names `github`, which is not a service of this file
          --> registry.yaml:19:13
           |
        19 |   outside: [github]
           |             ^^^^^^
           |
           = help: describe it under `services:`, `github: {}` at least, or remove it
    "#]].assert_eq(&found(
        r##"version: "1.0"
services:
  one:
    name: won
    routing_keys: ["shop.order.#"]
    queue_name: shared
    max_length: 10
    commands: { handles: [shop.order.ship] }
  two:
    routing_keys: [shop.stock.low]
    queue_name: shared
    retries: [1s]
    commands: { handles: [shop.order.ship] }
event_subscriptions:
  shop.order.paid: [one, two, three]
  shop.stock.*: [two]
topology:
  makers: [one, owt]
  outside: [github]
"##,
    ));
}

/// The place of the first finding.
fn place(registry: &[u8]) -> (usize, usize, String) {
    let folder = Folder::new(&crate::registry::CONTRACTS);
    folder.write("registry.yaml", registry);
    let path = folder.path("registry.yaml");
    let (catalog, findings) = holyfields::read(folder.root(), Some(&path));
    assert!(has_errors(&findings), "{}", String::from_utf8_lossy(registry));
    let at = findings[0].places[0].line_column(&catalog.sources);
    (at.line, at.column, findings[0].message.clone())
}

#[test]
fn a_broken_file_is_an_error_at_the_line_where_it_is_broken() {
    let own = fs::read_to_string("../../services/registry.yaml").unwrap();
    let lines = own.lines().count();
    // On the first line a byte order mark counts as a character.
    let cases: [(Vec<u8>, usize, usize, &str); 12] = [
        (format!("{own}\tbad: [\n").into(), lines + 1, 1, "a tab"),
        (b"version: '1.0'\nservices:\n  one: {}\n\tbad: [\n".into(), 4, 1, "a tab"),
        (b"version: '1.0'\nservices: {one: {}\n".into(), 2, 11, "unclosed"),
        ("version: '1.0'\n# ä\nservices: {öne: {}\n".into(), 3, 11, "unclosed"),
        (b"version: '1.0'\nservices:\n  one: *other\n".into(), 3, 8, "alias"),
        (b"version: '1.0'\r\nservices:\r\n  one: @x\r\n".into(), 3, 8, "unexpected character"),
        (b"version: '1.0'\nservices: {}\n---\nversion: '1.0'\n".into(), 4, 1, "multiple"),
        ("\u{feff}version: '1.0'\nservices: 3\n".into(), 2, 11, "`services` is the number 3"),
        ("\u{feff}version: @\n".into(), 1, 11, "unexpected character"),
        (b"version: '1.0'\n# caf\xe9\nservices: {}\n".into(), 2, 6, "not UTF-8"),
        (b"# nothing\n\n".into(), 1, 1, "empty"),
        (b"# one\n[]\n".into(), 2, 1, "the service registry is a list"),
    ];
    for (text, line, column, words) in cases {
        let shown = String::from_utf8_lossy(&text).into_owned();
        let (at_line, at_column, message) = place(&text);
        assert!(message.contains(words), "{message}");
        assert_eq!((at_line, at_column), (line, column), "{message}\n{shown}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_fine() {
    let text = "\u{feff}version: '1.0'\r\nservices:\r\n  one: {}\r\n";
    assert_eq!(found(text), "nothing\n");
}

#[test]
fn one_block_may_be_written_once_and_used_twice() {
    let (bundle, _) = image(
        r#"version: "1.0"
services:
  one: &defaults
    retries: [1s]
    owner: shop
    routing_keys: [shop.order.paid]
  two:
    <<: *defaults
    owner: stock
"#,
    );
    let two = bundle.service("two").unwrap();
    assert_eq!(two.owner.as_deref(), Some("stock"));
    assert_eq!(two.queues[0].limits.retries.as_ref().unwrap().len(), 1);
}

#[test]
fn the_registry_of_the_first_bloodbank_is_read() {
    let corpus = "../../../shared/corpus/registry.yaml";
    let Ok(text) = fs::read_to_string(corpus) else { return };
    let (catalog, findings) = holyfields::read(Folder::new(&[]).root(), Some(corpus.as_ref()));
    assert!(!has_errors(&findings), "{}", rendered(&catalog, &findings));
    assert_eq!(catalog.services.len(), 16);
    assert_eq!(catalog.topology.len(), 8);
    assert_eq!(catalog.exchange.unwrap().name.as_deref(), Some("bloodbank.events.v1"));
    let ids: BTreeSet<&str> = findings.iter().map(|finding| finding.rule.id).collect();
    // No contract of its keys is there, five queues share five keys, two outside systems are no
    // services, and old keys are still listed for one that listens to the new ones only.
    assert_eq!(ids, BTreeSet::from(["HF061", "HF064", "HF067", "HF100", "HF101"]));
    let of = |id: &str| findings.iter().filter(|finding| finding.rule.id == id).count();
    assert_eq!((of("HF067"), of("HF100"), of("HF101")), (1, 2, 5), "{text}");
}

#[test]
fn a_number_that_json_cannot_hold_is_an_error_at_its_place() {
    let registry = "version: \"1.0\"\nservices:\n  one:\n    runtime: { a: 1, b: .inf }\n";
    let said = found(registry);
    assert!(said.contains("error[HF060]"), "{said}");
    assert!(said.contains("non-finite float `.inf`"), "{said}");
    assert!(said.contains("registry.yaml:4:"), "{said}");
}
