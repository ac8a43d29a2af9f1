//! `doctor`.

use crate::machine::{BOOKS, Machine, PAID, Said, on_both, said};

on_both!(
    the_doctor_says_that_all_is_well_and_leaves_nothing_behind,
    dead_letters_are_not_well,
    a_clock_that_is_a_year_ahead_is_told_and_what_it_stored_is_put_right,
);

async fn the_doctor_says_that_all_is_well_and_leaves_nothing_behind(machine: Machine) {
    for _ in 0..2 {
        let said = machine.says(&["doctor"]);
        assert_eq!(said.err, "");
        let out = said.well();
        assert!(out.lines().all(|line| !line.starts_with("wrong")), "{out}");
        for part in ["RABBIT_URL is not set", &machine.url, ", 0 events so far", "committed in "] {
            assert!(out.contains(part), "{part}: {out}");
        }
        assert!(out.ends_with("\nall is well\n"), "{out}");
    }
    assert_eq!(machine.stored().await, 0);
    assert_eq!(machine.says(&["store", "queues"]).well(), "");
    machine.says(&["topology", "--apply"]).well();
    let applied = machine.says(&["doctor"]).well();
    let line = applied.lines().find(|line| line.starts_with("ok     topology ")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().filter(|w| w.parse::<u32>().is_ok()).collect();
    assert!(numbers[0] == numbers[1] && numbers[0] != "0", "{line}");
}

async fn dead_letters_are_not_well(machine: Machine) {
    machine.says(&["topology", "--apply"]).well();
    machine.says(&["publish", PAID, "--example"]).well();
    machine.park(BOOKS, 1, "no budget").await;
    let said = machine.says(&["doctor"]);
    assert_eq!(said.code, 100, "{}", said.out);
    assert!(said.out.contains("wrong  dead letters   1\n"), "{}", said.out);
    assert!(said.out.contains("fix: `bloodbank dlq ls`"), "{}", said.out);
    assert!(said.out.ends_with("\n1 thing is wrong\n"), "{}", said.out);
}

/// A process whose clock is a year ahead: a server has a clock of its own and is not misled.
async fn a_clock_that_is_a_year_ahead_is_told_and_what_it_stored_is_put_right(machine: Machine) {
    if !bloodbank_testkit::faketime() {
        return;
    }
    machine.says(&["publish", PAID, "--example"]).well();
    let mut ahead = machine.program("faketime");
    ahead.args(["-f", "+365d", env!("CARGO_BIN_EXE_bloodbank"), "publish", PAID, "--example"]);
    said(ahead.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").output().unwrap()).well();
    let doctor = machine.says(&["doctor"]).out;
    if !machine.url.starts_with("sqlite:") {
        assert!(doctor.contains("ok     clock "), "{doctor}");
        return;
    }
    let ahead = doctor.lines().find(|line| line.starts_with("wrong  clock ")).unwrap();
    assert!(ahead.contains(" minutes ahead of now"), "{ahead}");
    machine.says(&["publish", PAID, "--example"]).well();
    let recent = ["store", "list", "--count", "--since", "1h"];
    assert_eq!(machine.says(&recent).well(), "3\n");
    let doctor = machine.says(&["doctor"]).out;
    assert!(doctor.contains("times go back at position 3"), "{doctor}");
    assert!(
        doctor.contains("fix: set the clocks, then `bloodbank store repair-clock`"),
        "{doctor}"
    );
    assert_eq!(machine.says(&["store", "verify"]).code, 100);
    let dry = machine.says(&["store", "repair-clock"]);
    assert!(dry.out.starts_with("position 2: stored "), "{}", dry.out);
    assert_eq!(dry.err, "a dry run; `--yes` does it\n");
    let done = machine.says(&["store", "repair-clock", "--yes"]).well();
    assert!(done.ends_with("1 range put right\n"), "{done}");
    assert!(machine.says(&["doctor"]).out.contains("ok     clock "));
    machine.says(&["store", "verify"]).well();
}

/// One thing is wrong, the store, and it is said what to do.
fn says_the_store_is_wrong(said: &Said, reason: &str) {
    assert_eq!((said.code, said.err.as_str()), (100, ""), "{}", said.out);
    let wrong = said.out.lines().find(|line| line.starts_with("wrong")).unwrap();
    assert!(wrong.starts_with("wrong  store ") && wrong.contains(reason), "{}", said.out);
    assert!(said.out.contains("fix: name a file or a database in DATABASE_URL"), "{}", said.out);
    assert!(said.out.ends_with("\n1 thing is wrong\n"), "{}", said.out);
}

/// A folder that cannot be made, as a file is in its place: root may write everywhere else.
#[test]
fn a_store_that_cannot_be_written_is_told_with_what_to_do() {
    let machine = Machine::sqlite();
    let file = machine.file("file", "not a folder");
    let machine = machine.at(format!("sqlite:{file}/bus.db"));
    says_the_store_is_wrong(&machine.says(&["doctor"]), "bus.db");
    let said = machine.says(&["publish", PAID, "--example"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.starts_with("error: the event was not published: "), "{}", said.err);
    // The folder itself is no store, either.
    let folder = format!("sqlite:{}", machine.path("").display());
    says_the_store_is_wrong(&machine.at(folder).says(&["doctor"]), "");
}

#[test]
fn a_server_that_is_not_there_is_told_with_what_to_do_and_no_password() {
    let machine = Machine::sqlite().at("postgres://ada:secret@127.0.0.1:1/events");
    let said = machine.says(&["doctor"]);
    says_the_store_is_wrong(&said, "postgres://ada@127.0.0.1:1/events");
    assert!(!said.out.contains("secret"), "{}", said.out);
    let said = machine.says(&["publish", PAID, "--example"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("ada@127.0.0.1:1") && !said.err.contains("secret"), "{}", said.err);
}
