//! What queues hold, and for how long.

use std::time::Duration;

use bloodbank_bus::{
    Destination, Encoded, Exchange, Headers, Publisher, Queue, Settlement, Transport, Verbatim,
};
use bloodbank_testkit::catalog::{Any, CreateMooring, Parcel, contracts, envelope, queue};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{PARCEL, browse, bus, consume, declare, nothing, number, numbers, parcels, recv};
use crate::databases::{Database, on_both, parcel};

on_both!(
    a_queue_keeps_its_place_while_nobody_is_there,
    what_was_parked_or_waits_for_a_retry_is_there_after_a_restart,
    what_another_message_of_the_same_id_says_is_refused,
    a_full_queue_counts_only_what_it_wants,
    what_is_forwarded_waits_behind_what_was_published_before,
    many_wanted_messages_among_many_more_are_all_found,
    what_is_imported_is_history_and_goes_to_no_queue,
    a_queue_that_wants_nothing_of_much_passes_it,
    what_is_put_back_into_an_ordered_queue_comes_before_the_next,
);

async fn a_queue_keeps_its_place_while_nobody_is_there(database: Database) {
    let first = bus(&database).await;
    declare(&first, queue("q", &[PARCEL])).await;
    parcels(&first, 0..4).await;
    let mut deliveries = consume(&first, "q", 3).await;
    for _ in 0..2 {
        let delivery = recv(&mut deliveries).await;
        first.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    first.close().await;
    drop((first, deliveries));
    // Somebody else publishes in the meantime.
    let publisher = bus(&database).await;
    parcels(&publisher, 4..6).await;
    publisher.close().await;
    let again = bus(&database).await;
    declare(&again, queue("q", &[PARCEL])).await;
    assert_eq!(numbers(&browse(&again, "q").await), [2, 3, 4, 5]);
    assert_eq!(again.store().position().await.unwrap(), 6);
}

async fn what_is_imported_is_history_and_goes_to_no_queue(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    parcels(&bus, 0..1).await;
    let old = |n| parcel(n).with_received(Utc::now() - TimeDelta::hours(1));
    bus.store().append((10..3_000).map(old).collect()).await.unwrap();
    let mut deliveries = consume(&bus, "q", 10).await;
    parcels(&bus, 1..2).await;
    for n in 0..2 {
        let delivery = recv(&mut deliveries).await;
        assert_eq!(number(&delivery), n);
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    nothing(&mut deliveries).await;
    deliveries.close().await;
    assert_eq!(bus.store().position().await.unwrap(), 2_992, "all of it is stored");
    assert!(browse(&bus, "q").await.is_empty());
}

async fn what_was_parked_or_waits_for_a_retry_is_there_after_a_restart(database: Database) {
    let first = bus(&database).await;
    declare(&first, queue("q", &[PARCEL])).await;
    parcels(&first, 0..3).await;
    let mut deliveries = consume(&first, "q", 10).await;
    let note = |text: &str| Headers::from([("x-note".to_owned(), text.into())]);
    for settlement in [
        Settlement::Park { headers: note("parked") },
        Settlement::Retry { after: Duration::from_secs(5), headers: note("later") },
        Settlement::Ack,
    ] {
        let delivery = recv(&mut deliveries).await;
        first.settle(&delivery, settlement).await.unwrap();
    }
    first.close().await;
    let again = bus(&database).await;
    let parked = browse(&again, "q.dlq").await;
    assert_eq!(
        (numbers(&parked), parked[0].headers["x-note"].as_str().unwrap()),
        (vec![0], "parked")
    );
    assert!(browse(&again, "q").await.is_empty(), "its time has not come");
    let later = recv(&mut consume(&again, "q", 10).await).await;
    assert_eq!((number(&later), later.headers["x-note"].as_str().unwrap()), (1, "later"));
    assert!(!later.redelivered);
}

async fn what_another_message_of_the_same_id_says_is_refused(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let id = Uuid::now_v7();
    let say = async |n| publisher.publish(&Parcel { n }).id(id).await;
    say(0).await.unwrap();
    say(0).await.unwrap();
    let refused = say(1).await.unwrap_err().to_string();
    assert!(refused.contains("position 1") && refused.contains("quarantine"), "{refused}");
    assert_eq!(numbers(&browse(&bus, "q").await), [0]);
}

async fn a_full_queue_counts_only_what_it_wants(database: Database) {
    let bus = bus(&database).await;
    let workers = Queue::of_command("terminal.mooring.create").unwrap().with_max_len(3);
    let name = workers.name.clone();
    declare(&bus, workers).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let create = async |n: u32| publisher.send(&CreateMooring { topic: n.to_string() }).await;
    let full = format!("queue `{name}` is full with 3 messages");
    for n in 0..3 {
        create(n).await.unwrap();
        for _ in 0..5 {
            let other = envelope("lot.session.started", json!({}));
            bus.publish(Encoded::new(other, Headers::new()).unwrap()).await.unwrap();
        }
    }
    let stored = bus.store().position().await.unwrap();
    for _ in 0..2 {
        let error = create(3).await.unwrap_err().to_string();
        assert!(error.contains(&full), "{error}");
    }
    assert_eq!(bus.store().position().await.unwrap(), stored, "nothing is stored");
    // What is delivered and not settled counts, too.
    let mut deliveries = consume(&bus, &name, 1).await;
    let first = recv(&mut deliveries).await;
    create(3).await.unwrap_err();
    bus.settle(&first, Settlement::Ack).await.unwrap();
    create(3).await.unwrap();
    let copy = Verbatim::stored(PARCEL, *b"{}", Headers::new());
    let error = bus.forward(copy, Destination::queue(&name)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains(&full), "{error}");
}

async fn what_is_forwarded_waits_behind_what_was_published_before(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    let put = async |n| {
        let body = envelope(PARCEL, json!(Parcel { n })).to_bytes().unwrap();
        let copy = Verbatim::stored(PARCEL, body, Headers::new());
        bus.forward(copy, Destination::queue("q")).await.unwrap();
    };
    parcels(&bus, 0..2).await;
    put(2).await;
    put(3).await;
    parcels(&bus, 4..5).await;
    put(5).await;
    assert_eq!(numbers(&browse(&bus, "q").await), [0, 1, 2, 3, 4, 5]);
    let mut deliveries = consume(&bus, "q", 1).await;
    for n in 0..6 {
        let delivery = recv(&mut deliveries).await;
        assert_eq!(number(&delivery), n);
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    // A copy of what is stored goes to nobody a second time by way of the exchange.
    assert_eq!(bus.store().position().await.unwrap(), 3);
    let stored = bus.store().at(1).await.unwrap().unwrap();
    let copy = Verbatim::stored(PARCEL, stored.body, Headers::new());
    bus.forward(copy, Destination::Exchange(Exchange::Events)).await.unwrap();
    nothing(&mut deliveries).await;
}

async fn many_wanted_messages_among_many_more_are_all_found(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &["lot.session.started"])).await;
    for _ in 0..3 {
        parcels(&bus, 0..1_700).await;
        bus.publish(
            Encoded::new(envelope("lot.session.started", json!({})), Headers::new()).unwrap(),
        )
        .await
        .unwrap();
    }
    let mut deliveries = consume(&bus, "q", 10).await;
    for _ in 0..3 {
        let delivery = recv(&mut deliveries).await;
        assert_eq!(&*delivery.key, "lot.session.started");
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    parcels(&bus, 0..1_100).await;
    bus.publish(Encoded::new(envelope("lot.session.started", json!({})), Headers::new()).unwrap())
        .await
        .unwrap();
    assert_eq!(&*recv(&mut deliveries).await.key, "lot.session.started");
}

async fn a_queue_that_wants_nothing_of_much_passes_it(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("rare", &["lot.session.started"])).await;
    let mut deliveries = consume(&bus, "rare", 1).await;
    for _ in 0..3 {
        bus.store().append((0..4_000).map(parcel).collect()).await.unwrap();
        nothing(&mut deliveries).await;
    }
    let unread = async || {
        let queues = bus.queues().await.unwrap();
        let rare = queues.into_iter().find(|queue| queue.queue.name == "rare").unwrap();
        assert_eq!((rare.unread, rare.lag, rare.age), (0, 0, None));
        bus.store().position().await.unwrap() - rare.cursor
    };
    let passed = async {
        while unread().await > 4_000 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), passed).await.expect("the cursor is moved");
}

async fn what_is_put_back_into_an_ordered_queue_comes_before_the_next(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("o", &[PARCEL]).ordered()).await;
    let mut deliveries = consume(&bus, "o", 1).await;
    parcels(&bus, 0..20).await;
    let busy = {
        let bus = bus.clone();
        // Others keep waking the consumer while it settles.
        tokio::spawn(async move {
            for _ in 0..100 {
                bus.publish(
                    Encoded::new(envelope("lot.session.started", json!({})), Headers::new())
                        .unwrap(),
                )
                .await
                .unwrap();
            }
        })
    };
    for n in 0..20 {
        let first = recv(&mut deliveries).await;
        assert_eq!(number(&first), n);
        bus.settle(&first, Settlement::Requeue).await.unwrap();
        let again = recv(&mut deliveries).await;
        assert_eq!((number(&again), again.redelivered), (n, true));
        bus.settle(&again, Settlement::Ack).await.unwrap();
    }
    busy.await.unwrap();
}
