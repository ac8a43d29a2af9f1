//! Tokens of the HTTP service, and the audit that says who did what.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::machine::{BOOKS, Machine, PAID, on_both};

on_both!(what_operators_do_is_in_the_audit,);

#[test]
fn a_token_is_made_listed_and_revoked() {
    let machine = Machine::sqlite();
    let made = machine.says(&["token", "new", "till-web", "--service", "till", "--read"]);
    assert_eq!(made.out.trim_end().len(), 67, "{}", made.out);
    assert_eq!(made.out.lines().count(), 1, "{}", made.out);
    assert!(made.err.contains("token `till-web` may: as service till, read\n"), "{}", made.err);
    let file = machine.store_file().with_extension("tokens.json");
    assert!(made.err.contains(&file.display().to_string()), "{}", made.err);
    let kept = fs::read_to_string(&file).unwrap();
    assert!(!kept.contains(&made.out.trim_end()[3..]) && kept.contains("till-web"), "{kept}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // A machine without a store has no audit, and gets none by this.
    assert!(!machine.store_file().exists());

    machine.says(&["token", "new", "ops", "--operate", "--publish", "till.#"]).well();
    let listed = machine.says(&["token", "ls"]).well();
    assert!(listed.contains("  as service till, read\n"), "{listed}");
    assert!(listed.contains("  publish till.#, operate\n"), "{listed}");
    let json = machine.json(&["token", "ls", "--json"]);
    assert_eq!(json[0]["rights"]["keys"]["service"], "till");
    assert_eq!(json[1]["rights"]["operate"], true);
    assert!(json[0].get("sha256").is_none());

    assert_eq!(machine.says(&["token", "revoke", "ops"]).well(), "revoked  ops\n");
    let last = machine.says(&["token", "revoke", "till-web"]);
    assert!(last.err.contains("nobody gets in without one"), "{}", last.err);
    assert!(file.exists());
}

#[test]
fn what_is_wrong_with_a_token_is_said_before_it_is_made() {
    let machine = Machine::sqlite();
    for (arguments, expected) in [
        (&["x"][..], "the following required arguments were not provided"),
        (&["x", "--service", "tills"], "no service `tills`\nhelp: its services are archive"),
        (&["x", "--publish", "a..b"], "a..b"),
        (&["a b", "--read"], "`a b` is not a name of a token"),
        (&["x", "--service", "till", "--publish", "#"], "cannot be used with"),
    ] {
        let said = machine.says(&[&["token", "new"], arguments].concat());
        assert!(said.code != 0 && said.err.contains(expected), "{}", said.err);
    }
    assert_eq!(machine.says(&["token", "ls"]).well(), "");
    let said = machine.says(&["token", "new", "x", "--publish", "tills.#"]);
    assert!(said.err.contains("`tills.#` matches no event of the contracts"), "{}", said.err);
    let again = machine.says(&["token", "new", "x", "--read"]);
    assert!(again.err.contains("\nhelp: `bloodbank token revoke`"), "{}", again.err);
    let said = machine.says(&["token", "revoke", "y"]);
    assert!(said.err.contains("no token `y`\nhelp: `bloodbank token ls`"), "{}", said.err);

    let file = machine.store_file().with_extension("tokens.json");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let said = machine.says(&["token", "ls"]);
    assert!(said.code == 1 && said.err.contains("mode is 644"), "{}", said.err);
    assert!(said.err.contains("\nhelp: `chmod 600` it"), "{}", said.err);
    let elsewhere = machine.path("mine.json").display().to_string();
    let machine = machine.with("BLOODBANK_TOKENS", &elsewhere);
    machine.says(&["token", "new", "x", "--read"]).well();
    assert!(fs::read_to_string(elsewhere).unwrap().contains("\"x\""));
}

async fn what_operators_do_is_in_the_audit(machine: Machine) {
    machine.says(&["topology", "--apply"]).well();
    assert_eq!(machine.says(&["audit"]).err, "nothing in the audit\n");
    for _ in 0..3 {
        machine.says(&["publish", PAID, "--example"]).well();
    }
    machine.park(BOOKS, 2, "no paper").await;
    let tokens = machine.path("tokens.json").display().to_string();
    let machine = machine.with("BLOODBANK_TOKENS", &tokens);
    machine.says(&["token", "new", "web", "--read"]).well();
    machine.says(&["dlq", "redrive", BOOKS]).well();
    machine.says(&["dlq", "redrive", BOOKS, "--yes"]).well();
    machine.park(BOOKS, 2, "still none").await;
    machine.says(&["dlq", "purge", BOOKS, "--yes"]).well();
    machine.says(&["replay", "--key", "till.#", "--queue", BOOKS, "--yes"]).well();
    machine.says(&["store", "prune", "--key", "#", "--keep", "0", "--force", "--yes"]).well();
    machine.says(&["token", "revoke", "web"]).well();

    let lines = machine.json(&["audit", "--json"]);
    let told = lines.iter().rev().map(|line| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        assert!(text("who").starts_with("ada@") && text("origin") == "command line", "{line}");
        assert_eq!(text("outcome"), "done", "{line}");
        [text("action"), text("subject"), text("detail")]
    });
    let told: Vec<_> = told.collect();
    let dead = "bookkeeper_queue.dlq";
    let expected = [
        ["token.new", "web", "read"],
        ["dlq.redrive", dead, "2 went back"],
        ["dlq.purge", dead, "2 gone"],
        ["replay", &told[3][1], ""],
        ["store.prune", "#", "3 events"],
        ["token.revoke", "web", ""],
    ];
    assert_eq!(told, expected);
    let table = machine.says(&["audit", "--limit", "2"]);
    assert!(table.out.contains("store.prune") && !table.out.contains("dlq.purge"), "{}", table.out);
    assert_eq!(table.err, "there may be more: `--before 5`\n");
    let rest = machine.says(&["audit", "--before", "5"]).well();
    assert!(rest.contains("dlq.purge") && !rest.contains("store.prune"), "{rest}");
    assert_eq!(machine.says(&["audit", "--who", "bob"]).err, "nothing in the audit\n");
    assert_eq!(machine.json(&["audit", "--since", "1h", "--json"]).len(), 6);
}
