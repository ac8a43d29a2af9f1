//! Which handler takes what, and which cannot work.

use bloodbank_bus::{
    Encoded, Headers, Publisher, Received, SubscribeError, Subscriber, TransportError,
};
use bloodbank_core::Meta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tools::{Bus, PARCEL, consume, declare, declare_q, holds, log, parcels, run, soon};
use crate::catalog::{
    Any, Idle, Listener, MooringCreated, MooringCreatedV2, Parcel, contracts, envelope, mooring,
    queue,
};

pub async fn an_upcast_handler_gets_both_versions_as_the_new_one(bus: Bus) {
    let (sender, mut calls) = log();
    declare(&bus, [queue("q", &["terminal.mooring.created.#"])]).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts())
        .queue("q")
        .bind("terminal.mooring.created.#")
        .concurrency(1)
        .on_upcast::<MooringCreated, MooringCreatedV2, _, _>(move |received| {
            sender.send((received.envelope.event_type.clone(), received.payload.title)).unwrap();
            async {}
        });
    let running = run(subscriber);
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    publisher.publish(&mooring("old")).await.unwrap();
    publisher.publish(&MooringCreatedV2 { title: "new".into() }).await.unwrap();
    let expected = [("terminal.mooring.created", "old"), ("terminal.mooring.created.v2", "new")]
        .map(|(key, title)| (key.to_owned(), title.to_owned()));
    assert_eq!(calls.take(2).await, expected);
    running.stop().await.unwrap();
}

pub async fn a_handler_of_anything_gets_what_no_other_takes(bus: Bus) {
    let (sender, mut calls) = log();
    let any = sender.clone();
    declare(&bus, [queue("q", &["#"])]).await;
    let subscriber =
        Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind("#").concurrency(1);
    let running = run(subscriber
        .on(move |received: Received<Parcel>| {
            sender.send(("parcel", received.envelope.event_type.clone())).unwrap();
            async {}
        })
        .on_any(move |received: Received<Value>| {
            assert!(received.payload.is_object());
            any.send(("any", received.envelope.event_type.clone())).unwrap();
            async {}
        }));
    Publisher::<Any>::new(bus.clone(), contracts()).publish(&mooring("x")).await.unwrap();
    parcels(&bus, 0..1).await;
    let expected = [("any", "terminal.mooring.created"), ("parcel", PARCEL)]
        .map(|(handler, key)| (handler, key.to_owned()));
    assert_eq!(calls.take(2).await, expected);
    calls.ends().await;
    running.stop().await.unwrap();
}

pub async fn what_is_skipped_is_gone(bus: Bus) {
    let (sender, mut calls) = log();
    declare(&bus, [queue("q", &["#"])]).await;
    let subscriber =
        Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind("#").concurrency(1);
    let running = run(subscriber.skip_others().on(move |received: Received<Parcel>| {
        sender.send(received.payload.n).unwrap();
        async {}
    }));
    Publisher::<Any>::new(bus.clone(), contracts()).publish(&mooring("x")).await.unwrap();
    parcels(&bus, 4..5).await;
    assert_eq!(calls.next().await, 4);
    running.stop().await.unwrap();
    holds(&bus, "q", 0).await;
    holds(&bus, "q.dlq", 0).await;
}

pub async fn handlers_take_the_queues_of_the_registry(bus: Bus) {
    let (sender, mut calls) = log();
    let any = sender.clone();
    declare(&bus, [queue("listener", &[PARCEL, "lot.session.#"])]).await;
    let running = run(Subscriber::<Listener>::new(bus.clone(), contracts())
        .concurrency(1)
        .on(move |received: Received<Parcel>| {
            sender.send(received.envelope.event_type.clone()).unwrap();
            async {}
        })
        .on_any(move |received: Received<Value>| {
            any.send(received.envelope.event_type.clone()).unwrap();
            async {}
        }));
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    publisher.publish(&mooring("not for it")).await.unwrap();
    publisher.publish_json("lot.session.started", json!({})).await.unwrap();
    parcels(&bus, 0..1).await;
    assert_eq!(calls.take(2).await, ["lot.session.started", PARCEL]);
    running.stop().await.unwrap();
}

/// What is wrong with a subscriber, and that it has declared nothing.
async fn faults<S: bloodbank_core::Service>(bus: &Bus, subscriber: Subscriber<S>) -> String {
    let ended = soon("the refusal", subscriber.run_until(std::future::pending())).await;
    let Err(error @ SubscribeError::Setup { .. }) = ended else { panic!("{ended:?}") };
    let subscribed = bus.subscribe(bloodbank_bus::Subscription::new("q")).await;
    assert!(matches!(subscribed, Err(TransportError::Undeclared { .. })));
    error.to_string()
}

pub async fn bindings_without_a_handler_are_named_before_anything_is_declared(bus: Bus) {
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind("terminal.#");
    let text = faults(&bus, subscriber.on(async |_: Received<MooringCreated>| {})).await;
    for word in ["`any`", "`terminal.mooring.created.v2`", "`terminal.mooring.ended`", ".on_any("] {
        assert!(text.contains(word), "{word}: {text}");
    }
    for word in ["`terminal.mooring.created`", PARCEL, "terminal.mooring.create`"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

pub async fn a_subscriber_without_handlers_or_with_a_bad_pattern_is_refused(bus: Bus) {
    let subscriber =
        Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind("lot..parcel");
    let text = faults(&bus, subscriber).await;
    assert!(text.contains("`lot..parcel`") && text.contains("no handler"), "all of it: {text}");
    let subscriber = Subscriber::<Idle>::new(bus.clone(), contracts());
    let text = faults(&bus, subscriber.on_any(async |_: Received<Value>| {})).await;
    assert!(text.contains("`idle`") && text.contains("services/registry.yaml"), "{text}");
}

pub async fn what_travels_with_a_message_reaches_its_handler(bus: Bus) {
    let (sender, mut calls) = log();
    declare_q(&bus).await;
    let subscriber = Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind(PARCEL);
    let running = run(subscriber.on(move |received: Received<Parcel>| {
        let next = received.meta();
        sender.send((received.envelope.clone(), received.headers().clone(), next)).unwrap();
        async {}
    }));
    let (id, work) = (Uuid::now_v7(), Uuid::now_v7());
    let meta = Meta::new()
        .with_id(id)
        .with_correlation_id(work)
        .with_session_id("s1")
        .with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let publisher = Publisher::<Any>::new(bus.clone(), contracts()).named("here");
    publisher.publish(&Parcel { n: 9 }).meta(meta.clone()).await.unwrap();
    let (said, _, next) = calls.next().await;
    assert_eq!((said.id, said.source.as_str(), said.correlation_id), (id, "here", Some(work)));
    assert_eq!((&said.session_id, &said.traceparent), (&meta.session_id, &meta.traceparent));
    assert_eq!((next.causation_id, next.correlation_id), (Some(id), Some(work)));
    assert_eq!(next.session_id.as_deref(), Some("s1"));

    let beside = Headers::from([("x-mine".to_owned(), "yes".into())]);
    bus.publish(Encoded::new(envelope(PARCEL, json!({"n": 1})), beside).unwrap()).await.unwrap();
    assert_eq!(calls.next().await.1["x-mine"], "yes");
    // A consumer of one's own finds the queue as the subscriber left it.
    running.stop().await.unwrap();
    consume(&bus, "q", 1).await.close().await;
}
