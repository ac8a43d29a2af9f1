//! The commands that keep a store: verify, prune, export, import, quarantine.

use std::fs;

use bloodbank::candystore::Incoming;
use bloodbank::uuid::Uuid;
use bloodbank::{Envelope, Kind, Meta};
use serde_json::{Value, json};

use crate::machine::{Machine, PAID, Said, TAKEN};

/// A machine on which `store` is asked.
struct Store(Machine);

impl Store {
    fn sqlite() -> Self {
        Store(Machine::sqlite())
    }

    /// Six events of two keys and one that is not UTF-8.
    async fn seeded(self) -> Self {
        let mut batch: Vec<Incoming> =
            (0..6).map(|n| event([PAID, "no.such.key"][n % 2], Uuid::now_v7(), n)).collect();
        batch.push(Incoming::new(Kind::Event, PAID, *b"\xff{"));
        self.0.store().await.append(batch).await.unwrap();
        self
    }

    fn says(&self, arguments: &[&str]) -> Said {
        self.hears(arguments, "")
    }

    fn hears(&self, arguments: &[&str], input: &str) -> Said {
        self.0.hears(&[&["store"], arguments].concat(), input)
    }
}

/// What `verify` says of a store, and the digest of its head.
fn verified(said: &Said) -> (&str, &str) {
    let (said, head) = said.out.trim_end().rsplit_once("\nhead ").expect("a head");
    let (_, digest) = head.split_once(':').expect("a position and a digest");
    assert_eq!(digest.len(), 64, "{head}");
    (said, head)
}

fn event(key: &str, id: Uuid, n: usize) -> Incoming {
    let meta = Meta::new().with_id(id);
    let envelope = Envelope::new(key, "test", json!({ "n": n, "text": "a known text" }), meta);
    Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sound_is_said_in_a_line() {
    let store = Store::sqlite().seeded().await;
    let said = store.says(&["verify"]);
    let (line, head) = verified(&said);
    assert_eq!(line, "verified 7 events: 0 damaged, 0 lost, 0 pruned");
    let again = store.says(&["verify", "--expect", head]);
    assert_eq!((again.code, &again.out), (0, &said.out));
    let other = store.says(&["verify", "--expect", &format!("8{}", &head[1..])]);
    assert_eq!(other.code, 100);
    assert!(
        other.out.starts_with("the store ends at 7, and 8 was expected in it\n"),
        "{}",
        other.out
    );
    let wrong = store.says(&["verify", "--expect", "7:5f"]);
    assert!(wrong.err.contains("64 hexadecimal digits") && wrong.code == 2, "{}", wrong.err);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_and_is_a_finding() {
    let store = Store::sqlite().seeded().await;
    let pruned = store.says(&["prune", "--key", "no.#", "--keep", "1", "--yes", "--vacuum"]);
    assert!(pruned.out.starts_with("2 events pruned\nthe file had "), "{}", pruned.out);
    let path = store.0.store_file();
    let mut bytes = fs::read(&path).unwrap();
    let text = br#""n":4,"text":"a known"#;
    let place = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[place + text.len()] = b'_';
    fs::write(&path, bytes).unwrap();
    let said = store.says(&["verify"]);
    assert_eq!(
        verified(&said).0,
        "position 5: its bytes are not those of its checksum\n\
         verified 5 events: 1 damaged, 0 lost, 2 pruned; 1 problem in all"
    );
    assert_eq!(said.code, 100);
    let exported = store.says(&["export"]);
    assert_eq!((exported.code, exported.out.lines().count()), (100, 4));
    let told = "damaged: position 5: its bytes are not those of its checksum";
    assert!(exported.err.starts_with(told), "{}", exported.err);
    let said = store.says(&["verify", "--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&report["found"], &report["problems"][0]["position"]), (&json!(1), &json!(5)));
    assert_eq!(said.code, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_is_a_dry_run_until_it_is_meant() {
    let store = Store::sqlite().seeded().await;
    let dry = store.says(&["prune", "--key", "till.*", "--key", "no.#", "--keep", "1"]);
    let lines: Vec<Vec<&str>> = dry.out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["KEY", "EVENTS", "BYTES", "FIRST", "STORED", "LAST", "STORED"]);
    assert_eq!((&lines[1][..2], lines[1][3], lines[1][6]), (&["no.such.key", "2"][..], "2", "4"));
    assert_eq!((&lines[2][..2], lines[2][3], lines[2][6]), (&[PAID, "3"][..], "1", "5"));
    assert!(dry.out.contains("\n5 events would go, 829 B\n"), "{}", dry.out);
    assert_eq!(dry.err, "a dry run; `--yes` does it\n");
    assert!(store.says(&["verify"]).out.starts_with("verified 7 events"));

    let done = store.says(&["prune", "--key", "#", "--keep", "1", "--yes"]);
    assert_eq!((done.code, done.out.as_str()), (0, "5 events pruned\n"));
    assert!(done.err.contains("`--vacuum` gives it back to the disk"), "{}", done.err);
    let said = store.says(&["verify"]);
    assert_eq!(verified(&said).0, "verified 2 events: 0 damaged, 0 lost, 5 pruned");
    let none = store.says(&["prune", "--key", "#", "--max-bytes", "1MB"]);
    assert_eq!((none.out.as_str(), none.err.as_str()), ("0 events would go, 0 B\n", ""));
}

#[test]
fn pruning_wants_a_key_and_a_limit() {
    let store = Store::sqlite();
    for (arguments, said) in [
        (&["prune", "--key", "#"][..], "--older-than"),
        (&["prune", "--keep", "1"], "--key"),
        (&["prune", "--key", "#", "--keep", "1", "--vacuum"], "--yes"),
        (&["prune", "--key", "#", "--max-bytes", "5"], "expected a whole number and B, kB, MB"),
        (&["prune", "--key", "a..b", "--keep", "1"], "a..b"),
    ] {
        let refused = store.says(arguments);
        assert_eq!(refused.code, 2, "{arguments:?} {}", refused.err);
        assert!(refused.err.contains(said), "{}", refused.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_from_one_database_to_the_other_and_back() {
    let Some(postgres) = Machine::postgres().await.map(Store) else { return };
    let store = Store::sqlite().seeded().await;
    let exported = store.says(&["export"]);
    assert_eq!((exported.code, exported.err.as_str()), (0, "7 events exported\n"));
    assert_eq!(exported.out.lines().count(), 7);
    for said in ["7 stored, 0 there already", "0 stored, 7 there already"] {
        let imported = postgres.hears(&["import"], &exported.out);
        let expected = format!("{said}, 0 conflicts, 0 faulty lines\n");
        assert_eq!((imported.code, imported.out), (0, expected));
        assert_eq!(imported.err, TAKEN);
    }
    let said = postgres.says(&["verify"]);
    assert_eq!(verified(&said).0, "verified 7 events: 0 damaged, 0 lost, 0 pruned");

    let file = postgres.0.path("out.ndjson");
    assert_eq!(postgres.says(&["export", &file.display().to_string()]).code, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), exported.out);
    let back = Store::sqlite();
    let imported = back.says(&["import", &file.display().to_string()]);
    assert!(imported.out.starts_with("7 stored, "), "{}", imported.out);
    assert_eq!(back.says(&["export"]).out, exported.out);
    let pruned = postgres.says(&["prune", "--key", "#", "--older-than", "0s", "--yes"]);
    assert_eq!(pruned.out, "7 events pruned\n");
    assert!(pruned.err.contains("PostgreSQL"), "{}", pruned.err);
}

#[test]
fn what_is_imported_is_judged_by_the_contracts_of_the_folder() {
    let (bakery, other) = (Machine::sqlite(), Machine::sqlite());
    for _ in 0..2 {
        bakery.says(&["publish", PAID, "--example"]).well();
    }
    let exported = bakery.says(&["store", "export"]).well();
    let elsewhere = Machine::empty();
    elsewhere.file("schemas/shop/order.paid.v1.json", "{ \"type\": \"object\" }");
    for (machine, standing) in [(&other, "valid"), (&elsewhere, "unknown")] {
        machine.hears(&["store", "import"], &exported).well();
        for (asked, count) in [(standing, "2\n"), ("malformed", "0\n")] {
            let list = ["store", "list", "--count", "--standing", asked];
            assert_eq!(machine.says(&list).well(), count, "{standing}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_lines_from_several_files_are_counted() {
    let store = Store::sqlite();
    let many = (0..2_500).map(|n| event(PAID, Uuid::now_v7(), n)).collect();
    store.0.store().await.append(many).await.unwrap();
    let first = store.0.path("first.ndjson").display().to_string();
    assert_eq!(store.says(&["export", "--to", "1500", &first]).err, "1,500 events exported\n");
    let rest = store.says(&["export", "--from", "1400"]).out;
    let other = Store::sqlite();
    let imported = other.hears(&["import", &first, "-"], &rest);
    assert_eq!(imported.out, "2,500 stored, 101 there already, 0 conflicts, 0 faulty lines\n");
    assert_eq!(other.says(&["export"]).out, store.says(&["export"]).out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_can_be_a_part_and_overwrites_nothing() {
    let store = Store::sqlite().seeded().await;
    let part = store.says(&["export", "--from", "2", "--to", "4", "--key", "no.#"]);
    assert_eq!(part.err, "2 events exported\n");
    let file = store.0.file("mine.ndjson", "mine");
    let refused = store.says(&["export", &file]);
    assert_eq!(refused.code, 1);
    assert_eq!(refused.err, format!("error: {file} is there already\nhelp: name a new file\n"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_lines_are_named_and_the_others_are_stored() {
    let exported = Store::sqlite().seeded().await.says(&["export"]).out;
    let mut lines: Vec<String> = exported.lines().map(str::to_owned).collect();
    lines[1] = lines[1].replace("a known text", "another text");
    lines[3] = lines[3].replace("\"kind\":\"event\"", "\"kind\":\"rumour\",\"more\":1");
    lines[4].truncate(40);
    lines.insert(5, String::new());
    let store = Store::sqlite();
    let file = store.0.file("broken.ndjson", &lines.join("\n"));
    let imported = store.says(&["import", &file]);
    assert_eq!(imported.code, 100);
    assert_eq!(imported.out, "4 stored, 0 there already, 0 conflicts, 3 faulty lines\n");
    let said: Vec<&str> = imported.told().lines().collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for (line, (number, fault)) in said.iter().zip([
        (2, "`checksum`: expected the CRC-32 of the bytes of the body"),
        (4, "`kind`: expected `event` or `command`, found something else"),
        (5, "expected a line of JSON: EOF"),
    ]) {
        assert!(line.starts_with(&format!("{file}:{number}: ")) && line.contains(fault), "{line}");
    }
    assert!(said[1].contains("expected no other fields than"), "{}", said[1]);
    let missing = store.says(&["import", "no-such-file"]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("no-such-file cannot be read"), "{}", missing.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_shows_what_differs() {
    let store = Store::sqlite();
    let none = store.hears(&["import"], "");
    assert_eq!((none.code, none.out.starts_with("0 stored")), (0, true));
    assert_eq!(store.says(&["quarantine", "ls"]).err, "nothing in quarantine\n");
    let id = Uuid::now_v7();
    let batch = vec![event(PAID, id, 1), event(PAID, id, 2)];
    let batch = [batch, vec![event("no.such.key", id, 1)]].concat();
    store.0.store().await.append(batch).await.unwrap();
    let said = store.says(&["quarantine", "ls"]);
    let lines: Vec<Vec<&str>> = said.out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NUMBER", "CAME", "ID", "KEY", "POSITION", "DIFFERS"]);
    assert_eq!(lines[1][3..], [&id.to_string(), PAID, "1", "data"]);
    assert_eq!(lines[2][3..], [&id.to_string(), "no.such.key", "1", "key"]);
    let said = store.says(&["quarantine", "ls", "--json", "--limit", "1"]);
    let one: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&one["differs"], &one["position"]), (&json!(["data"]), &json!(1)));
    assert!(one["body"].as_str().unwrap().contains("a known text"));
    assert!(said.err.contains("--after 1"), "{}", said.err);
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_looking() {
    let store = Store::sqlite();
    for arguments in [
        &["verify"][..],
        &["export"],
        &["quarantine", "ls"],
        &["prune", "--key", "#", "--keep", "0"],
    ] {
        let said = store.says(arguments);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("there is no store at") && said.err.contains("DATABASE_URL"));
    }
    assert!(!store.0.store_file().exists());
}
