//! `outbox`: tables are printed, what waits is listed, what is parked is put back.

use std::fs;

use bloodbank::events::services::Any;
use bloodbank::outbox::{Outbox, Postgres, Relay, Source, Sqlite, Tables, create_tables};
use bloodbank::{Bus, Contracts};
use expect_test::expect;

use crate::machine::{COMMAND, Machine};

/// The contracts of the bakery.
fn contracts(machine: &Machine) -> Contracts {
    let registry = machine.path("services/registry.yaml");
    Contracts::read(&machine.path("schemas"), Some(&registry)).unwrap()
}

/// The database of a service, which is not the store.
async fn databases(machine: &Machine) -> Vec<(String, Box<dyn Source>)> {
    let file = machine.file("shop.db", "");
    let mut databases: Vec<(String, Box<dyn Source>)> =
        vec![(format!("sqlite:{file}"), Box::new(Sqlite::new(&file)))];
    if bloodbank_testkit::postgres() {
        let url = bloodbank_testkit::Postgres::shared().await.fresh_url().await;
        let source = Postgres::from_url(&url).unwrap();
        databases.push((url, Box::new(source)));
    }
    for (_, source) in &mut databases {
        create_tables(source).await.unwrap();
    }
    databases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_parked_is_listed_and_put_back() {
    let machine = Machine::sqlite();
    for (url, mut source) in databases(&machine).await {
        let outbox = |command: &[&str]| {
            machine.says(&[&["outbox"], command, &["--database", &url]].concat())
        };
        let nothing = outbox(&["ls"]);
        assert_eq!(
            (nothing.code, nothing.out.as_str(), nothing.told()),
            (0, "", "nothing waits\n")
        );
        let nothing = outbox(&["retry", "--all"]);
        assert_eq!((nothing.code, nothing.told()), (0, "nothing is parked or has failed\n"));

        let contracts = contracts(&machine);
        let command = contracts.contract(COMMAND).unwrap();
        let data = contracts.bundle().examples(command)[0].clone();
        let row = Outbox::<Any>::new(contracts.clone()).send_json((), COMMAND, data).row().unwrap();
        let insert = Tables::new().insert(source.dialect(), false);
        source.execute(&insert, row.values()).await.unwrap();
        let listed = outbox(&["ls"]).well();
        assert!(listed.starts_with("SEQ  AGE  KEY              ID "), "{listed}");
        assert!(listed.contains(&row.id.to_string()) && listed.contains("  waits\n"), "{listed}");

        let bus = Bus::in_memory(contracts);
        let relay: Relay<_> = bus.relay(source).skip_after(1);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let relay = tokio::spawn(relay.run_until(async move { stopped.await.unwrap() }));
        let ls = || outbox(&["ls"]).well();
        let mut listed = (0..1_000).map(|_| ls());
        let parked = listed.find(|listed| listed.contains("  parked  ")).unwrap();
        stop.send(()).unwrap();
        relay.await.unwrap().unwrap();
        assert!(parked.contains("  1       parked  no queue takes `oven.batch.bake`"), "{parked}");

        let nobody = outbox(&["retry", "00000000-0000-0000-0000-000000000000"]);
        assert!(nobody.code == 1 && nobody.told().starts_with("no message"), "{}", nobody.err);
        let id = row.id.to_string();
        assert_eq!(outbox(&["retry", &id]).well(), "1 message put back\n");
        let listed = outbox(&["ls"]).well();
        assert!(listed.contains("  waits\n"), "{listed}");
    }
}

#[test]
fn the_tables_are_printed_and_never_made() {
    let machine = Machine::empty();
    machine.prints(&["outbox", "ddl", "--sqlite", "--outbox", "letters"], &expect![[r#"
        -- Messages that wait for the relay. It deletes a row when the bus has confirmed it.
        CREATE TABLE IF NOT EXISTS "letters" (
            seq integer PRIMARY KEY AUTOINCREMENT,          -- the order of sending; no number comes twice
            id text NOT NULL UNIQUE,                        -- the envelope's id
            kind integer NOT NULL CHECK (kind IN (1, 2)),   -- 1: event, 2: command
            key text NOT NULL,                              -- the routing key
            envelope blob NOT NULL,                         -- the bytes that are published
            headers text,                                   -- what travels beside them, as JSON
            created text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
            attempts integer NOT NULL DEFAULT 0,            -- how often the row itself has failed
            last_error text,
            parked text                                     -- since when the relay passes it over
        );

        -- Messages that were handled, by queue.
        CREATE TABLE IF NOT EXISTS "bloodbank_inbox" (
            consumer text NOT NULL,
            id text NOT NULL,
            handled text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
            PRIMARY KEY (consumer, id)
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS "bloodbank_inbox_handled" ON "bloodbank_inbox" (handled);
        exit 0
    "#]]);
    machine.prints(&["outbox", "ddl", "--postgres"], &expect![[r#"
        -- Messages that wait for the relay. It deletes a row when the bus has confirmed it.
        CREATE TABLE IF NOT EXISTS "bloodbank_outbox" (
            seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY, -- the order of sending
            id uuid NOT NULL UNIQUE,                                       -- the envelope's id
            kind smallint NOT NULL CHECK (kind IN (1, 2)),                 -- 1: event, 2: command
            key text NOT NULL,                                             -- the routing key
            envelope bytea NOT NULL,                                       -- the bytes that are published
            headers text,                                                  -- what travels beside them, as JSON
            created timestamptz NOT NULL DEFAULT clock_timestamp(),
            attempts integer NOT NULL DEFAULT 0,                           -- how often the row itself has failed
            last_error text,
            parked timestamptz                                             -- since when the relay passes it over
        );

        -- Messages that were handled, by queue.
        CREATE TABLE IF NOT EXISTS "bloodbank_inbox" (
            consumer text NOT NULL,
            id uuid NOT NULL,
            handled timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (consumer, id)
        );
        CREATE INDEX IF NOT EXISTS "bloodbank_inbox_handled" ON "bloodbank_inbox" (handled);
        exit 0
    "#]]);
    assert_eq!(machine.says(&["outbox", "ddl"]).code, 2);
    let missing = machine.says(&["outbox", "ls", "--database", "sqlite:shop.db"]);
    assert!(
        missing.code == 1 && missing.err.contains("there is no file shop.db"),
        "{}",
        missing.err
    );
    assert!(!machine.path("shop.db").exists());
    fs::write(machine.path("shop.db"), "").unwrap();
    let missing = machine.says(&["outbox", "ls", "--database", "sqlite:shop.db"]);
    assert!(missing.err.contains("no such table: bloodbank_outbox"), "{}", missing.err);
    let unknown = machine.says(&["outbox", "ls", "--database", "mysql://ada:secret@h/d"]);
    assert!(unknown.code == 1 && !unknown.err.contains("secret"), "{}", unknown.err);
    assert!(unknown.err.contains("--database does not name a store"), "{}", unknown.err);
}
