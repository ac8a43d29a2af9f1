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
    let warnings = Warnings::listen();
    let process = process(&space, &redis.url(), &handled).await;
    redis.kill();
    let publisher = bus.publisher::<services::LlmCollector>();
    for _ in 0..2 {
        publisher.publish(&prompt()).await.unwrap();
    }
    until("handled", Duration::from_secs(15), async || handled.load(Ordering::Relaxed) == 2).await;
    assert_eq!(warnings.count("handled without a look"), 1, "told once, not with each message");
    // And it comes back by itself: sooner or later a second copy is known.
    redis.restart().await;
    until("Redis is asked again", Duration::from_secs(60), async || {
        let before = handled.load(Ordering::Relaxed);
        let meta = Meta::new().with_id(Uuid::now_v7());
        for _ in 0..2 {
            publisher.publish(&prompt()).meta(meta.clone()).await.unwrap();
        }
        until_depth(&process, "work", 0).await;
        sleep(Duration::from_secs(1)).await;
        handled.load(Ordering::Relaxed) == before + 1
    })
    .await;
}

#[tokio::test]
async fn what_a_process_was_handling_when_it_died_holds_nothing_up_and_is_soon_handled() {
    if !bloodbank_testkit::redis() {
        return;
    }
    let redis = Redis::shared().await;
    let lease = Duration::from_secs(2);
    let dead = RedisDedup::connect(&redis.url()).await.unwrap().with_lease(lease);
    let dedup = RedisDedup::connect(&redis.url()).await.unwrap().with_lease(lease);
    let queue = format!("work-{}", Uuid::now_v7());
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    let bus = Bus::in_memory(events::contracts());
    let subscriber = bus.subscriber::<services::LlmCostCalculator>().queue(&*queue);
    let subscriber = subscriber.bind("llm.prompt").dedup(dedup).concurrency(1);
    let subscriber = subscriber.on(move |received: Received<llm::Prompt>| {
        sender.send(received.envelope.id).unwrap();
        async {}
    });
    let publisher = bus.publisher::<services::LlmCollector>();
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let seen = async {
        // It has taken the name, and never says anything again.
        let name = format!("{queue}/{first}");
        assert_eq!(dead.begin(&name).await, Ok(Claim::New));
        for id in [first, second] {
            publisher.publish(&prompt()).id(id).await.unwrap();
        }
        assert_eq!(handled.recv().await, Some(second), "it does not wait for the first");
        assert_eq!(handled.recv().await, Some(first), "once its lease is over");
    };
    timeout(Duration::from_secs(30), subscriber.run_until(seen)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_name_is_held_while_its_handler_runs_however_long() {
    if !bloodbank_testkit::redis() {
        return;
    }
    let redis = Redis::shared().await;
    let connect = async || {
        let dedup = RedisDedup::connect(&redis.url()).await.unwrap();
        dedup.with_lease(Duration::from_secs(1))
    };
    let (dedup, other) = (connect().await, connect().await);
    let queue = format!("work-{}", Uuid::now_v7());
    let (sender, mut started) = tokio::sync::mpsc::unbounded_channel();
    let bus = Bus::in_memory(events::contracts());
    let subscriber = bus.subscriber::<services::LlmCostCalculator>().queue(&*queue);
    let subscriber = subscriber.bind("llm.prompt").dedup(dedup);
    let subscriber = subscriber.on(move |received: Received<llm::Prompt>| {
        sender.send(received.envelope.id).unwrap();
        sleep(Duration::from_secs(3))
    });
    let publisher = bus.publisher::<services::LlmCollector>();
    let seen = async {
        publisher.publish(&prompt()).await.unwrap();
        let name = format!("{queue}/{}", started.recv().await.unwrap());
        for _ in 0..5 {
            assert_eq!(other.begin(&name).await, Ok(Claim::Busy));
            sleep(Duration::from_millis(500)).await;
        }
    };
    subscriber.run_until(seen).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_hangs_is_asked_once_and_then_left_alone() {
    if !bloodbank_testkit::redis() {
        return;
    }
    let redis = Redis::start().await;
    let dedup = RedisDedup::connect(&redis.url()).await.unwrap();
    assert_eq!(dedup.begin("a").await, Ok(Claim::New));
    redis.pause();
    let hangs = dedup.begin("b").await.unwrap_err();
    assert!(!hangs.reason.contains("left alone"), "{hangs}");
    for name in ["b", "c", "d"] {
        let error = dedup.begin(name).await.unwrap_err();
        assert!(error.reason.contains("left alone"), "{error}");
    }
    redis.resume();
    until("it is asked again", Duration::from_secs(20), async || dedup.begin("e").await.is_ok())
        .await;
    dedup.begin("f").await.unwrap();
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
