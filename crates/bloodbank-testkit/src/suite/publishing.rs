//! Many events, full queues, and bytes that are passed on.

use bloodbank_bus::dead_letters::{self, Filter};
use bloodbank_bus::{
    Destination, Exchange, FullQueue, Headers, PublishError, Publisher, Queue, Reason,
    TransportError, Verbatim,
};

use super::tools::{
    Bus, Each, PARCEL, browse, declare, declare_q, eventually, holds, inbox, next, number,
};
use crate::catalog::{Any, CreateMooring, MooringCreated, Parcel, contracts, mooring, queue};

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

pub async fn a_full_queue_of_events_refuses_nobody_and_drops_nothing(bus: Bus) {
    let small = queue("small", &[PARCEL]).with_max_len(5);
    declare(&bus, [small, queue("large", &[PARCEL])]).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    for n in 0..12 {
        publisher.publish(&Parcel { n }).await.unwrap();
    }
    holds(&bus, "large", 12).await;
    // What has no room lies among the dead letters; a log has room for all.
    let all = eventually("all of them", async || {
        let mut all: Vec<u32> = browse(&bus, "small.dlq").await.iter().map(number).collect();
        all.sort_unstable();
        all.extend(browse(&bus, "small").await.iter().map(number));
        (all.len() >= 12).then_some(all)
    });
    assert_eq!(all.await, (0..12).collect::<Vec<_>>());
    let letters = dead_letters::list(&*bus, "small.dlq", &Filter::all()).await.unwrap();
    for letter in &letters {
        assert_eq!(letter.reason, Some(Reason::QueueFull));
        assert_eq!((letter.parked_from.as_deref(), letter.key.as_str()), (Some("small"), PARCEL));
        assert!(letter.parked_at.is_some());
    }
    let count = letters.len() as u64;
    // They come back to where there is room by then.
    dead_letters::purge(&*bus, "small", &Filter::all()).await.unwrap();
    let redriven = dead_letters::redrive(&*bus, "small.dlq", &Filter::all(), 1_000).await.unwrap();
    assert_eq!((redriven.count, redriven.failed.len()), (count, 0));
}

pub async fn a_full_queue_of_commands_refuses_and_is_named(bus: Bus) {
    let workers = Queue::of_command("terminal.mooring.create").unwrap().with_max_len(5);
    declare(&bus, [workers.clone()]).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let mut taken = 0;
    // A broker may count a little late.
    let error = loop {
        assert!(taken < 100, "a queue of 5 has taken 100");
        match publisher.send(&CreateMooring { topic: taken.to_string() }).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    let PublishError::Transport { source, .. } = &error else { panic!("{error}") };
    let full = FullQueue { name: workers.name.clone(), limit: 5 };
    assert_eq!(*source, TransportError::Nacked { full: Some(full) });
    assert!(source.is_retryable() && taken >= 5, "{taken}: {error}");
    holds(&bus, &workers.name, taken).await;
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
