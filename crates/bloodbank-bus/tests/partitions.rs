//! Partitions go round: no subscriber keeps all of them from those that came later.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bloodbank_bus::{Publisher, Received, Subscriber};
use bloodbank_testkit::catalog::{Any, MooringCreated, bus, contracts, mooring};
use tokio::time::sleep;

/// What each subscriber was given, and the rounds of each topic over all of them.
#[derive(Default)]
struct Seen {
    by_subscriber: [u32; 2],
    by_topic: BTreeMap<String, Vec<u32>>,
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_comes_later_gets_its_share_and_the_order_holds() {
    let (_, bus) = bus([]).await;
    let seen = Arc::<Mutex<Seen>>::default();
    for number in 0..2 {
        let seen = seen.clone();
        let subscriber = Subscriber::<Any>::new(bus.clone(), contracts())
            .queue("k")
            .bind("terminal.mooring.created")
            .ordered_by("/topic")
            .on(move |received: Received<MooringCreated>| {
                let seen = seen.clone();
                async move {
                    sleep(Duration::from_millis(300)).await;
                    let mut seen = seen.lock().unwrap();
                    seen.by_subscriber[number] += 1;
                    let MooringCreated { topic, max_rounds, .. } = received.payload;
                    seen.by_topic.entry(topic).or_default().push(max_rounds);
                }
            });
        tokio::spawn(subscriber.run_until(pending()));
        // The first one has all partitions by then.
        sleep(Duration::from_secs(1)).await;
    }
    let publisher = Publisher::<Any>::new(bus, contracts());
    for max_rounds in 1..=10 {
        for topic in 0..40 {
            let mooring = MooringCreated { max_rounds, ..mooring(&format!("topic {topic}")) };
            publisher.publish(&mooring).await.unwrap();
        }
        sleep(Duration::from_secs(20)).await;
    }
    sleep(Duration::from_secs(60)).await;
    let seen = seen.lock().unwrap();
    assert!(
        seen.by_topic.len() == 40
            && seen.by_topic.values().all(|rounds| rounds.iter().copied().eq(1..=10))
    );
    assert!(seen.by_subscriber.iter().all(|count| *count > 50), "{:?}", seen.by_subscriber);
}
