//! Copies of one message.

use bloodbank_bus::{NoDedup, Publisher, Received, Subscriber, Verdict};
use bloodbank_core::Meta;
use uuid::Uuid;

use super::tools::{Bus, PROMPT, declare, declare_q, holds, log, run};
use crate::catalog::{Any, Prompt, queue};

/// Publishes a prompt with an id of one's own.
async fn publish(bus: &Bus, n: u32, id: Uuid) {
    let meta = Meta::new().with_id(id);
    Publisher::<Any>::new(bus.clone()).publish_with(&Prompt { n }, meta).await.unwrap();
}

fn on_q(bus: &Bus) -> Subscriber<Any> {
    Subscriber::<Any>::new(bus.clone()).queue("q").bind(PROMPT).concurrency(1)
}

pub async fn the_same_id_twice_is_handled_once(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(on_q(&bus).on(move |received: Received<Prompt>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    let id = Uuid::now_v7();
    publish(&bus, 0, id).await;
    publish(&bus, 0, id).await;
    publish(&bus, 1, Uuid::now_v7()).await;
    publish(&bus, 0, id).await;
    assert_eq!(calls.take(2).await, [0, 1]);
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
}

pub async fn what_was_parked_is_not_remembered(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(on_q(&bus).on(move |received: Received<Prompt>| {
        sender.send(received.payload.n).unwrap();
        async { Verdict::Park("not this one".to_owned()) }
    }));
    let id = Uuid::now_v7();
    publish(&bus, 0, id).await;
    assert_eq!(calls.next().await, 0);
    publish(&bus, 0, id).await;
    assert_eq!(calls.next().await, 0);
    holds(&bus, "q.dlq", 2).await;
    running.stop().await.unwrap();
}

pub async fn each_queue_remembers_for_itself(bus: Bus) {
    let (sender, mut calls) = log();
    declare(&bus, ["a", "b"].map(|name| queue(name, &[PROMPT]))).await;
    let subscriber = Subscriber::<Any>::new(bus.clone()).queue("a").bind(PROMPT);
    let subscriber = subscriber.queue("b").bind(PROMPT);
    let running = run(subscriber.on(move |received: Received<Prompt>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    publish(&bus, 3, Uuid::now_v7()).await;
    assert_eq!(calls.take(2).await, [3, 3]);
    calls.ends().await;
    running.stop().await.unwrap();
}

pub async fn without_memory_every_copy_is_handled(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(on_q(&bus).dedup(NoDedup).on(move |received: Received<Prompt>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    let id = Uuid::now_v7();
    publish(&bus, 0, id).await;
    publish(&bus, 0, id).await;
    assert_eq!(calls.take(2).await, [0, 0]);
    running.stop().await.unwrap();
}
