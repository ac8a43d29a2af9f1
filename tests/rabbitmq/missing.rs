//! Exchanges and queues that somebody deletes while services run.

use std::sync::Arc;
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig, Mode};
use bloodbank::events::{self, keys, llm, services};
use bloodbank::{
    Bus, Code, Destination, Exchange, Headers, Inbox, PublishError, Service, Subscription,
    Transport, TransportError, Verbatim,
};
use lapin::options::{ExchangeDeleteOptions, ExchangeUnbindOptions};
use lapin::types::FieldTable;
use tokio::time::timeout;

use crate::support::{Space, Warnings, prompt, prompts, until};

const SOON: Duration = Duration::from_secs(10);
const EVENTS: &str = "bloodbank.events.v1";
const REPLAY: &str = "bloodbank.replay.v1";
/// For what comes soon, if it comes at all.
const LONG: Duration = Duration::from_secs(60);
const LISTENERS: &str = "bloodbank.events.v1.listeners";

/// Looks often.
fn watchful(space: &Space) -> AmqpConfig {
    let mut config = space.config();
    config.look_at_exchanges = Duration::from_millis(100);
    config.look_at_queues = Duration::from_millis(300);
    config
}

async fn bus(config: AmqpConfig) -> Bus {
    Bus::new(Arc::new(Amqp::connect(config).await.unwrap()), events::contracts())
}

async fn inbox(bus: &Bus) -> Inbox<llm::Prompt> {
    let contracts = services::LlmCostCalculator::contracts();
    Inbox::open(bus.transport().clone(), contracts, Subscription::new("work")).await.unwrap()
}

async fn delete(space: &Space, exchange: &str) {
    let options = ExchangeDeleteOptions::default();
    space.raw().await.channel.exchange_delete(exchange.into(), options).await.unwrap();
}

/// Publishes until one comes.
async fn until_heard(publisher: &Bus, inbox: &mut Inbox<llm::Prompt>) {
    until("heard again", SOON, async || {
        publisher.publisher::<services::LlmCollector>().publish(&prompt()).await.unwrap();
        let Ok(next) = timeout(Duration::from_millis(100), inbox.next()).await else {
            return false;
        };
        inbox.ack(next.unwrap().unwrap()).await.unwrap();
        true
    })
    .await;
}

#[tokio::test]
async fn a_deleted_exchange_of_events_is_declared_again_before_a_publish_fails() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    // It would not look by itself.
    let mut config = space.config();
    config.look_at_exchanges = Duration::from_secs(3_600);
    let bus = bus(config).await;
    bus.transport().declare(&prompts("work")).await.unwrap();
    let mut inbox = inbox(&bus).await;
    let publisher = bus.publisher::<services::LlmCollector>();
    for _ in 0..3 {
        delete(&space, EVENTS).await;
        let receipt = publisher.publish(&prompt()).await.unwrap();
        let received = timeout(SOON, inbox.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(received.envelope.id, receipt.id);
        inbox.ack(received).await.unwrap();
    }
}

#[tokio::test]
async fn events_reach_listeners_again_after_their_exchange_was_deleted() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let warnings = Warnings::listen();
    let space = Space::fresh().await;
    // Two services, of which one alone knows the queue.
    let (publishing, listening) = (bus(watchful(&space)).await, bus(watchful(&space)).await);
    listening.transport().declare(&prompts("work")).await.unwrap();
    let mut inbox = inbox(&listening).await;
    until_heard(&publishing, &mut inbox).await;
    for _ in 0..3 {
        delete(&space, LISTENERS).await;
        until_heard(&publishing, &mut inbox).await;
    }
    assert!(warnings.hold("missing and is declared again") && warnings.hold(LISTENERS));
}

#[tokio::test]
async fn queues_are_bound_again_where_an_exchange_was_missing_and_not_at_each_look() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let mut config = watchful(&space);
    config.look_at_queues = Duration::from_secs(3_600);
    let amqp = Amqp::connect(config).await.unwrap();
    amqp.declare(&prompts("work")).await.unwrap();
    let is_bound = |source: &str, destination: &str| {
        let columns = ["source_name", "destination_name"];
        let command = [["list_bindings", "-q", "-p", &space.vhost].as_slice(), &columns].concat();
        let line = format!("{source}\t{destination}");
        space.broker.ctl(&command).lines().any(|listed| listed == line)
    };
    assert!(is_bound(EVENTS, LISTENERS) && is_bound(LISTENERS, "work"));
    let (raw, no_arguments) = (space.raw().await, FieldTable::default);
    let key = keys::LLM_PROMPT.into();
    let unbinding = raw.channel.queue_unbind("work".into(), LISTENERS.into(), key, no_arguments());
    unbinding.await.unwrap();
    let options = ExchangeUnbindOptions::default();
    let (to, from) = (LISTENERS.into(), EVENTS.into());
    raw.channel.exchange_unbind(to, from, "#".into(), options, no_arguments()).await.unwrap();
    until("linked again", LONG, async || is_bound(EVENTS, LISTENERS)).await;
    assert!(!is_bound(LISTENERS, "work"));
    delete(&space, REPLAY).await;
    until("bound again", LONG, async || is_bound(LISTENERS, "work")).await;
}

#[tokio::test]
async fn a_deleted_queue_that_nobody_consumes_is_declared_again() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = Amqp::connect(watchful(&space)).await.unwrap();
    amqp.declare(&prompts("work")).await.unwrap();
    for queue in ["work", "work.dlq"] {
        space.raw().await.delete(queue).await;
        until("declared again", SOON, async || amqp.depth(queue).await == Ok(0)).await;
    }
}

#[tokio::test]
async fn where_nothing_is_declared_the_missing_exchange_is_named() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let warnings = Warnings::listen();
    let space = Space::fresh().await;
    let creator = space.amqp().await;
    let mut config = watchful(&space);
    config.mode = Mode::Verify;
    config.deadline = Duration::from_secs(1);
    let bus = bus(config).await;
    let publisher = bus.publisher::<services::LlmCollector>();
    publisher.publish(&prompt()).await.unwrap();
    // Nor does the creator declare it now.
    Transport::close(&creator).await;
    delete(&space, EVENTS).await;
    let error = publisher.publish(&prompt()).await.unwrap_err();
    assert_eq!(error.code(), Code::ExchangeMissing, "{error:?}");
    let PublishError::Transport { source, .. } = &error else { panic!("{error:?}") };
    let missing = TransportError::NoExchange { exchange: EVENTS.to_owned() };
    assert!(*source == missing && source.is_retryable(), "{error:?}");
    until("told", SOON, async || warnings.hold("RABBIT_TOPOLOGY=verify")).await;
    // Commands go another way.
    space.amqp().await;
    until("found again", SOON, async || publisher.publish(&prompt()).await.is_ok()).await;
}

/// What goes elsewhere on the same lane passes, and what goes to the missing exchange fails long before
/// its deadline.
async fn a_missing_exchange_holds_up_nothing(mode: Mode, may_configure: bool) {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let creator = space.amqp().await;
    creator.declare(&prompts("work")).await.unwrap();
    let mut config = space.config();
    (config.mode, config.deadline) = (mode, Duration::from_secs(600));
    // It looks only when it is told to.
    config.look_at_exchanges = Duration::from_secs(3_600);
    let amqp = Amqp::connect(config).await.unwrap();
    Transport::close(&creator).await;
    delete(&space, REPLAY).await;
    let allow = |configure: &str| {
        space.broker.ctl(&["set_permissions", "-p", &space.vhost, "guest", configure, ".*", ".*"]);
    };
    if !may_configure {
        allow("^$");
    }
    let event = || Verbatim::stored(keys::LLM_PROMPT, b"{}".as_slice(), Headers::new());
    let replay = || amqp.forward(event(), Destination::Exchange(Exchange::Replay));
    for _ in 0..3 {
        let lost: Vec<_> = (0..20).map(|_| replay()).collect();
        let passed = amqp.forward(event(), Destination::queue("work"));
        timeout(LONG, passed).await.unwrap().unwrap();
        let missing = TransportError::NoExchange { exchange: REPLAY.to_owned() };
        for lost in lost {
            assert_eq!(timeout(LONG, lost).await.unwrap(), Err(missing.clone()));
        }
    }
    allow(".*");
    space.amqp().await;
    until("found again", LONG, async || {
        !matches!(replay().await, Err(TransportError::NoExchange { .. }))
    })
    .await;
}

#[tokio::test]
async fn where_nothing_is_declared_a_missing_exchange_holds_up_nothing() {
    a_missing_exchange_holds_up_nothing(Mode::Verify, true).await;
}

#[tokio::test]
async fn where_all_is_taken_for_granted_a_missing_exchange_holds_up_nothing() {
    a_missing_exchange_holds_up_nothing(Mode::Off, true).await;
}

#[tokio::test]
async fn where_nothing_may_be_declared_a_missing_exchange_holds_up_nothing() {
    a_missing_exchange_holds_up_nothing(Mode::Create, false).await;
}
