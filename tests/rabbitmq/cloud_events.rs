//! The Python SDK of CloudEvents at the other end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bloodbank::events::{llm, services};
use bloodbank::serde_json::{self, Value, json};
use bloodbank::uuid::Uuid;
use bloodbank::{EnvelopeForm, Received};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::support::{Space, prompt, prompts};

fn script(python: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rabbitmq/cloud_events.py"));
    command.args(arguments).stdout(Stdio::piped());
    command
}

#[tokio::test]
async fn a_handler_gets_the_cloud_events_of_the_python_sdk() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let Some(python) = bloodbank_testkit::python() else { return };
    let space = Space::fresh().await;
    let bus = space.bus().await;
    for form in ["structured", "binary", "rabbitmq"] {
        // Each form has its queue, as all events have one id.
        bus.transport().declare(&prompts(form)).await.unwrap();
        let mut publish = script(&python, &[&space.url(), "publish", form]);
        let (sender, mut heard) = mpsc::unbounded_channel();
        let subscriber = bus.subscriber::<services::LlmCostCalculator>().queue(form);
        let running = subscriber.bind("llm.prompt").on(move |received: Received<llm::Prompt>| {
            let sender = sender.clone();
            async move { sender.send(received).unwrap() }
        });
        let done = async {
            let published = spawn_blocking(move || publish.status().unwrap()).await.unwrap();
            assert!(published.success(), "{form}");
            let received = heard.recv().await.unwrap();
            let envelope = &received.envelope;
            assert_eq!(received.payload.prompt, "Grüße aus Python", "{form}");
            assert_eq!((&*envelope.source, &envelope.extra["tenant"]), ("/python", &json!("x")));
            assert_eq!(envelope.id.to_string(), "0195c3b9-4e77-7a21-9d38-5c0b6f1e2a94");
            assert_eq!(envelope.timestamp.to_rfc3339(), "2026-01-31T12:00:00.125+00:00", "{form}");
            let correlation = envelope.correlation_id.unwrap().to_string();
            assert_eq!(correlation, "0195c3b9-4e77-7a21-9d38-5c0b6f1e2a95");
        };
        running.run_until(done).await.unwrap();
    }
}

#[tokio::test]
async fn the_python_sdk_reads_our_cloud_events() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let Some(python) = bloodbank_testkit::python() else { return };
    let space = Space::fresh().await;
    let bus = space.bus().await;
    let mut child = script(&python, &[&space.url(), "consume", "2"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (bound, mut lines) = spawn_blocking(move || (lines.next(), lines)).await.unwrap();
    assert_eq!(bound.unwrap().unwrap(), "bound");
    for form in [EnvelopeForm::CloudEvent, EnvelopeForm::CloudEventBinary] {
        let bus = bus.clone().in_form(form);
        let publisher = bus.publisher::<services::LlmCollector>();
        let (prompt, cause) = (prompt(), Uuid::now_v7());
        let receipt =
            publisher.publish(&prompt).correlation(cause).session("session-7").await.unwrap();
        let (said, rest) = spawn_blocking(move || (lines.next(), lines)).await.unwrap();
        lines = rest;
        let said: Value = serde_json::from_str(&said.unwrap().unwrap()).unwrap();
        assert_eq!(said["data"], serde_json::to_value(&prompt).unwrap(), "{form:?}");
        let attributes = &said["attributes"];
        let text = |name: &str| attributes[name].as_str().unwrap_or_default();
        assert_eq!(text("id"), receipt.id.to_string(), "{form:?}: {attributes}");
        assert_eq!((text("type"), text("source")), ("llm.prompt", "llm-collector"));
        assert_eq!((text("correlationid"), text("sessionid")), (&*cause.to_string(), "session-7"));
        assert_eq!(text("datacontenttype"), "application/json");
        assert!(text("dataschema").ends_with("llm/prompt.v1.json"), "{attributes}");
        assert!(text("time").ends_with("+00:00"), "{attributes}");
    }
    assert!(spawn_blocking(move || child.wait()).await.unwrap().unwrap().success());
}
