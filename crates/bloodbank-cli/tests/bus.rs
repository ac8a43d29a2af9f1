//! The commands that work on a bus, on a real broker and without one.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use bloodbank_testkit::Broker;

const EVENT: &str = "theboard.meeting.created";
const COMMAND: &str = "github.pull_request.merge";

/// The command, where no schema folder is and the environment names this broker, or none.
fn bloodbank(url: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bloodbank"));
    command.args(arguments).current_dir(std::env::temp_dir());
    for name in ["BLOODBANK_SCHEMAS", "RABBIT_URL", "RABBIT_HOST", "EXCHANGE_NAME"] {
        command.env_remove(name);
    }
    command.envs(url.map(|url| ("RABBIT_URL", url)));
    command
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn says(url: Option<&str>, arguments: &[&str]) -> Said {
    let Output { status, stdout, stderr } = bloodbank(url, arguments).output().unwrap();
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
}

impl Tail {
    fn start(url: &str, arguments: &[&str]) -> Self {
        let mut command = bloodbank(Some(url), &["tail"]);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It says when it listens.
        let mut said = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("listening for"), "{said}");
        let lines = BufReader::new(child.stdout.take().unwrap());
        Tail { child, lines }
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
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
fn without_a_broker_publishing_says_plainly_that_nobody_hears() {
    let said = says(None, &["publish", EVENT, "--example"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("published  theboard.meeting.created  "), "{}", said.out);
    assert!(said.err.contains("RABBIT_URL") && said.err.contains("in memory"), "{}", said.err);
    for command in [&["dlq", "ls"][..], &["topology", "--check"], &["topology", "--apply"]] {
        let said = says(None, command);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("set RABBIT_URL=amqp://"), "{}", said.err);
    }
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
        (&["publish", COMMAND, "--example"], 1, "use `bloodbank send`"),
        (&["send", EVENT, "--example"], 1, "use `bloodbank publish`"),
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
fn no_broker_there_is_an_error_that_names_the_place_and_no_password() {
    let said = says(Some("amqp://me:secret@127.0.0.1:1/v"), &["publish", EVENT, "--example"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("amqp://me@127.0.0.1:1/v"), "{}", said.err);
    assert!(!said.err.contains("secret"), "{}", said.err);
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
}

#[tokio::test]
async fn the_topology_is_compared_and_declared() {
    let Some(url) = broker().await else { return };
    let send = ["send", COMMAND, "--example"];
    let early = says(Some(&url), &send);
    assert_eq!(early.code, 1);
    assert!(
        early.err.contains("no service that handles it has declared its queue"),
        "{}",
        early.err
    );

    let before = says(Some(&url), &["topology", "--check"]);
    assert_eq!(before.code, 4, "{}", before.err);
    assert!(before.out.contains("queue `theboard_sync_queue` is missing"), "{}", before.out);
    assert!(before.err.contains("--apply"), "{}", before.err);
    let applied = says(Some(&url), &["topology", "--apply", "--history"]);
    assert_eq!(applied.code, 0, "{}", applied.err);
    let after = says(Some(&url), &["topology", "--check"]);
    assert_eq!(after.code, 0, "{}{}", after.out, after.err);
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
    assert!(says(Some(&url), &["dlq", "ls"]).err.contains("no dead letters"));
    for _ in 0..3 {
        assert_eq!(says(Some(&url), &["publish", "llm.prompt", "--example"]).code, 0);
    }
    park_all(&url).await;

    let queue = "llm_cost_calculator_queue";
    let listed = says(Some(&url), &["dlq", "ls"]).out;
    assert!(listed.contains("llm_cost_calculator_queue.dlq  3 "), "{listed}");
    assert!(listed.contains("3 parked"), "{listed}");
    let shown = says(Some(&url), &["dlq", "show", queue]).out;
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(shown.contains("parked from llm_cost_calculator_queue") && shown.contains("no budget"));
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
}

/// A handler that has three messages parked.
async fn park_all(url: &str) {
    use bloodbank::amqp::{Amqp, AmqpConfig};
    use bloodbank::events::{AnyEvent, services};
    use bloodbank::{Bus, Received, Verdict};
    let amqp = Amqp::connect(AmqpConfig::from_urls(url).unwrap()).await.unwrap();
    let bus = Bus::new(std::sync::Arc::new(amqp));
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let subscriber = bus.subscriber::<services::LlmCostCalculator>();
    let subscriber = subscriber.on_any(move |_: Received<AnyEvent>| {
        sender.send(()).unwrap();
        async { Verdict::Park("no budget".to_owned()) }
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
    assert!(unset.out.contains("fix: set RABBIT_URL=amqp://"), "{}", unset.out);
    let Some(url) = broker().await else { return };
    let bare = says(Some(&url), &["doctor"]);
    assert_eq!(bare.code, 100, "{}", bare.out);
    assert!(bare.out.contains("RabbitMQ 3.") || bare.out.contains("RabbitMQ 4."), "{}", bare.out);
    assert!(bare.out.contains("`--apply` declares what is missing"), "{}", bare.out);
    assert_eq!(says(Some(&url), &["topology", "--apply"]).code, 0);
    let well = says(Some(&url), &["doctor"]);
    assert_eq!(well.code, 0, "{}", well.out);
    assert!(well.out.ends_with("all is well\n"), "{}", well.out);
    let wrong = says(Some(&url.replace("guest:guest", "guest:wrong")), &["doctor"]);
    assert!(wrong.out.contains("wrong user or password"), "{}", wrong.out);
}
