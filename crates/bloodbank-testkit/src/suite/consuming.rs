//! Messages settled by hand.

use bloodbank_bus::{Settlement, Subscription, Topology, TransportError};

use super::tools::{
    Bus, PARCEL, browse, consume, declare_q, eventually, holds, inbox, never, next, number,
    parcels, recv,
};
use crate::catalog::{Parcel, queue};

pub async fn what_is_acknowledged_is_gone(bus: Bus) {
    declare_q(&bus).await;
    parcels(&bus, 0..2).await;
    let mut first = inbox::<Parcel>(&bus, "q").await;
    let received = next(&mut first).await;
    assert_eq!((received.payload.n, received.attempt(), received.redelivered()), (0, 1, false));
    first.ack(received).await.unwrap();
    first.close().await;
    let mut second = inbox::<Parcel>(&bus, "q").await;
    assert_eq!(next(&mut second).await.payload.n, 1);
    never("what was acknowledged came again", second.next()).await;
}

pub async fn what_is_not_settled_comes_again_when_the_inbox_is_dropped(bus: Bus) {
    declare_q(&bus).await;
    parcels(&bus, 0..2).await;
    let mut first = inbox::<Parcel>(&bus, "q").await;
    assert!(!next(&mut first).await.redelivered());
    drop(first);
    let mut second = inbox::<Parcel>(&bus, "q").await;
    // Dropping waits for nothing: the other one may come first.
    let mut again = next(&mut second).await;
    if again.payload.n == 1 {
        again = next(&mut second).await;
    }
    assert_eq!((again.payload.n, again.redelivered()), (0, true));
}

pub async fn what_is_requeued_comes_again_and_costs_no_attempt(bus: Bus) {
    declare_q(&bus).await;
    parcels(&bus, 0..1).await;
    let mut inbox = inbox::<Parcel>(&bus, "q").await;
    let first = next(&mut inbox).await;
    let id = first.envelope.id;
    inbox.requeue(first).await.unwrap();
    let again = next(&mut inbox).await;
    assert_eq!((again.envelope.id, again.attempt(), again.redelivered()), (id, 1, true));
    inbox.ack(again).await.unwrap();
    never("what was acknowledged came again", inbox.next()).await;
}

pub async fn settling_twice_is_stale(bus: Bus) {
    declare_q(&bus).await;
    parcels(&bus, 0..1).await;
    let mut deliveries = consume(&bus, "q", 1).await;
    let delivery = recv(&mut deliveries).await;
    bus.settle(&delivery, Settlement::Ack).await.unwrap();
    for settlement in [Settlement::Ack, Settlement::Requeue] {
        assert_eq!(bus.settle(&delivery, settlement).await, Err(TransportError::Stale));
    }
    // The consumer lives on.
    parcels(&bus, 1..2).await;
    assert_eq!(number(&recv(&mut deliveries).await), 1);
}

pub async fn consumers_of_one_queue_share_its_messages(bus: Bus) {
    declare_q(&bus).await;
    let (mut a, mut b) = (consume(&bus, "q", 5).await, consume(&bus, "q", 5).await);
    parcels(&bus, 0..10).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        // Neither may have more than five, so each has five.
        all.push(number(&recv(&mut a).await));
        all.push(number(&recv(&mut b).await));
    }
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
}

pub async fn browsing_shows_everything_and_takes_nothing(bus: Bus) {
    declare_q(&bus).await;
    assert!(browse(&bus, "q").await.is_empty());
    // More than a usual prefetch.
    parcels(&bus, 0..150).await;
    for _ in 0..2 {
        let mut seen: Vec<u32> = holds(&bus, "q", 150).await.iter().map(number).collect();
        // RabbitMQ puts back many at once in any order.
        seen.sort_unstable();
        assert_eq!(seen, (0..150).collect::<Vec<_>>());
    }
}

pub async fn a_temporary_queue_goes_with_its_consumer(bus: Bus) {
    let temporary = queue("t", &[PARCEL]).temporary();
    bus.declare(&Topology::new().with_queue(temporary)).await.unwrap();
    let mut deliveries = consume(&bus, "t", 10).await;
    parcels(&bus, 0..1).await;
    assert_eq!(number(&recv(&mut deliveries).await), 0);
    drop(deliveries);
    eventually("the end of the queue", || async {
        let again = bus.subscribe(Subscription::new("t")).await;
        matches!(again, Err(TransportError::Undeclared { queue }) if queue == "t").then_some(())
    })
    .await;
}

pub async fn an_ordered_queue_gives_everything_to_one_consumer_at_a_time(bus: Bus) {
    let ordered = queue("o", &[PARCEL]).ordered();
    bus.declare(&Topology::new().with_queue(ordered)).await.unwrap();
    let mut first = consume(&bus, "o", 10).await;
    let mut second = consume(&bus, "o", 10).await;
    parcels(&bus, 0..6).await;
    for n in 0..6 {
        let delivery = recv(&mut first).await;
        assert_eq!(number(&delivery), n);
        if n < 3 {
            bus.settle(&delivery, Settlement::Ack).await.unwrap();
        }
    }
    never("the second consumer got something", second.recv()).await;
    first.close().await;
    for n in 3..6 {
        assert_eq!(number(&recv(&mut second).await), n);
    }
}
