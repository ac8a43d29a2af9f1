//! Queues whose retries and room the registry names.

use std::time::Instant;

use bloodbank_bus::{
    Destination, Exchange, FullQueue, Received, RetryPolicy, Subscriber, Topology, TransportError,
    Verbatim, dead_letters_of,
};
use bloodbank_core::{Envelope, Meta};
use serde_json::json;
use uuid::Uuid;

use super::tools::{Bus, Log, copy, holds, log, ms, parcels, run};
use crate::catalog::{CreateMooring, Limited, Parcel, contracts};

const CREATE: &str = "terminal.mooring.create";
const WORKERS: &str = "commands.terminal.mooring.create";

/// A subscriber whose handlers always fail, and the attempts that it makes.
fn failing(bus: &Bus) -> (Subscriber<Limited>, Log<(u32, Instant)>) {
    let (sender, attempts) = log();
    let of_commands = sender.clone();
    let subscriber = Subscriber::<Limited>::new(bus.clone(), contracts())
        .on(move |received: Received<Parcel>| {
            sender.send((received.attempt(), Instant::now())).unwrap();
            async { Err::<(), _>("no luck") }
        })
        .handle(move |received: Received<CreateMooring>| {
            of_commands.send((received.attempt(), Instant::now())).unwrap();
            async { Err::<(), _>("no luck") }
        });
    (subscriber, attempts)
}

/// Declares everything of the registry, as `bloodbank topology --apply` does. What a subscriber
/// declares must agree with it.
async fn declare_registry(bus: &Bus) {
    bus.declare(&Topology::of(contracts().bundle())).await.unwrap();
}

pub async fn the_retries_of_the_registry_are_obeyed(bus: Bus) {
    declare_registry(&bus).await;
    let (subscriber, mut attempts) = failing(&bus);
    let running = run(subscriber);
    parcels(&bus, 0..1).await;
    let seen = attempts.take(3).await;
    let numbers: Vec<u32> = seen.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let waits = [seen[1].1 - seen[0].1, seen[2].1 - seen[1].1];
    assert!(waits[0] >= ms(100) && waits[1] >= ms(200), "{waits:?}");
    holds(&bus, &dead_letters_of("limited"), 1).await;
    attempts.ends().await;
    running.stop().await.unwrap();
}

pub async fn what_the_code_says_of_retries_counts_more(bus: Bus) {
    declare_registry(&bus).await;
    let (subscriber, mut attempts) = failing(&bus);
    let running = run(subscriber.retry(RetryPolicy::never()));
    parcels(&bus, 0..1).await;
    assert_eq!(attempts.next().await.0, 1);
    holds(&bus, &dead_letters_of("limited"), 1).await;
    attempts.ends().await;
    running.stop().await.unwrap();
}

pub async fn commands_are_retried_as_their_service_says(bus: Bus) {
    declare_registry(&bus).await;
    let (subscriber, mut attempts) = failing(&bus);
    let running = run(subscriber);
    let command = Envelope::new(CREATE, "elsewhere", json!({"topic": "x"}), Meta::new());
    let command = Verbatim::stored(CREATE, command.to_bytes().unwrap(), Default::default());
    bus.forward(command, Destination::Exchange(Exchange::Commands)).await.unwrap();
    let seen = attempts.take(2).await;
    assert_eq!((seen[0].0, seen[1].0), (1, 2));
    assert!(seen[1].1 - seen[0].1 >= ms(150), "{seen:?}");
    holds(&bus, &dead_letters_of(WORKERS), 1).await;
    attempts.ends().await;
    running.stop().await.unwrap();
}

pub async fn a_queue_has_the_room_that_the_registry_gives_it(bus: Bus) {
    declare_registry(&bus).await;
    let mut taken = 0;
    // A broker may count a little late.
    let error = loop {
        assert!(taken < 100, "a queue of 7 has taken 100");
        let message = copy(taken, Uuid::now_v7());
        match bus.forward(message, Destination::queue(WORKERS)).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    let full = FullQueue { name: WORKERS.to_owned(), limit: 7 };
    assert_eq!(error, TransportError::Nacked { full: Some(full) });
    assert!((7..12).contains(&taken), "a queue with room for 7 took {taken}");
}
