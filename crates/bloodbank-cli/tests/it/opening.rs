//! What commands say of a store that somebody holds, that is old, full or not there; and how it is made.

use std::process::Command;

use bloodbank_testkit::{ONE_TABLE, Postgres, PostgresOptions};
use rusqlite::Connection;
use tokio_postgres::{Client, NoTls};

use crate::machine::{Machine, PAID, Running, on_both};

on_both!(
    who_reads_does_not_wait_for_who_writes,
    a_store_is_made_and_migrated_by_a_command_of_its_own,
);

/// The database of a machine's store, in another program's hands.
enum Other {
    Sqlite(Connection),
    Postgres(Client),
}

impl Other {
    async fn of(machine: &Machine) -> Self {
        match machine.url.strip_prefix("sqlite:") {
            Some(file) => Other::Sqlite(Connection::open(file).unwrap()),
            None => Other::Postgres(client(&machine.url).await),
        }
    }

    async fn run(&self, sql: &str) {
        match self {
            Other::Sqlite(connection) => connection.execute_batch(sql).unwrap(),
            Other::Postgres(client) => client.batch_execute(sql).await.unwrap(),
        }
    }

    /// Takes the partitions away that earlier versions did not have.
    async fn make_one_table(&self) {
        if let Other::Postgres(client) = self {
            client.batch_execute(ONE_TABLE).await.unwrap();
        }
    }

    /// Takes the lock of whoever writes.
    async fn hold(&self) {
        let lock = match self {
            Other::Sqlite(_) => "BEGIN IMMEDIATE",
            Other::Postgres(_) => {
                "BEGIN; SELECT pg_advisory_xact_lock(hashtext('candystore ' || current_schema()))"
            }
        };
        self.run(lock).await;
    }
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn who_reads_does_not_wait_for_who_writes(machine: Machine) {
    machine.says(&["topology", "--apply"]).well();
    machine.says(&["publish", PAID, "--example"]).well();
    let other = Other::of(&machine).await;
    other.hold().await;
    assert!(machine.says(&["store", "list"]).well().contains(PAID));
    for arguments in [
        &["store", "get", "1"][..],
        &["store", "stats"],
        &["store", "queues"],
        &["store", "verify"],
        &["store", "migrate"],
        &["scheduled", "ls"],
        &["replay", "--list"],
        &["store", "prune", "--key", "#", "--keep", "0"],
    ] {
        machine.says(arguments).well();
    }
    let said = machine.says(&["doctor"]);
    assert_eq!(said.code, 100, "{}", said.out);
    assert!(
        said.out.contains("ok     store ") && said.out.contains("1 event so far"),
        "{}",
        said.out
    );
    let wrong: Vec<_> = said.out.lines().filter(|line| line.starts_with("wrong")).collect();
    assert!(wrong.len() == 1 && wrong[0].contains("the store is busy"), "{}", said.out);
    assert!(said.out.contains("fix: Wait for the other process"), "{}", said.out);
    let said = machine.says(&["publish", PAID, "--example"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("not published") && said.err.contains("busy"), "{}", said.err);
    other.run("ROLLBACK").await;
    machine.says(&["publish", PAID, "--example"]).well();
}

async fn a_store_is_made_and_migrated_by_a_command_of_its_own(machine: Machine) {
    let missing = machine.says(&["store", "migrate", "--check"]);
    assert_eq!(missing.code, 100, "{}", missing.err);
    assert!(missing.out.starts_with("there is no store at "), "{}", missing.out);
    assert!(!machine.store_file().exists());
    assert!(machine.says(&["store", "migrate"]).well().contains(" was made, of version "));
    for arguments in [&["store", "migrate"][..], &["store", "migrate", "--check"]] {
        assert!(machine.says(arguments).well().ends_with(" is up to date\n"));
    }

    let other = Other::of(&machine).await;
    // With what later steps make, which could not be made twice.
    let older = "DELETE FROM migrations WHERE version > 5; DROP TABLE scheduled; \
         DROP TABLE reports; DROP TABLE moves; DROP TABLE catch_ups; DROP TABLE summaries; \
         DROP TABLE payload_indexes; DROP TABLE retention; DROP TABLE clock_steps; \
         DROP TABLE repairs; DROP TABLE damaged; DROP TABLE handled; DROP TABLE audit; \
         ALTER TABLE consumers DROP COLUMN name; \
         ALTER TABLE messages DROP COLUMN since; ALTER TABLE events DROP COLUMN digest; \
         ALTER TABLE head DROP COLUMN digest; ALTER TABLE head DROP COLUMN unchained; \
         ALTER TABLE head DROP COLUMN counted; \
         ALTER TABLE pruned DROP COLUMN digest; ALTER TABLE head DROP COLUMN room; \
         ALTER TABLE head DROP COLUMN width";
    other.make_one_table().await;
    other.run(older).await;
    let said = machine.says(&["store", "migrate", "--check"]);
    assert!(said.code == 100 && said.out.contains("of version 5"), "{}", said.out);
    let said = machine.says(&["store", "list"]);
    assert!(said.code == 1 && said.err.contains("of version 5"), "{}", said.err);
    assert!(said.err.contains("\nhelp: `bloodbank store migrate` "), "{}", said.err);
    let said = machine.says(&["doctor"]);
    assert!(said.code == 100 && said.out.contains("of version 5"), "{}", said.out);
    assert!(said.out.contains("fix: `bloodbank store migrate`"), "{}", said.out);
    // Whoever writes does it, and says so.
    let said = machine.says(&["publish", PAID, "--example"]);
    assert!(said.err.contains(" was migrated from version 5 to version "), "{}", said.err);
    said.well();
    other.make_one_table().await;
    other.run(older).await;
    assert!(machine.says(&["store", "migrate"]).well().contains("from version 5 to version "));
}

#[test]
fn processes_that_make_a_store_at_once_do_not_fail() {
    for _ in 0..30 {
        let machine = Machine::empty();
        let opening: Vec<Running> = (0..4).map(|_| machine.spawn(&["store", "migrate"])).collect();
        let said = opening.into_iter().map(|process| process.end().well());
        let made = said.filter(|said| said.contains(" was made, ")).count();
        assert_eq!(made, 1);
        let folder = machine.store_file();
        let there = std::fs::read_dir(folder.parent().unwrap()).unwrap();
        let there: Vec<_> = there.map(|entry| entry.unwrap().file_name()).collect();
        assert!(there.iter().all(|name| !name.to_str().unwrap().contains("new-")), "{there:?}");
    }
}

#[test]
fn a_file_of_somebody_else_is_told_and_not_changed() {
    let machine = Machine::sqlite();
    let file = machine.path("theirs.db");
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    let before = std::fs::read(&file).unwrap();
    let machine = machine.at(format!("sqlite:{}", file.display()));
    for arguments in [&["store", "list"][..], &["doctor"], &["store", "verify"]] {
        let said = machine.says(arguments);
        assert_ne!(said.code, 0);
        assert!(said.whole().contains("it holds other tables"), "{}", said.whole());
    }
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn the_rights_of_each_role_are_printed_as_statements() {
    let machine = Machine::empty();
    let all = machine.says(&["store", "roles"]).well();
    for name in ["reader", "publisher", "consumer", "operator"] {
        assert!(all.contains(&format!("CREATE ROLE \"bloodbank_{name}\" NOLOGIN;\n")), "{all}");
    }
    let one = machine.says(&["store", "roles", "reader", "--schema", "bus", "--prefix", "r_"]);
    let one = one.well();
    assert!(one.contains("\nGRANT USAGE ON SCHEMA \"bus\" TO \"r_reader\";\n"), "{one}");
    assert!(one.contains("\nGRANT SELECT ON \"bus\".\"events\" TO \"r_reader\";\n"), "{one}");
    assert!(!one.contains("publisher") && !one.contains("INSERT"), "{one}");
    let said = machine.says(&["store", "roles", "reading"]);
    assert!(said.code != 0 && said.err.contains("`operator`"), "{}", said.err);
}

/// A small file system, gone with the test. None where we may not mount one.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(machine: &Machine) -> Option<Self> {
        let folder = machine.path("small");
        std::fs::create_dir(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&folder);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a small file system takes the right to mount one");
        }
        mounted.then_some(Small(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg("-l").arg(&self.0).status().unwrap().success());
    }
}

#[test]
fn a_full_disk_is_called_a_full_disk() {
    let machine = Machine::sqlite();
    let Some(small) = Small::mount(&machine) else { return };
    let machine = machine.at(format!("sqlite:{}", small.0.join("store.db").display()));
    machine.says(&["publish", PAID, "--example"]).well();
    // As much as there is room for.
    let _ = std::fs::write(small.0.join("ballast"), vec![0; 2 << 20]);
    let said = machine.says(&["publish", PAID, "--example"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("the store's disk is full"), "{}", said.err);
    assert!(said.err.contains("\nhelp: make room on the store's disk"), "{}", said.err);
    let said = machine.says(&["doctor"]);
    assert_eq!(said.code, 100, "{}", said.out);
    assert!(said.out.contains("disk is full"), "{}", said.out);
    assert!(said.out.contains("fix: make room on the store's disk"), "{}", said.out);
}

#[tokio::test]
async fn a_server_that_takes_no_more_connections_is_told_as_such() {
    if !bloodbank_testkit::postgres() {
        return;
    }
    const FEW: PostgresOptions = PostgresOptions { settings: &[("max_connections", "5")] };
    let server = Postgres::start_with(FEW).await;
    let machine = Machine::sqlite().at(server.fresh_url().await);
    let mut held = Vec::new();
    while let Ok((client, connection)) = tokio_postgres::connect(&machine.url, NoTls).await {
        tokio::spawn(connection);
        held.push(client);
    }
    let said = machine.says(&["doctor"]);
    assert_eq!(said.code, 100, "{}", said.out);
    assert!(said.out.contains("too many connections"), "{}", said.out);
    assert!(said.out.contains("fix: Raise `max_connections`"), "{}", said.out);
    let said = machine.says(&["publish", PAID, "--example"]);
    assert!(said.code == 1 && said.err.contains("too many connections"), "{}", said.err);
}
