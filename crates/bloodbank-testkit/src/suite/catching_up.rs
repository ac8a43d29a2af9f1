//! Queues that begin with the past. A bus that keeps no record says that it cannot.

use bloodbank_bus::{Received, Start, SubscribeError, Subscriber, TransportError};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::tools::{Bus, Log, PARCEL, declare_q, log, ms, parcels, run};
use crate::catalog::{Any, Parcel, contracts};

/// In order, on a queue of this name.
fn on(bus: &Bus, queue: &str, start: Start, sender: UnboundedSender<u32>) -> Subscriber<Any> {
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue(queue).bind(PARCEL);
    subscriber.from(start).on(move |received: Received<Parcel>| {
        let sender = sender.clone();
        async move {
            sleep(ms(1)).await;
            sender.send(received.payload.n).unwrap();
        }
    })
}

pub async fn a_new_queue_begins_with_the_past_and_goes_on_with_what_comes(bus: Bus) {
    if !bus.keeps_history() {
        return;
    }
    parcels(&bus, 0..10).await;
    let (sender, mut handled) = log();
    let all = run(on(&bus, "q", Start::Beginning, sender).strict_order());
    assert_eq!(handled.take(10).await, (0..10).collect::<Vec<_>>());
    parcels(&bus, 10..20).await;
    assert_eq!(handled.take(10).await, (10..20).collect::<Vec<_>>());
    let (sender, mut later) = log();
    let some = run(on(&bus, "p", Start::Position(6), sender).strict_order());
    assert_eq!(later.take(15).await, (5..20).collect::<Vec<_>>());
    parcels(&bus, 20..22).await;
    assert_eq!(later.take(2).await, [20, 21]);
    assert_eq!(handled.take(2).await, [20, 21]);
    handled.ends().await;
    later.ends().await;
    all.stop().await.unwrap();
    some.stop().await.unwrap();
}

pub async fn a_queue_that_is_there_goes_on_where_it_was(bus: Bus) {
    parcels(&bus, 0..3).await;
    declare_q(&bus).await;
    parcels(&bus, 3..5).await;
    let (sender, mut handled) = log();
    let running = run(on(&bus, "q", Start::Beginning, sender).concurrency(1));
    assert_eq!(handled.take(2).await, [3, 4]);
    handled.ends().await;
    running.stop().await.unwrap();
}

/// Takes until a number came; what came for the first time, in order.
async fn take_until(handled: &mut Log<u32>, last: u32, seen: &mut Vec<u32>) {
    while seen.last() != Some(&last) {
        let next = handled.next().await;
        if !seen.contains(&next) {
            seen.push(next);
        }
    }
}

pub async fn what_comes_while_the_past_is_handled_comes_after_it(bus: Bus) {
    if !bus.keeps_history() {
        return;
    }
    parcels(&bus, 0..100).await;
    let mut seen = Vec::new();
    let (sender, mut handled) = log();
    let subscriber = |sender| on(&bus, "q", Start::Beginning, sender).strict_order();
    let first = run(subscriber(sender));
    take_until(&mut handled, 10, &mut seen).await;
    parcels(&bus, 100..110).await;
    // Another one goes on in the middle.
    first.stop().await.unwrap();
    for n in handled.so_far() {
        seen.push(n);
    }
    let (sender, mut handled) = log();
    let second = run(subscriber(sender));
    parcels(&bus, 110..120).await;
    take_until(&mut handled, 119, &mut seen).await;
    assert_eq!(seen, (0..120).collect::<Vec<_>>());
    second.stop().await.unwrap();
}

pub async fn a_bus_without_a_record_says_so(bus: Bus) {
    if bus.keeps_history() {
        return;
    }
    let (sender, _handled) = log();
    let ended = run(on(&bus, "q", Start::Beginning, sender)).end().await.unwrap_err();
    let SubscribeError::Transport(error @ TransportError::Unsupported { .. }) = ended else {
        panic!("{ended}");
    };
    assert!(error.to_string().contains("`q`"), "{error}");
}
