//! A message that no inbox survives: the broker parks it in the end.

use std::time::Duration;

use bloodbank::dead_letters::{self, Filter};
use bloodbank::events::{self, llm, services};
use bloodbank::{Bus, Inbox, Reason, Service, Subscription, Transport};
use tokio::time::timeout;

use crate::support::{Space, prompt, prompts, until_depth};

#[tokio::test]
async fn the_broker_parks_what_is_lost_far_more_often_than_subscribers_allow() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    amqp.declare(&prompts("work")).await.unwrap();
    let bus = Bus::new(std::sync::Arc::new(amqp.clone()), events::contracts());
    let receipt = bus.publisher::<services::LlmCollector>().publish(&prompt()).await.unwrap();
    let mut deliveries = 0;
    loop {
        let mut inbox: Inbox<llm::Prompt> = Inbox::open(
            bus.transport().clone(),
            services::LlmCostCalculator::contracts(),
            Subscription::new("work"),
        )
        .await
        .unwrap();
        let Ok(next) = timeout(Duration::from_secs(2), inbox.next()).await else { break };
        let received = next.unwrap().unwrap();
        deliveries += 1;
        assert_eq!(received.attempt(), 1, "a lost consumer is no failure of a handler");
        assert_eq!(received.redelivered(), deliveries > 1);
    }
    // The limit, and the first.
    assert_eq!(deliveries, 201);
    until_depth(&amqp, "work.dlq", 1).await;
    let letters = dead_letters::list(&amqp, "work.dlq", &Filter::all()).await.unwrap();
    let letter = &letters[0];
    assert_eq!(letter.id, Some(receipt.id.to_string()));
    assert_eq!(letter.key, "llm.prompt");
    assert_eq!(letter.reason, Some(Reason::DeliveryLimit));
    assert_eq!(letter.parked_from.as_deref(), Some("work"));
    assert!(letter.parked_at.is_some(), "{letter:?}");

    let redriven = dead_letters::redrive(&amqp, "work.dlq", &Filter::all(), 100).await.unwrap();
    assert_eq!((redriven.count, redriven.failed.len()), (1, 0));
    let mut inbox: Inbox<llm::Prompt> = Inbox::open(
        bus.transport().clone(),
        services::LlmCostCalculator::contracts(),
        Subscription::new("work"),
    )
    .await
    .unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!((received.envelope.id, received.attempt()), (receipt.id, 1));
    inbox.ack(received).await.unwrap();
}
