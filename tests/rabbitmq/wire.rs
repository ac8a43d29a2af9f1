//! What stands in the properties and headers of a message.

use bloodbank::events::services;
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Encoded, Envelope, Headers, Meta, Service, Transport};
use lapin::types::{AMQPValue, FieldTable};

use crate::support::{Space, prompt, prompts};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn text(table: &FieldTable, name: &str) -> Option<String> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn properties_and_headers_mirror_the_envelope() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    amqp.declare(&prompts("work")).await.unwrap();
    let (cause, correlation) = (Uuid::now_v7(), Uuid::now_v7());
    let meta = Meta::new()
        .with_causation_id(cause)
        .with_correlation_id(correlation)
        .with_session_id("session-7")
        .with_traceparent(TRACE);
    let data = bloodbank::serde_json::to_value(prompt()).unwrap();
    let mut envelope = Envelope::new("llm.prompt", "llm-collector", data, meta);
    envelope.schema = Some("https://schemas.33god.dev/llm/prompt.json".to_owned());
    let envelope = services::Any::contracts().validate(envelope).unwrap();
    let more = Headers::from([("x-bloodbank-replay".to_owned(), "r1".into())]);
    amqp.publish(Encoded::new(envelope.clone(), more).unwrap()).await.unwrap();

    let message = space.raw().await.get("work").await;
    assert_eq!(Envelope::from_bytes(&message.data).unwrap(), *envelope.get());
    assert_eq!(message.data, envelope.to_bytes().unwrap());
    let properties = &message.properties;
    let plain = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
    assert_eq!(plain(properties.message_id()), Some(envelope.id.to_string()));
    assert_eq!(plain(properties.kind()).as_deref(), Some("llm.prompt"));
    assert_eq!(plain(properties.app_id()).as_deref(), Some("llm-collector"));
    assert_eq!(plain(properties.correlation_id()), Some(correlation.to_string()));
    assert_eq!(plain(properties.content_type()).as_deref(), Some("application/json"));
    assert_eq!(*properties.delivery_mode(), Some(2));
    let seconds = u64::try_from(envelope.timestamp.timestamp()).unwrap();
    assert_eq!(*properties.timestamp(), Some(seconds));
    assert_eq!(message.routing_key.as_str(), "llm.prompt");
    assert_eq!(message.exchange.as_str(), "bloodbank.events.v1");
    let headers = properties.headers().as_ref().unwrap();
    assert_eq!(text(headers, "x-bloodbank-schema"), envelope.schema);
    assert_eq!(text(headers, "traceparent").as_deref(), Some(TRACE));
    assert_eq!(text(headers, "x-bloodbank-causation-id"), Some(cause.to_string()));
    assert_eq!(text(headers, "x-bloodbank-session-id").as_deref(), Some("session-7"));
    assert_eq!(text(headers, "x-bloodbank-replay").as_deref(), Some("r1"));
}

#[tokio::test]
async fn what_an_envelope_does_not_have_is_in_no_header() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let bus: Bus = space.bus().await;
    bus.transport().declare(&prompts("work")).await.unwrap();
    bus.publisher::<services::LlmCollector>().publish(&prompt()).await.unwrap();
    let message = space.raw().await.get("work").await;
    assert!(message.properties.correlation_id().is_none());
    let headers = message.properties.headers().as_ref().unwrap();
    let ours = headers.inner().keys().filter(|name| name.as_str() != "x-delivery-count");
    let names: Vec<&str> = ours.map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-bloodbank-schema"]);
}
