//! Python with aio-pika at the other end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bloodbank::amqp::Amqp;
use bloodbank::dead_letters::{self, DeadLetter, Filter};
use bloodbank::events::{self, llm, services};
use bloodbank::serde_json::{self, Value};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Meta, Publisher, Queue, Reason, Received, Subscriber, Topology, Transport};
use bloodbank_testkit::catalog::{self, Any, CreateMooring};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::support::{Space, prompt, prompts, until_depth};

fn script(python: &Path, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rabbitmq").join(name));
    command.args(arguments).stdout(Stdio::piped());
    command
}

/// Publishes from Python; gives the bytes that were published.
async fn publish(python: &Path, space: &Space, kind: &str) -> Vec<u8> {
    let mut command = script(python, "publish.py", &[&space.url(), kind]);
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let digits: Vec<u8> =
        text.trim().bytes().map(|c| (c as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

#[tokio::test]
async fn a_handler_gets_what_python_publishes() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let Some(python) = bloodbank_testkit::python() else { return };
    let space = Space::fresh().await;
    let bus = space.bus().await;
    bus.transport().declare(&prompts("from-python")).await.unwrap();
    let body = publish(&python, &space, "valid").await;
    let (sender, mut heard) = mpsc::unbounded_channel();
    bus.subscriber::<services::LlmCostCalculator>()
        .queue("from-python")
        .bind("llm.prompt")
        .on(move |received: Received<llm::Prompt>| {
            let sender = sender.clone();
            async move { sender.send(received).unwrap() }
        })
        .run_until(async {
            let received = heard.recv().await.unwrap();
            assert_eq!(received.payload.prompt, "Grüße aus Python");
            assert_eq!(received.envelope.source, "python");
            let said: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(received.envelope.id.to_string(), said["id"]);
            assert_eq!(received.headers()["from"], "python");
            assert_eq!(received.headers()["number"].as_i64(), Some(7));
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn python_reads_what_we_publish() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let Some(python) = bloodbank_testkit::python() else { return };
    let space = Space::fresh().await;
    let bus = space.bus().await;
    let mut child = script(&python, "consume.py", &[&space.url()]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (bound, mut lines) = spawn_blocking(move || (lines.next(), lines)).await.unwrap();
    assert_eq!(bound.unwrap().unwrap(), "bound");
    let publisher = bus.publisher::<services::LlmCollector>();
    let prompt = prompt();
    let receipt = publisher.publish(&prompt).session("session-7").await.unwrap();
    let said = spawn_blocking(move || lines.next()).await.unwrap().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    let said: Value = serde_json::from_str(&said).unwrap();
    let id = receipt.id.to_string();
    assert_eq!(said["message_id"], *id);
    assert_eq!(said["envelope"]["id"], *id);
    assert_eq!(said["envelope"]["data"], serde_json::to_value(&prompt).unwrap());
    assert_eq!(said["type"], "llm.prompt");
    assert_eq!(said["routing_key"], "llm.prompt");
    assert_eq!(said["app_id"], "llm-collector");
    assert_eq!(said["content_type"], "application/json");
    assert_eq!(said["delivery_mode"], 2);
    assert_eq!(said["headers"]["x-bloodbank-session-id"], "session-7");
    let timestamp = said["envelope"]["timestamp"].as_str().unwrap();
    let time = bloodbank::chrono::DateTime::parse_from_rfc3339(timestamp).unwrap();
    assert_eq!(said["timestamp"], time.timestamp());
}

/// What is parked when Python publishes this, and what it has published.
async fn parked(python: &Path, kind: &str) -> (DeadLetter, Vec<u8>) {
    let space = Space::fresh().await;
    let amqp: Amqp = space.amqp().await;
    let bus = Bus::new(std::sync::Arc::new(amqp.clone()), events::contracts());
    bus.transport().declare(&prompts("from-python")).await.unwrap();
    let body = publish(python, &space, kind).await;
    bus.subscriber::<services::LlmCostCalculator>()
        .queue("from-python")
        .bind("llm.prompt")
        .on(|_: Received<llm::Prompt>| async { Err::<(), _>("it reached a handler") })
        .run_until(until_depth(&amqp, "from-python.dlq", 1))
        .await
        .unwrap();
    let mut letters = dead_letters::list(&amqp, "from-python.dlq", &Filter::all()).await.unwrap();
    assert_eq!(space.raw().await.get("from-python.dlq").await.data, body);
    (letters.remove(0), body)
}

#[tokio::test]
async fn a_broken_payload_from_python_is_parked_byte_for_byte() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let Some(python) = bloodbank_testkit::python() else { return };
    let (letter, body) = parked(&python, "broken").await;
    assert_eq!(letter.reason, Some(Reason::BreaksContract));
    assert!(letter.error.as_ref().unwrap().contains("/temperature"), "{letter:?}");
    assert_eq!((letter.key.as_str(), &*letter.body), ("llm.prompt", &*body));
    assert_eq!(letter.parked_from.as_deref(), Some("from-python"));
}

#[tokio::test]
async fn garbage_from_python_is_parked_byte_for_byte() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let Some(python) = bloodbank_testkit::python() else { return };
    let (letter, body) = parked(&python, "garbage").await;
    assert_eq!((letter.reason, letter.id), (Some(Reason::NoEnvelope), None));
    assert_eq!((letter.key.as_str(), &*letter.body), ("llm.prompt", &*body));
}

/// The worker queue of [`CreateMooring`].
async fn workers(amqp: &Amqp) -> String {
    let queue = Queue::of_command("terminal.mooring.create").unwrap();
    amqp.declare(&Topology::new().with_parked_queue(queue.clone())).await.unwrap();
    queue.name
}

#[tokio::test]
async fn a_worker_in_python_answers_as_workers_do_on_amqp() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let Some(python) = bloodbank_testkit::python() else { return };
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let queue = workers(&amqp).await;
    let mut child = script(&python, "worker.py", &[&space.url(), &queue]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (ready, _lines) = spawn_blocking(move || (lines.next(), lines)).await.unwrap();
    assert_eq!(ready.unwrap().unwrap(), "ready");
    let publisher = Publisher::<Any>::new(std::sync::Arc::new(amqp), catalog::contracts());
    // Its own correlation id is not what the answer is matched with.
    let correlation_id = Uuid::now_v7();
    for (topic, meta) in
        [("first", Meta::new()), ("second", Meta::new().with_correlation_id(correlation_id))]
    {
        let command = CreateMooring { topic: topic.to_owned() };
        let said: Value = publisher.call(&command).meta(meta.clone()).await.unwrap();
        assert_eq!(said["topic"], topic);
        let expected = serde_json::to_value(meta.correlation_id).unwrap();
        assert_eq!(said["correlation_id"], expected);
    }
    assert!(spawn_blocking(move || child.wait().unwrap().success()).await.unwrap());
}

#[tokio::test]
async fn a_caller_in_python_gets_its_own_correlation_id_back() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let Some(python) = bloodbank_testkit::python() else { return };
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    workers(&amqp).await;
    let handler =
        |received: Received<CreateMooring>| async move { Ok::<_, String>(received.payload.topic) };
    let bus = std::sync::Arc::new(amqp);
    let subscriber = Subscriber::<Any>::new(bus, catalog::contracts()).handle(handler);
    let calling = async {
        // With one of its own; with none, where the id of its message is named; and as callers of
        // ours once did.
        for kind in ["own", "none", "old"] {
            let mut command = script(&python, "call.py", &[&space.url(), kind]);
            let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let said: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(said["answer"], serde_json::json!({"ok": kind}));
            assert_eq!(said["correlation_id"], said["expected"], "{kind}");
        }
    };
    subscriber.run_until(calling).await.unwrap();
}
