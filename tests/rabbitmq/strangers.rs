//! What somebody else publishes, with another client: everything that it says beside its bytes stays,
//! whatever becomes of the message. Looked at with that client, too.

use std::collections::BTreeMap;
use std::time::Duration;

use bloodbank::dead_letters::{self, Filter};
use bloodbank::events::{llm, services};
use bloodbank::{Bus, Envelope, Meta, Received, RetryPolicy};
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString,
};

use crate::support::{Space, prompt, prompts, until_depth};

/// A header of every type.
fn every_header() -> BTreeMap<ShortString, AMQPValue> {
    let text = || AMQPValue::LongString("grün".into());
    let mut inner = FieldTable::default();
    inner.insert("text".into(), text());
    inner.insert("time".into(), AMQPValue::Timestamp(1_769_860_800));
    let mut outer = FieldTable::default();
    outer.insert("inner".into(), AMQPValue::FieldTable(inner));
    let list = vec![AMQPValue::LongInt(7), text(), AMQPValue::Void, AMQPValue::Double(0.1)];
    let headers = [
        ("x-bool", AMQPValue::Boolean(false)),
        ("x-i8", AMQPValue::ShortShortInt(-8)),
        ("x-u8", AMQPValue::ShortShortUInt(8)),
        ("x-i16", AMQPValue::ShortInt(-16)),
        ("x-u16", AMQPValue::ShortUInt(16)),
        ("x-i32", AMQPValue::LongInt(-32)),
        ("x-u32", AMQPValue::LongUInt(32)),
        ("x-i64", AMQPValue::LongLongInt(-64)),
        ("x-float", AMQPValue::Float(0.1)),
        ("x-double", AMQPValue::Double(-1e300)),
        ("x-decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 314 })),
        ("x-text", text()),
        ("x-raw", AMQPValue::LongString(LongString::from(vec![0xff, b'a']))),
        ("x-list", AMQPValue::FieldArray(FieldArray::from(list))),
        ("x-time", AMQPValue::Timestamp(1_769_860_800)),
        ("x-table", AMQPValue::FieldTable(outer)),
        ("x-bytes", AMQPValue::ByteArray(ByteArray::from(vec![0, 1, 0xfe]))),
        ("x-void", AMQPValue::Void),
        // A stranger may name its headers as we do.
        ("traceparent", AMQPValue::LongString("nonsense".into())),
    ];
    headers.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

fn table() -> FieldTable {
    FieldTable::from(every_header())
}

fn every_property() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("text/csv".into())
        .with_content_encoding("gzip".into())
        .with_priority(7)
        .with_correlation_id("work 7".into())
        .with_reply_to("somebody".into())
        .with_message_id("m-1".into())
        .with_timestamp(1_769_860_800)
        .with_type("a kind".into())
        .with_app_id("a stranger".into())
        .with_delivery_mode(2)
        .with_headers(table())
}

/// Whether properties and headers are those that were published, but for what we note and what the
/// broker counts.
fn is_as_it_came(found: &BasicProperties, published: &BasicProperties) {
    let ours = |name: &str| {
        let of_the_broker = ["x-death", "x-delivery-count", "x-first-death-", "x-last-death-"];
        name.starts_with("x-bloodbank-")
            || of_the_broker.iter().any(|start| name.starts_with(start))
    };
    let headers = found.headers().clone().unwrap_or_default();
    let theirs: BTreeMap<ShortString, AMQPValue> = headers
        .inner()
        .iter()
        .filter(|(name, _)| !ours(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let expected = published.headers().clone().unwrap_or_default();
    assert_eq!(&theirs, expected.inner());
    let (found, published) = (found.clone(), published.clone());
    let none = FieldTable::default;
    assert_eq!(found.with_headers(none()), published.with_headers(none()));
}

async fn publish(space: &Space, body: &[u8], properties: BasicProperties) {
    let raw = space.raw().await;
    let (exchange, options) = ("bloodbank.events.v1".into(), BasicPublishOptions::default());
    let published =
        raw.channel.basic_publish(exchange, "llm.prompt".into(), options, body, properties);
    published.await.unwrap().await.unwrap();
}

#[tokio::test]
async fn what_is_not_an_envelope_keeps_all_that_stands_beside_it() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let nothing = BasicProperties::default().with_delivery_mode(2);
    for published in [every_property(), nothing] {
        let space = Space::fresh().await;
        let amqp = space.amqp().await;
        let bus = Bus::new(std::sync::Arc::new(amqp.clone()), bloodbank::events::contracts());
        bus.transport().declare(&prompts("work")).await.unwrap();
        publish(&space, b"a,b\n1,2\n", published.clone()).await;
        until_depth(&amqp, "work", 1).await;
        let park = async || {
            bus.subscriber::<services::LlmCostCalculator>()
                .queue("work")
                .bind("llm.prompt")
                .on(|_: Received<llm::Prompt>| async { Err::<(), _>("it reached a handler") })
                .run_until(until_depth(&amqp, "work.dlq", 1))
                .await
                .unwrap();
        };
        park().await;
        let redriven = dead_letters::redrive(&amqp, "work.dlq", &Filter::all(), 100).await.unwrap();
        assert_eq!(redriven.count, 1, "{:?}", redriven.failed);
        park().await;
        let parked = space.raw().await.get("work.dlq").await;
        assert_eq!(parked.data, b"a,b\n1,2\n");
        is_as_it_came(&parked.properties, &published);
        let redrives =
            &parked.properties.headers().as_ref().unwrap().inner()["x-bloodbank-redrives"];
        assert_eq!(redrives, &AMQPValue::LongString("1".into()));
    }
}

#[tokio::test]
async fn an_envelope_keeps_all_that_stands_beside_it_through_retries() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let bus = Bus::new(std::sync::Arc::new(amqp.clone()), bloodbank::events::contracts());
    bus.transport().declare(&prompts("work")).await.unwrap();
    let data = bloodbank::serde_json::to_value(prompt()).unwrap();
    let body = Envelope::new("llm.prompt", "python", data, Meta::new()).to_bytes().unwrap();
    publish(&space, &body, every_property()).await;
    bus.subscriber::<services::LlmCostCalculator>()
        .queue("work")
        .bind("llm.prompt")
        .retry(RetryPolicy::ladder([Duration::from_millis(100); 2]))
        .on(|_: Received<llm::Prompt>| async { Err::<(), _>("not today") })
        .run_until(until_depth(&amqp, "work.dlq", 1))
        .await
        .unwrap();
    let parked = space.raw().await.get("work.dlq").await;
    assert_eq!(parked.data, body);
    is_as_it_came(&parked.properties, &every_property());
}
