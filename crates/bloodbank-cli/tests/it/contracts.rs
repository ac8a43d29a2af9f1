//! Which contracts a command works with.

use std::fs;

use bloodbank::events;
use expect_test::expect;

use crate::machine::{BOOKS, COMMAND, EVENT, Machine, PAID, Running, Said, TAKEN};

/// Commands that change a system, and choose what they change by the contracts.
const CHANGES: [&[&str]; 8] = [
    &["topology", "--apply"],
    &["replay"],
    &["replay", "--yes", "--live"],
    &["store", "record"],
    &["store", "import"],
    &["dlq", "redrive"],
    &["dlq", "redrive", "--yes"],
    &["dlq", "purge", "--yes"],
];

fn built_in() -> String {
    let count = events::contracts().bundle().contracts.len();
    format!("the {count} contracts built in, as there is no folder `schemas` here or above")
}

#[test]
fn where_no_folder_is_those_built_in_are_shown_and_that_is_said() {
    let machine = Machine::empty();
    for command in [&["list-events"][..], &["show", "llm.prompt"], &["topology"]] {
        let said = machine.says(command);
        assert_eq!((said.code, said.err), (0, format!("note: contracts: {}\n", built_in())));
        assert!(said.out.contains("llm.prompt"), "{command:?}: {}", said.out);
    }
    let shown = machine.says(&["show", "llm.prompt"]).out;
    assert!(shown.contains("  bloodbank::events::llm::Prompt\n"), "{shown}");
    let rust = machine.says(&["show", "llm.prompt", "--format", "rust"]);
    assert_eq!(rust.code, 1);
    assert!(rust.err.contains("Rust code is made from a schema folder"), "{}", rust.err);
    for command in [&["lint"][..], &["codegen", "--out", "out"]] {
        machine.prints(
            command,
            &expect![[r#"
                error: there is no schema folder `schemas` here or in a folder above
                help: name the folder with `--schemas DIR` or BLOODBANK_SCHEMAS, or run the command where `schemas` is
                exit 1
            "#]],
        );
    }
}

fn is_refused(command: &[&str], said: &Said) {
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{command:?}: {}", said.err);
    expect![[r#"
        error: there is no schema folder `schemas` here or in a folder above, and this command changes a system, so that it does not fall back to the contracts built in
        help: name the folder with `--schemas DIR` or BLOODBANK_SCHEMAS, or run the command where `schemas` is
    "#]]
    .assert_eq(&said.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_a_system_refuses_where_no_folder_is_and_changes_nothing() {
    let nobody = Machine::empty();
    for command in CHANGES {
        is_refused(command, &nobody.says(command));
    }
    assert!(!nobody.store_file().exists());

    let bakery = Machine::sqlite();
    bakery.says(&["topology", "--apply"]).well();
    bakery.says(&["publish", PAID, "--example"]).well();
    bakery.park(BOOKS, 1, "no time").await;
    let state = || {
        let looks = [&["store", "queues"][..], &["store", "list"], &["replay", "--list"]];
        looks.map(|look| bakery.says(look).well())
    };
    let before = state();
    let lost = Machine::empty().at(&bakery.url);
    for command in CHANGES {
        is_refused(command, &lost.says(command));
    }
    assert_eq!(state(), before);
    // A queue that is named is meant, wherever that is said.
    assert_eq!(
        lost.says(&["dlq", "redrive", BOOKS, "--yes"]).well(),
        "bookkeeper_queue.dlq: 1 went back\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_declared_on_a_broker_where_no_folder_is() {
    let Some(bakery) = Machine::rabbitmq().await else { return };
    let lost = Machine::empty().on(bakery.broker());
    for command in CHANGES {
        is_refused(command, &lost.says(command));
    }
    for machine in [&lost, &bakery] {
        let checked = machine.says(&["topology", "--check"]);
        assert_eq!(checked.code, 4, "{}", checked.err);
        let lines = checked.out.lines().filter(|line| !line.starts_with("bindings were"));
        assert!(lines.clone().all(|line| line.ends_with(" is missing")), "{}", checked.out);
        assert!(lines.count() > 4, "{}", checked.out);
    }
}

/// In a folder two below that of the machine.
fn below(machine: &Machine, command: &[&str]) -> Said {
    fs::create_dir_all(machine.path("deep/down")).unwrap();
    let output = machine.command(command).current_dir(machine.path("deep/down")).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn the_nearest_folder_upward_is_taken_and_that_is_said() {
    let machine = Machine::sqlite();
    let schemas = fs::canonicalize(machine.path("schemas")).unwrap();
    let registry = fs::canonicalize(machine.path("services/registry.yaml")).unwrap();
    let taken = format!(
        "6 contracts of {}, the nearest upward; services of {}",
        schemas.display(),
        registry.display()
    );
    let note = format!("note: contracts: {taken}\n");
    for (command, shown) in [(["list-events"], EVENT), (["topology"], BOOKS)] {
        let said = below(&machine, &command);
        assert_eq!(said.err, note, "{command:?}");
        assert!(said.well().contains(shown), "{command:?}");
    }
    let applied = below(&machine, &["topology", "--apply"]);
    assert!(applied.err.starts_with(&note), "{}", applied.err);
    assert_eq!(applied.code, 0);
    let doctor = below(&machine, &["doctor"]);
    assert!(doctor.out.starts_with(&format!("ok     contracts      {taken}\n")), "{}", doctor.out);

    let note = format!("note: contracts: {}, the nearest upward\n", schemas.display());
    let lint = below(&machine, &["lint"]);
    assert_eq!((lint.code, &lint.err), (0, &note), "{}", lint.out);
    assert!(lint.out.contains("6 contracts, "), "{}", lint.out);
    let codegen = below(&machine, &["codegen", "--out", "out"]);
    assert!(codegen.code == 0 && codegen.err.starts_with(&note), "{}", codegen.err);
    assert!(machine.path("deep/down/out/rust/bakery.rs").exists());
}

#[test]
fn the_doctor_always_says_which() {
    let here = Machine::sqlite();
    let folder = here.path("schemas").display().to_string();
    let registry = here.path("services/registry.yaml").display().to_string();
    let bare = Machine::empty();
    bare.file("schemas/shop/order.paid.v1.json", "{ \"type\": \"object\" }");
    for (machine, arguments, expected) in [
        (&here, &["doctor"][..], TAKEN.trim_end().replace("note: contracts: ", "")),
        (
            &here,
            &["doctor", "--schemas", &folder],
            format!("6 contracts of {folder}; services of {registry}"),
        ),
        (&bare, &["doctor"], "1 contract of schemas; no registry.yaml".to_owned()),
        (&Machine::empty(), &["doctor"], built_in()),
    ] {
        let said = machine.says(arguments);
        let first = said.out.lines().next().unwrap();
        assert_eq!(first, format!("ok     contracts      {expected}"), "{arguments:?}");
    }
}

/// Every command that reads contracts, and a part of what it says of those of the bakery. The words
/// after the first are those of a command within a command.
const READERS: [(&[&str], &[&str], &str); 20] = [
    (&["list-events"], &[], EVENT),
    (&["list-commands"], &["--json"], COMMAND),
    (&["show"], &[EVENT], "handover"),
    (&["show"], &["bookkeeper"], BOOKS),
    (&["show"], &[PAID, "--format", "rust"], "pub struct Paid"),
    (&["validate"], &[EVENT], "/order_id"),
    (&["publish"], &[EVENT, "--example", "--dry-run"], "Clara"),
    (&["publish"], &[PAID, "--data", "{}"], "/cashier"),
    (&["send"], &[COMMAND, "--example", "--dry-run"], "crisp"),
    (&["codegen"], &["--out", "out"], "files"),
    (&["lint"], &["--notes"], "till.paid"),
    (&["topology"], &[], BOOKS),
    (&["topology"], &["--check"], BOOKS),
    (&["topology"], &["--apply"], "note: contracts: 6 contracts"),
    (&["doctor"], &[], "6 contracts"),
    (&["replay"], &[], "till.paid"),
    (&["replay"], &["--yes", "--live"], "1 of 1 sent"),
    (&["store", "import"], &[], "note: contracts: 6 contracts"),
    (&["dlq", "redrive"], &[], "note: contracts: 6 contracts"),
    (&["dlq", "show"], &["nobody"], "bookkeeper_queue.dlq"),
];

#[test]
fn a_folder_can_be_named_before_and_after_each_command_and_by_the_environment() {
    let bakery = Machine::sqlite();
    let schemas = bakery.path("schemas").display().to_string();
    let folder = ["--schemas", schemas.as_str()];
    let elsewhere = || {
        let machine = Machine::empty();
        let publish = [&folder[..], &["publish", PAID, "--example"]].concat();
        machine.says(&publish).well();
        machine
    };
    for (name, rest, expected) in READERS {
        let within: Vec<&str> = [&name[..1], &folder, &name[1..], rest].concat();
        let named_by = |machine: Machine, arguments: &[&str]| {
            let said = machine.hears(arguments, "{}");
            assert!(said.whole().contains(expected), "{arguments:?}: {}", said.whole());
            assert!(!said.whole().contains("built in"), "{arguments:?}: {}", said.whole());
            said.code
        };
        let codes = [
            named_by(elsewhere(), &[&folder, name, rest].concat()),
            named_by(elsewhere(), &[name, &folder, rest].concat()),
            named_by(elsewhere(), &[name, rest, &folder].concat()),
            named_by(elsewhere(), &within),
            named_by(elsewhere().with("BLOODBANK_SCHEMAS", &schemas), &[name, rest].concat()),
        ];
        assert!(codes.iter().all(|code| *code == codes[0]), "{name:?} {rest:?}: {codes:?}");
    }
}

const OTHER: &str = "version: \"1.0\"\nservices:\n  elsewhere:\n    routing_keys: [till.paid]\n";

#[test]
fn a_registry_can_be_named_before_and_after_each_command() {
    let machine = Machine::sqlite();
    machine.file("other.yaml", OTHER);
    for (command, expected) in [
        (&["topology"][..], "elsewhere.dlq"),
        (&["show", "elsewhere"], "consumes     till.paid"),
        (&["doctor"], "services of other.yaml"),
        (&["topology", "--check"], "queue `elsewhere` is missing"),
    ] {
        for arguments in [
            [&["--registry", "other.yaml"], command].concat(),
            [command, &["--registry", "other.yaml"]].concat(),
        ] {
            let said = machine.says(&arguments).whole();
            assert!(said.contains(expected), "{arguments:?}: {said}");
            assert!(!said.contains(BOOKS), "{arguments:?}: {said}");
        }
    }
    machine.file("broken.yaml", "services: {}\n");
    for arguments in [["--registry", "broken.yaml", "lint"], ["lint", "--registry", "broken.yaml"]]
    {
        let said = machine.says(&arguments);
        assert!(said.code == 100 && said.out.contains("broken.yaml:1:1"), "{}", said.whole());
    }
    machine.says(&["--registry", "other.yaml", "codegen", "--out", "out"]).well();
    let services = fs::read_to_string(machine.path("out/rust/services.rs")).unwrap();
    assert!(services.contains("Elsewhere") && !services.contains("Bookkeeper"), "{services}");
    let missing = machine.says(&["topology", "--registry", "nowhere.yaml"]);
    assert_eq!(missing.whole(), "error: `nowhere.yaml` is not a file\nexit 1\n");
    let alone = Machine::empty().says(&["topology", "--registry", "nowhere.yaml"]);
    assert!(alone.code == 1 && alone.err.contains("without a schema folder"), "{}", alone.err);
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let machine = Machine::sqlite();
    for command in [&["list-events"][..], &["lint"], &["codegen", "--out", "out"], &["doctor"]] {
        let said = machine.says(&[&["--schemas", "nowhere"], command].concat());
        assert!(
            said.whole().contains("`nowhere` is not a folder"),
            "{command:?}: {}",
            said.whole()
        );
        assert_ne!(said.code, 0);
    }
}

#[test]
fn a_broken_schema_is_an_error_at_its_line_for_every_command_that_reads_it() {
    let machine = Machine::sqlite();
    machine.says(&["publish", PAID, "--example"]).well();
    machine
        .file("schemas/bakery/order.placed.v1.json", "{\n  \"type\": \"object\",\n  \"x\": ]\n}\n");
    let at = "bakery/order.placed.v1.json:3:8";
    let commands = READERS.iter().map(|(name, rest, _)| [name, *rest].concat());
    for command in commands.chain([vec!["tail"], vec!["dlq", "purge", BOOKS]]) {
        let said = machine.hears(&command, "{}");
        assert_ne!(said.code, 0, "{command:?}: {}", said.whole());
        assert!(said.whole().contains(at), "{command:?}: {}", said.whole());
    }
    // What only looks at what is stored needs no contracts.
    assert_eq!(machine.says(&["store", "list", "--count"]).well(), "1\n");
}

/// Words of the contracts built in.
const OURS: [&str; 7] =
    ["theboard", "pull_request", "llm", "33god", "meeting", "transcription", "prompt"];

#[test]
fn nothing_of_the_contracts_built_in_is_seen_where_others_are() {
    let machine = Machine::sqlite();
    machine.says(&["topology", "--apply"]).well();
    machine.says(&["publish", PAID, "--example"]).well();
    let tail: Running = machine.tail(&["--since", "1h"]);
    let mut said = vec![tail.next()];
    for (name, rest, _) in READERS {
        said.push(machine.hears(&[name, rest].concat(), "{}").whole());
        said.push(machine.says(&[name, &["--help"]].concat()).whole());
    }
    for more in [
        &["--help"][..],
        &["store", "--help"],
        &["store", "list"],
        &["store", "stats"],
        &["store", "queues"],
        &["store", "get", "1"],
        &["replay", "--list"],
        &["dlq", "ls"],
        &["completions", "bash"],
    ] {
        said.push(machine.says(more).whole());
    }
    for said in said {
        let word = OURS.iter().find(|word| said.to_lowercase().contains(**word));
        assert_eq!(word, None, "{said}");
    }
}

#[test]
fn a_queue_that_is_not_there_brings_up_no_queues_of_the_contracts_built_in() {
    let said = Machine::empty().says(&["dlq", "ls", "nosuch"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("there is no queue `nosuch.dlq`"), "{}", said.err);
    assert!(!said.err.contains("queues of registry.yaml"), "{}", said.err);
}
