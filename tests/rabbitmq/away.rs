//! A broker that goes away, or takes nothing.

use std::sync::Arc;
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::events::{self, services};
use bloodbank::{Bus, PublishError, Publisher, TransportError};
use bloodbank_testkit::Broker;
use tokio::time::{Instant, sleep};

use crate::support::{prompt, prompts, until};

const DEADLINE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_millis(1_500);
/// What this machine may take longer.
const SLACK: Duration = Duration::from_millis(500);

type Prompts = Publisher<services::LlmCollector>;

async fn bus(broker: &Broker) -> (Bus, Amqp) {
    let mut config = AmqpConfig::from_urls(&broker.fresh_url()).unwrap();
    config.deadline = DEADLINE;
    config.grace = GRACE;
    let amqp = Amqp::connect(config).await.unwrap();
    let bus = Bus::new(Arc::new(amqp.clone()), events::contracts());
    bus.transport().declare(&prompts("work")).await.unwrap();
    (bus, amqp)
}

/// One publish: its outcome, and how long it took.
async fn publish(prompts: &Prompts) -> (Result<(), TransportError>, Duration) {
    let started = Instant::now();
    let outcome = match prompts.publish(&prompt()).await {
        Ok(_) => Ok(()),
        Err(PublishError::Transport { source, .. }) => Err(source),
        Err(error) => panic!("{error}"),
    };
    (outcome, started.elapsed())
}

async fn until_published(prompts: &Prompts, most: Duration) {
    until("published again", most, async || publish(prompts).await.0.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_fails_in_time_while_the_broker_is_away_and_goes_on_when_it_is_back() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let broker = Broker::start().await;
    let (bus, amqp) = bus(&broker).await;
    let prompts = bus.publisher::<services::LlmCollector>();
    assert_eq!(publish(&prompts).await.0, Ok(()));
    broker.terminate();
    let gone = Instant::now();
    let mut at_once = 0;
    while gone.elapsed() < GRACE + DEADLINE + SLACK * 2 {
        let since = gone.elapsed();
        let (outcome, took) = publish(&prompts).await;
        assert!(
            matches!(outcome, Err(TransportError::Disconnected { .. } | TransportError::Unknown)),
            "{outcome:?}"
        );
        assert!(took < DEADLINE + SLACK, "{took:?}");
        if since > GRACE + SLACK {
            assert!(took < Duration::from_millis(100), "not at once: {took:?} at {since:?}");
            at_once += 1;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert!(at_once > 3, "{at_once}");
    let trouble = bus.status().trouble.unwrap();
    assert!(matches!(trouble.error, TransportError::Disconnected { .. }), "{trouble:?}");
    assert!(trouble.lasting >= GRACE, "{trouble:?}");
    assert_eq!(bus.status().probe().code, 503);
    broker.restart().await;
    until_published(&prompts, Duration::from_secs(20)).await;
    assert_eq!((bus.status().trouble, bus.status().probe().code), (None, 200));
    // A quorum queue counts from its log after a boot, some time.
    until("it is in its queue", Duration::from_secs(10), async || {
        amqp.depth("work").await.is_ok_and(|depth| depth > 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_fails_as_blocked_during_an_alarm_and_goes_on_after_it() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let broker = Broker::start().await;
    let (bus, amqp) = bus(&broker).await;
    let prompts = bus.publisher::<services::LlmCollector>();
    assert_eq!(publish(&prompts).await.0, Ok(()));
    broker.ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    until("blocked", Duration::from_secs(10), async || {
        let (outcome, took) = publish(&prompts).await;
        assert!(took < DEADLINE + SLACK, "{took:?}");
        outcome == Err(TransportError::Blocked)
    })
    .await;
    assert!(amqp.is_blocked());
    assert_eq!(bus.status().trouble.unwrap().error, TransportError::Blocked);
    sleep(GRACE).await;
    let (outcome, took) = publish(&prompts).await;
    assert_eq!(outcome, Err(TransportError::Blocked));
    assert!(took < Duration::from_millis(100), "{took:?}");
    broker.ctl(&["set_vm_memory_high_watermark", "0.4"]);
    until_published(&prompts, Duration::from_secs(10)).await;
    assert!(!amqp.is_blocked());
}
