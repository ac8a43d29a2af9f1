//! What the commands that need no bus print, and how they exit.

use std::fs;

use expect_test::{Expect, expect};
use serde_json::Value;

use crate::machine::{COLLECTED, COMMAND, EVENT, Machine, PAID};

/// The exit code and everything that is printed.
fn says(arguments: &[&str], input: &str, expected: &Expect) {
    expected.assert_eq(&Machine::sqlite().hears(arguments, input).whole());
}

const FIVE_FAULTS: &str = r#"{
  "event_type": "bakery.order.placed",
  "order_id": "nope",
  "customer": "",
  "handover": "post",
  "loaves": 500,
  "shelf": "\u001b[31mfour"
}"#;

#[test]
fn a_payload_with_five_faults_gets_five_lines_each_with_its_place() {
    says(
        &["validate", EVENT],
        FIVE_FAULTS,
        &expect![[r#"
            bakery.order.placed: 5 faults
              /order_id  expected a UUID, found "nope"
              /customer  expected at least 1 character, found ""
              /handover  expected one of "counter", "delivery", found "post"
              /loaves    expected at most 200, found 500
              /shelf     expected an integer or null, found "\u{1b}[31mfour"
            exit 100
        "#]],
    );
}

#[test]
fn the_same_as_json() {
    let said = Machine::sqlite().hears(&["validate", EVENT, "-", "--json"], FIVE_FAULTS);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let pointers: Vec<&str> = report["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|violation| violation["pointer"].as_str().unwrap())
        .collect();
    let expected = ["/order_id", "/customer", "/handover", "/loaves", "/shelf"];
    assert_eq!(pointers, expected);
    assert_eq!(said.code, 100);
}

#[test]
fn a_valid_payload_is_said_to_be_valid() {
    let example = Machine::sqlite().says(&["show", EVENT, "--format", "example"]).well();
    says(
        &["validate", EVENT],
        &example,
        &expect![[r#"
            valid: bakery.order.placed
            exit 0
        "#]],
    );
}

#[test]
fn a_sensitive_value_is_not_repeated() {
    let payload = r#"{"event_type":"till.paid","card_number":"4000 5000"}"#;
    let said = Machine::sqlite().hears(&["validate", PAID], payload).out;
    assert!(said.contains("/card_number") && !said.contains("4000"), "{said}");
}

#[test]
fn text_that_is_no_json_is_an_error_with_its_place() {
    says(
        &["validate", PAID],
        "{\n  \"a\": }",
        &expect![[r#"
        error: standard input:2:8: not JSON: expected value
        exit 1
    "#]],
    );
}

#[test]
fn an_unknown_key_is_answered_with_the_one_that_was_meant() {
    says(
        &["show", "bakery.order.plcaed"],
        "",
        &expect![[r#"
            error: no contract has the key `bakery.order.plcaed`; did you mean `bakery.order.placed` or `bakery.order.placed.v2`?
            help: `bloodbank list-events` and `list-commands` show every key
            exit 1
        "#]],
    );
}

#[test]
fn events_and_commands_are_listed_in_columns() {
    says(
        &["list-events", "--domain", "oven"],
        "",
        &expect![[r#"
            KEY                  VERSION  TYPE                 TITLE
            oven.batch.finished  1        oven::BatchFinished  Batch finished
            exit 0
        "#]],
    );
    says(
        &["list-events", "--type", "command", "--domain", "oven"],
        "",
        &expect![[r#"
            KEY              VERSION  TYPE             TITLE
            oven.batch.bake  1        oven::BakeBatch  Bake a batch
            exit 0
        "#]],
    );
    says(
        &["list-commands", "--domain", "nobody"],
        "",
        &expect![[r#"
        no commands in the domain `nobody`
        exit 0
    "#]],
    );
}

#[test]
fn a_list_is_also_json() {
    let list = |command: &str| -> Vec<Value> {
        serde_json::from_str(&Machine::sqlite().says(&[command, "--json"]).well()).unwrap()
    };
    let (events, commands) = (list("list-events"), list("list-commands"));
    assert_eq!((events.len(), commands.len()), (5, 1));
    assert!(events.iter().all(|contract| contract["kind"] == "event"));
    assert_eq!(
        (&commands[0]["kind"], &commands[0]["keys"][0]),
        (&"command".into(), &COMMAND.into())
    );
}

#[test]
fn a_contract_is_shown_with_its_fields() {
    says(
        &["show", COMMAND],
        "",
        &expect![[r#"
            command      oven.batch.bake
            version      1
            title        Bake a batch
            description  Sent by counter when bread runs out. The oven bakes a batch.
            type         oven::BakeBatch
            schema       https://contracts.bakery.example/oven/commands/batch.bake.v1.json
            sent by      counter
            handled by   oven
            answered     with object

            FIELD       REQUIRED  TYPE                       DESCRIPTION
            event_type  yes       "oven.batch.bake"          The key of this contract.
            batch       yes       integer                    Number of the batch.
            bread       yes       "rye" | "wheat" | "spelt"  What to bake.
            crust       yes       "soft" | "crisp"           How the crust is to be.
            note        no        string                     A word for the baker.

            FIELD OF THE ANSWER  REQUIRED  TYPE     DESCRIPTION
            loaves               yes       integer  How many came out well.
            note                 no        string   A word from the baker.
            exit 0
        "#]],
    );
}

/// What `show` prints of a contract, as JSON.
fn shown(key: &str, format: &str) -> Value {
    let said = Machine::sqlite().says(&["show", key, "--format", format]).well();
    serde_json::from_str(&said).unwrap()
}

#[test]
fn a_contract_is_also_shown_as_its_schema_which_judges_as_it_does() {
    let schema = jsonschema::draft202012::new(&shown(PAID, "schema")).unwrap();
    let example = shown(PAID, "example");
    assert!(schema.is_valid(&example), "{example}");
    assert!(!schema.is_valid(&shown(EVENT, "example")));
    let without = |name: &str| {
        let mut payload = example.clone();
        payload.as_object_mut().unwrap().remove(name).unwrap();
        payload
    };
    assert!(!schema.is_valid(&without("amount")), "`amount` is required");
    let mut other = example.clone();
    other["cashier"] = 7.into();
    assert!(!schema.is_valid(&other), "what `cashier` refers to is a part of the schema");
}

#[test]
fn a_contract_is_also_shown_as_json() {
    let said = shown(PAID, "json");
    assert_eq!(said["contract"]["keys"], serde_json::json!([PAID]));
    assert_eq!(said["examples"][0], shown(PAID, "example"));
    let fields = said["fields"].as_array().unwrap();
    let of_name = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
    let required = |name: &str| of_name(name)["required"].as_bool().unwrap();
    let example = said["examples"][0].as_object().unwrap();
    assert!(example.keys().all(|name| fields.iter().any(|field| field["name"] == **name)));
    assert!(required("amount") && !fields.iter().all(|field| field["required"] == true), "{said}");
}

#[test]
fn the_rust_types_of_a_contract_are_its_own_and_made_from_its_folder() {
    let types = |key: &str| -> Vec<String> {
        let said = Machine::sqlite().says(&["show", key, "--format", "rust"]).well();
        let starts = said.lines().filter(|line| line.starts_with(|c: char| c.is_alphabetic()));
        starts.map(str::to_owned).collect()
    };
    assert_eq!(types(EVENT), ["pub struct OrderPlaced {", "pub enum OrderPlacedHandover {"]);
    assert_eq!(
        types("bakery.order.placed.v2"),
        ["pub struct OrderPlacedV2 {", "pub struct OrderPlacedV2Customer {"]
    );
    assert_eq!(
        types(COLLECTED),
        [
            "pub struct OrderCollected {",
            "pub enum OrderCollectedPaid {",
            "pub struct OrderCollectedLine {",
        ]
    );
}

#[test]
fn a_version_is_part_of_the_key_or_an_option() {
    let machine = Machine::sqlite();
    let by_key = machine.says(&["show", "bakery.order.placed.v2"]).well();
    let by_option = machine.says(&["show", EVENT, "--version", "2"]).well();
    assert_eq!(by_key, by_option);
    says(
        &["show", PAID, "--version", "7"],
        "",
        &expect![[r#"
            error: no contract has the key `till.paid.v7`; did you mean `till.paid`?
            help: `bloodbank list-events` and `list-commands` show every key
            exit 1
        "#]],
    );
}

#[test]
fn the_demo_publishes_refuses_restarts_chains_and_replays() {
    // On the contracts built in, whatever lies in this folder.
    let said = Machine::sqlite().says(&["demo"]).well();
    let word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let is_word = |word: &String| word.chars().all(|c| c.is_ascii_lowercase()) && !word.is_empty();
    let mut words: Vec<String> = said.lines().map(word).filter(is_word).collect();
    words.dedup();
    let expected = [
        "contracts",
        "store",
        "published",
        "refused",
        "sent",
        "handled",
        "received",
        "closed",
        "opened",
        "received",
        "chain",
        "replayed",
        "received",
    ];
    assert_eq!(words, expected, "{said}");
    for line in
        ["└─ github.pull_request.merge", "│  └─ theboard.meeting.completed", "replayed   3 events"]
    {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(said.lines().filter(|line| line.ends_with("  again")).count(), 3, "{said}");
}

#[test]
fn codegen_writes_checks_and_finds_drift() {
    let machine = Machine::sqlite();
    let run = |more: &[&str]| machine.says(&[&["codegen", "--out", "out"], more].concat());
    assert_eq!((run(&[]).code, run(&["--check"]).code), (0, 0));
    let services = fs::read_to_string(machine.path("out/rust/services.rs")).unwrap();
    assert!(services.contains("pub struct Bookkeeper"), "{services}");
    machine.file("out/rust/keys.rs", "// Somebody was here.\n");
    let stale = run(&["--check"]);
    assert_eq!(stale.code, 4);
    let fix = "fix: run `bloodbank codegen --schemas schemas --registry services/registry.yaml \
               --out out`";
    assert!(stale.err.contains(fix), "{}", stale.err);
}

#[test]
fn wrong_usage_exits_2() {
    let machine = Machine::sqlite();
    assert_eq!(machine.says(&["show"]).code, 2);
    assert_eq!(machine.says(&["list-events", "--type", "query"]).code, 2);
}
