//! The commands that work on a bus, on a real broker and without one.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use bloodbank_testkit::Broker;

const EVENT: &str = "theboard.meeting.created";
const COMMAND: &str = "github.pull_request.merge";

/// The command, where no schema folder is and the environment names this broker, or none.
fn bloodbank(url: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bloodbank"));
    command.args(arguments).current_dir(std::env::temp_dir());
    for name in [
        "BLOODBANK_LOG",
        "BLOODBANK_LOG_FORMAT",
        "BLOODBANK_SCHEMAS",
        "EXCHANGE_NAME",
        "EXCHANGE_TYPE",
        "RABBIT_HOST",
        "RABBIT_TOPOLOGY",
        "RABBIT_URL",
    ] {
        command.env_remove(name);
    }
    command.envs(url.map(|url| ("RABBIT_URL", url)));
    // The store of whoever runs the tests is not for them.
    command.env("DATABASE_URL", "sqlite:/dev/null/store.db");
    command
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn says(url: Option<&str>, arguments: &[&str]) -> Said {
    says_with(url, arguments, &[])
}

/// With more variables in its environment.
fn says_with(url: Option<&str>, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = bloodbank(url, arguments);
    let Output { status, stdout, stderr } =
        command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

/// A vhost of our own on the broker of these tests; `None` where RabbitMQ is missing.
async fn broker() -> Option<String> {
    if !bloodbank_testkit::rabbitmq() {
        return None;
    }
    Some(Broker::shared().await.fresh_url())
}

/// Ends with the test.
struct Tail {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    errors: BufReader<std::process::ChildStderr>,
}

impl Tail {
    fn start(url: &str, arguments: &[&str]) -> Self {
        let mut command = bloodbank(Some(url), &["tail"]);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It says when it listens.
        let mut said = String::new();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        errors.read_line(&mut said).unwrap();
        assert!(said.starts_with("listening for"), "{said}");
        let lines = BufReader::new(child.stdout.take().unwrap());
        Tail { child, lines, errors }
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn error(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_a_broker_the_bus_lies_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let says = |arguments: &[&str]| says_with(None, arguments, &[("DATABASE_URL", &url)]);
    let note = format!("note: RABBIT_URL is not set, so this is the bus in {url}\n");
    let said = says(&["publish", EVENT, "--example"]);
    assert_eq!((said.code, &said.err), (0, &note));
    assert!(said.out.starts_with("published  theboard.meeting.created  "), "{}", said.out);
    for (command, code) in [
        (&["dlq", "ls"][..], 0),
        (&["topology", "--check"], 4),
        (&["topology", "--apply"], 0),
        (&["topology", "--check"], 0),
    ] {
        let said = says(command);
        assert_eq!(said.code, code, "{command:?}: {}{}", said.out, said.err);
        assert!(said.err.starts_with(&note), "{}", said.err);
    }
    let doctor = says(&["doctor"]);
    assert_eq!((doctor.code, &*doctor.err), (0, ""), "{}", doctor.out);
    assert!(doctor.out.contains("RABBIT_URL is not set, so the bus lies in the store"));
    assert!(doctor.out.contains(&format!("{url}, 1 event so far")), "{}", doctor.out);
}

#[test]
fn a_dry_run_shows_the_envelope() {
    let arguments = ["publish", EVENT, "--example", "--dry-run", "--source", "me"];
    let said = says(Some("amqp://127.0.0.1:1"), &arguments);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let envelope: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&envelope["event_type"], &envelope["source"]), (&EVENT.into(), &"me".into()));
}

#[test]
fn what_cannot_be_published_is_told_with_what_to_do() {
    let cases: [(&[&str], i32, &str); 6] = [
        (&["publish", "theboard.meeting.creatd", "--example"], 1, "did you mean"),
        (&["publish", COMMAND, "--example"], 1, "is a command; use `bloodbank send`"),
        (&["send", EVENT, "--example"], 1, "is an event; use `bloodbank publish`"),
        (&["publish", EVENT, "--data", "{"], 1, "--data:1:1: not JSON"),
        (&["publish", EVENT, "--data", "@/nowhere.json"], 1, "`/nowhere.json` cannot be read"),
        (&["publish", EVENT], 2, "--example"),
    ];
    for (arguments, code, expected) in cases {
        let said = says(None, arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn no_broker_there_is_an_error_that_says_what_was_tried_and_no_password() {
    let said = says(Some("amqp://me:secret@127.0.0.1:1/v"), &["publish", EVENT, "--example"]);
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
    let publish = ["publish", EVENT, "--example"];
    let log = [("BLOODBANK_LOG", "loud"), ("BLOODBANK_LOG_FORMAT", "xml")];
    let said = says_with(None, &["list-events"], &log);
    assert_eq!(said.code, 0);
    for expected in ["BLOODBANK_LOG is `loud`; expected", "BLOODBANK_LOG_FORMAT is `xml`; expected"]
    {
        assert_eq!(said.err.lines().filter(|line| line.contains(expected)).count(), 1);
    }
    let said = says_with(None, &["topology"], &[("EXCHANGE_TYPE", "tpoic")]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("EXCHANGE_TYPE is `tpoic`; expected `topic`"), "{}", said.err);
    let said = says(Some("http://me:secret@h"), &publish);
    assert!(said.err.contains("percent-encoded") && !said.err.contains("secret"), "{}", said.err);
    for usage in [
        &["topology", "--history"][..],
        &["dlq", "redrive", "--rate", "0"],
        &["dlq", "show", "--id", "7"],
    ] {
        assert_eq!(says(None, usage).code, 2, "{usage:?}");
    }
}

#[test]
fn the_topology_is_shown_whole() {
    let said = says(None, &["topology"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let words = |start: &str| {
        let line = said.out.lines().find(|line| line.split("  ").next() == Some(start));
        let line = line.unwrap_or_else(|| panic!("no {start}: {}", said.out));
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("bloodbank.events.v1.listeners")[1], "topic");
    assert_eq!(
        words("theboard_sync_queue")[1..3],
        ["quorum".to_owned(), "1,000,000".to_owned()],
        "{}",
        said.out
    );
    assert_eq!(words("theboard_sync_queue")[4], "theboard_sync_queue.dlq");
    assert_eq!(words("bloodbank.unrouted")[1], "fanout");
    assert_eq!(words("bloodbank.replay.v1")[1..], ["topic", "events of the past, published again"]);
    for (room, wait) in [("1s", "1 s"), ("10s", "10 s"), ("1m", "1 min"), ("10m", "10 min")] {
        let rooms = said.out.lines().filter(|line| {
            line.starts_with(&format!("  <queue>.retry.{room} ")) && line.ends_with(wait)
        });
        assert_eq!(rooms.count(), 1, "{room}: {}", said.out);
    }
}

#[tokio::test]
async fn what_is_published_appears_and_what_is_refused_does_not() {
    let Some(url) = broker().await else { return };
    let mut tail = Tail::start(&url, &["theboard.#"]);
    let refused = says(Some(&url), &["publish", EVENT, "--data", r#"{"topic": ""}"#]);
    assert_eq!((refused.code, refused.out.as_str()), (100, ""));
    for pointer in ["/topic", "/meeting_id", "/max_rounds"] {
        assert!(refused.err.contains(pointer), "{}", refused.err);
    }
    let published = says(Some(&url), &["publish", EVENT, "--example"]);
    assert_eq!(published.code, 0, "{}", published.err);
    let id = published.out.trim_end().rsplit(' ').next().unwrap().to_owned();
    let line = tail.next();
    assert!(line.contains(EVENT) && line.contains(&id), "{line}");
    // As in `2026-11-21 08:37:01.123Z`.
    assert_eq!((&line[4..5], &line[10..11], &line[23..26]), ("-", " ", "Z  "), "{line}");
}

#[tokio::test]
async fn what_passes_is_one_line_of_json_each() {
    use bloodbank::amqp::{Amqp, AmqpConfig};
    use bloodbank::{Destination, Exchange, Headers, Transport, Verbatim};
    let Some(url) = broker().await else { return };
    let mut tail = Tail::start(&url, &["--json"]);
    let example = says(None, &["publish", EVENT, "--example", "--dry-run"]).out;
    assert!(example.lines().count() > 5, "{example}");
    let amqp = Amqp::connect(AmqpConfig::from_urls(&url).unwrap()).await.unwrap();
    for body in ["no envelope", &example] {
        let message = Verbatim::stored(EVENT, body.as_bytes(), Headers::new());
        amqp.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
    }
    amqp.close().await;
    // What is no envelope is not among them.
    let line: serde_json::Value = serde_json::from_str(&tail.next()).unwrap();
    assert_eq!(line, serde_json::from_str::<serde_json::Value>(&example).unwrap());
    assert!(tail.error().contains("not an envelope: "));
}

#[tokio::test]
async fn the_topology_is_compared_and_declared() {
    let Some(url) = broker().await else { return };
    let send = ["send", COMMAND, "--example"];
    let early = says(Some(&url), &send);
    assert_eq!(early.code, 1);
    assert!(
        early.err.contains("no service that wants it has declared a queue for it"),
        "{}",
        early.err
    );

    let before = says(Some(&url), &["topology", "--check"]);
    assert_eq!(before.code, 4, "{}", before.err);
    assert!(before.out.contains("queue `theboard_sync_queue` is missing"), "{}", before.out);
    assert!(before.err.contains("--apply"), "{}", before.err);
    // What is asked for by name is done, whatever is usual.
    let off = [("RABBIT_TOPOLOGY", "off")];
    let applied = says_with(Some(&url), &["topology", "--apply", "--history"], &off);
    assert_eq!(applied.code, 0, "{}", applied.err);
    let after = says(Some(&url), &["topology", "--check"]);
    assert_eq!(after.code, 0, "{}{}", after.out, after.err);
    assert!(after.out.ends_with("bindings were not compared: AMQP has no way to look at them\n"));
    assert_eq!(says(Some(&url), &send).code, 0);

    // The history begins with its declaration.
    let published = says(Some(&url), &["publish", EVENT, "--example"]);
    assert_eq!(published.code, 0, "{}", published.err);
    let line = Tail::start(&url, &["--since", "1h"]).next();
    assert!(line.contains(EVENT), "{line}");
}

#[tokio::test]
async fn dead_letters_are_shown_brought_back_and_purged() {
    let Some(url) = broker().await else { return };
    assert_eq!(says(Some(&url), &["topology", "--apply"]).code, 0);
    let commands = [&["ls"][..], &["show"], &["show", "--json"], &["redrive", "--yes"]];
    for command in commands.into_iter().chain([&["purge", "--yes"][..]]) {
        let said = says(Some(&url), &[&["dlq"], command].concat());
        assert_eq!((said.out.as_str(), said.err.as_str()), ("", "no dead letters\n"));
    }
    for _ in 0..3 {
        assert_eq!(says(Some(&url), &["publish", "llm.prompt", "--example"]).code, 0);
    }
    park_all(&url).await;

    let queue = "llm_cost_calculator_queue";
    let listed = says(Some(&url), &["dlq", "ls"]).out;
    assert!(listed.contains("llm_cost_calculator_queue.dlq  3 "), "{listed}");
    assert!(listed.contains("3 parked"), "{listed}");
    let shown = says(Some(&url), &["dlq", "show", queue]).out;
    assert_eq!(shown.lines().count(), 1 + 3, "{shown}");
    assert!(shown.starts_with("PARKED  "), "{shown}");
    assert!(shown.contains("  parked  llm_cost_calculator_queue  1 attempt  no budget"), "{shown}");
    let long = shown.lines().nth(1).unwrap().rsplit("  ").next().unwrap();
    assert!(long.ends_with('…') && long.chars().count() <= 121, "{long}");
    let json = says(Some(&url), &["dlq", "show", queue, "--json"]).out;
    let json: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert!(json["body"].is_string() && json.get("body_hex").is_none(), "{json}");
    let none = says(Some(&url), &["dlq", "show", queue, "--reason", "exhausted"]).out;
    assert_eq!(none, "");

    let dry = says(Some(&url), &["dlq", "redrive", queue]);
    assert!(dry.out.contains("3 would go back") && dry.err.contains("--yes"), "{}", dry.out);
    let done = says(Some(&url), &["dlq", "redrive", queue, "--yes"]);
    assert_eq!((done.code, done.out.trim()), (0, "llm_cost_calculator_queue.dlq: 3 went back"));

    park_all(&url).await;
    let again = says(Some(&url), &["dlq", "show", queue]).out;
    assert!(again.contains("1 redrive"), "{again}");
    let gone = says(Some(&url), &["dlq", "purge", queue, "--yes", "--key", "llm.*"]);
    assert_eq!((gone.code, gone.out.trim()), (0, "llm_cost_calculator_queue.dlq: 3 gone"));
    let missing = says(Some(&url), &["dlq", "show", "nobody"]);
    assert!(missing.code == 1 && missing.err.contains("`nobody.dlq`"), "{}", missing.err);
    assert!(missing.err.contains("\n  llm_cost_calculator_queue.dlq\n"), "{}", missing.err);
    garbage_is_shown_as_hex(&url, queue).await;
}

/// What is no text at all, in a dead-letter queue.
async fn garbage_is_shown_as_hex(url: &str, queue: &str) {
    use bloodbank::amqp::{Amqp, AmqpConfig};
    use bloodbank::{Destination, Headers, Transport, Verbatim};
    let amqp = Amqp::connect(AmqpConfig::from_urls(url).unwrap()).await.unwrap();
    let message = Verbatim::stored("some.key", *b"\xff\x00", Headers::new());
    amqp.forward(message, Destination::queue(format!("{queue}.dlq"))).await.unwrap();
    amqp.close().await;
    let json = says(Some(url), &["dlq", "show", queue, "--json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["body_hex"], "ff00", "{json}");
    assert!(json.get("body").is_none(), "{json}");
}

/// A handler that has three messages parked.
async fn park_all(url: &str) {
    use bloodbank::amqp::{Amqp, AmqpConfig};
    use bloodbank::events::{AnyEvent, services};
    use bloodbank::{Bus, Received, Verdict};
    let amqp = Amqp::connect(AmqpConfig::from_urls(url).unwrap()).await.unwrap();
    let bus = Bus::new(std::sync::Arc::new(amqp), bloodbank::events::contracts());
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let subscriber = bus.subscriber::<services::LlmCostCalculator>();
    let subscriber = subscriber.on_any(move |_: Received<AnyEvent>| {
        sender.send(()).unwrap();
        async { Verdict::Park(format!("no budget{}", " at all".repeat(50))) }
    });
    let three = async {
        for _ in 0..3 {
            seen.recv().await;
        }
    };
    subscriber.run_until(three).await.unwrap();
    bus.close().await;
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let unset = says(None, &["doctor"]);
    assert_eq!(unset.code, 100);
    assert!(unset.out.contains("fix: name a file or a database in DATABASE_URL"), "{}", unset.out);
    let Some(url) = broker().await else { return };
    let bare = says(Some(&url), &["doctor"]);
    assert_eq!((bare.code, bare.err.as_str()), (100, ""), "{}", bare.out);
    assert!(bare.out.contains("RabbitMQ 3.") || bare.out.contains("RabbitMQ 4."), "{}", bare.out);
    assert!(bare.out.contains("`--apply` declares what is missing"), "{}", bare.out);
    assert!(bare.out.contains("no queue for them is there yet"), "{}", bare.out);
    assert!(bare.out.contains("ok     history        no history; `bloodbank"), "{}", bare.out);
    // Whoever looks changes nothing.
    let again = says(Some(&url), &["topology", "--check"]).out;
    assert!(again.contains("exchange `bloodbank.events.v1` is missing"), "{again}");
    assert_eq!(says(Some(&url), &["topology", "--apply", "--history"]).code, 0);
    let well = says(Some(&url), &["doctor"]);
    assert_eq!((well.code, well.err.as_str()), (0, ""), "{}", well.out);
    assert!(well.out.contains("every event is kept for seven days"), "{}", well.out);
    assert!(well.out.ends_with("all is well\n"), "{}", well.out);
    let wrong_url = url.replace("guest:guest", "guest:wrong");
    let wrong = says(Some(&wrong_url), &["doctor"]);
    assert!(wrong.out.contains("wrong user or password") && wrong.err.is_empty(), "{}", wrong.out);
    let wrong = says(Some(&wrong_url), &["publish", EVENT, "--example"]).err;
    assert_eq!(wrong.matches("wrong user or password").count(), 1, "{wrong}");
    let help = wrong.lines().nth(1).unwrap();
    assert!(help.starts_with("help: check user and password in RABBIT_URL"), "{wrong}");
    assert_eq!(wrong.lines().count(), 2, "{wrong}");
}

#[test]
fn the_doctor_looks_at_hosts_with_tls_too() {
    let said = says(Some("amqps://me:secret@127.0.0.1:1//"), &["doctor"]);
    assert_eq!((said.code, said.err.as_str()), (100, ""));
    assert!(said.out.contains("configuration  amqps://me@127.0.0.1:1 vhost `/`\n"), "{}", said.out);
    assert!(said.out.contains("wrong  host           127.0.0.1:1: "), "{}", said.out);
    assert!(!said.out.contains("secret"), "{}", said.out);
}
