//! Events of the past, published again.

use bloodbank_bus::{
    Destination, Encoded, Exchange, Headers, Queue, Received, Subscriber, TransportError, Verbatim,
    headers,
};
use serde_json::json;
use uuid::Uuid;

use super::tools::{Bus, PARCEL, copy, declare, declare_q, holds, log, number, parcels, run};
use crate::catalog::{Any, Parcel, contracts, envelope, queue};

/// Replays an event, as the first of a store.
async fn replay(bus: &Bus, event: Verbatim, name: &str) -> Result<(), TransportError> {
    let message = event.with_header(headers::REPLAY, name).with_header(headers::POSITION, "1");
    bus.forward(message, Destination::Exchange(Exchange::Replay)).await
}

fn unroutable() -> Result<(), TransportError> {
    Err(TransportError::Unroutable { key: PARCEL.to_owned() })
}

pub async fn a_replay_that_nobody_hears_is_unroutable(bus: Bus) {
    let other = Queue::new("other").bind(Exchange::Replay, "terminal.#".parse().unwrap());
    declare(&bus, [queue("q", &["#"]), other]).await;
    let event = copy(0, Uuid::now_v7());
    // Also when it is tried again.
    for _ in 0..2 {
        assert_eq!(replay(&bus, event.clone(), "r").await, unroutable());
    }
    holds(&bus, "q", 0).await;
    holds(&bus, "other", 0).await;
    declare(&bus, [queue("q", &["#"]).hear_replays()]).await;
    replay(&bus, event, "r").await.unwrap();
    holds(&bus, "q", 1).await;
}

pub async fn queues_get_what_is_live_or_replayed_as_they_are_bound(bus: Bus) {
    let replays = || Queue::new("replays").bind(Exchange::Replay, "lot.*".parse().unwrap());
    let both = || queue("both", &["lot.#"]).hear_replays();
    declare(&bus, [queue("live", &["#"]), replays(), both()]).await;
    parcels(&bus, 0..1).await;
    replay(&bus, copy(1, Uuid::now_v7()), "r").await.unwrap();
    for (name, expected) in [("live", &[0][..]), ("replays", &[1]), ("both", &[0, 1])] {
        let held = holds(&bus, name, expected.len()).await;
        assert_eq!(held.iter().map(number).collect::<Vec<_>>(), expected, "in `{name}`");
    }
    let replayed = holds(&bus, "replays", 1).await.remove(0);
    assert_eq!((&*replayed.key, replayed.attempt), (PARCEL, 1));
    assert_eq!(replayed.headers[headers::REPLAY], "r");
    assert_eq!(replayed.headers[headers::POSITION], "1");
}

pub async fn a_replayed_event_is_handled_again_and_its_second_copy_is_not(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let subscriber =
        Subscriber::<Any>::new(bus.clone(), contracts()).hear_replays().queue("q").bind(PARCEL);
    let running = run(subscriber.concurrency(1).on(move |received: Received<Parcel>| {
        sender.send((received.envelope.id, received.replay().map(str::to_owned))).unwrap();
        async {}
    }));
    let live = envelope(PARCEL, json!({"n": 0}));
    let (id, bytes) = (live.id, live.to_bytes().unwrap());
    bus.publish(Encoded::new(live, Headers::new()).unwrap()).await.unwrap();
    assert_eq!(calls.next().await, (id, None));
    // The second replay shows that the copy in between is not merely late.
    for name in ["first", "first", "second"] {
        let event = Verbatim::stored(PARCEL, bytes.clone(), Headers::new());
        replay(&bus, event, name).await.unwrap();
    }
    for name in ["first", "second"] {
        assert_eq!(calls.next().await, (id, Some(name.to_owned())));
    }
    calls.ends().await;
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
}

pub async fn a_subscriber_hears_no_replays_unless_it_says_so(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    parcels(&bus, 0..1).await;
    assert_eq!(calls.next().await, 0);
    assert_eq!(replay(&bus, copy(1, Uuid::now_v7()), "r").await, unroutable());
    calls.ends().await;
    running.stop().await.unwrap();
}
