//! HF060 to HF066: what registry.yaml says.

use std::fs;

use expect_test::expect;
use holyfields::bundle::BundledService;

use crate::folder::{Folder, rendered};

const CLOSED: &str = r#"{"type": "object", "additionalProperties": false}"#;
pub(crate) const CONTRACTS: [(&str, &str); 5] = [
    ("shop/order.created.v1.json", CLOSED),
    ("shop/order.created.v2.json", CLOSED),
    ("shop/order.paid.v1.json", CLOSED),
    ("shop/commands/order.ship.v1.json", CLOSED),
    (
        "shop/stock.v1.json",
        r#"{"type": "object", "required": ["event_type"], "properties": {
            "event_type": {"enum": ["shop.stock.low", "shop.stock.out"]}}}"#,
    ),
];

/// Findings with the folder's own path taken out, and the services.
pub(crate) fn read(registry: &str) -> (String, Vec<BundledService>) {
    let folder = Folder::new(&CONTRACTS);
    let path = folder.path("registry.yaml");
    fs::write(&path, registry).unwrap();
    let (catalog, findings) = holyfields::read(folder.root(), Some(&path));
    let text = rendered(&catalog, &findings);
    (text.replace(&path.display().to_string(), "registry.yaml"), catalog.services)
}

pub(crate) fn found(registry: &str) -> String {
    read(registry).0
}

#[test]
fn wildcards_stand_for_all_versions_and_a_version_for_itself() {
    let (found, services) = read(
        r##"version: "1.0"
services:
  one:
    produces: [shop.order.created]
    routing_keys: ["shop.*.paid"]
  two:
    produces: [shop.order.created.v2]
    consumes: ["shop.order.*"]
    commands: { sends: ["shop.#"], handles: [shop.order.ship] }
  three:
    produces: [shop.stock.low]
    routing_keys: ["#"]
  four: {}
"##,
    );
    expect![[r#"
        note[HF065]: `shop.order.*` alone does not match `shop.order.created.v2`
         --> registry.yaml:8:16
          |
        8 |     consumes: ["shop.order.*"]
          |                ^^^^^^^^^^^^^^
          |
          = help: the bindings made from this file include later versions; bind queues of your own with `#` at the end
    "#]].assert_eq(&found);
    let lines: Vec<String> = services
        .iter()
        .map(|s| {
            format!(
                "{} {}\n  {:?} {:?}\n  {:?} {:?}\n",
                s.name, s.rust_type, s.produces, s.consumes, s.sends, s.handles
            )
        })
        .collect();
    expect![[r#"
        four Four
          {} {}
          {} {}
        one One
          {"shop.order.created", "shop.order.created.v2"} {"shop.order.paid"}
          {} {}
        three Three
          {"shop.stock.low"} {"shop.order.created", "shop.order.created.v2", "shop.order.paid", "shop.stock.low", "shop.stock.out"}
          {} {}
        two Two
          {"shop.order.created.v2"} {"shop.order.created", "shop.order.created.v2", "shop.order.paid"}
          {"shop.order.ship"} {"shop.order.ship"}
    "#]].assert_eq(&lines.concat());
}

#[test]
fn keys_that_no_contract_has() {
    expect![[r##"
        warning[HF061]: `shop.order.craeted` is no contract's key
         --> registry.yaml:5:9
          |
        5 |       - shop.order.craeted
          |         ^^^^^^^^^^^^^^^^^^
          |
          = help: did you mean `shop.order.created`?

        warning[HF061]: `shop.order.payed` is no contract's key
         --> registry.yaml:6:9
          |
        6 |       - "shop.order.payed"
          |         ^^^^^^^^^^^^^^^^^^
          |
          = help: did you mean `shop.order.paid`?

        warning[HF061]: `other.thing.happened` is no contract's key
         --> registry.yaml:7:9
          |
        7 |       - other.thing.happened   # with a comment
          |         ^^^^^^^^^^^^^^^^^^^^
          |
          = help: write a schema for this event, or remove the line

        warning[HF064]: `shop.parcel.*` matches no contract's key
         --> registry.yaml:8:20
          |
        8 |     routing_keys: ['shop.parcel.*', "#", shop.order.created.v3]
          |                    ^^^^^^^^^^^^^^^
          |
          = help: write a schema of a event for it, or remove the line

        warning[HF061]: `shop.order.created.v3` is no contract's key
         --> registry.yaml:8:42
          |
        8 |     routing_keys: ['shop.parcel.*', "#", shop.order.created.v3]
          |                                          ^^^^^^^^^^^^^^^^^^^^^
          |
          = help: did you mean `shop.order.created.v2`?

        warning[HF061]: `shop.order.shipp` is no contract's key
          --> registry.yaml:10:15
           |
        10 |       sends: [shop.order.shipp]
           |               ^^^^^^^^^^^^^^^^
           |
           = help: did you mean `shop.order.ship`?
    "##]]
    .assert_eq(&found(
        r##"version: "1.0"
services:
  one:
    produces:
      - shop.order.craeted
      - "shop.order.payed"
      - other.thing.happened   # with a comment
    routing_keys: ['shop.parcel.*', "#", shop.order.created.v3]
    commands:
      sends: [shop.order.shipp]
"##,
    ));
}

#[test]
fn commands_and_events_in_the_wrong_place() {
    expect![[r#"
        error[HF062]: `shop.order.ship` is a command, listed here as the event it is not
         --> registry.yaml:4:16
          |
        4 |     produces: [shop.order.ship]
          |                ^^^^^^^^^^^^^^^
          |
          = help: list it under `commands:`

        error[HF062]: `shop.order.paid` is an event, listed here as the command it is not
         --> registry.yaml:7:11
          |
        7 |         - shop.order.paid
          |           ^^^^^^^^^^^^^^^
          |
          = help: list it under `produces:` or `routing_keys:`
    "#]]
    .assert_eq(&found(
        r##"version: "1.0"
services:
  one:
    produces: [shop.order.ship]
    commands:
      handles:
        - shop.order.paid
"##,
    ));
}

#[test]
fn misshapen_patterns() {
    expect![[r#"
        error[HF060]: `shop..paid` has an empty word; words are separated by single dots
         --> registry.yaml:4:16
          |
        4 |     produces: ["shop..paid", "shop.order.pa*", ""]
          |                ^^^^^^^^^^^^
          |
          = help: write a key, or a pattern with `*` and `#`

        error[HF066]: `shop.order.pa*` is no pattern: a wildcard stands alone between dots
         --> registry.yaml:4:30
          |
        4 |     produces: ["shop..paid", "shop.order.pa*", ""]
          |                              ^^^^^^^^^^^^^^^^
          |
          = help: `*` is exactly one word, `#` any number of words, also none; there are no others

        error[HF060]: `` has an empty word; words are separated by single dots
         --> registry.yaml:4:48
          |
        4 |     produces: ["shop..paid", "shop.order.pa*", ""]
          |                                                ^^
          |
          = help: write a key, or a pattern with `*` and `#`

        error[HF060]: `shop order` in `shop order` is not a word; words are lower-case letters, digits and `_`, starting with a letter
         --> registry.yaml:5:20
          |
        5 |     routing_keys: ["shop order"]
          |                    ^^^^^^^^^^^^
          |
          = help: write a key, or a pattern with `*` and `#`
    "#]].assert_eq(&found(
        r##"version: "1.0"
services:
  one:
    produces: ["shop..paid", "shop.order.pa*", ""]
    routing_keys: ["shop order"]
"##,
    ));
}

#[test]
fn services_of_one_name() {
    expect![[r#"
        error[HF025]: the services `the-board` and `the_board` both become `TheBoard`
         --> registry.yaml:4:3
          |
        4 |   the_board: {}
          |   ^^^^^^^^^
          |
          = help: rename one

        error[HF025]: the service `any` becomes `Any`, which means every service
         --> registry.yaml:5:3
          |
        5 |   any: {}
          |   ^^^
          |
          = help: rename it
    "#]]
    .assert_eq(&found("version: '1.0'\nservices:\n  the-board: {}\n  the_board: {}\n  any: {}\n"));
}

#[test]
fn what_is_no_registry() {
    expect![[r#"
        error[HF060]: the service registry cannot be read: unclosed bracket '['
         --> registry.yaml:4:6
          |
        4 |    - [
          |      ^
    "#]]
    .assert_eq(&found("version: '1.0'\nservices:\n  one:\n   - [\n"));
    expect![[r#"
        error[HF060]: `services.one.produces` is the number 3; expected a list
         --> registry.yaml:4:15
          |
        4 |     produces: 3
          |               ^
    "#]]
    .assert_eq(&found("version: '1.0'\nservices:\n  one:\n    produces: 3\n"));
    expect![[r#"
        error[HF060]: the service registry has no `version`
         --> registry.yaml:1:1
          |
        1 | services: {}
          | ^
    "#]]
    .assert_eq(&found("services: {}\n"));
    expect![[r#"
        error[HF060]: `services.one` stands here twice
         --> registry.yaml:4:3
          |
        3 |   one: {}
          |   --- first here
        4 |   one: {}
          |   ^^^
          |
          = help: put both together, or remove one
    "#]]
    .assert_eq(&found("version: '1.0'\nservices:\n  one: {}\n  one: {}\n"));
    expect![[r#"
        error[HF060]: the service registry is empty
         --> registry.yaml:1:1
          |
        1 |
          | ^
          |
          = help: begin it with `version: "1.0"` and `services: {}`
    "#]]
    .assert_eq(&found(""));
}

#[test]
fn a_registry_that_is_not_there() {
    let folder = Folder::new(&CONTRACTS);
    let (catalog, findings) = holyfields::read(folder.root(), Some("/nowhere/r.yaml".as_ref()));
    expect![[r#"
        error[HF060]: the service registry cannot be read: No such file or directory (os error 2)
        --> /nowhere/r.yaml
    "#]]
    .assert_eq(&rendered(&catalog, &findings));
}
