//! Dead letters: looked at, brought back, let go.

use std::time::{Duration, Instant};

use bloodbank_bus::dead_letters::{self, DeadLetter, Filter};
use bloodbank_bus::{
    Destination, Headers, Publisher, Reason, Received, RetryPolicy, Subscriber, Verbatim, Verdict,
    headers,
};
use serde_json::Value;

use super::tools::{
    Bus, PARCEL, declare, declare_q, eventually, holds, inbox, log, next, parcels, run,
};
use crate::catalog::{Any, Parcel, contracts, mooring, queue};

const CREATED: &str = "terminal.mooring.created";

/// Parks two parcels, a mooring, and garbage, from the queue `q`.
async fn park_some(bus: &Bus) {
    declare(bus, [queue("q", &["#"])]).await;
    parcels(bus, 0..2).await;
    Publisher::<Any>::new(bus.clone(), contracts()).publish(&mooring("x")).await.unwrap();
    let garbage = Verbatim::stored(CREATED, *b"garbage", Headers::new());
    bus.forward(garbage, Destination::queue("q")).await.unwrap();
    parcels(bus, 2..3).await;
    let mut inbox = inbox::<Value>(bus, "q").await;
    for _ in 0..3 {
        let received = next(&mut inbox).await;
        inbox.park(received, "not now").await.unwrap();
    }
    let last = next(&mut inbox).await;
    assert_eq!(inbox.parked(), 1);
    inbox.ack(last).await.unwrap();
    inbox.close().await;
    holds(bus, "q.dlq", 4).await;
}

async fn list(bus: &Bus, filter: &Filter, count: usize) -> Vec<DeadLetter> {
    let what = format!("{count} dead letters of {filter:?}");
    let letters = eventually(&what, || async {
        let letters = dead_letters::list(&**bus, "q.dlq", filter).await.unwrap();
        (letters.len() >= count).then_some(letters)
    })
    .await;
    assert_eq!(letters.len(), count, "{letters:?}");
    letters
}

fn of_reason(reason: Reason) -> Filter {
    let mut filter = Filter::all();
    filter.reason = Some(reason);
    filter
}

fn of_key(pattern: &str) -> Filter {
    let mut filter = Filter::all();
    filter.key = Some(pattern.parse().unwrap());
    filter
}

pub async fn filters_choose_by_key_reason_age_and_id(bus: Bus) {
    park_some(&bus).await;
    let all = list(&bus, &Filter::all(), 4).await;
    assert_eq!(all.iter().map(|l| &*l.key).collect::<Vec<_>>(), [PARCEL, PARCEL, CREATED, CREATED]);
    assert_eq!(list(&bus, &Filter::all(), 4).await, all, "they stay where they are");
    for letter in &all {
        assert_eq!(letter.parked_from.as_deref(), Some("q"));
        assert_eq!((letter.attempts, letter.redrives), (1, 0));
        assert!(letter.parked_at.is_some() && letter.first_failed.is_some());
    }
    assert_eq!(all[0].error.as_deref(), Some("not now"));
    assert_eq!((&*all[3].body, &all[3].id), (&b"garbage"[..], &None));

    assert_eq!(list(&bus, &of_key("lot.*"), 2).await, all[..2]);
    assert_eq!(list(&bus, &of_reason(Reason::NoEnvelope), 1).await, all[3..]);
    let mut filter = Filter::all();
    filter.id.clone_from(&all[1].id);
    assert_eq!(list(&bus, &filter, 1).await, all[1..2]);
    let mut filter = of_reason(Reason::Parked);
    filter.older_than = Some(Duration::ZERO);
    assert_eq!(list(&bus, &filter, 3).await, all[..3]);
    filter.older_than = Some(Duration::from_secs(3_600));
    list(&bus, &filter, 0).await;
}

pub async fn what_is_redriven_is_handled_as_if_it_was_new_and_counts_its_redrives(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    parcels(&bus, 0..1).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running =
        run(subscriber.retry(RetryPolicy::never()).on(move |received: Received<Parcel>| {
            let redrives = headers::text(received.headers(), headers::REDRIVES).map(str::to_owned);
            let failed_before = received.headers().contains_key(headers::FIRST_FAILED);
            sender.send((received.attempt(), failed_before, redrives.clone())).unwrap();
            async move {
                match redrives.as_deref() {
                    None => Verdict::Retry("the first time".to_owned()),
                    Some("1") => Verdict::Park("the second time".to_owned()),
                    Some(_) => Verdict::Done,
                }
            }
        }));
    assert_eq!(calls.next().await, (1, false, None));
    for (redrives, error) in [(0, "the first time"), (1, "the second time")] {
        let letter = list(&bus, &Filter::all(), 1).await.remove(0);
        assert_eq!((letter.redrives, letter.error.as_deref()), (redrives, Some(error)));
        let redriven =
            dead_letters::redrive(&*bus, "q.dlq", &Filter::all(), u32::MAX).await.unwrap();
        assert_eq!((redriven.count, redriven.failed.len()), (1, 0));
        assert_eq!(calls.next().await, (1, false, Some((redrives + 1).to_string())));
    }
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q.dlq", 0).await;
    holds(&bus, "q", 0).await;
}

pub async fn redriving_keeps_to_its_rate(bus: Bus) {
    park_some(&bus).await;
    let started = Instant::now();
    let redriven = dead_letters::redrive(&*bus, "q.dlq", &Filter::all(), 10).await.unwrap();
    assert_eq!(redriven.count, 4);
    // The first goes at once.
    assert!(started.elapsed() >= Duration::from_millis(290), "{:?}", started.elapsed());
    let back = holds(&bus, "q", 4).await;
    let noted = [headers::REASON, headers::ERROR, headers::ATTEMPTS, headers::PARKED_FROM];
    assert!(back.iter().all(|d| noted.iter().all(|name| !d.headers.contains_key(*name))));
    assert_eq!(&*back[3].body, b"garbage", "byte for byte");
}

pub async fn what_does_not_say_where_it_came_from_stays(bus: Bus) {
    park_some(&bus).await;
    for from in [None, Some("nowhere")] {
        let mut message = Verbatim::stored("a.b", *b"x", Headers::new());
        if let Some(from) = from {
            message = message.with_header(headers::PARKED_FROM, from);
        }
        bus.forward(message, Destination::queue("q.dlq")).await.unwrap();
    }
    let redriven = dead_letters::redrive(&*bus, "q.dlq", &Filter::all(), 1_000).await.unwrap();
    assert_eq!(redriven.count, 4);
    let failed: Vec<String> =
        redriven.failed.iter().map(|(key, error)| format!("{key}: {error}")).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].starts_with("a.b: ") && failed[0].contains(headers::PARKED_FROM));
    assert!(failed[1].contains("no queue `nowhere`"), "{failed:?}");
    holds(&bus, "q.dlq", 2).await;
    holds(&bus, "q", 4).await;
}

pub async fn purging_takes_only_what_the_filter_chooses(bus: Bus) {
    park_some(&bus).await;
    let purged = dead_letters::purge(&*bus, "q.dlq", &of_key("lot.#")).await.unwrap();
    assert_eq!(purged, 2);
    let left = list(&bus, &Filter::all(), 2).await;
    assert!(left.iter().all(|letter| letter.key == CREATED));
    // What stays can be brought back.
    let redriven =
        dead_letters::redrive(&*bus, "q.dlq", &of_reason(Reason::NoEnvelope), 1_000).await.unwrap();
    assert_eq!(redriven.count, 1);
    assert_eq!(&*holds(&bus, "q", 1).await[0].body, b"garbage");
    assert_eq!(dead_letters::purge(&*bus, "q.dlq", &Filter::all()).await.unwrap(), 1);
    holds(&bus, "q.dlq", 0).await;
}
