//! What becomes of a registry.yaml whose fields are broken, and of one that breaks as a file.

use std::fs;

use expect_test::expect;
use holyfields::finding::has_errors;

use crate::folder::Folder;
use crate::registry::found;

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
           = help: remove it; what is read here: `version`, `exchange`, `services`, `retention`, `event_subscriptions`, `topology`
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
fn a_number_that_json_cannot_hold_is_an_error_at_its_place() {
    let registry = "version: \"1.0\"\nservices:\n  one:\n    runtime: { a: 1, b: .inf }\n";
    let said = found(registry);
    assert!(said.contains("error[HF060]"), "{said}");
    assert!(said.contains("non-finite float `.inf`"), "{said}");
    assert!(said.contains("registry.yaml:4:"), "{said}");
}
