//! Many events, full queues, and bytes that are passed on.

use bloodbank_bus::{
    Destination, Exchange, Headers, PublishError, Publisher, Topology, TransportError, Verbatim,
};

use super::tools::{Bus, Each, PARCEL, declare, declare_q, holds, inbox, next, number};
use crate::catalog::{Any, MooringCreated, Parcel, contracts, mooring, queue};

pub async fn enqueued_events_keep_their_order(bus: Bus) {
    declare_q(&bus).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let mut under_way = Vec::new();
    for n in 0..100 {
        under_way.push(publisher.publish(&Parcel { n }).enqueue().await.unwrap());
    }
    for publishing in under_way {
        publishing.await.unwrap();
    }
    let numbers: Vec<u32> = holds(&bus, "q", 100).await.iter().map(number).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

pub async fn a_batch_keeps_its_order_and_names_what_was_refused(bus: Bus) {
    declare(&bus, [queue("q", &["terminal.#"])]).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    // The contract says 1 to 10.
    let events = (0..30).map(|n| MooringCreated {
        max_rounds: if n % 10 == 5 { 11 } else { 3 },
        ..mooring(&n.to_string())
    });
    let published = publisher.publish_all(Each(events)).await;
    assert_eq!(published.count, 27);
    let refused: Vec<u64> = published.failed.iter().map(|(index, _)| *index).collect();
    assert_eq!(refused, [5, 15, 25]);
    assert!(published.failed.iter().all(|(_, error)| error.refusal().is_some()));
    assert!(published.all().is_err());

    let mut inbox = inbox::<MooringCreated>(&bus, "q").await;
    for n in (0..30).filter(|n| n % 10 != 5) {
        let received = next(&mut inbox).await;
        assert_eq!(received.payload.topic, n.to_string());
        inbox.ack(received).await.unwrap();
    }
    let none = publisher.publish_all(Each(std::iter::empty::<Parcel>())).await;
    assert_eq!(none.all().unwrap(), 0);
}

pub async fn a_full_queue_refuses_and_drops_nothing(bus: Bus) {
    let small = queue("small", &[PARCEL]).with_max_len(5);
    bus.declare(&Topology::new().with_queue(small)).await.unwrap();
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let mut taken = Vec::new();
    // A broker may count a little late.
    let error = loop {
        let n = taken.len() as u32;
        assert!(n < 100, "a queue of 5 has taken 100");
        match publisher.publish(&Parcel { n }).await {
            Ok(_) => taken.push(n),
            Err(error) => break error,
        }
    };
    let PublishError::Transport { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(source, TransportError::Nacked { .. }) && source.is_retryable(), "{error}");
    assert!(taken.len() >= 5, "{taken:?}");
    let held: Vec<u32> = holds(&bus, "small", taken.len()).await.iter().map(number).collect();
    assert_eq!(held, taken);
}

pub async fn headers_and_bytes_are_forwarded_as_they_are(bus: Bus) {
    declare(&bus, [queue("q", &["any.thing"]), queue("other", &["any.thing"])]).await;
    let message = Verbatim::stored("any.thing", [0xff, 0x00, b'{'], Headers::new())
        .with_header("x-mine", "yes")
        .with_header("x-empty", "");
    bus.forward(message.clone(), Destination::Exchange(Exchange::Events)).await.unwrap();
    bus.forward(message.clone(), Destination::queue("q")).await.unwrap();
    // Past all bindings: only to the queue that was named.
    holds(&bus, "other", 1).await;
    for delivery in holds(&bus, "q", 2).await {
        assert_eq!((&delivery.key, &delivery.body), (&message.key, &message.body));
        for (name, value) in &message.headers {
            assert_eq!(delivery.headers.get(name), Some(value), "{name}");
        }
    }
}
