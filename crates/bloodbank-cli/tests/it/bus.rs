//! The commands that work on a bus, on a real broker and without one.

use bloodbank::amqp::Amqp;
use bloodbank::serde_json::{self, Value};
use bloodbank::{Destination, Exchange, Headers, Transport, Verbatim};

use crate::machine::{BOARD, COMMAND, EVENT, Machine};

/// Where nobody is.
const NOWHERE: &str = "amqp://me:secret@127.0.0.1:1/v";

#[test]
fn without_a_broker_the_bus_lies_in_the_store() {
    let machine = Machine::sqlite();
    let note = format!("note: RABBIT_URL is not set, so this is the bus in {}\n", machine.url);
    let said = machine.says(&["publish", EVENT, "--example"]);
    assert_eq!((said.code, &said.err), (0, &note));
    assert!(said.out.starts_with(&format!("published  {EVENT}  ")), "{}", said.out);
    for (command, code) in [
        (&["dlq", "ls"][..], 0),
        (&["topology", "--check"], 4),
        (&["topology", "--apply"], 0),
        (&["topology", "--check"], 0),
    ] {
        let said = machine.says(command);
        assert_eq!(said.code, code, "{command:?}: {}{}", said.out, said.err);
        assert!(said.err.contains(&note), "{}", said.err);
    }
    let doctor = machine.says(&["doctor"]);
    assert_eq!((doctor.code, &*doctor.err), (0, ""), "{}", doctor.out);
    assert!(doctor.out.contains("RABBIT_URL is not set, so the bus lies in the store"));
    assert!(doctor.out.contains(&format!("{}, 1 event so far", machine.url)), "{}", doctor.out);
}

#[test]
fn a_dry_run_shows_the_envelope() {
    let arguments = ["publish", EVENT, "--example", "--dry-run", "--source", "me"];
    let said = Machine::sqlite().on(NOWHERE).says(&arguments);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let envelope: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&envelope["event_type"], &envelope["source"]), (&EVENT.into(), &"me".into()));
}

#[test]
fn what_cannot_be_published_is_told_with_what_to_do() {
    let machine = Machine::sqlite();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["publish", "bakery.order.plcaed", "--example"], 1, "did you mean"),
        (&["publish", COMMAND, "--example"], 1, "is a command; use `bloodbank send`"),
        (&["send", EVENT, "--example"], 1, "is an event; use `bloodbank publish`"),
        (&["publish", EVENT, "--data", "{"], 1, "--data:1:1: not JSON"),
        (&["publish", EVENT, "--data", "@/nowhere.json"], 1, "`/nowhere.json` cannot be read"),
        (&["publish", EVENT], 2, "--example"),
    ];
    for (arguments, code, expected) in cases {
        let said = machine.says(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn no_broker_there_is_an_error_that_says_what_was_tried_and_no_password() {
    let said = Machine::sqlite().on(NOWHERE).says(&["publish", EVENT, "--example"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    let mut lines = said.err.lines();
    assert_eq!(
        lines.next(),
        Some("error: the event was not published: no connection to RabbitMQ in 10s")
    );
    let host = lines.next().unwrap();
    assert!(host.starts_with("  amqp://me@127.0.0.1:1 vhost `v`: "), "{host}");
    assert!(lines.next().unwrap().starts_with("help: `bloodbank doctor`"), "{}", said.err);
    assert_eq!(lines.next(), None);
    assert!(!said.err.contains("secret"), "{}", said.err);
}

#[test]
fn wrong_settings_are_told_with_what_is_expected() {
    let machine = Machine::sqlite();
    let log = Machine::sqlite().with("BLOODBANK_LOG", "loud").with("BLOODBANK_LOG_FORMAT", "xml");
    let said = log.says(&["list-events"]);
    assert_eq!(said.code, 0);
    for expected in ["BLOODBANK_LOG is `loud`; expected", "BLOODBANK_LOG_FORMAT is `xml`; expected"]
    {
        assert_eq!(said.err.lines().filter(|line| line.contains(expected)).count(), 1);
    }
    let said = Machine::sqlite().with("EXCHANGE_TYPE", "tpoic").says(&["topology"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("EXCHANGE_TYPE is `tpoic`; expected `topic`"), "{}", said.err);
    let said = Machine::sqlite().on("http://me:secret@h").says(&["publish", EVENT, "--example"]);
    assert!(said.err.contains("percent-encoded") && !said.err.contains("secret"), "{}", said.err);
    for usage in [
        &["topology", "--history"][..],
        &["dlq", "redrive", "--rate", "0"],
        &["dlq", "show", "--id", "7"],
    ] {
        assert_eq!(machine.says(usage).code, 2, "{usage:?}");
    }
}

#[test]
fn the_topology_is_shown_whole() {
    let said = Machine::sqlite().says(&["topology"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let words = |start: &str| {
        let line = said.out.lines().find(|line| line.split("  ").next() == Some(start));
        let line = line.unwrap_or_else(|| panic!("no {start}: {}", said.out));
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("bakery.events.listeners")[1], "topic");
    assert_eq!(words(BOARD)[1..3], ["quorum", "none"], "{}", said.out);
    assert_eq!(words("commands.oven.batch.bake")[2], "1,000,000", "{}", said.out);
    assert_eq!(words(BOARD)[4], "order_board_queue.dlq");
    assert_eq!(words("bakery.events.unrouted")[1], "fanout");
    assert_eq!(words("bloodbank.replay.v1")[1..], ["topic", "events of the past, published again"]);
    assert_eq!(words("bloodbank.scheduled.v1")[1..], ["topic", "messages that are not due yet"]);
    for (room, wait) in [("1s", "1 s"), ("10s", "10 s"), ("1m", "1 min"), ("10m", "10 min")] {
        let rooms = said.out.lines().filter(|line| {
            line.starts_with(&format!("  <queue>.retry.{room} ")) && line.ends_with(wait)
        });
        assert_eq!(rooms.count(), 1, "{room}: {}", said.out);
    }
}

#[tokio::test]
async fn what_is_published_appears_and_what_is_refused_does_not() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    let tail = machine.tail(&["bakery.#"]);
    let refused = machine.says(&["publish", EVENT, "--data", r#"{"customer": ""}"#]);
    assert_eq!((refused.code, refused.out.as_str()), (100, ""));
    for pointer in ["/customer", "/order_id", "/loaves"] {
        assert!(refused.err.contains(pointer), "{}", refused.err);
    }
    let id = machine.says(&["publish", EVENT, "--example"]).id();
    let line = tail.next();
    assert!(line.contains(EVENT) && line.contains(&id), "{line}");
    // As in `2026-11-21 08:37:01.123Z`.
    assert_eq!((&line[4..5], &line[10..11], &line[23..26]), ("-", " ", "Z  "), "{line}");
}

#[tokio::test]
async fn what_passes_is_one_line_of_json_each() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    let tail = machine.tail(&["--json"]);
    let example = machine.says(&["publish", EVENT, "--example", "--dry-run"]).out;
    assert!(example.lines().count() > 5, "{example}");
    let amqp: Amqp = machine.amqp().await;
    for body in ["no envelope", &example] {
        let message = Verbatim::stored(EVENT, body.as_bytes(), Headers::new());
        amqp.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
    }
    amqp.close().await;
    // What is not an envelope is not among them.
    let line: Value = serde_json::from_str(&tail.next()).unwrap();
    assert_eq!(line, serde_json::from_str::<Value>(&example).unwrap());
    assert!(tail.told("").contains("not an envelope: "));
}

#[tokio::test]
async fn the_topology_is_compared_and_declared() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    let send = ["send", COMMAND, "--example"];
    let early = machine.says(&send);
    assert_eq!(early.code, 1);
    let reason = "no service that wants it has declared a queue for it";
    assert!(early.err.contains(reason), "{}", early.err);

    let before = machine.says(&["topology", "--check"]);
    assert_eq!(before.code, 4, "{}", before.err);
    assert!(before.out.contains("queue `order_board_queue` is missing"), "{}", before.out);
    assert!(before.err.contains("--apply"), "{}", before.err);
    // What is asked for by name is done, whatever is usual.
    let off = machine.with("RABBIT_TOPOLOGY", "off");
    off.says(&["topology", "--apply", "--history"]).well();
    let after = off.says(&["topology", "--check"]).well();
    assert!(after.contains("bindings were not compared, as AMQP cannot list them"), "{after}");
    off.says(&send).well();

    // The history begins with its declaration.
    off.says(&["publish", EVENT, "--example"]).well();
    let line = off.tail(&["--since", "1h"]).next();
    assert!(line.contains(EVENT), "{line}");
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let unset = Machine::sqlite().at("sqlite:/dev/null/store.db").says(&["doctor"]);
    assert_eq!(unset.code, 100);
    assert!(unset.out.contains("fix: name a file or a database in DATABASE_URL"), "{}", unset.out);
    let Some(machine) = Machine::rabbitmq().await else { return };
    let bare = machine.says(&["doctor"]);
    assert_eq!((bare.code, bare.err.as_str()), (100, ""), "{}", bare.out);
    assert!(bare.out.contains("RabbitMQ 3.") || bare.out.contains("RabbitMQ 4."), "{}", bare.out);
    assert!(bare.out.contains("`--apply` declares what is missing"), "{}", bare.out);
    assert!(bare.out.contains("no queue for them is there yet"), "{}", bare.out);
    assert!(bare.out.contains("ok     history        no history; `bloodbank"), "{}", bare.out);
    // Whoever looks changes nothing.
    let again = machine.says(&["topology", "--check"]).out;
    assert!(again.contains("exchange `bakery.events` is missing"), "{again}");
    machine.says(&["topology", "--apply", "--history"]).well();
    let well = machine.says(&["doctor"]);
    assert_eq!((well.code, well.err.as_str()), (0, ""), "{}", well.out);
    assert!(well.out.contains("every event is kept for seven days"), "{}", well.out);
    assert!(well.out.ends_with("all is well\n"), "{}", well.out);
    let wrong_url = machine.broker().replace("guest:guest", "guest:wrong");
    let machine = machine.on(wrong_url);
    let wrong = machine.says(&["doctor"]);
    assert!(wrong.out.contains("wrong user or password") && wrong.err.is_empty(), "{}", wrong.out);
    let wrong = machine.says(&["publish", EVENT, "--example"]).err;
    assert_eq!(wrong.matches("wrong user or password").count(), 1, "{wrong}");
    let help = wrong.lines().nth(1).unwrap();
    assert!(help.starts_with("help: check user and password in RABBIT_URL"), "{wrong}");
    assert_eq!(wrong.lines().count(), 2, "{wrong}");
}

#[test]
fn the_doctor_looks_at_hosts_with_tls_too() {
    let said = Machine::sqlite().on("amqps://me:secret@127.0.0.1:1//").says(&["doctor"]);
    assert_eq!((said.code, said.err.as_str()), (100, ""));
    assert!(said.out.contains("configuration  amqps://me@127.0.0.1:1 vhost `/`\n"), "{}", said.out);
    assert!(said.out.contains("wrong  host           127.0.0.1:1: "), "{}", said.out);
    assert!(!said.out.contains("secret"), "{}", said.out);
}
