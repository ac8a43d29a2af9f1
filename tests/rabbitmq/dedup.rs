//! Deduplication across processes, in Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bloodbank::amqp::Amqp;
use bloodbank::events::{self, llm, services};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Claim, Dedup, Meta, Received, RedisDedup};
use bloodbank_testkit::Redis;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Space, Warnings, prompt, prompts, until, until_depth};

/// A subscriber as another process would have it, until its connection's bus is closed.
async fn process(space: &Space, url: &str, handled: &Arc<AtomicUsize>) -> Amqp {
    let amqp = space.amqp().await;
    let dedup = RedisDedup::connect(url).await.unwrap();
    let handled = handled.clone();
    let subscriber = Bus::new(Arc::new(amqp.clone()), events::contracts())
        .subscriber::<services::LlmCostCalculator>()
        .queue("work")
        .bind("llm.prompt")
        .dedup(dedup)
        .prefetch(1)
        .on(move |_: Received<llm::Prompt>| {
            handled.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(300))
        });
    tokio::spawn(subscriber.run_until(std::future::pending()));
    amqp
}

#[tokio::test]
async fn two_processes_handle_a_message_once() {
    if !bloodbank_testkit::rabbitmq() || !bloodbank_testkit::redis() {
        return;
    }
    let space = Space::fresh().await;
    let redis = Redis::shared().await;
    let bus = space.bus().await;
    bus.transport().declare(&prompts("work")).await.unwrap();
    let handled = Arc::new(AtomicUsize::new(0));
    let first = process(&space, &redis.url(), &handled).await;
    let _second = process(&space, &redis.url(), &handled).await;
    let publisher = bus.publisher::<services::LlmCollector>();
    // Both at the same time, and once more when it is done.
    let meta = Meta::new().with_id(Uuid::now_v7());
    for _ in 0..4 {
        publisher.publish(&prompt()).meta(meta.clone()).await.unwrap();
    }
    until_depth(&first, "work", 0).await;
    sleep(Duration::from_millis(600)).await;
    publisher.publish(&prompt()).meta(meta).await.unwrap();
    until_depth(&first, "work", 0).await;
    sleep(Duration::from_millis(400)).await;
    assert_eq!(handled.load(Ordering::Relaxed), 1);
    publisher.publish(&prompt()).await.unwrap();
    until("the next one is handled", Duration::from_secs(5), async || {
        handled.load(Ordering::Relaxed) == 2
    })
    .await;
}

#[tokio::test]
async fn without_redis_messages_are_handled_with_a_warning() {
    if !bloodbank_testkit::rabbitmq() || !bloodbank_testkit::redis() {
        return;
    }
    let space = Space::fresh().await;
    let redis = Redis::start().await;
    let bus = space.bus().await;
    bus.transport().declare(&prompts("work")).await.unwrap();
    let handled = Arc::new(AtomicUsize::new(0));
    let _process = process(&space, &redis.url(), &handled).await;
    redis.kill();
    let warnings = Warnings::listen();
    let publisher = bus.publisher::<services::LlmCollector>();
    for _ in 0..2 {
        publisher.publish(&prompt()).await.unwrap();
    }
    until("handled", Duration::from_secs(15), async || handled.load(Ordering::Relaxed) == 2).await;
    assert!(warnings.hold("handled without a look"), "no warning");
    // And it comes back by itself.
    redis.restart().await;
    let meta = Meta::new().with_id(Uuid::now_v7());
    sleep(Duration::from_secs(2)).await;
    for _ in 0..2 {
        publisher.publish(&prompt()).meta(meta.clone()).await.unwrap();
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(handled.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_name_is_free_taken_or_done_with_its_answer() {
    if !bloodbank_testkit::redis() {
        return;
    }
    let redis = Redis::shared().await;
    let one = RedisDedup::connect(&redis.url()).await.unwrap();
    let two = RedisDedup::connect(&redis.url()).await.unwrap();
    let name = format!("work/{}", Uuid::now_v7());
    assert_eq!(one.begin(&name).await, Ok(Claim::New));
    assert_eq!(two.begin(&name).await, Ok(Claim::Busy));
    one.release(&name).await.unwrap();
    assert_eq!(two.begin(&name).await, Ok(Claim::New));
    two.finish(&name, None).await.unwrap();
    assert_eq!(one.begin(&name).await, Ok(Claim::Done(None)));
    let answer: Arc<[u8]> = Arc::from(&b"\x00\xff answer"[..]);
    one.finish(&name, Some(answer.clone())).await.unwrap();
    assert_eq!(two.begin(&name).await, Ok(Claim::Done(Some(answer))));
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_told_in_time() {
    let started = Instant::now();
    let connecting = RedisDedup::connect("redis://127.0.0.1:1/");
    let error = timeout(Duration::from_secs(5), connecting).await.unwrap().unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
