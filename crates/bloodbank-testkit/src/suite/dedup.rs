//! Copies of one message.

use bloodbank_bus::{Destination, NoDedup, Publisher, Received, Subscriber, Verdict};
use uuid::Uuid;

use super::tools::{Bus, PARCEL, copy, declare, declare_q, holds, log, parcels, run};
use crate::catalog::{Any, Parcel, contracts, queue};

/// Puts a copy of a parcel into the queue `q`. Publishing it twice may come to one message.
async fn put(bus: &Bus, n: u32, id: Uuid) {
    bus.forward(copy(n, id), Destination::queue("q")).await.unwrap();
}

fn on_q(bus: &Bus) -> Subscriber<Any> {
    Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL).concurrency(1)
}

pub async fn the_same_id_twice_is_handled_once(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(on_q(&bus).on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    let id = Uuid::now_v7();
    put(&bus, 0, id).await;
    put(&bus, 0, id).await;
    put(&bus, 1, Uuid::now_v7()).await;
    put(&bus, 0, id).await;
    assert_eq!(calls.take(2).await, [0, 1]);
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
}

pub async fn copies_of_what_is_being_handled_hold_up_nothing_else(bus: Bus) {
    let (sender, mut calls) = log();
    let (release, released) = tokio::sync::watch::channel(false);
    declare_q(&bus).await;
    // Fewer places than copies.
    let running = run(on_q(&bus).concurrency(2).on(move |received: Received<Parcel>| {
        let (sender, mut released) = (sender.clone(), released.clone());
        async move {
            sender.send(received.payload.n).unwrap();
            if received.payload.n == 0 {
                released.wait_for(|released| *released).await.unwrap();
            }
        }
    }));
    let id = Uuid::now_v7();
    put(&bus, 0, id).await;
    assert_eq!(calls.next().await, 0);
    for _ in 0..3 {
        put(&bus, 0, id).await;
    }
    for n in 1..4 {
        put(&bus, n, Uuid::now_v7()).await;
    }
    let mut others = calls.take(3).await;
    others.sort_unstable();
    assert_eq!(others, [1, 2, 3]);
    release.send(true).unwrap();
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
}

pub async fn what_is_published_again_with_its_id_is_handled_once(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(on_q(&bus).on(move |received: Received<Parcel>| {
        sender.send(received.envelope.id).unwrap();
        async {}
    }));
    let id = Uuid::now_v7();
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    for _ in 0..2 {
        let receipt = publisher.publish(&Parcel { n: 0 }).id(id).await;
        assert_eq!(receipt.unwrap().id, id);
    }
    assert_eq!(calls.next().await, id);
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
}

pub async fn what_was_parked_is_not_remembered(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(on_q(&bus).on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async { Verdict::Park("not this one".to_owned()) }
    }));
    let id = Uuid::now_v7();
    put(&bus, 0, id).await;
    assert_eq!(calls.next().await, 0);
    put(&bus, 0, id).await;
    assert_eq!(calls.next().await, 0);
    holds(&bus, "q.dlq", 2).await;
    running.stop().await.unwrap();
}

pub async fn each_queue_remembers_for_itself(bus: Bus) {
    let (sender, mut calls) = log();
    declare(&bus, ["a", "b"].map(|name| queue(name, &[PARCEL]))).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("a").bind(PARCEL);
    let subscriber = subscriber.queue("b").bind(PARCEL);
    let running = run(subscriber.on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    parcels(&bus, 3..4).await;
    assert_eq!(calls.take(2).await, [3, 3]);
    calls.ends().await;
    running.stop().await.unwrap();
}

pub async fn without_memory_every_copy_is_handled(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let running = run(on_q(&bus).dedup(NoDedup).on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    let id = Uuid::now_v7();
    put(&bus, 0, id).await;
    put(&bus, 0, id).await;
    assert_eq!(calls.take(2).await, [0, 0]);
    running.stop().await.unwrap();
}
