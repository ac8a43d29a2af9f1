//! Strict order, of everything or key by key.

use std::sync::Arc;

use bloodbank_bus::{Publisher, Reason, Received, SetupFault, SubscribeError, Subscriber, headers};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::tools::{
    Bus, PARCEL, consume, declare, holds, ladder, log, ms, number, parcels, recv, run,
};
use crate::catalog::{Any, MooringCreated, Parcel, contracts, mooring, queue};

const MOORING: &str = "terminal.mooring.created";

fn on_o(bus: &Bus) -> Subscriber<Any> {
    Subscriber::<Any>::new(bus.clone(), contracts()).queue("o").bind(PARCEL).strict_order()
}

async fn declare_o(bus: &Bus) {
    declare(bus, [queue("o", &[PARCEL]).ordered()]).await;
}

pub async fn what_fails_is_tried_again_before_the_next(bus: Bus) {
    let (sender, mut done) = log();
    let handler = move |received: Received<Parcel>| {
        let n = received.payload.n;
        let failed = n == 5 && received.attempt() <= 2;
        if !failed {
            sender.send((n, received.attempt())).unwrap();
        }
        async move { if failed { Err("not yet") } else { Ok(()) } }
    };
    declare_o(&bus).await;
    let running = run(on_o(&bus).retry(ladder([100, 200])).on(handler));
    parcels(&bus, 0..20).await;
    let expected: Vec<(u32, u32)> = (0..20).map(|n| (n, if n == 5 { 3 } else { 1 })).collect();
    assert_eq!(done.take(20).await, expected);
    done.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "o.dlq", 0).await;
}

pub async fn what_keeps_failing_is_parked_and_the_next_goes_on(bus: Bus) {
    let (sender, mut calls) = log();
    let handler = move |received: Received<Parcel>| {
        let n = received.payload.n;
        sender.send((n, received.attempt())).unwrap();
        async move { if n == 1 { Err("never") } else { Ok(()) } }
    };
    declare_o(&bus).await;
    let running = run(on_o(&bus).retry(ladder([100])).on(handler));
    parcels(&bus, 0..3).await;
    assert_eq!(calls.take(4).await, [(0, 1), (1, 1), (1, 2), (2, 1)]);
    let parked = holds(&bus, "o.dlq", 1).await.remove(0);
    assert_eq!(number(&parked), 1);
    assert_eq!(parked.headers[headers::REASON], Reason::Exhausted.as_str());
    assert_eq!(parked.headers[headers::ERROR], "never");
    assert_eq!(parked.headers[headers::ATTEMPTS], "2");
    assert!(parked.headers.contains_key(headers::FIRST_FAILED));
    running.stop().await.unwrap();
}

pub async fn a_shutdown_between_attempts_leaves_the_message(bus: Bus) {
    let (sender, mut calls) = log();
    declare_o(&bus).await;
    parcels(&bus, 0..3).await;
    let first = sender.clone();
    let running = run(on_o(&bus).retry(ladder([60_000])).on(move |received: Received<Parcel>| {
        first.send(received.payload.n).unwrap();
        async { Err::<(), _>("not today") }
    }));
    assert_eq!(calls.next().await, 0);
    // Not after a minute: the wait for the next attempt is given up.
    running.stop().await.unwrap();
    let running = run(on_o(&bus).on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    assert_eq!(calls.take(3).await, [0, 1, 2]);
    running.stop().await.unwrap();
}

/// Keeps the order of moorings of one topic.
fn by_topic(bus: &Bus) -> Subscriber<Any> {
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts());
    subscriber.queue("k").bind(MOORING).ordered_by("/topic")
}

async fn declare_k(bus: &Bus) {
    declare(bus, [queue("k", &[MOORING]).ordered()]).await;
}

/// Publishes moorings; their rounds say which is which.
async fn moorings(bus: &Bus, all: impl IntoIterator<Item = (&str, u32)>) {
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    for (topic, max_rounds) in all {
        let mooring = MooringCreated { max_rounds, ..mooring(topic) };
        publisher.publish(&mooring).await.unwrap();
    }
}

fn topic_and_rounds(received: &Received<MooringCreated>) -> (String, u32) {
    (received.payload.topic.clone(), received.payload.max_rounds)
}

fn of<'a>(topic: &str, done: &'a [(String, u32)]) -> impl Iterator<Item = u32> + use<'a> {
    let topic = topic.to_owned();
    done.iter().filter(move |(other, _)| *other == topic).map(|(_, rounds)| *rounds)
}

pub async fn each_key_keeps_its_order_over_two_subscribers(bus: Bus) {
    keys_in_order(bus, 4).await;
}

pub async fn each_key_keeps_its_order_in_a_single_partition(bus: Bus) {
    keys_in_order(bus, 1).await;
}

async fn keys_in_order(bus: Bus, partitions: u16) {
    let (sender, mut done) = log();
    declare_k(&bus).await;
    let start = || {
        let sender = sender.clone();
        run(by_topic(&bus).partitions(partitions).on(move |received: Received<MooringCreated>| {
            let (sender, (topic, rounds)) = (sender.clone(), topic_and_rounds(&received));
            async move {
                // Those that come first take longest.
                sleep(ms(u64::from(10 - rounds))).await;
                sender.send((topic, rounds)).unwrap();
            }
        }))
    };
    let running = [start(), start()];
    let topics = ["a", "b", "c", "d", "e", "f", "g"];
    for rounds in 1..=10 {
        moorings(&bus, topics.map(|topic| (topic, rounds))).await;
    }
    let done = done.take(70).await;
    for topic in topics {
        assert!(of(topic, &done).eq(1..=10), "{topic}: {done:?}");
    }
    for subscriber in running {
        subscriber.stop().await.unwrap();
    }
}

pub async fn keys_of_one_partition_are_handled_side_by_side(bus: Bus) {
    let (sender, mut done) = log();
    let gate = Arc::new(Semaphore::new(0));
    let at_gate = gate.clone();
    declare_k(&bus).await;
    let running =
        run(by_topic(&bus).partitions(1).on(move |received: Received<MooringCreated>| {
            let (sender, gate, (topic, rounds)) =
                (sender.clone(), at_gate.clone(), topic_and_rounds(&received));
            async move {
                if (&*topic, rounds) == ("slow", 1) {
                    gate.acquire().await.unwrap().forget();
                }
                sender.send((topic, rounds)).unwrap();
            }
        }));
    moorings(&bus, [("slow", 1), ("slow", 2), ("fast", 1), ("fast", 2), ("fast", 3)]).await;
    assert!(of("fast", &done.take(3).await).eq(1..=3));
    done.ends().await;
    gate.add_permits(1);
    assert!(of("slow", &done.take(2).await).eq(1..=2));
    running.stop().await.unwrap();
}

pub async fn a_failing_key_waits_and_takes_no_handler_from_the_others(bus: Bus) {
    let (sender, mut calls) = log();
    declare_k(&bus).await;
    let subscriber = by_topic(&bus).partitions(1).concurrency(1).retry(ladder([60_000]));
    let running = run(subscriber.on(move |received: Received<MooringCreated>| {
        let call = topic_and_rounds(&received);
        let is_bad = call.0 == "bad";
        sender.send(call).unwrap();
        async move { if is_bad { Err("not today") } else { Ok(()) } }
    }));
    moorings(&bus, [("bad", 1), ("bad", 2), ("good", 1), ("good", 2)]).await;
    let seen = calls.take(3).await;
    assert!(of("bad", &seen).eq([1]) && of("good", &seen).eq([1, 2]), "{seen:?}");
    calls.ends().await;
    // Not after a minute: the wait for the next attempt is given up.
    running.stop().await.unwrap();
    let mut left = consume(&bus, "k", 10).await;
    for rounds in [1, 2] {
        let delivery = recv(&mut left).await;
        assert_eq!(delivery.envelope().unwrap().data["max_rounds"], rounds);
    }
}

pub async fn what_keeps_failing_is_parked_and_its_key_goes_on(bus: Bus) {
    let (sender, mut calls) = log();
    declare_k(&bus).await;
    let subscriber = by_topic(&bus).partitions(3).retry(ladder([50]));
    let running = run(subscriber.on(move |received: Received<MooringCreated>| {
        let call = topic_and_rounds(&received);
        let is_bad = call == ("bad".to_owned(), 2);
        sender.send(call).unwrap();
        async move { if is_bad { Err("never") } else { Ok(()) } }
    }));
    moorings(&bus, [("bad", 1), ("bad", 2), ("bad", 3)]).await;
    assert!(of("bad", &calls.take(4).await).eq([1, 2, 2, 3]));
    let parked = holds(&bus, "k.dlq", 1).await.remove(0);
    assert_eq!(parked.headers[headers::REASON], Reason::Exhausted.as_str());
    let from = parked.headers[headers::PARKED_FROM].to_string();
    assert!(from.starts_with("k.p0"), "{from}");
    running.stop().await.unwrap();
}

pub async fn events_without_a_key_keep_their_order(bus: Bus) {
    let (sender, mut done) = log();
    declare_k(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("k").bind(MOORING);
    let subscriber = subscriber.ordered_by("/nothing/of/this");
    let running = run(subscriber.on(move |received: Received<MooringCreated>| {
        let (sender, rounds) = (sender.clone(), received.payload.max_rounds);
        async move {
            sleep(ms(u64::from(10 - rounds))).await;
            sender.send(rounds).unwrap();
        }
    }));
    moorings(&bus, (1..=10).map(|rounds| ("t", rounds))).await;
    assert_eq!(done.take(10).await, (1..=10).collect::<Vec<_>>());
    running.stop().await.unwrap();
}

pub async fn order_by_something_else_than_a_pointer_is_refused(bus: Bus) {
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("k").bind(PARCEL);
    let subscriber = subscriber.ordered_by("meeting_id").on(async |_: Received<Parcel>| {});
    let refused = run(subscriber).end().await.unwrap_err();
    let SubscribeError::Setup { faults, .. } = refused else { panic!("{refused}") };
    assert_eq!(faults, [SetupFault::BadPointer { pointer: "meeting_id".to_owned() }]);
}
