//! The commands that ask the store.

use bloodbank::candystore::Incoming;
use bloodbank::chrono::{DateTime, TimeDelta, Utc};
use bloodbank::uuid::Uuid;
use bloodbank::{Envelope, Kind, Meta};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::machine::Machine;

/// A machine with these events in its store, on which `store` is asked.
struct Store(Machine);

impl Store {
    /// In a SQLite file.
    async fn with(batch: Vec<Incoming>) -> Self {
        Store::on(Machine::sqlite(), batch).await
    }

    async fn on(machine: Machine, batch: Vec<Incoming>) -> Self {
        machine.store().await.append(batch).await.unwrap();
        Store(machine)
    }

    /// The exit code and everything that is printed.
    fn says(&self, arguments: &[&str], expected: &Expect) {
        self.0.prints(&[&["store"], arguments].concat(), expected);
    }

    fn out(&self, arguments: &[&str]) -> String {
        self.0.says(&[&["store"], arguments].concat()).out
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        self.0.json(&[&["store"], arguments].concat())
    }
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + n)
}

/// Noon, and so many milliseconds.
fn at(millis: i64) -> DateTime<Utc> {
    let noon = DateTime::parse_from_rfc3339("2026-01-31T12:00:00Z").unwrap();
    noon.to_utc() + TimeDelta::milliseconds(millis)
}

fn envelope(n: u128, key: &str, source: &str, millis: i64, data: Value) -> Envelope {
    let meta = Meta::new().with_id(id(n)).with_timestamp(at(millis));
    Envelope::new(key, source, data, meta)
}

/// Stored two milliseconds later.
fn incoming(envelope: &Envelope) -> Incoming {
    let body = envelope.to_bytes().unwrap();
    let stored = envelope.timestamp + TimeDelta::milliseconds(2);
    Incoming::new(Kind::Event, envelope.event_type.as_str(), body).with_received(stored)
}

fn trigger(n: u128, millis: i64, topic: &str) -> Envelope {
    envelope(n, "no.such.key", "ada", millis, json!({ "topic": topic, "n": n }))
}

fn caused_by(mut effect: Envelope, cause: &Envelope) -> Envelope {
    effect.causation_id = Some(cause.id);
    effect.correlation_id = Some(cause.correlation_id.unwrap_or(cause.id));
    effect
}

/// What follows from a visit to the bakery, and what nobody knows the cause of. The two orders keep
/// their contracts.
fn workflow() -> Vec<Incoming> {
    let root = envelope(1, "door.bell.rang", "door", 0, json!({}));
    let placed = json!({
        "event_type": "bakery.order.placed", "order_id": id(50), "customer": "Clara",
        "handover": "counter", "loaves": 1,
    });
    let collected = json!({
        "event_type": "bakery.order.collected", "order_id": id(50), "paid": "cash",
        "lines": [{ "bread": "rye", "price": 420 }],
    });
    let order = caused_by(envelope(2, "bakery.order.placed", "counter", 12, placed), &root);
    let asked = caused_by(envelope(3, "oven.asked", "oven", 3_212, json!({})), &order);
    let answer = caused_by(envelope(4, "oven.answered", "oven", 3_211, json!({})), &asked);
    let done =
        caused_by(envelope(5, "bakery.order.collected", "counter", 600_012, collected), &order);
    let label = caused_by(envelope(6, "door.shut", "door\u{1b}[31m", 600_020, json!({})), &root);
    let gone = trigger(99, 0, "gone");
    let mut orphan = caused_by(trigger(7, 600_030, "x"), &gone);
    orphan.correlation_id = Some(root.id);
    [root, order, asked, answer, done, label, orphan].iter().map(incoming).collect()
}

#[tokio::test]
async fn a_chain_is_drawn_as_a_tree() {
    let store = Store::with(workflow()).await;
    let expected = expect![[r#"
        KEY                           SOURCE          TIME                      POSITION
        door.bell.rang                door            2026-01-31 12:00:00.000Z  1         unknown
        ├─ bakery.order.placed        counter         +12 ms                    2
        │  ├─ oven.asked              oven            +3.2 s                    3         unknown
        │  │  └─ oven.answered        oven            -1 ms                     4         unknown
        │  └─ bakery.order.collected  counter         +10m                      5
        └─ door.shut                  door\u{1b}[31m  +10m                      6         unknown
        no.such.key                   ada             2026-01-31 12:10:00.030Z  7         unknown; orphan: its cause 01990000-0000-7000-8000-000000000063 is not stored
        exit 0
    "#]];
    store.says(&["chain", &id(1).to_string()], &expected);
    let drawn = |n| store.out(&["chain", &id(n).to_string()]);
    assert_eq!(drawn(4), drawn(1), "from wherever it is asked");
    store.says(&["chain", &id(50).to_string()], &expect![[r#"
        error: no event with the id or the correlation id 01990000-0000-7000-8000-000000000032 is stored
        exit 1
    "#]]);
    let links = store.json(&["chain", &id(3).to_string(), "--json"]);
    assert_eq!(links.len(), 7);
    assert_eq!((&links[1]["depth"], &links[1]["since_cause_us"]), (&json!(1), &json!(12_000)));
    let orphan = links.last().unwrap();
    assert_eq!((&orphan["cause"], &orphan["causation_id"]), (&json!("missing"), &json!(id(99))));
}

#[tokio::test]
async fn what_began_the_work_is_listed_with_its_correlation() {
    let store = Store::with(workflow()).await;
    let positions = |arguments: &[&str]| -> Vec<Value> {
        store.json(arguments).iter().map(|event| event["position"].clone()).collect()
    };
    let work = id(1).to_string();
    let all = positions(&["list", "--correlation", &work, "--oldest", "--json"]);
    assert_eq!(all, (1..=7).map(Value::from).collect::<Vec<_>>());
    store.says(
        &["list", "--correlation", &work, "--count"],
        &expect![[r#"
        7
        exit 0
    "#]],
    );
    store.says(
        &["list", "--correlation", "work"],
        &expect![[r#"
        error: invalid value 'work' for '--correlation <UUID>': expected an id (a UUID)

        For more information, try '--help'.
        exit 2
    "#]],
    );
    store.says(
        &["chain", "work"],
        &expect![[r#"
        error: invalid value 'work' for '<ID>': expected an id (a UUID)

        For more information, try '--help'.
        exit 2
    "#]],
    );
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended() {
    let store = Store::with(workflow()).await;
    store.says(&["list", "--limit", "2"], &expect![[r#"
        POSITION  STORED                    KEY          SOURCE          STANDING  ID
        7         2026-01-31 12:10:00.032Z  no.such.key  ada             unknown   01990000-0000-7000-8000-000000000007
        6         2026-01-31 12:10:00.022Z  door.shut    door\u{1b}[31m  unknown   01990000-0000-7000-8000-000000000006
        next: --cursor c1-n-6-84c97aba
        exit 0
    "#]]);
    store.says(&["list", "--limit", "2", "--cursor", "c1-n-6-84c97aba"], &expect![[r#"
        POSITION  STORED                    KEY                     SOURCE   STANDING  ID
        5         2026-01-31 12:10:00.014Z  bakery.order.collected  counter  valid     01990000-0000-7000-8000-000000000005
        4         2026-01-31 12:00:03.214Z  oven.answered           oven     unknown   01990000-0000-7000-8000-000000000004
        next: --cursor c1-n-4-84c97aba
        exit 0
    "#]]);
    store.says(
        &["list", "--limit", "2", "--cursor", "c1-n-6-00000000"],
        &expect![[r#"
        error: the cursor is of a list with another filter
        help: repeat the filter it was given with, or begin without it
        exit 1
    "#]],
    );
    store.says(&["list", "oven.*", "bakery.order.collected", "--oldest"], &expect![[r#"
        POSITION  STORED                    KEY                     SOURCE   STANDING  ID
        3         2026-01-31 12:00:03.214Z  oven.asked              oven     unknown   01990000-0000-7000-8000-000000000003
        4         2026-01-31 12:00:03.214Z  oven.answered           oven     unknown   01990000-0000-7000-8000-000000000004
        5         2026-01-31 12:10:00.014Z  bakery.order.collected  counter  valid     01990000-0000-7000-8000-000000000005
        exit 0
    "#]]);
    store.says(
        &["list", "--cursor", "c1-o-6-00000000"],
        &expect![[r#"
            error: the cursor is of a list with the oldest events first
            help: ask in that order, or begin without it
            exit 1
        "#]],
    );
    store.says(
        &["list", "--cursor", "next"],
        &expect![[r#"
        error: invalid value 'next' for '--cursor <CURSOR>': `next` is no cursor of this version
        help: begin without one

        For more information, try '--help'.
        exit 2
    "#]],
    );
    store.says(
        &["list", "--source", "nobody"],
        &expect![[r#"
        no events
        exit 0
    "#]],
    );
    store.says(
        &["list", "--count"],
        &expect![[r#"
        7
        exit 0
    "#]],
    );
}

#[tokio::test]
async fn each_option_of_a_list_narrows_it() {
    let mut batch: Vec<_> = (1..=3).map(|n| incoming(&trigger(n, 1_000 * n as i64, "a"))).collect();
    batch.push(incoming(&trigger(4, 5_000, "b")));
    let late = at(6_000);
    batch.push(Incoming::new(Kind::Event, "no.such.key", *b"{").with_received(late));
    let command = envelope(6, "no.command", "ada", 7_000, json!({}));
    batch.push(Incoming::new(Kind::Command, "no.command", command.to_bytes().unwrap()));
    let store = Store::with(batch).await;
    let count = |arguments: &[&str]| {
        let arguments = [&["list", "--json"], arguments].concat();
        store.json(&arguments).len()
    };
    for (arguments, expected) in [
        (vec![], 5),
        (vec!["--commands"], 6),
        (vec!["--source", "ada"], 4),
        (vec!["--standing", "malformed"], 1),
        (vec!["--since", "2026-01-31T12:00:02Z"], 4),
        (vec!["--since", "2026-01-31T12:00:02Z", "--until", "2026-01-31T12:00:05Z"], 2),
        (vec!["--since", "1h", "--commands"], 1),
        (vec!["--where", "/topic=\"a\""], 3),
        (vec!["--where", "/topic=\"a\"", "--where", "/n=2"], 1),
        (vec!["--correlation", "01990000-0000-7000-8000-000000000001"], 1),
        (vec!["--session", "s"], 0),
    ] {
        assert_eq!(count(&arguments), expected, "{arguments:?}");
    }
    store.says(&["list", "--where", "/topic=a"], &expect![[r#"
        error: invalid value '/topic=a' for '--where </POINTER=JSON>': the value of `/topic` is no JSON: expected value at line 1 column 1
        help: text needs quotes: /topic="Budget"

        For more information, try '--help'.
        exit 2
    "#]]);
    store.says(&["list", "--since", "yesterday"], &expect![[r#"
        error: invalid value 'yesterday' for '--since <AGE|TIME>': `yesterday` is no time; expected an age, as in `10m`, or `2026-01-31T12:00:00Z`

        For more information, try '--help'.
        exit 2
    "#]]);
}

#[tokio::test]
async fn an_event_is_shown_with_its_facts() {
    let body = b"{\n  \"n\": 12345678901234567890123 }";
    let headers = [("x-mine".to_owned(), "a\u{1b}b".into())].into();
    let strange = Incoming::new(Kind::Event, "no.such.key", *body).with_received(at(0));
    let mut known = envelope(1, "no.such.key", "ada", 0, json!({ "text": "\u{202e}" }));
    known.session_id = Some("s1".to_owned());
    known.correlation_id = Some(id(9));
    let batch = vec![strange.with_headers(headers), incoming(&known)];
    let binary = Incoming::new(Kind::Event, "no.such.key", *b"\xff\x00").with_received(at(0));
    let store = Store::with([batch, vec![binary]].concat()).await;
    store.says(
        &["get", "1"],
        &expect![[r#"
        position  1
        id        dda66dc3-fe83-5ce5-bd43-c9ae5f737366
        kind      event
        key       no.such.key
        stored    2026-01-31 12:00:00.000Z
        standing  malformed: not an envelope: missing field `id` at line 2 column 32
        size      34 bytes
        checksum  06fd8e24 (CRC-32)

        headers
          x-mine  a\u{1b}b

        {
          "n": 12345678901234567890123
        }
        exit 0
    "#]],
    );
    store.says(
        &["get", &id(1).to_string()],
        &expect![[r#"
        position     2
        id           01990000-0000-7000-8000-000000000001
        kind         event
        key          no.such.key
        source       ada
        timestamp    2026-01-31 12:00:00.000Z
        stored       2026-01-31 12:00:00.002Z
        correlation  01990000-0000-7000-8000-000000000009
        session      s1
        standing     unknown: no contract has the key `no.such.key`
        size         225 bytes
        checksum     44a55850 (CRC-32)

        {
          "id": "01990000-0000-7000-8000-000000000001",
          "event_type": "no.such.key",
          "source": "ada",
          "timestamp": "2026-01-31T12:00:00.000000Z",
          "correlation_id": "01990000-0000-7000-8000-000000000009",
          "session_id": "s1",
          "data": {
            "text": "\u{202e}"
          }
        }
        exit 0
    "#]],
    );
    store.says(
        &["get", "9"],
        &expect![[r#"
        error: no event at position 9 is stored
        exit 1
    "#]],
    );
    store.says(&["get", "nine"], &expect![[r#"
        error: invalid value 'nine' for '<ID|POSITION>': expected an id (a UUID) or a position (a number)

        For more information, try '--help'.
        exit 2
    "#]]);
    assert_eq!(store.out(&["get", "1", "--raw"]).as_bytes(), body);
    store.says(&["get", "1", "--json"], &expect![[r#"
        {"position":1,"id":"dda66dc3-fe83-5ce5-bd43-c9ae5f737366","kind":"event","key":"no.such.key","source":"","timestamp":null,"received":"2026-01-31T12:00:00Z","correlation_id":null,"causation_id":null,"session_id":null,"standing":"malformed","violation":"not an envelope: missing field `id` at line 2 column 32","schema":null,"headers":{"x-mine":"a\u001bb"},"properties":null,"checksum":117280292,"envelope":{   "n": 12345678901234567890123 }}
        exit 0
    "#]]);
    assert_eq!(store.json(&["get", "3", "--json"])[0]["body_hex"], json!("ff00"));
}

#[tokio::test]
async fn stats_count_by_what_they_are_told_to() {
    let store = Store::with(workflow()).await;
    let out = |arguments: &[&str]| {
        let since = ["stats", "--since", "2026-01-31T12:00:00Z"];
        let text = store.out(&[&since, arguments].concat());
        // How large the file is depends on SQLite.
        text.lines().filter(|line| !line.starts_with("size")).collect::<Vec<_>>().join("\n")
    };
    expect![[r#"
        SOURCE          COUNT  BYTES  MEAN  P50   P95   P99   LONGEST  NOT VALID
        ada             1      266 B  2 ms  1 ms  1 ms  1 ms  2 ms     1
        counter         2      799 B  2 ms  1 ms  1 ms  1 ms  2 ms     0
        door            1      143 B  2 ms  1 ms  1 ms  1 ms  2 ms     1
        door\u{1b}[31m  1      258 B  2 ms  1 ms  1 ms  1 ms  2 ms     1
        oven            2      501 B  2 ms  1 ms  2 ms  2 ms  3 ms     2

        events          7
        commands        0
        not valid       5
        duplicates      0
        quarantined     0
        first position  1, stored 2026-01-31 12:00:00.002Z
        last position   7, stored 2026-01-31 12:10:00.032Z"#]]
    .assert_eq(&out(&["--by", "source"]));
    expect![[r#"
        MINUTE             KEY                  SOURCE   COUNT  BYTES  MEAN  P50   P95   P99   LONGEST  NOT VALID
        2026-01-31 12:00Z  bakery.order.placed  counter  1      396 B  2 ms  1 ms  1 ms  1 ms  2 ms     0
        2026-01-31 12:00Z  door.bell.rang       door     1      143 B  2 ms  1 ms  1 ms  1 ms  2 ms     1

        events          7
        commands        0
        not valid       5
        duplicates      0
        quarantined     0
        first position  1, stored 2026-01-31 12:00:00.002Z
        last position   7, stored 2026-01-31 12:10:00.032Z"#]].assert_eq(&out(&["--until", "2026-01-31T12:00:01Z"]));
    let lines = store.json(&["stats", "--json", "--since", "2026-01-31T12:00:00Z"]);
    let (totals, groups) = lines.split_last().unwrap();
    assert_eq!(totals["totals"]["events"], 7);
    assert!(totals["totals"]["size_bytes"].as_u64().unwrap() > 4_096);
    assert_eq!(groups.iter().map(|group| group["count"].as_u64().unwrap()).sum::<u64>(), 7);
    assert_eq!(groups[0]["mean_latency_us"], 2_000);
}

#[tokio::test]
async fn both_databases_answer_alike() {
    let file = Store::with(workflow()).await;
    let Some(server) = Machine::postgres().await else { return };
    let server = Store::on(server, workflow()).await;
    let chain = id(3).to_string();
    for arguments in [
        vec!["list"],
        vec!["list", "--oldest", "--limit", "3", "--json"],
        vec!["list", "--where", "/n=7"],
        vec!["list", "--standing", "valid"],
        vec!["list", "--count", "bakery.#"],
        vec!["get", "2"],
        vec!["chain", &chain],
        vec!["stats", "--since", "2026-01-31T12:00:00Z", "--by", "key"],
    ] {
        let said = |store: &Store| {
            let text = store.0.says(&[&["store"], &arguments[..]].concat()).whole();
            let lines = text.lines().filter(|line| !line.starts_with("size   "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(said(&server), said(&file), "{arguments:?}");
        assert!(!said(&file).is_empty());
    }
}

#[tokio::test]
async fn a_tail_shows_history_and_then_what_another_process_writes() {
    let store = Store::with((1..=3).map(|n| incoming(&trigger(n, 0, "a"))).collect()).await;
    let following = store.0.spawn(&["store", "tail", "no.#", "--from", "2", "--json"]);
    let position = || {
        let line: Value = serde_json::from_str(&following.next()).unwrap();
        line["position"].as_u64().unwrap()
    };
    assert_eq!((position(), position()), (2, 3));
    let written = store.0.store().await;
    for n in 4..=20 {
        written.append(vec![incoming(&trigger(n, 0, "a"))]).await.unwrap();
    }
    let rest: Vec<u64> = (4..=20).map(|_| position()).collect();
    assert_eq!(rest, (4..=20).collect::<Vec<_>>());
}
