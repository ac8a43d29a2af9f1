//! Commands: one worker queue, and answers.

use std::sync::Arc;
use std::time::Instant;

use bloodbank_bus::{
    CallError, Exchange, PublishError, Publisher, Queue, Received, Settlement, Subscriber,
    Topology, TransportError, dead_letters_of,
};
use bloodbank_core::Meta;
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use tokio::time::sleep;

use super::tools::{Bus, consume, declare, holds, inbox, ladder, log, ms, next, recv, run};
use crate::catalog::{Any, CreateMooring, contracts};

const CREATE: &str = "terminal.mooring.create";
const WORKERS: &str = "commands.terminal.mooring.create";

/// What the handler of [`CreateMooring`] answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Created {
    topic: String,
    room: u32,
}

fn create(topic: &str) -> CreateMooring {
    CreateMooring { topic: topic.to_owned() }
}

async fn declare_workers(bus: &Bus) {
    let queue = Queue::of_command(CREATE).unwrap();
    assert_eq!(queue.name, WORKERS);
    declare(bus, [queue]).await;
}

pub async fn a_call_gets_the_result_of_its_handler(bus: Bus) {
    declare_workers(&bus).await;
    let handler = |received: Received<CreateMooring>| async move {
        Ok::<_, String>(Created { topic: received.payload.topic, room: 7 })
    };
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(handler));
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    for topic in ["one", "two"] {
        let created: Created = publisher.call(&create(topic)).await.unwrap();
        assert_eq!(created, Created { topic: topic.into(), room: 7 });
    }
    let error = publisher.call::<u32>(&create("x")).await.unwrap_err();
    assert!(matches!(error, CallError::Decode { .. }), "{error}");
    running.stop().await.unwrap();
    holds(&bus, WORKERS, 0).await;
}

pub async fn a_call_gets_the_error_of_its_handler_and_nothing_is_retried(bus: Bus) {
    let (sender, mut calls) = log();
    declare_workers(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).retry(ladder([100]));
    let running = run(subscriber.handle(move |received: Received<CreateMooring>| {
        sender.send(received.attempt()).unwrap();
        async { Err::<Created, _>("the house is full") }
    }));
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let error = publisher.call::<Created>(&create("x")).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Handler { reason, .. } if reason == "the house is full"),
        "{error}"
    );
    assert_eq!(calls.next().await, 1);
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, WORKERS, 0).await;
    holds(&bus, &dead_letters_of(WORKERS), 0).await;
}

pub async fn a_call_that_is_not_answered_ends_at_its_deadline(bus: Bus) {
    declare_workers(&bus).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let (meta, started) = (Meta::new().with_idempotency_key("once"), Instant::now());
    let error =
        publisher.call::<Created>(&create("x")).meta(meta).within(ms(300)).await.unwrap_err();
    assert!(matches!(error, CallError::NoAnswer { waited, .. } if waited == ms(300)), "{error}");
    assert!(started.elapsed() >= ms(300));
    // It lies there until somebody comes, whose answer nobody waits for.
    holds(&bus, WORKERS, 1).await;
    let (sender, mut calls) = log();
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(
        move |received: Received<CreateMooring>| {
            sender.send(received.payload.topic).unwrap();
            async { Ok::<_, String>(()) }
        },
    ));
    assert_eq!(calls.next().await, "x");
    // Whoever asks again gets the answer to the same work.
    let meta = Meta::new().with_idempotency_key("once");
    publisher.call::<()>(&create("x")).meta(meta).within(ms(10_000)).await.unwrap();
    calls.ends().await;
    running.stop().await.unwrap();
}

pub async fn an_answer_that_is_late_says_so(bus: Bus) {
    declare_workers(&bus).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let gone = publisher.call::<()>(&create("x")).within(ms(200)).await.unwrap_err();
    assert!(matches!(gone, CallError::NoAnswer { .. }), "{gone}");
    let mut worker = consume(&bus, WORKERS, 1).await;
    let command = recv(&mut worker).await;
    // RabbitMQ only knows whether the caller's connection is there.
    let told = bus.answer(&command, b"{\"ok\":null}".to_vec()).await;
    assert!(matches!(told, Ok(()) | Err(TransportError::NoCaller)), "{told:?}");
    bus.settle(&command, Settlement::Ack).await.unwrap();
}

pub async fn a_failed_call_whose_caller_is_gone_is_retried(bus: Bus) {
    let queue = Queue::of_command(CREATE).unwrap();
    bus.declare(&Topology::new().with_parked_queue(queue)).await.unwrap();
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let gone = publisher.call::<()>(&create("x")).within(ms(200)).await.unwrap_err();
    assert!(matches!(gone, CallError::NoAnswer { .. }), "{gone}");
    let (sender, mut calls) = log();
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).retry(ladder([100]));
    let running = run(subscriber.handle(move |received: Received<CreateMooring>| {
        sender.send(received.attempt()).unwrap();
        let failed = received.attempt() == 1;
        async move { if failed { Err("not yet") } else { Ok(()) } }
    }));
    assert_eq!(calls.take(2).await, [1, 2]);
    running.stop().await.unwrap();
    holds(&bus, WORKERS, 0).await;
}

pub async fn a_call_without_a_worker_queue_is_unroutable(bus: Bus) {
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let error = publisher.call::<Created>(&create("x")).await.unwrap_err();
    let CallError::Publish(PublishError::Transport { source, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(source, TransportError::Unroutable { key: CREATE.into() });
}

pub async fn a_call_whose_handler_panics_is_told(bus: Bus) {
    declare_workers(&bus).await;
    let handler = |received: Received<CreateMooring>| async move {
        assert_eq!(received.payload.topic, "fine", "on purpose");
        Ok::<_, String>(1)
    };
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(handler));
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let error = publisher.call::<u32>(&create("x")).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Handler { reason, .. } if reason.contains("on purpose")),
        "{error}"
    );
    assert_eq!(publisher.call::<u32>(&create("fine")).await.unwrap(), 1);
    running.stop().await.unwrap();
}

pub async fn calls_with_one_idempotency_key_run_the_handler_once_and_are_all_answered(bus: Bus) {
    let (sender, mut calls) = log();
    declare_workers(&bus).await;
    let running = run(Subscriber::<Any>::new(bus.clone(), contracts()).handle(
        move |received: Received<CreateMooring>| {
            sender.send(received.envelope.id).unwrap();
            async move {
                sleep(ms(200)).await;
                Ok::<_, String>(received.envelope.id)
            }
        },
    ));
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let call = async || {
        let meta = Meta::new().with_idempotency_key("order-7");
        publisher.call::<uuid::Uuid>(&create("x")).meta(meta).within(ms(10_000)).await.unwrap()
    };
    // Two at the same time, and one later.
    let (first, second) = tokio::join!(call(), call());
    let third = call().await;
    assert_eq!(calls.next().await, first);
    assert_eq!((second, third), (first, first));
    calls.ends().await;
    running.stop().await.unwrap();
}

pub async fn a_command_without_a_worker_queue_is_unroutable_and_nothing_holds_it(bus: Bus) {
    let audit = Queue::new("audit").bind(Exchange::Audit, "#".parse().unwrap());
    let events = Queue::new("events").bind(Exchange::Events, "#".parse().unwrap());
    declare(&bus, [audit, events]).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let error = publisher.send(&create("nobody is there")).await.unwrap_err();
    let PublishError::Transport { source, .. } = error else { panic!("{error}") };
    assert_eq!(source, TransportError::Unroutable { key: CREATE.into() });
    assert!(!source.is_retryable());

    declare_workers(&bus).await;
    let receipt = publisher.send(&create("somebody is there")).await.unwrap();
    let mut worker = inbox::<CreateMooring>(&bus, WORKERS).await;
    let received = next(&mut worker).await;
    assert_eq!((received.envelope.id, &*received.payload.topic), (receipt.id, "somebody is there"));
    worker.ack(received).await.unwrap();
    worker.close().await;
    holds(&bus, WORKERS, 0).await;
    holds(&bus, "audit", 1).await;
    holds(&bus, "events", 0).await;
}

pub async fn a_command_that_was_accepted_is_copied_to_the_audit(bus: Bus) {
    let audit = Queue::new("audit").bind(Exchange::Audit, "#".parse().unwrap());
    declare(&bus, [audit]).await;
    declare_workers(&bus).await;
    let receipt = Publisher::<Any>::new(bus.clone(), contracts()).send(&create("x")).await.unwrap();
    let copy = holds(&bus, "audit", 1).await.remove(0);
    let work = holds(&bus, WORKERS, 1).await.remove(0);
    assert_eq!((&copy.key, &copy.body), (&work.key, &work.body));
    let mut inbox = inbox::<CreateMooring>(&bus, "audit").await;
    assert_eq!(next(&mut inbox).await.envelope.id, receipt.id);
}

pub async fn a_command_that_was_only_sent_is_retried(bus: Bus) {
    let (sender, mut calls) = log();
    declare_workers(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).retry(ladder([100]));
    let running = run(subscriber.handle(move |received: Received<CreateMooring>| {
        let attempt = received.attempt();
        sender.send(attempt).unwrap();
        async move { if attempt == 1 { Err("not yet") } else { Ok(()) } }
    }));
    Publisher::<Any>::new(bus.clone(), contracts()).send(&create("x")).await.unwrap();
    assert_eq!(calls.take(2).await, [1, 2]);
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, &dead_letters_of(WORKERS), 0).await;
}

pub async fn workers_share_the_commands_and_each_is_handled_once(bus: Bus) {
    let (sender, mut calls) = log();
    declare_workers(&bus).await;
    // Each has its first command before either goes on.
    let barrier = Arc::new(Barrier::new(2));
    let workers: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let (sender, barrier) = (sender.clone(), barrier.clone());
            let first = Arc::new(std::sync::Once::new());
            let subscriber =
                Subscriber::<Any>::new(bus.clone(), contracts()).prefetch(1).concurrency(1);
            run(subscriber.handle(move |received: Received<CreateMooring>| {
                let (sender, barrier) = (sender.clone(), barrier.clone());
                let mut is_first = false;
                first.call_once(|| is_first = true);
                async move {
                    if is_first {
                        barrier.wait().await;
                    }
                    sender.send((name, received.payload.topic)).unwrap();
                    Ok::<_, String>(())
                }
            }))
        })
        .collect();
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    for n in 0..20 {
        publisher.send(&create(&format!("{n:02}"))).await.unwrap();
    }
    let all = calls.take(20).await;
    assert!(["a", "b"].iter().all(|worker| all.iter().any(|(name, _)| name == worker)));
    let mut topics: Vec<&str> = all.iter().map(|(_, topic)| &**topic).collect();
    topics.sort_unstable();
    assert_eq!(topics, (0..20).map(|n| format!("{n:02}")).collect::<Vec<_>>());
    calls.ends().await;
    for worker in workers {
        worker.stop().await.unwrap();
    }
}
