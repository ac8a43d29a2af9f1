//! Handlers that fail.

use std::time::Instant;

use bloodbank_bus::{Reason, Received, Subscriber, dead_letters_of, headers};

use super::tools::{Bus, PARCEL, declare_q, holds, ladder, log, ms, parcels, run};
use crate::catalog::{Any, Parcel, contracts};

fn on_q(bus: &Bus) -> Subscriber<Any> {
    Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL)
}

pub async fn a_handler_that_fails_twice_is_called_three_times_with_the_delays_between(bus: Bus) {
    let (sender, mut calls) = log();
    let handler = move |received: Received<Parcel>| {
        sender.send((received.attempt(), Instant::now())).unwrap();
        let failed = headers::text(received.headers(), headers::ERROR).map(str::to_owned);
        async move {
            match received.attempt() {
                1 => Err("the first"),
                2 if failed.as_deref() == Some("the first") => Err("the second"),
                _ => Ok(()),
            }
        }
    };
    declare_q(&bus).await;
    let running = run(on_q(&bus).retry(ladder([100, 200, 100])).on(handler));
    parcels(&bus, 0..1).await;
    let calls_seen = calls.take(3).await;
    let attempts: Vec<u32> = calls_seen.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    let waits = [calls_seen[1].1 - calls_seen[0].1, calls_seen[2].1 - calls_seen[1].1];
    assert!(waits[0] >= ms(100) && waits[1] >= ms(200), "{waits:?}");
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
    holds(&bus, &dead_letters_of("q"), 0).await;
}

pub async fn what_fails_at_every_attempt_is_parked_as_exhausted(bus: Bus) {
    let (sender, mut calls) = log();
    let handler = move |received: Received<Parcel>| {
        sender.send(received.attempt()).unwrap();
        async move { Err::<(), _>(format!("attempt {} had no luck", received.attempt())) }
    };
    declare_q(&bus).await;
    let running = run(on_q(&bus).retry(ladder([100, 200])).on(handler));
    parcels(&bus, 7..8).await;
    assert_eq!(calls.take(3).await, [1, 2, 3]);
    let parked = holds(&bus, "q.dlq", 1).await.remove(0);
    assert_eq!((&*parked.key, super::tools::number(&parked)), (PARCEL, 7));
    assert_eq!(parked.headers[headers::REASON], Reason::Exhausted.as_str());
    assert_eq!(parked.headers[headers::ERROR], "attempt 3 had no luck");
    assert_eq!(parked.headers[headers::ATTEMPTS], "3");
    assert_eq!(parked.headers[headers::PARKED_FROM], "q");
    let time = |name: &str| headers::time(&parked.headers, name).unwrap();
    let between = time(headers::PARKED_AT) - time(headers::FIRST_FAILED);
    assert!(between.num_milliseconds() >= 300, "{between}");
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
}

pub async fn a_panic_is_tried_again(bus: Bus) {
    let (sender, mut calls) = log();
    let handler = move |received: Received<Parcel>| {
        sender
            .send((
                received.attempt(),
                headers::text(received.headers(), headers::ERROR).map(str::to_owned),
            ))
            .unwrap();
        async move { assert!(received.attempt() > 1, "on purpose") }
    };
    declare_q(&bus).await;
    let running = run(on_q(&bus).retry(ladder([100])).on(handler));
    parcels(&bus, 0..1).await;
    assert_eq!(calls.next().await, (1, None));
    let (attempt, error) = calls.next().await;
    let error = error.expect("the error is noted");
    assert!(attempt == 2 && error.contains("panicked") && error.contains("on purpose"), "{error}");
    calls.ends().await;
    running.stop().await.unwrap();
}

pub async fn others_are_handled_while_one_waits(bus: Bus) {
    let (sender, mut done) = log();
    let handler = move |received: Received<Parcel>| {
        let failed = received.payload.n == 0 && received.attempt() == 1;
        if !failed {
            sender.send(received.payload.n).unwrap();
        }
        async move { if failed { Err("later") } else { Ok(()) } }
    };
    declare_q(&bus).await;
    parcels(&bus, 0..4).await;
    let running = run(on_q(&bus).retry(ladder([1_000])).concurrency(1).on(handler));
    assert_eq!(done.take(4).await, [1, 2, 3, 0]);
    running.stop().await.unwrap();
}
