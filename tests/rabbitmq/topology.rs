//! What is declared, and where events go that nobody wants.

use std::collections::HashMap;

use bloodbank::amqp::{Amqp, Difference};
use bloodbank::events::{self, services};
use bloodbank::{
    Bus, Conflict, Exchange, Queue, Subscription, Topology, Transport, TransportError,
};

use crate::support::{Space, Warnings, prompt, prompts, until, until_depth};

/// Type and arguments of each queue, as the broker prints them.
fn queues(space: &Space) -> HashMap<String, String> {
    let printed = space.broker.ctl(&[
        "list_queues",
        "-q",
        "--no-table-headers",
        "-p",
        &space.vhost,
        "name",
        "type",
        "arguments",
    ]);
    let lines = printed.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

fn assert_has(queue: &str, arguments: &[&str]) {
    for argument in arguments {
        assert!(queue.contains(argument), "{argument} is not in {queue}");
    }
}

fn queue(name: &str) -> Queue {
    Queue::new(name).bind(Exchange::Events, "llm.prompt".parse().unwrap())
}

async fn publish(amqp: &Amqp) {
    let bus = Bus::new(std::sync::Arc::new(amqp.clone()), events::contracts());
    bus.publisher::<services::LlmCollector>().publish(&prompt()).await.unwrap();
}

#[tokio::test]
async fn queues_are_quorum_with_limits_and_a_place_for_dead_letters() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let topology = prompts("work")
        .with_queue(Queue::new("ordered").with_max_len(10).ordered())
        .with_parked_queue(queue("small").with_max_len(10))
        .with_queue(Queue::of_command("llm.prompt.send").unwrap())
        .with_delays([std::time::Duration::from_secs(10)]);
    amqp.declare(&topology).await.unwrap();
    // A second time changes nothing.
    amqp.declare(&topology).await.unwrap();
    let queues = queues(&space);
    let mut names: Vec<&str> = queues.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "bloodbank.unrouted",
        "commands.llm.prompt.send",
        "ordered",
        "small",
        "small.dlq",
        "small.retry.10s",
        "work",
        "work.dlq",
        "work.retry.10s",
    ];
    assert_eq!(names, expected);
    for queue in queues.values() {
        assert_has(queue, &["quorum"]);
    }
    let refuses = "{\"x-overflow\",\"reject-publish\"}";
    let strategy = "{\"x-dead-letter-strategy\",\"at-least-once\"}";
    let exchange = "{\"x-dead-letter-exchange\",[]}";
    assert_has(
        &queues["work"],
        &[
            "{\"x-delivery-limit\",200}",
            "{\"x-dead-letter-routing-key\",\"work.dlq\"}",
            refuses,
            strategy,
        ],
    );
    // Those who publish events do not depend on those who hear them.
    assert!(!queues["work"].contains("x-max-length"), "{}", queues["work"]);
    assert_has(
        &queues["small"],
        &[
            "{\"x-max-length\",10}",
            "{\"x-overflow\",\"drop-head\"}",
            "{\"x-dead-letter-strategy\",\"at-most-once\"}",
            "{\"x-dead-letter-routing-key\",\"small.dlq\"}",
        ],
    );
    let limited = "{\"x-max-length\",1000000}";
    for queue in ["work.dlq", "work.retry.10s", "commands.llm.prompt.send"] {
        assert_has(&queues[queue], &[limited, refuses]);
    }
    assert!(queues["work"].contains(exchange) || queues["work"].contains("exchange\",\"\"}"));
    assert_has(&queues["work.dlq"], &["{\"x-delivery-limit\",2147483647}", refuses]);
    assert_has(
        &queues["ordered"],
        &["{\"x-single-active-consumer\",true}", "{\"x-max-length\",10}"],
    );
    assert_has(&queues["work.retry.10s"], &["{\"x-message-ttl\",10000}", refuses, strategy]);
    assert_has(&queues["bloodbank.unrouted"], &["{\"x-overflow\",\"drop-head\"}"]);
}

#[tokio::test]
async fn an_event_that_only_a_recorder_hears_is_unrouted() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    assert_eq!(amqp.unrouted_queue().as_deref(), Some("bloodbank.unrouted"));
    publish(&amqp).await;
    until_depth(&amqp, "bloodbank.unrouted", 1).await;

    let recorder = Queue::new("record").bind(Exchange::Events, "#".parse().unwrap()).recorder();
    amqp.declare(&Topology::new().with_queue(recorder)).await.unwrap();
    publish(&amqp).await;
    until_depth(&amqp, "record", 1).await;
    until_depth(&amqp, "bloodbank.unrouted", 2).await;

    amqp.declare(&prompts("work")).await.unwrap();
    publish(&amqp).await;
    until_depth(&amqp, "work", 1).await;
    until_depth(&amqp, "record", 2).await;
    assert_eq!(amqp.depth("bloodbank.unrouted").await, Ok(2));
}

#[tokio::test]
async fn a_queue_that_is_there_with_other_properties_is_a_conflict() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    space.raw().await.declare("work").await;
    let error = amqp.declare(&prompts("work")).await.unwrap_err();
    let TransportError::Conflict { name, conflict } = error else { panic!("{error:?}") };
    assert_eq!(name, "work");
    let Conflict::Otherwise { what: "queue", reason } = conflict else { panic!("{conflict:?}") };
    assert!(reason.contains("inequivalent arg"), "{reason}");
    // Nothing else suffers.
    publish(&amqp).await;
    let differences = amqp.compare(&prompts("work")).await.unwrap();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(
        matches!(&differences[0], Difference::Otherwise { what: "queue", name, .. } if name == "work"),
        "{differences:?}"
    );
}

#[tokio::test]
async fn the_exchange_of_events_can_have_another_name() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let mut config = space.config();
    config.exchanges.events = "acme.events".to_owned();
    let amqp = Amqp::connect(config).await.unwrap();
    assert_eq!(amqp.unrouted_queue().as_deref(), Some("acme.events.unrouted"));
    publish(&amqp).await;
    until_depth(&amqp, "acme.events.unrouted", 1).await;
    amqp.declare(&prompts("work")).await.unwrap();
    publish(&amqp).await;
    assert_eq!(space.raw().await.get("work").await.exchange.as_str(), "acme.events");
    let exchanges = space.broker.ctl(&["list_exchanges", "-q", "-p", &space.vhost, "name"]);
    assert!(!exchanges.contains("bloodbank.events.v1"), "{exchanges}");
}

#[tokio::test]
async fn a_queue_that_fills_up_is_named_before_it_is_full() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let warnings = Warnings::listen();
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let topology = Topology::new()
        .with_parked_queue(queue("low").with_max_len(20))
        .with_parked_queue(queue("high").with_max_len(10));
    amqp.declare(&topology).await.unwrap();
    for _ in 0..9 {
        publish(&amqp).await;
    }
    for name in ["low", "high"] {
        let subscription = Subscription::new(name).with_prefetch(1);
        let mut deliveries = amqp.subscribe(subscription).await.unwrap();
        deliveries.recv().await.unwrap();
        if name == "high" {
            let most = std::time::Duration::from_secs(10);
            until("told", most, async || warnings.hold("the queue is filling up")).await;
        }
        deliveries.close().await;
    }
    assert!(warnings.hold("high") && !warnings.hold("low"));
}
