//! Messages that are handled together.

use bloodbank_bus::{Reason, Received, Subscriber, Verdict, headers};

use super::tools::{Bus, PARCEL, declare_q, holds, ladder, log, ms, number, parcels, run};
use crate::catalog::{Any, Parcel, contracts};

fn on_q(bus: &Bus) -> Subscriber<Any> {
    Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL)
}

pub async fn messages_that_are_handled_together_have_each_a_fate_of_their_own(bus: Bus) {
    let (sender, mut batches) = log();
    declare_q(&bus).await;
    parcels(&bus, 0..5).await;
    let handler = move |batch: Vec<Received<Parcel>>| {
        let numbers: Vec<u32> = batch.iter().map(|received| received.payload.n).collect();
        let verdicts: Vec<Verdict> = batch
            .iter()
            .map(|received| match (received.payload.n, received.attempt()) {
                (1, _) => Verdict::Park("not this one".to_owned()),
                (2, 1) => Verdict::Retry("not yet".to_owned()),
                _ => Verdict::Done,
            })
            .collect();
        sender.send(numbers).unwrap();
        async { verdicts }
    };
    let subscriber = on_q(&bus).concurrency(1).prefetch(1).retry(ladder([500]));
    let running = run(subscriber.on_batch(3, ms(300), handler));
    let mut seen = Vec::new();
    while seen.iter().map(Vec::len).sum::<usize>() < 6 {
        let batch = batches.next().await;
        assert!((1..=3).contains(&batch.len()), "{batch:?}");
        seen.push(batch);
    }
    assert!(seen.iter().any(|batch| batch.len() > 1), "each by itself: {seen:?}");
    let mut all = seen.concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 2, 3, 4], "{seen:?}");
    batches.ends().await;
    let parked = holds(&bus, "q.dlq", 1).await.remove(0);
    assert_eq!(number(&parked), 1);
    assert_eq!(parked.headers[headers::REASON], Reason::Parked.as_str());
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
}

pub async fn a_batch_that_fails_comes_again(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    parcels(&bus, 0..3).await;
    let handler = move |batch: Vec<Received<Parcel>>| {
        let failed = batch.iter().any(|received| received.attempt() == 1);
        for received in batch.iter().filter(|_| !failed) {
            sender.send((received.payload.n, received.attempt())).unwrap();
        }
        async move { if failed { Err("the database is away") } else { Ok(()) } }
    };
    let subscriber = on_q(&bus).retry(ladder([100, 200, 400]));
    let running = run(subscriber.on_batch(3, ms(100), handler));
    let mut done = calls.take(3).await;
    done.sort_unstable();
    let numbers: Vec<u32> = done.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert!(done.iter().all(|(_, attempt)| *attempt >= 2), "{done:?}");
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
    holds(&bus, "q.dlq", 0).await;
}
