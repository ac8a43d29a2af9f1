//! What may be published, what is refused, and what arrives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bloodbank_bus::{
    BoxFuture, Confirm, Deliveries, Delivery, Destination, Encoded, Exchange, Headers, Inbox,
    PublishError, Publisher, Queue, Reason, Request, RetryPolicy, Settlement, Subscription,
    Topology, Transport, TransportError, Verbatim, headers,
};
use bloodbank_core::{Code, Envelope, Kind, Meta, SealError};
use bloodbank_testkit::catalog::{
    Any, Board, CreateMooring, Idle, MooringCreated, bus, contracts, mooring, queue,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Counts what reaches it and answers as told.
struct Counting {
    published: AtomicUsize,
    answer: Result<(), TransportError>,
}

impl Counting {
    fn answering(answer: Result<(), TransportError>) -> Arc<Self> {
        Arc::new(Counting { published: AtomicUsize::new(0), answer })
    }

    fn count(&self) -> usize {
        self.published.load(Ordering::Relaxed)
    }
}

impl Transport for Counting {
    fn declare<'a>(&'a self, _: &'a Topology) -> BoxFuture<'a, Result<(), TransportError>> {
        unreachable!("a publisher only publishes")
    }
    fn publish(&self, _: Encoded) -> Confirm {
        self.published.fetch_add(1, Ordering::Relaxed);
        Confirm::settled(self.answer.clone())
    }
    fn request(&self, _: Encoded) -> Request {
        unreachable!("a publisher only publishes")
    }
    fn answer(&self, _: &Delivery, _: Vec<u8>) -> Confirm {
        unreachable!("a publisher only publishes")
    }
    fn forward(&self, _: Verbatim, _: Destination) -> Confirm {
        unreachable!("a publisher only publishes")
    }
    fn subscribe(&self, _: Subscription) -> BoxFuture<'_, Result<Deliveries, TransportError>> {
        unreachable!("a publisher only publishes")
    }
    fn is_current(&self, _: &Delivery) -> bool {
        unreachable!("a publisher only publishes")
    }
    fn settle<'a>(
        &'a self,
        _: &'a Delivery,
        _: Settlement,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        unreachable!("a publisher only publishes")
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        unreachable!("a publisher only publishes")
    }
}

#[tokio::test]
async fn what_is_refused_never_reaches_the_transport() {
    let transport = Counting::answering(Ok(()));
    let publisher = Publisher::<Board>::new(transport.clone(), contracts());
    let bad = MooringCreated { max_rounds: 11, strategy: "fast".into(), ..mooring("") };
    let PublishError::Seal(SealError::Refused(refusal)) =
        publisher.publish(&bad).await.unwrap_err()
    else {
        panic!()
    };
    let mut pointers: Vec<_> = refusal.violations.iter().map(|v| v.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/max_rounds", "/strategy", "/topic"]);

    let data = serde_json::to_value(&bad).unwrap();
    let key = "terminal.mooring.created";
    let json = publisher.publish_json(key, data).await.unwrap_err();
    assert!(matches!(json, PublishError::Seal(SealError::Refused(again)) if again == refusal));
    let create = publisher.send_json("terminal.mooring.create", json!({"topic": 1})).await;
    assert!(matches!(create, Err(PublishError::Seal(SealError::Refused(_)))));
    assert_eq!(transport.count(), 0);

    publisher.publish(&mooring("fine")).await.unwrap();
    assert_eq!(transport.count(), 1);
}

#[tokio::test]
async fn the_registry_is_asked_at_run_time() {
    let transport = Counting::answering(Ok(()));
    let fine = || serde_json::to_value(mooring("fine")).unwrap();
    let key = "terminal.mooring.created";

    let error = Publisher::<Idle>::new(transport.clone(), contracts())
        .publish_json(key, fine())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, PublishError::Seal(SealError::NotAllowed { service, .. }) if service == "idle")
    );
    let text = error.to_string();
    assert!(text.contains("`produces:`") && text.contains("services/registry.yaml"), "{text}");
    let board = Publisher::<Board>::new(transport.clone(), contracts());
    let other = board.publish_json("lot.parcel", json!({})).await.unwrap_err();
    assert!(matches!(other, PublishError::Seal(SealError::NotAllowed { .. })));
    let newer = board.publish_json("terminal.mooring.created.v2", json!({})).await.unwrap_err();
    assert!(
        matches!(newer, PublishError::Seal(SealError::NotAllowed { .. })),
        "each version is listed for itself"
    );
    assert_eq!(transport.count(), 0);

    board.publish_json(key, fine()).await.unwrap();
    Publisher::<Any>::new(transport.clone(), contracts())
        .publish_json("lot.parcel", json!({}))
        .await
        .unwrap();
    assert_eq!(transport.count(), 2);
}

#[tokio::test]
async fn kinds_and_keys_are_not_mixed_up() {
    let transport = Counting::answering(Ok(()));
    let any = Publisher::<Any>::new(transport.clone(), contracts());
    let sent = any.send_json("lot.parcel", json!({})).await.unwrap_err();
    assert!(
        matches!(sent, PublishError::Seal(SealError::WrongKind { kind: Kind::Event, .. })),
        "{sent}"
    );
    let published = any.publish_json("terminal.mooring.create", json!({})).await.unwrap_err();
    assert!(matches!(
        published,
        PublishError::Seal(SealError::WrongKind { kind: Kind::Command, .. })
    ));
    let unknown = any.publish_json("lot.parcl", json!({})).await.unwrap_err();
    assert!(unknown.to_string().contains("did you mean `lot.parcel`?"), "{unknown}");
    assert_eq!(transport.count(), 0);
}

#[tokio::test]
async fn a_failed_publish_says_its_id() {
    let publisher =
        Publisher::<Board>::new(Counting::answering(Err(TransportError::Unknown)), contracts());
    let id = Uuid::now_v7();
    let error = publisher.publish(&mooring("x")).id(id).await.unwrap_err();
    assert!(
        matches!(&error, PublishError::Transport { id: said, source } if *said == id && source.is_retryable())
    );
}

#[tokio::test]
async fn typed_there_and_back() {
    let (_, transport) = bus([queue("q", &["terminal.#"])]).await;
    let publisher = Publisher::<Board>::new(transport.clone(), contracts()).named("board@host");
    let mut inbox: Inbox<MooringCreated> =
        Inbox::open(transport, contracts(), Subscription::new("q")).await.unwrap();
    let work = Uuid::now_v7();
    let meta = Meta::new().with_correlation_id(work).with_session_id("s1");
    let receipt = publisher.publish(&mooring("there")).meta(meta).await.unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!(received.payload, mooring("there"));
    let Envelope { id, source, correlation_id, schema, .. } = &*received.envelope;
    assert_eq!((*id, source.as_str(), *correlation_id), (receipt.id, "board@host", Some(work)));
    assert_eq!(schema.as_deref(), Some("https://example.test/terminal.mooring.created"));
    inbox.requeue(received).await.unwrap();
    let again = inbox.next().await.unwrap().unwrap();
    assert!(again.redelivered() && again.attempt() == 1 && again.envelope.id == receipt.id);
    inbox.ack(again).await.unwrap();
}

#[tokio::test]
async fn commands_reach_their_worker() {
    let worker =
        Queue::new("w").bind(Exchange::Commands, "terminal.mooring.create".parse().unwrap());
    let (bus, transport) = bus([worker]).await;
    let command = CreateMooring { topic: "x".into() };
    let receipt =
        Publisher::<Board>::new(transport.clone(), contracts()).send(&command).await.unwrap();
    let mut inbox: Inbox<CreateMooring> =
        Inbox::open(transport, contracts(), Subscription::new("w")).await.unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!((received.envelope.id, &received.payload), (receipt.id, &command));
    inbox.ack(received).await.unwrap();
    assert_eq!(bus.unsettled("w"), 0);
}

#[tokio::test]
async fn what_is_wrong_is_parked_and_not_handed_out() {
    let (bus, transport) =
        bus([queue("q", &["#"]).with_dead_letters("dead"), Queue::new("dead")]).await;
    let mut envelope = json!({
        "id": Uuid::now_v7(), "event_type": "terminal.mooring.created", "source": "foreign",
        "timestamp": "2026-01-31T12:00:00Z", "data": mooring("good"),
    });
    let mut messages = vec![("terminal.mooring.created", b"garbage".to_vec())];
    messages.push(("lot.parcel", envelope.to_string().into()));
    messages.push(("terminal.mooring.created", envelope.to_string().into()));
    envelope["data"]["max_rounds"] = json!(99);
    messages.push(("terminal.mooring.created", envelope.to_string().into()));
    envelope["event_type"] = json!("lot.parcel");
    messages.push(("lot.parcel", envelope.to_string().into()));
    envelope["event_type"] = json!("no.such.key");
    messages.push(("no.such.key", envelope.to_string().into()));
    for (key, body) in &messages {
        let message = Verbatim::stored(*key, body.clone(), Headers::new());
        bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
    }
    Publisher::<Board>::new(transport.clone(), contracts())
        .publish(&mooring("last"))
        .await
        .unwrap();

    let mut inbox: Inbox<MooringCreated> =
        Inbox::open(transport.clone(), contracts(), Subscription::new("q")).await.unwrap();
    for topic in ["good", "last"] {
        let received = inbox.next().await.unwrap().unwrap();
        assert_eq!(received.payload.topic, topic);
        inbox.ack(received).await.unwrap();
    }
    assert_eq!((inbox.parked(), bus.depth("dead")), (5, 5));

    let mut dead = transport.subscribe(Subscription::new("dead")).await.unwrap();
    let wanted = [
        (0, Reason::NoEnvelope, "not an envelope: expected value"),
        (
            1,
            Reason::NoEnvelope,
            "it travelled as `lot.parcel` and says that it is `terminal.mooring.created`",
        ),
        (3, Reason::BreaksContract, "/max_rounds  expected at most 10, found 99"),
        (4, Reason::BreaksContract, "`lot.parcel` is not the key of this type"),
        (5, Reason::NoHandler, "no contract has the key `no.such.key`"),
    ];
    for (index, reason, error) in wanted {
        let parked = dead.recv().await.unwrap();
        assert_eq!(parked.headers[headers::REASON], reason.as_str());
        assert_eq!(parked.headers[headers::PARKED_FROM], "q");
        assert_eq!(parked.headers[headers::ATTEMPTS], "1");
        let said = &parked.headers[headers::ERROR];
        assert!(said.to_string().contains(error), "{said}");
        assert_eq!(*parked.body, messages[index].1, "byte for byte");
    }
}

#[tokio::test]
async fn any_payload_as_json() {
    let (_, transport) =
        bus([queue("q", &["lot.*"]).with_dead_letters("dead"), Queue::new("dead")]).await;
    let mut inbox: Inbox<Value> =
        Inbox::open(transport.clone(), contracts(), Subscription::new("q")).await.unwrap();
    let any = Publisher::<Any>::new(transport.clone(), contracts());
    any.publish_json("lot.parcel", json!({"a": [1]})).await.unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!(received.payload, json!({"a": [1]}));
    inbox.park(received, "seen enough").await.unwrap();
    let mut dead = transport.subscribe(Subscription::new("dead")).await.unwrap();
    let parked = dead.recv().await.unwrap();
    assert_eq!(parked.headers[headers::REASON], Reason::Parked.as_str());
    assert_eq!(parked.headers[headers::ERROR], "seen enough");
    assert_eq!(inbox.parked(), 0, "that counts what it parks itself");
}

#[tokio::test]
async fn a_draft_says_what_travels_and_sends_nothing_before_it_is_awaited() {
    let (_memory, bus) = bus([queue("q", &["#"])]).await;
    let publisher = Publisher::<Any>::new(bus.clone(), contracts());
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (id, work) = (Uuid::now_v7(), Uuid::now_v7());
    let payload = mooring("drafted");
    let draft = || {
        let draft = publisher.publish(&payload).tracestate("other=1").traceparent(trace);
        draft.id(id).correlation(work).session("s7")
    };
    drop(draft());
    let sealed = draft().tracestate("ours=1").seal().unwrap();
    assert_eq!((sealed.id, sealed.correlation_id), (id, Some(work)));
    assert_eq!(sealed.tracestate.as_deref(), Some("ours=1"));
    let forgotten = draft().seal().unwrap();
    assert_eq!(forgotten.tracestate, None, "what was noted on another trace");
    publisher.publish_sealed(sealed.clone()).await.unwrap();
    let mut inbox: Inbox<MooringCreated> =
        Inbox::open(bus, contracts(), Subscription::new("q")).await.unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!(*received.envelope, *sealed.get());
    assert_eq!(inbox.parked(), 0);
    let more = tokio::time::timeout(std::time::Duration::from_millis(200), inbox.next()).await;
    assert!(more.is_err(), "only what was published has come");
}

#[test]
fn the_retries_of_a_service_hold_for_its_own_queues_only() {
    let contracts = contracts();
    let limited = contracts.bundle().service("limited").unwrap();
    assert!(RetryPolicy::of_queue(limited, "limited").is_some());
    assert_eq!(RetryPolicy::of_queue(limited, "somebody.elses"), None);
}

#[test]
fn what_was_sealed_earlier_is_read_back_with_its_bytes() {
    let read = |kind, key: &str, body: &str| {
        let kept = Verbatim::stored(key, body.as_bytes(), Headers::new());
        Encoded::read_back(&contracts(), kind, kept)
    };
    // As nobody here would write it, and valid.
    let body = r#"{ "data": {"n": 1.50}, "source": "s", "event_type": "lot.parcel",
        "timestamp": "2026-01-31T12:00:00Z", "id": "0190b0a0-0000-7000-8000-000000000001" }"#;
    let message = read(Kind::Event, "lot.parcel", body).unwrap();
    assert_eq!((&**message.body(), message.key()), (body.as_bytes(), "lot.parcel"));
    assert_eq!(message.envelope().data, json!({"n": 1.5}));

    let code = |kind, key: &str, body: &str| read(kind, key, body).unwrap_err().code();
    assert_eq!(code(Kind::Command, "lot.parcel", body), Code::WrongKind);
    assert_eq!(code(Kind::Event, "lot.other", body), Code::EnvelopeOtherKey);
    assert_eq!(code(Kind::Event, "lot.parcel", "{}"), Code::EnvelopeMalformed);
    let unknown = body.replace("lot.parcel", "lot.other");
    assert_eq!(code(Kind::Event, "lot.other", &unknown), Code::UnknownKey);
    let refused = body.replace("lot.parcel", "terminal.mooring.created");
    assert_eq!(code(Kind::Event, "terminal.mooring.created", &refused), Code::PayloadRefused);
}
