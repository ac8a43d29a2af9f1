//! How much at a time, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bloodbank_bus::{
    PublishError, Publisher, Received, Settlement, SubscribeError, Subscriber, Subscription,
    Topology, TransportError,
};
use tokio::sync::Barrier;
use tokio::time::sleep;

use super::tools::{
    Bus, PARCEL, consume, declare_q, inbox, log, ms, never, next, number, parcels, recv, run, soon,
};
use crate::catalog::{Any, Parcel, contracts, queue};

fn on_q(bus: &Bus) -> Subscriber<Any> {
    Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL)
}

pub async fn as_many_handlers_run_at_a_time_as_were_asked_for(bus: Bus) {
    let (sender, mut done) = log();
    // Nobody passes before four are here.
    let barrier = Arc::new(Barrier::new(4));
    let running_now = Arc::new(AtomicUsize::new(0));
    declare_q(&bus).await;
    let running = run(on_q(&bus).concurrency(4).on(move |_: Received<Parcel>| {
        let (sender, barrier, running_now) = (sender.clone(), barrier.clone(), running_now.clone());
        async move {
            let others = running_now.fetch_add(1, Ordering::SeqCst);
            barrier.wait().await;
            running_now.fetch_sub(1, Ordering::SeqCst);
            sender.send(others + 1).unwrap();
        }
    }));
    parcels(&bus, 0..12).await;
    let most = done.take(12).await.into_iter().max();
    assert_eq!(most, Some(4));
    running.stop().await.unwrap();
}

pub async fn prefetch_bounds_what_is_under_way(bus: Bus) {
    declare_q(&bus).await;
    parcels(&bus, 0..4).await;
    let mut deliveries = consume(&bus, "q", 2).await;
    let first = recv(&mut deliveries).await;
    let second = recv(&mut deliveries).await;
    assert_eq!((number(&first), number(&second)), (0, 1));
    never("more came than the prefetch", deliveries.recv()).await;
    bus.settle(&second, Settlement::Ack).await.unwrap();
    assert_eq!(number(&recv(&mut deliveries).await), 2);
    never("more came than the prefetch", deliveries.recv()).await;
}

pub async fn a_shutdown_waits_for_the_handler_in_flight_and_leaves_the_rest(bus: Bus) {
    let (sender, mut log) = log();
    declare_q(&bus).await;
    parcels(&bus, 0..3).await;
    let running = run(on_q(&bus).concurrency(1).on(move |received: Received<Parcel>| {
        let sender = sender.clone();
        async move {
            sender.send(("started", received.payload.n)).unwrap();
            sleep(ms(300)).await;
            sender.send(("finished", received.payload.n)).unwrap();
        }
    }));
    assert_eq!(log.next().await, ("started", 0));
    running.stop().await.unwrap();
    assert_eq!(log.so_far(), [("finished", 0)]);

    let mut inbox = inbox::<Parcel>(&bus, "q").await;
    let mut rest = [next(&mut inbox).await.payload.n, next(&mut inbox).await.payload.n];
    rest.sort_unstable();
    assert_eq!(rest, [1, 2]);
    never("what was acknowledged came again", inbox.next()).await;
}

pub async fn a_handler_that_is_not_done_at_the_deadline_is_given_up(bus: Bus) {
    let (sender, mut started) = log();
    declare_q(&bus).await;
    parcels(&bus, 0..1).await;
    let subscriber = on_q(&bus).drain(ms(100)).on(move |_: Received<Parcel>| {
        sender.send(()).unwrap();
        std::future::pending::<()>()
    });
    let running = run(subscriber);
    started.next().await;
    let error = running.stop().await.unwrap_err();
    assert!(
        matches!(error, SubscribeError::Drain { unfinished: 1, waited } if waited == ms(100)),
        "{error}"
    );
    let mut inbox = inbox::<Parcel>(&bus, "q").await;
    assert!(next(&mut inbox).await.redelivered());
}

pub async fn a_closed_transport_takes_nothing_and_ends_its_consumers(bus: Bus) {
    declare_q(&bus).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let mut inbox = inbox::<Parcel>(&bus, "q").await;
    publisher.publish(&Parcel { n: 0 }).await.unwrap();
    let received = next(&mut inbox).await;
    soon("the end", bus.close()).await;

    let error = soon("an answer", publisher.publish(&Parcel { n: 1 })).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Transport { source: TransportError::Closed, .. }),
        "{error}"
    );
    let subscribed = soon("an answer", bus.subscribe(Subscription::new("q"))).await;
    assert_eq!(subscribed.map(|_| ()), Err(TransportError::Closed));
    let topology = Topology::new().with_queue(queue("new", &["#"]));
    assert_eq!(soon("an answer", bus.declare(&topology)).await, Err(TransportError::Closed));
    assert!(soon("the end", inbox.next()).await.unwrap().is_none());
    soon("an answer", inbox.ack(received)).await.unwrap_err();
    // To close it again is fine.
    soon("the end", bus.close()).await;
}

pub async fn a_subscriber_on_a_closed_transport_ends(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    // The only worker is done with its message when the transport is closed.
    let running = run(on_q(&bus).concurrency(1).on(move |_: Received<Parcel>| {
        sender.send(()).unwrap();
        sleep(ms(200))
    }));
    parcels(&bus, 0..1).await;
    calls.next().await;
    soon("the end", bus.close()).await;
    let error = running.end().await.unwrap_err();
    assert!(matches!(&error, SubscribeError::Ended { queue, .. } if queue == "q"), "{error}");
}
