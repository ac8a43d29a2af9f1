//! Consumers and publishers that come back.

use std::sync::Arc;
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::events::{self, llm, services};
use bloodbank::{Bus, Inbox, Service, Subscription, TransportError};
use bloodbank_testkit::Proxy;
use lapin::options::ExchangeDeleteOptions;
use tokio::time::timeout;

use crate::support::{Space, Warnings, prompt, prompts, until};

const SOON: Duration = Duration::from_secs(10);

async fn inbox(bus: &Bus) -> Inbox<llm::Prompt> {
    let contracts = services::LlmCostCalculator::contracts();
    let subscription = Subscription::new("work");
    Inbox::open(bus.transport().clone(), contracts, subscription).await.unwrap()
}

/// Publishes one and receives it; what was redelivered before is passed over.
async fn round_trip(bus: &Bus, inbox: &mut Inbox<llm::Prompt>) {
    let publisher = bus.publisher::<services::LlmCollector>();
    let receipt = publisher.publish(&prompt()).await.unwrap();
    loop {
        let next = timeout(SOON, inbox.next()).await.expect("nothing comes");
        let received = next.unwrap().unwrap();
        let is_it = received.envelope.id == receipt.id;
        // The connection may go just then; it comes again.
        let acked = inbox.ack(received).await;
        assert!(matches!(acked, Ok(()) | Err(TransportError::Stale)), "{acked:?}");
        if is_it {
            return;
        }
    }
}

#[tokio::test]
async fn a_deleted_queue_is_declared_again_and_consumed() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let bus = Bus::new(Arc::new(amqp.clone()), events::contracts());
    bus.transport().declare(&prompts("work")).await.unwrap();
    let mut inbox = inbox(&bus).await;
    round_trip(&bus, &mut inbox).await;
    space.raw().await.delete("work").await;
    until("declared again", SOON, async || amqp.depth("work").await.is_ok()).await;
    // Bindings come after the queue; what is published in between goes elsewhere.
    let publisher = bus.publisher::<services::LlmCollector>();
    until("bound again", SOON, async || {
        publisher.publish(&prompt()).await.unwrap();
        let Ok(next) = timeout(Duration::from_millis(200), inbox.next()).await else {
            return false;
        };
        inbox.ack(next.unwrap().unwrap()).await.unwrap();
        true
    })
    .await;
    round_trip(&bus, &mut inbox).await;
}

#[tokio::test]
async fn a_channel_that_the_broker_closed_is_opened_again() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let bus = space.bus().await;
    bus.transport().declare(&prompts("work")).await.unwrap();
    let mut inbox = inbox(&bus).await;
    let publisher = bus.publisher::<services::LlmCollector>();
    // To publish to an exchange that is not there closes the channel.
    let options = ExchangeDeleteOptions::default();
    let raw = space.raw().await;
    raw.channel.exchange_delete("bloodbank.events.v1".into(), options).await.unwrap();
    // It is declared again meanwhile.
    publisher.publish(&prompt()).await.unwrap();
    round_trip(&bus, &mut inbox).await;
}

#[tokio::test]
async fn consuming_goes_on_after_the_connection_was_cut() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let proxy = Proxy::start(("127.0.0.1", space.broker.port())).await;
    let url = space.broker.url_via(&proxy, &space.vhost);
    let amqp = Amqp::connect(AmqpConfig::from_urls(&url).unwrap()).await.unwrap();
    let bus = Bus::new(Arc::new(amqp), events::contracts());
    bus.transport().declare(&prompts("work")).await.unwrap();
    let mut inbox = inbox(&bus).await;
    round_trip(&bus, &mut inbox).await;
    for _ in 0..3 {
        let before = proxy.accepted();
        proxy.cut();
        round_trip(&bus, &mut inbox).await;
        assert!(proxy.accepted() > before, "nothing was cut, or nothing connected anew");
    }
}

#[tokio::test]
async fn what_was_not_settled_before_the_cut_comes_again_and_cannot_be_settled_late() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let proxy = Proxy::start(("127.0.0.1", space.broker.port())).await;
    let url = space.broker.url_via(&proxy, &space.vhost);
    let amqp = Amqp::connect(AmqpConfig::from_urls(&url).unwrap()).await.unwrap();
    let bus = Bus::new(Arc::new(amqp), events::contracts());
    bus.transport().declare(&prompts("work")).await.unwrap();
    let mut inbox = inbox(&bus).await;
    bus.publisher::<services::LlmCollector>().publish(&prompt()).await.unwrap();
    let first = inbox.next().await.unwrap().unwrap();
    proxy.cut();
    let again = timeout(SOON, inbox.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(again.envelope.id, first.envelope.id);
    assert_eq!((again.attempt(), again.redelivered()), (1, true));
    assert_eq!(inbox.ack(first).await, Err(TransportError::Stale));
    inbox.ack(again).await.unwrap();
}

#[tokio::test]
async fn messages_may_be_settled_in_any_order() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let warnings = Warnings::listen();
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let bus = Bus::new(Arc::new(amqp.clone()), events::contracts());
    bus.transport().declare(&prompts("work")).await.unwrap();
    let publisher = bus.publisher::<services::LlmCollector>();
    for _ in 0..40 {
        publisher.publish(&prompt()).await.unwrap();
    }
    let mut inbox = inbox(&bus).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(inbox.next().await.unwrap().unwrap());
    }
    // The second is told alone; the first must not be told together with it.
    for index in [1, 0] {
        inbox.ack(held.remove(index)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The last first.
    for (index, received) in held.into_iter().rev().enumerate() {
        assert!(!received.redelivered());
        match index % 5 {
            4 => inbox.requeue(received).await.unwrap(),
            _ => inbox.ack(received).await.unwrap(),
        }
        if index % 8 == 0 {
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
    for _ in 0..7 {
        let received = timeout(SOON, inbox.next()).await.unwrap().unwrap().unwrap();
        assert!(received.redelivered());
        inbox.ack(received).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(inbox);
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The broker closes a channel that says something twice.
    assert!(!warnings.hold("consuming anew"));
    assert_eq!(amqp.depth("work").await, Ok(0));
}
