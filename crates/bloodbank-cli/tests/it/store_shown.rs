//! What the commands that ask the store show, and what they hide.

use bloodbank::candystore::Incoming;
use bloodbank::uuid::Uuid;
use bloodbank::{Envelope, Kind, Meta};
use serde_json::json;

use crate::machine::{EVENT, Machine, PAID};

const CARD: &str = "4000123412341234";

fn incoming(key: &str, id: Uuid, data: serde_json::Value) -> Incoming {
    let envelope = Envelope::new(key, "till", data, Meta::new().with_id(id));
    Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap())
}

/// A payment by card, as its contract has it.
fn paid(id: Uuid, amount: u32) -> Incoming {
    let data = json!({
        "event_type": PAID, "payment_id": id, "amount": amount, "cashier": "Agnes", "card_number": CARD,
    });
    incoming(PAID, id, data)
}

fn store(arguments: &[&'static str]) -> Vec<&'static str> {
    [&["store"], arguments].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contracts_mark_as_sensitive_is_hidden_unless_it_is_asked_for() {
    let machine = Machine::sqlite();
    let (id, other) = (Uuid::now_v7(), incoming("no.such.key", Uuid::now_v7(), json!({"n": CARD})));
    let broken = Incoming::new(Kind::Event, PAID, format!("{{{CARD}").into_bytes());
    let batch = vec![paid(id, 90), paid(id, 91), broken, other];
    machine.store().await.append(batch).await.unwrap();
    for arguments in [
        &["get", "1"][..],
        &["get", "1", "--json"],
        &["get", "1", "--raw"],
        &["get", "2"],
        &["list", "till.#", "--json"],
        &["quarantine", "show", "1"],
        &["quarantine", "ls", "--json"],
    ] {
        let hidden = machine.says(&store(arguments)).out;
        assert!(!hidden.contains(CARD) && hidden.contains("(hidden)"), "{arguments:?}: {hidden}");
        let shown = machine.says(&[&store(arguments)[..], &["--reveal"]].concat()).out;
        assert!(shown.contains(CARD) && !shown.contains("(hidden)"), "{arguments:?}: {shown}");
    }
    let tail = machine.spawn(&["store", "tail", "--from", "1", "--json"]);
    tail.told("following");
    let event = "\"amount\":90";
    let line = tail.next();
    assert!(line.contains(event) && line.contains("(hidden)") && !line.contains(CARD), "{line}");
    drop(tail);
    // An export is exact, and what no contract marks is shown as it came.
    assert_eq!(machine.says(&store(&["export"])).out.matches(CARD).count(), 3);
    assert!(machine.says(&store(&["get", "3"])).out.contains(CARD));
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_payloads_are_asked_for_everywhere() {
    let machine = Machine::sqlite();
    let batch = (0..4).map(|n| paid(Uuid::now_v7(), n % 2)).collect();
    machine.store().await.append(batch).await.unwrap();
    let with = |arguments: &[&'static str]| -> Vec<&str> {
        [arguments, &["--where", "/amount=1"]].concat()
    };
    assert_eq!(machine.says(&with(&["store", "list", "--count"])).out, "2\n");
    assert_eq!(machine.says(&with(&["store", "export"])).out.lines().count(), 2);
    let replay = machine.says(&with(&["replay", "--from", "1"])).out;
    assert!(replay.contains("events  2\n"), "{replay}");
    let tail = machine.spawn(&with(&["store", "tail", "--from", "1"]));
    tail.told("following");
    assert!(tail.next().contains("       2  ") && tail.next().contains("       4  "));
    drop(tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_tells_each_conflict_and_takes_a_byte_order_mark() {
    let machine = Machine::sqlite();
    machine
        .store()
        .await
        .append(vec![paid(Uuid::now_v7(), 1), paid(Uuid::now_v7(), 2)])
        .await
        .unwrap();
    let exported = machine.says(&store(&["export"])).out;
    let again = machine.hears(&store(&["import"]), &format!("\u{feff}{exported}"));
    assert_eq!(again.out, "0 stored, 2 there already, 0 conflicts, 0 faulty lines\n");
    // Somebody has changed the second line, and its checksum with it.
    let lines: Vec<&str> = exported.lines().collect();
    let mut line: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    let body =
        line["body"].as_str().unwrap().replace("\"source\":\"till\"", "\"source\":\"thief\"");
    line["checksum"] = crc32(body.as_bytes()).into();
    line["body"] = body.into();
    let said = machine.hears(&store(&["import"]), &format!("{}\n{line}\n", lines[0]));
    assert_eq!(said.out, "0 stored, 1 there already, 1 conflict, 0 faulty lines\n");
    assert_eq!(said.code, 100);
    let told = "-:2: the event at position 2 has this id and is another one";
    assert!(said.err.contains(told), "{}", said.err);
    let shown = machine.says(&store(&["quarantine", "ls"])).out;
    assert!(shown.lines().nth(1).unwrap().ends_with("source"), "{shown}");

    let dry = machine.says(&store(&["quarantine", "drop", "1"]));
    assert!(dry.out.starts_with("would drop 1: ") && dry.err.contains("--yes"), "{}", dry.out);
    let stays = machine.says(&store(&["quarantine", "retry", "--all", "--yes"]));
    assert_eq!(
        (stays.code, stays.out.as_str()),
        (100, "1 is still in conflict with position 2; it stays\n")
    );
    let gone = machine.says(&store(&["quarantine", "drop", "--all", "--yes"]));
    assert_eq!((gone.code, gone.out.as_str()), (0, "1 message dropped\n"));
    assert_eq!(machine.says(&store(&["quarantine", "ls"])).err, "nothing in quarantine\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_shown_in_pages() {
    let machine = Machine::sqlite();
    let id = Uuid::now_v7();
    let of = |n| {
        let meta = Meta::new().with_correlation_id(id);
        let envelope = Envelope::new(EVENT, "till", json!({ "n": n }), meta);
        Incoming::new(Kind::Event, EVENT, envelope.to_bytes().unwrap())
    };
    machine.store().await.append((0..5).map(of).collect()).await.unwrap();
    let id = id.to_string();
    let page = |cursor: &str| {
        let arguments = ["store", "chain", &id, "--json", "--limit", "3", "--cursor", cursor];
        let said = machine.says(&arguments);
        (said.out.lines().count(), said.err)
    };
    assert_eq!(page("0"), (3, "next: --cursor 3\n".to_owned()));
    assert_eq!(page("3"), (2, String::new()));
}

/// CRC-32 (IEEE 802.3), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_retention_are_shown_and_what_they_would_let_go() {
    let machine = Machine::sqlite();
    let registry = machine.path("services/registry.yaml");
    let rules =
        "retention:\n  - keys: till.paid\n    keep: 30d\n  - keys: \"#\"\n    keep: forever\n";
    let text = std::fs::read_to_string(&registry).unwrap() + rules;
    std::fs::write(&registry, text).unwrap();
    let old = bloodbank::chrono::Utc::now() - bloodbank::chrono::TimeDelta::days(31);
    let batch = vec![paid(Uuid::now_v7(), 1).with_received(old), paid(Uuid::now_v7(), 2)];
    machine.store().await.append(batch).await.unwrap();
    let said = machine.says(&store(&["retention"]));
    let lines: Vec<Vec<&str>> = said.out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..3], ["till.paid", "30d", "1"], "{}", said.out);
    assert_eq!(lines[2][..2], ["#", "forever"]);
    assert!(said.out.ends_with("it was never carried out\n"), "{}", said.out);
    let wrong = rules.replace("30d", "30 days");
    std::fs::write(&registry, std::fs::read_to_string(&registry).unwrap().replace(rules, &wrong))
        .unwrap();
    let refused = machine.says(&store(&["retention"])).err;
    assert!(
        refused.contains("expected a length of time such as `12h`, `30d` or `8w`"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_copied_and_made_again() {
    let machine = Machine::sqlite();
    machine.store().await.append(vec![paid(Uuid::now_v7(), 1)]).await.unwrap();
    let exported = machine.says(&store(&["export"])).out;
    let copied = machine.says(&store(&["backup", "copy.db"]));
    assert!(copied.out.starts_with("copy.db: ") && copied.out.ends_with("1 event, all verified\n"));
    let refused = machine.says(&store(&["restore", "copy.db"]));
    assert!(refused.err.contains("is not empty\nhelp: `--replace`"), "{}", refused.err);
    let other = format!("sqlite:{}", machine.path("other.db").display());
    let machine = machine.at(other);
    let restored = machine.says(&store(&["restore", "copy.db"]));
    assert!(
        restored.out.ends_with("other.db: 1 event restored, all verified\n"),
        "{}",
        restored.err
    );
    assert_eq!(machine.says(&store(&["export"])).out, exported);
}
