//! Messages that are passed on as a run: in their order, and none after one that is refused.

use std::time::Duration;

use bloodbank::events::keys;
use bloodbank::serde_json::json;
use bloodbank::{
    Destination, Envelope, Headers, Meta, Properties, Queue, Subscription, Topology, Transport,
    TransportError, Verbatim,
};

use tokio::time::timeout;

use crate::support::{Space, close};

/// After which nothing more is expected.
const PATIENCE: Duration = Duration::from_secs(3);

fn numbered(number: usize) -> Verbatim {
    let data = json!({ "number": number });
    let event = Envelope::new(keys::LLM_PROMPT, "test", data, Meta::new()).to_bytes().unwrap();
    Verbatim::stored(keys::LLM_PROMPT, event, Headers::new())
}

/// The numbers of at most so many messages of the queue, or of as many as come.
async fn numbers(transport: &impl Transport, count: usize) -> Vec<u64> {
    let subscription = Subscription::new("work").with_prefetch(10_000);
    let mut deliveries = transport.subscribe(subscription).await.unwrap();
    let mut numbers = Vec::new();
    for _ in 0..count {
        let next = timeout(PATIENCE, deliveries.recv()).await;
        let Ok(Some(delivery)) = next else { break };
        numbers.push(delivery.envelope().unwrap().data["number"].as_u64().unwrap());
    }
    deliveries.close().await;
    numbers
}

#[tokio::test]
async fn a_run_that_is_longer_than_the_window_arrives_in_its_order() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    amqp.declare(&Topology::new().with_queue(Queue::new("work"))).await.unwrap();
    amqp.forward_run((0..5_000).map(numbered).collect(), "work").await.unwrap();
    assert!(numbers(&amqp, 5_000).await.into_iter().eq(0..5_000));
    close(&amqp).await;
}

#[tokio::test]
async fn after_a_message_that_the_broker_refuses_nothing_of_its_run_is_sent() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    amqp.declare(&Topology::new().with_queue(Queue::new("work"))).await.unwrap();
    // The broker closes the channel over an address for answers that nobody on it listens to.
    let mut properties = Properties::default();
    properties.reply_to = Some("amq.rabbitmq.reply-to".to_owned());
    let refused = numbered(2).with_properties(Some(Box::new(properties)));
    let outcome = amqp.forward_run(vec![numbered(1), refused, numbered(3)], "work").await;
    assert!(matches!(outcome, Err(TransportError::Other { .. })), "{outcome:?}");
    amqp.forward(numbered(4), Destination::queue("work")).await.unwrap();
    // What came before it may come twice: the broker did not confirm it.
    let mut numbers = numbers(&amqp, usize::MAX).await;
    numbers.dedup();
    assert_eq!(numbers, [1, 4]);
    close(&amqp).await;
}

#[tokio::test]
async fn a_run_to_a_queue_that_is_not_there_says_which() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let outcome = amqp.forward_run(vec![numbered(1), numbered(2)], "nowhere").await;
    assert_eq!(outcome, Err(TransportError::Undeclared { queue: "nowhere".to_owned() }));
    close(&amqp).await;
}
