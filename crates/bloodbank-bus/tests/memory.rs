//! The in-memory transport does what a broker does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use bloodbank_bus::{
    Deliveries, Delivery, Destination, Encoded, Exchange, Headers, InMemory, Queue, Settlement,
    Subscription, Topology, Transport, TransportError, Verbatim, headers,
};
use bloodbank_testkit::catalog::{bus, envelope, queue};
use proptest::prelude::*;
use serde_json::{Value, json};

const PARCEL: &str = "lot.parcel";

async fn publish(bus: &InMemory, n: u32) {
    bus.publish(Encoded::new(envelope(PARCEL, json!({"n": n})), Headers::new()).unwrap())
        .await
        .unwrap();
}

async fn subscribe(bus: &InMemory, name: &str, prefetch: u16) -> Deliveries {
    bus.subscribe(Subscription::new(name).with_prefetch(prefetch)).await.unwrap()
}

fn data(delivery: &Delivery) -> Value {
    serde_json::from_slice::<Value>(&delivery.body).unwrap()["data"].clone()
}

/// What is here now, in order.
fn drain(deliveries: &mut Deliveries) -> Vec<Delivery> {
    std::iter::from_fn(|| deliveries.try_recv()).collect()
}

fn numbers(deliveries: &[Delivery]) -> Vec<Value> {
    deliveries.iter().map(|delivery| data(delivery)["n"].clone()).collect()
}

async fn settle(bus: &InMemory, delivery: &Delivery, settlement: Settlement) {
    bus.settle(delivery, settlement).await.unwrap();
}

fn park(reason: &str) -> Settlement {
    Settlement::Park { headers: Headers::from([(headers::REASON.into(), reason.into())]) }
}

#[tokio::test]
async fn every_matching_queue_gets_one_copy() {
    let (bus, _) = bus([
        queue("all", &["#"]),
        queue("twice", &["lot.*", "lot.#", "*.parcel"]),
        queue("three_words", &["lot.*.*"]),
        queue("board", &["terminal.mooring.*"]),
    ])
    .await;
    publish(&bus, 1).await;
    let depths = ["all", "twice", "three_words", "board"].map(|name| bus.depth(name));
    assert_eq!(depths, [1, 1, 0, 0]);
    bus.publish(
        Encoded::new(envelope("terminal.mooring.created.v2", json!({"n": 1})), Headers::new())
            .unwrap(),
    )
    .await
    .unwrap();
    assert_eq!((bus.depth("board"), bus.depth("all")), (0, 2));
}

#[tokio::test]
async fn an_event_without_a_queue_is_fine_and_a_command_is_not() {
    let (bus, _) = bus([queue("events", &["#"])]).await;
    let command = || envelope("terminal.mooring.create", json!({}));
    assert_eq!(
        bus.publish(Encoded::new(command(), Headers::new()).unwrap()).await,
        Err(TransportError::Unroutable { key: "terminal.mooring.create".into() })
    );
    assert_eq!(bus.depth("events"), 0);
    let worker =
        Queue::new("w").bind(Exchange::Commands, "terminal.mooring.create".parse().unwrap());
    bus.declare(&Topology::new().with_queue(worker.clone())).await.unwrap();
    bus.publish(Encoded::new(command(), Headers::new()).unwrap()).await.unwrap();
    assert_eq!((bus.depth("w"), bus.depth("events")), (1, 0));

    let mut rival = worker;
    rival.name = "rival".into();
    let error = bus.declare(&Topology::new().with_queue(rival)).await.unwrap_err();
    assert!(matches!(error, TransportError::Conflict { .. }), "{error}");
}

#[tokio::test]
async fn consumers_take_turns() {
    let (bus, _) = bus([queue("q", &["#"])]).await;
    let (mut a, mut b) = (subscribe(&bus, "q", 10).await, subscribe(&bus, "q", 10).await);
    for n in 0..6 {
        publish(&bus, n).await;
    }
    assert_eq!(numbers(&drain(&mut a)), [0, 2, 4]);
    assert_eq!(numbers(&drain(&mut b)), [1, 3, 5]);
}

#[tokio::test]
async fn prefetch_holds_back() {
    let (bus, _) = bus([queue("q", &["#"])]).await;
    let (mut slow, mut fast) = (subscribe(&bus, "q", 1).await, subscribe(&bus, "q", 2).await);
    for n in 0..5 {
        publish(&bus, n).await;
    }
    assert_eq!((bus.unsettled("q"), bus.depth("q")), (3, 2));
    let first = drain(&mut slow);
    assert_eq!(numbers(&first), [0]);
    assert_eq!(numbers(&drain(&mut fast)), [1, 2]);
    settle(&bus, &first[0], Settlement::Ack).await;
    assert_eq!(numbers(&drain(&mut slow)), [3]);
    assert_eq!((bus.unsettled("q"), bus.depth("q")), (3, 1));
}

#[tokio::test]
async fn what_is_requeued_keeps_its_place() {
    let (bus, _) = bus([queue("q", &["#"])]).await;
    let mut consumer = subscribe(&bus, "q", 2).await;
    for n in 0..4 {
        publish(&bus, n).await;
    }
    let first = drain(&mut consumer);
    assert!(first.iter().all(|d| !d.redelivered && d.attempt == 1));
    settle(&bus, &first[1], Settlement::Requeue).await;
    let again = drain(&mut consumer);
    assert_eq!(numbers(&again), [1]);
    assert!(again[0].redelivered && again[0].attempt == 1);
    drop(consumer);
    let mut next = subscribe(&bus, "q", 4).await;
    assert_eq!(numbers(&drain(&mut next)), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_dropped_consumer_gives_back_what_it_has_not_settled() {
    let (bus, _) = bus([queue("q", &["#"])]).await;
    let mut gone = subscribe(&bus, "q", 10).await;
    for n in 0..4 {
        publish(&bus, n).await;
    }
    let first = gone.recv().await.unwrap();
    let second = gone.recv().await.unwrap();
    settle(&bus, &first, Settlement::Ack).await;
    drop(gone);
    assert_eq!((bus.unsettled("q"), bus.depth("q")), (0, 3));
    assert_eq!(bus.settle(&second, Settlement::Ack).await, Err(TransportError::Stale));
    let mut next = subscribe(&bus, "q", 10).await;
    let again = drain(&mut next);
    assert_eq!(numbers(&again), [1, 2, 3]);
    assert!(again.iter().all(|delivery| delivery.redelivered));
}

#[tokio::test]
async fn settling_twice_is_stale() {
    let (bus, _) = bus([queue("q", &["#"])]).await;
    let mut consumer = subscribe(&bus, "q", 10).await;
    publish(&bus, 0).await;
    let delivery = consumer.recv().await.unwrap();
    settle(&bus, &delivery, Settlement::Ack).await;
    assert_eq!(bus.settle(&delivery, Settlement::Requeue).await, Err(TransportError::Stale));
}

#[tokio::test]
async fn parked_messages_keep_their_bytes_and_get_the_reason() {
    let (bus, _) = bus([
        queue("q", &["#"]).with_dead_letters("q.dead"),
        Queue::new("q.dead"),
        queue("careless", &["#"]),
    ])
    .await;
    publish(&bus, 7).await;
    for name in ["q", "careless"] {
        let delivery = subscribe(&bus, name, 1).await.recv().await.unwrap();
        // Its consumer is gone with the statement above.
        assert_eq!(bus.settle(&delivery, Settlement::Ack).await, Err(TransportError::Stale));
        let mut consumer = subscribe(&bus, name, 1).await;
        let delivery = consumer.recv().await.unwrap();
        settle(&bus, &delivery, park("no use")).await;
        assert_eq!((bus.depth(name), bus.unsettled(name)), (0, 0));
    }
    let dead = subscribe(&bus, "q.dead", 1).await.recv().await.unwrap();
    assert_eq!((&*dead.key, data(&dead)), (PARCEL, json!({"n": 7})));
    assert_eq!(dead.headers[headers::REASON], "no use");
    assert_eq!(dead.headers.len(), 1);
    assert!(!dead.redelivered);
}

#[tokio::test]
async fn a_full_queue_of_events_lets_its_oldest_go_and_others_get_all() {
    let small = queue("small", &["#"]).with_max_len(2).with_dead_letters("dead");
    let none = queue("none", &["#"]).with_max_len(2);
    let (bus, _) = bus([small, none, queue("large", &["#"]), Queue::new("dead")]).await;
    for n in 0..5 {
        publish(&bus, n).await;
    }
    assert_eq!(["small", "none", "dead", "large"].map(|name| bus.depth(name)), [2, 2, 3, 5]);
    for name in ["small", "none"] {
        let rest = drain(&mut subscribe(&bus, name, 10).await);
        assert_eq!(numbers(&rest), [json!(3), json!(4)]);
    }
    let dead = drain(&mut subscribe(&bus, "dead", 10).await);
    assert_eq!(numbers(&dead), [json!(0), json!(1), json!(2)]);
    assert_eq!(dead[0].headers[headers::REASON], "queue-full");
}

#[tokio::test]
async fn a_full_queue_refuses_what_is_no_event() {
    let (bus, _) = bus([Queue::new("small").with_max_len(2)]).await;
    let message = || Verbatim::stored(PARCEL, *b"{}", Headers::new());
    for _ in 0..2 {
        bus.forward(message(), Destination::queue("small")).await.unwrap();
    }
    let mut consumer = subscribe(&bus, "small", 1).await;
    let error = bus.forward(message(), Destination::queue("small")).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("`small` is full"), "{error}");
    settle(&bus, &consumer.recv().await.unwrap(), Settlement::Ack).await;
    bus.forward(message(), Destination::queue("small")).await.unwrap();
}

#[tokio::test]
async fn a_full_dead_letter_queue_loses_nothing() {
    let dead = Queue::new("dead").with_max_len(1);
    let (bus, _) = bus([queue("q", &["#"]).with_dead_letters("dead"), dead]).await;
    publish(&bus, 0).await;
    publish(&bus, 1).await;
    let mut consumer = subscribe(&bus, "q", 2).await;
    let both = drain(&mut consumer);
    settle(&bus, &both[0], park("a")).await;
    let error = bus.settle(&both[1], park("b")).await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!((bus.unsettled("q"), bus.depth("dead")), (1, 1));
    settle(&bus, &both[1], Settlement::Ack).await;
}

#[tokio::test]
async fn forwarding_keeps_bytes() {
    let (bus, _) = bus([queue("q", &["lot.#"])]).await;
    let garbage = Verbatim::stored("lot.parcel", *b"{not json", Headers::new())
        .with_header(headers::ATTEMPTS, "3");
    bus.forward(garbage.clone(), Destination::queue("q")).await.unwrap();
    bus.forward(garbage.clone(), Destination::Exchange(Exchange::Events)).await.unwrap();
    let mut consumer = subscribe(&bus, "q", 10).await;
    for _ in 0..2 {
        let delivery = consumer.recv().await.unwrap();
        assert_eq!((&*delivery.body, delivery.attempt), (&b"{not json"[..], 4));
        assert_eq!(Verbatim::of(&delivery), garbage);
    }
    assert_eq!(
        bus.forward(garbage, Destination::queue("nowhere")).await,
        Err(TransportError::Undeclared { queue: "nowhere".into() })
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_retried_waits_and_takes_room() {
    let work = Queue::new("q").bind(Exchange::Replay, "lot.#".parse().unwrap()).with_max_len(2);
    let (bus, _) = bus([work]).await;
    let replay = async |n| {
        let envelope = envelope(PARCEL, json!({ "n": n })).to_bytes().unwrap();
        let message = Verbatim::stored(PARCEL, envelope, Headers::new());
        bus.forward(message, Destination::Exchange(Exchange::Replay)).await
    };
    let mut consumer = subscribe(&bus, "q", 10).await;
    replay(0).await.unwrap();
    let first = consumer.recv().await.unwrap();
    let after = Duration::from_secs(60);
    let noted = Headers::from([(headers::ATTEMPTS.into(), "1".into())]);
    settle(&bus, &first, Settlement::Retry { after, headers: noted.clone() }).await;
    assert_eq!((bus.depth("q"), bus.unsettled("q")), (0, 0));
    replay(1).await.unwrap();
    let full = replay(2).await.unwrap_err();
    assert!(full.is_retryable(), "what waits counts, too: {full}");
    let started = tokio::time::Instant::now();
    assert_eq!(data(&consumer.recv().await.unwrap()), json!({"n": 1}));
    let again = consumer.recv().await.unwrap();
    assert!(started.elapsed() >= after);
    assert_eq!((&again.body, &again.headers, again.attempt), (&first.body, &noted, 2));
    assert!(!again.redelivered);
}

#[tokio::test]
async fn a_closed_bus_ends_its_consumers_and_refuses_everything() {
    let (bus, _) = bus([queue("q", &["#"])]).await;
    let mut consumer = subscribe(&bus, "q", 1).await;
    publish(&bus, 0).await;
    let delivery = consumer.recv().await.unwrap();
    bus.close().await;
    assert!(consumer.recv().await.is_none());
    let closed = Err(TransportError::Closed);
    assert_eq!(
        bus.publish(Encoded::new(envelope(PARCEL, json!({"n": 1})), Headers::new()).unwrap()).await,
        closed
    );
    assert_eq!(bus.forward(Verbatim::of(&delivery), Destination::queue("q")).await, closed);
    assert_eq!(bus.settle(&delivery, Settlement::Ack).await, closed);
    assert_eq!(bus.declare(&Topology::new()).await, closed);
    assert_eq!(bus.subscribe(Subscription::new("q")).await.map(|_| ()), closed);
    let request = bus.request(
        Encoded::new(envelope("terminal.mooring.create", json!({})), Headers::new()).unwrap(),
    );
    assert_eq!(request.confirm.await, closed);
    assert!(request.answer.await.is_err());
}

#[tokio::test]
async fn declaring_is_idempotent_and_all_or_nothing() {
    let (bus, _) = bus([queue("q", &["a.b"])]).await;
    publish(&bus, 0).await;
    bus.declare(&Topology::new().with_queue(queue("q", &["lot.parcel"]))).await.unwrap();
    publish(&bus, 1).await;
    assert_eq!(bus.depth("q"), 1);
    let other =
        Topology::new().with_queue(queue("new", &["#"])).with_queue(Queue::new("q").temporary());
    assert!(matches!(bus.declare(&other).await, Err(TransportError::Conflict { .. })));
    publish(&bus, 2).await;
    assert_eq!((bus.depth("new"), bus.depth("q")), (0, 2));
    let orphan = Topology::new().with_queue(Queue::new("x").with_dead_letters("nowhere"));
    assert!(matches!(bus.declare(&orphan).await, Err(TransportError::Undeclared { .. })));
    assert!(matches!(
        bus.subscribe(Subscription::new("x")).await,
        Err(TransportError::Undeclared { .. })
    ));
}

#[tokio::test]
async fn a_temporary_queue_goes_with_its_last_consumer() {
    let (bus, _) = bus([queue("t", &["#"]).temporary()]).await;
    let (a, b) = (subscribe(&bus, "t", 1).await, subscribe(&bus, "t", 1).await);
    drop(a);
    publish(&bus, 0).await;
    assert_eq!(bus.unsettled("t"), 1);
    drop(b);
    assert!(matches!(
        bus.subscribe(Subscription::new("t")).await,
        Err(TransportError::Undeclared { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_between_many() {
    let (bus, _) = bus([queue("q", &["#"])]).await;
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..4 {
        let (bus, sender) = (bus.clone(), sender.clone());
        let mut deliveries = subscribe(&bus, "q", 7).await;
        tokio::spawn(async move {
            while let Some(delivery) = deliveries.recv().await {
                // Every fifth is refused once.
                let n = data(&delivery)["n"].as_u64().unwrap();
                if n.is_multiple_of(5) && !delivery.redelivered {
                    settle(&bus, &delivery, Settlement::Requeue).await;
                } else {
                    settle(&bus, &delivery, Settlement::Ack).await;
                    sender.send(n).unwrap();
                }
            }
        });
    }
    let publishers = (0..4).map(|p| {
        let bus = bus.clone();
        tokio::spawn(async move {
            for n in 0..250 {
                publish(&bus, p * 250 + n).await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let mut all = Vec::new();
    while all.len() < 1_000 {
        all.push(seen.recv().await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (0..1_000).collect::<Vec<_>>());
    assert!(seen.try_recv().is_err());
    assert_eq!((bus.depth("q"), bus.unsettled("q")), (0, 0));
}

/// The definition of AMQP's topic matching, as naive as can be.
fn naive(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        (["#", rest @ ..], _) => (0..=key.len()).any(|skip| naive(rest, &key[skip..])),
        (["*", rest @ ..], [_, words @ ..]) => naive(rest, words),
        ([word, rest @ ..], [first, words @ ..]) => word == first && naive(rest, words),
        _ => false,
    }
}

proptest! {
    #[test]
    fn routing_is_that_of_topic_exchanges(
        patterns in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "#"]), 1..5), 1..6),
        key in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let name = |i: usize| format!("q{i}");
            let queues = patterns.iter().enumerate().map(|(i, words)| {
                queue(&name(i), &[&words.join(".")])
            });
            let (bus, _) = bus(queues).await;
            let message = Verbatim::stored(key.join("."), *b"", Headers::new());
            bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
            for (i, words) in patterns.iter().enumerate() {
                let expected = usize::from(naive(words, &key));
                prop_assert_eq!(bus.depth(&name(i)), expected, "{:?} {:?}", words, key);
            }
            Ok(())
        })?;
    }
}
