//! The commands that keep a store: verify, prune, export, import, quarantine.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bloodbank::candystore::{EventStore, Incoming, StoreOptions, StoreUrl};
use bloodbank::uuid::Uuid;
use bloodbank::{Envelope, Kind, Meta, events};
use bloodbank_testkit::Postgres;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Said {
    code: i32,
    out: String,
    err: String,
}

/// A store that the command knows by `DATABASE_URL`.
struct Store {
    url: String,
    folder: TempDir,
}

impl Store {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Store { url: format!("sqlite:{}", folder.path().join("store.db").display()), folder }
    }

    /// None where PostgreSQL is missing.
    async fn postgres() -> Option<Self> {
        if !bloodbank_testkit::postgres() {
            return None;
        }
        let url = Postgres::shared().await.fresh_url().await;
        Some(Store { url, folder: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn open(&self) -> EventStore {
        let url: StoreUrl = self.url.parse().unwrap();
        EventStore::open(StoreOptions::new(url), events::contracts()).await.unwrap()
    }

    /// Six events of two keys and one that is no UTF-8.
    async fn seeded(self) -> Self {
        let mut batch: Vec<Incoming> = (0..6)
            .map(|n| prompt(["llm.prompt", "no.such.key"][n % 2], Uuid::now_v7(), n))
            .collect();
        batch.push(Incoming::new(Kind::Event, "llm.prompt", *b"\xff{"));
        self.open().await.append(batch).await.unwrap();
        self
    }

    fn says(&self, arguments: &[&str]) -> Said {
        self.hears(arguments, "")
    }

    fn hears(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bloodbank"))
            .arg("store")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DATABASE_URL", &self.url)
            .env_remove("BLOODBANK_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

fn prompt(key: &str, id: Uuid, n: usize) -> Incoming {
    let meta = Meta::new().with_id(id);
    let envelope = Envelope::new(key, "test", json!({ "n": n, "text": "a known text" }), meta);
    Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sound_is_said_in_a_line() {
    let store = Store::sqlite().seeded().await;
    let said = store.says(&["verify"]);
    assert_eq!(said.out, "verified 7 events: 0 damaged, 0 lost, 0 pruned\n");
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_and_is_a_finding() {
    let store = Store::sqlite().seeded().await;
    let pruned = store.says(&["prune", "--key", "no.#", "--keep", "1", "--yes", "--vacuum"]);
    assert!(pruned.out.starts_with("2 events pruned\nthe file had "), "{}", pruned.out);
    let path = store.path("store.db");
    let mut bytes = fs::read(&path).unwrap();
    let text = br#""n":4,"text":"a known"#;
    let place = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[place + text.len()] = b'_';
    fs::write(&path, bytes).unwrap();
    let said = store.says(&["verify"]);
    assert_eq!(
        said.out,
        "position 5: its bytes are not those of its checksum\n\
         verified 5 events: 1 damaged, 0 lost, 2 pruned; 1 problem in all\n"
    );
    assert_eq!(said.code, 100);
    let said = store.says(&["verify", "--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&report["found"], &report["problems"][0]["position"]), (&json!(1), &json!(5)));
    assert_eq!(said.code, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_is_a_dry_run_until_it_is_meant() {
    let store = Store::sqlite().seeded().await;
    let dry = store.says(&["prune", "--key", "llm.*", "--key", "no.#", "--keep", "1"]);
    let lines: Vec<Vec<&str>> = dry.out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["KEY", "EVENTS", "BYTES", "FIRST", "STORED", "LAST", "STORED"]);
    assert_eq!((&lines[1][..2], lines[1][3], lines[1][6]), (&["llm.prompt", "3"][..], "1", "5"));
    assert_eq!((&lines[2][..2], lines[2][3], lines[2][6]), (&["no.such.key", "2"][..], "2", "4"));
    assert!(dry.out.contains("\n5 events would go, 832 B\n"), "{}", dry.out);
    assert_eq!(dry.err, "a dry run; `--yes` does it\n");
    assert!(store.says(&["verify"]).out.starts_with("verified 7 events"));

    let done = store.says(&["prune", "--key", "#", "--keep", "1", "--yes"]);
    assert_eq!((done.code, done.out.as_str()), (0, "5 events pruned\n"));
    assert!(done.err.contains("`--vacuum` gives it back to the disk"), "{}", done.err);
    let verified = store.says(&["verify"]);
    assert_eq!(verified.out, "verified 2 events: 0 damaged, 0 lost, 5 pruned\n");
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
    let Some(postgres) = Store::postgres().await else { return };
    let store = Store::sqlite().seeded().await;
    let exported = store.says(&["export"]);
    assert_eq!((exported.code, exported.err.as_str()), (0, "7 events exported\n"));
    assert_eq!(exported.out.lines().count(), 7);
    for said in ["7 stored, 0 there already", "0 stored, 7 there already"] {
        let imported = postgres.hears(&["import"], &exported.out);
        let expected = format!("{said}, 0 conflicts, 0 faulty lines\n");
        assert_eq!((imported.code, imported.out), (0, expected));
    }
    let verified = postgres.says(&["verify"]);
    assert_eq!(verified.out, "verified 7 events: 0 damaged, 0 lost, 0 pruned\n");

    let file = postgres.path("out.ndjson");
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

#[tokio::test(flavor = "multi_thread")]
async fn many_lines_from_several_files_are_counted() {
    let store = Store::sqlite();
    let many = (0..2_500).map(|n| prompt("llm.prompt", Uuid::now_v7(), n)).collect();
    store.open().await.append(many).await.unwrap();
    let first = store.path("first.ndjson").display().to_string();
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
    let file = store.file("mine.ndjson", "mine");
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
    let file = store.file("broken.ndjson", &lines.join("\n"));
    let imported = store.says(&["import", &file]);
    assert_eq!(imported.code, 100);
    assert_eq!(imported.out, "4 stored, 0 there already, 0 conflicts, 3 faulty lines\n");
    let said: Vec<&str> = imported.err.lines().collect();
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
    assert_eq!(store.says(&["quarantine"]).err, "nothing in quarantine\n");
    let id = Uuid::now_v7();
    let batch = vec![prompt("llm.prompt", id, 1), prompt("llm.prompt", id, 2)];
    let batch = [batch, vec![prompt("no.such.key", id, 1)]].concat();
    store.open().await.append(batch).await.unwrap();
    let said = store.says(&["quarantine"]);
    let lines: Vec<Vec<&str>> = said.out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NUMBER", "CAME", "ID", "KEY", "POSITION", "DIFFERS"]);
    assert_eq!(lines[1][3..], [&id.to_string(), "llm.prompt", "1", "data"]);
    assert_eq!(lines[2][3..], [&id.to_string(), "no.such.key", "1", "key"]);
    let said = store.says(&["quarantine", "--json", "--limit", "1"]);
    let one: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&one["differs"], &one["position"]), (&json!(["data"]), &json!(1)));
    assert!(one["body"].as_str().unwrap().contains("a known text"));
    assert!(said.err.contains("--after 1"), "{}", said.err);
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_looking() {
    let store = Store::sqlite();
    for arguments in
        [&["verify"][..], &["export"], &["quarantine"], &["prune", "--key", "#", "--keep", "0"]]
    {
        let said = store.says(arguments);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("there is no store at") && said.err.contains("DATABASE_URL"));
    }
    assert!(!Path::new(&store.path("store.db")).exists());
}
