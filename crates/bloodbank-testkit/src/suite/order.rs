//! Strict order.

use bloodbank_bus::{Reason, Received, Subscriber, headers};

use super::tools::{Bus, PARCEL, declare, holds, ladder, log, number, parcels, run};
use crate::catalog::{Any, Parcel, contracts, queue};

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
